from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_protocol.documents.canonical import canonical
from homebred_protocol.receipts import (
    LEFT_OUT,
    MAX_BODY_BYTES,
    MAX_FACTS,
    MAX_SIGNED_BYTES,
    Receipt,
    SignedReceipt,
    body_of,
    packed,
    read_body,
    refused_subject,
    to_be_signed,
    unpacked,
)

ONE = Receipt(
    device="kiosk-1",
    specialist="intake",
    number=7,
    digest="sha256:" + "ab" * 32,
    result="gate_passed",
    facts={"intake.extract:score_ppm": 930_000, "memory_bytes": 5},
    at_s=1_796_000_000,
    seq=12,
)
SIGNED = SignedReceipt(body=body_of(ONE), certificate=b"c" * 600, signature=b"s" * 71)


def test_a_receipt_has_one_text_and_is_read_from_it() -> None:
    assert read_body(body_of(ONE)) == ONE
    assert unpacked(packed(SIGNED)) == SIGNED
    assert replace(SIGNED, signature=b"other").digest == SIGNED.digest


def test_one_that_names_what_was_built_says_so_and_others_have_the_text_that_they_always_had() -> None:
    built = replace(ONE, built="sha256:" + "cd" * 32)
    assert read_body(body_of(built)) == built
    assert body_of(built) != body_of(ONE)
    assert b"built" not in body_of(ONE)
    with pytest.raises(ValueError, match="built"):
        read_body(body_of(built).replace(built.built.encode(), b""))


def test_what_is_signed_is_no_other_message_of_a_device() -> None:
    assert to_be_signed(SIGNED.body) == b"homebred receipt 1\n" + SIGNED.body


names = st.text(min_size=1, max_size=300).filter(lambda name: name != LEFT_OUT)
numbers = st.integers(-(2**60), 2**60)


@given(st.dictionaries(names, numbers, max_size=150))
def test_whatever_was_measured_it_stays_within_its_bounds(facts: dict[str, int]) -> None:
    body = body_of(replace(ONE, facts=facts, built="sha256:" + "cd" * 32, specialist="\U0001f99c" * 128))
    line = packed(SignedReceipt(body=body, certificate=b"c" * 1200, signature=b"s" * 72))
    found = dict(read_body(body).facts)
    left_out = found.pop(LEFT_OUT, 0)
    assert len(line) <= MAX_SIGNED_BYTES
    assert found.items() <= facts.items()
    assert len(found) + left_out == len(facts)


def test_facts_that_there_is_no_room_for_are_counted() -> None:
    facts = {f"workflow {number:04d}:score_ppm": number for number in range(200)}
    body = body_of(replace(ONE, facts=facts))
    found = read_body(body).facts
    assert len(body) <= MAX_BODY_BYTES
    assert found[LEFT_OUT] == 200 - (len(found) - 1)
    assert len(found) <= MAX_FACTS + 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"device": "Kiosk/1"},
        {"specialist": ""},
        {"specialist": "x" * 129},
        {"number": 0},
        {"number": True},
        {"digest": "sha256:ab"},
        {"built": "sha256:ab"},
        {"result": "What a nice day"},
        {"code": "a sentence of somebody's"},
        {"facts": {"text": "a word"}},
        {"facts": {"score": 1.5}},
        {"facts": []},
        {"at_s": -1},
        {"seq": 0},
        {"version": 2},
        {"more": 1},
    ],
)
def test_anything_else_is_refused(wrong: dict[str, object]) -> None:
    document = {
        **{name: getattr(ONE, name) for name in ("device", "specialist", "number", "digest", "result", "code")},
        **{name: getattr(ONE, name) for name in ("facts", "at_s", "seq")},
        "version": 1,
    }
    read_body(canonical(document))
    with pytest.raises(ValueError, match=r"it is no|cannot be read|it holds"):
        read_body(canonical({**document, **wrong}) if wrong != {"facts": {"score": 1.5}} else b'{"score":1.5}')


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b"[" * 5000,
        packed(SIGNED) + b" ",
        packed(SIGNED).replace(b'"signature":"', b'"signature":"!'),
        packed(SIGNED).replace(b'"seq":12', b'"seq":12,"seq":13'),
        packed(SIGNED)[:-5],
        b" " * (MAX_SIGNED_BYTES + 1),
    ],
)
def test_a_line_that_is_no_signed_receipt_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whichever of them finds it
        unpacked(line)


def test_a_refusal_may_be_of_what_has_neither_number_nor_digest() -> None:
    refusal = replace(ONE, specialist="image", number=0, digest="", result="refused", code="expired", facts={})
    assert read_body(body_of(refusal)) == refusal
    with pytest.raises(ValueError, match="number, digest"):
        body_of(replace(refusal, result="activated"))


@pytest.mark.parametrize(
    ("about", "subject", "number"),
    [
        ("models/qa/intake/7.json", "intake", 7),
        ("policies/clinic-east/house/3.toml", "policies/clinic-east/house", 3),
        ("image", "image", 0),
        ("director", "director", 0),
        ("", "all", 0),
        ("models/../etc/passwd", "unknown", 0),
        ("Jane Doe, born 1970", "unknown", 0),
    ],
)
def test_what_was_refused_is_called_by_a_name_of_ours_and_by_no_text_that_somebody_made_up(
    about: str, subject: str, number: int
) -> None:
    assert refused_subject(about) == (subject, number)


def test_the_longest_name_has_room_in_a_receipt() -> None:
    name = f"gazetteers/{'g' * 32}/{'n' * 64}/{2**53 - 1}.toml"
    subject, number = refused_subject(name)
    refusal = replace(ONE, specialist=subject, number=number, digest="", result="refused")
    assert (read_body(body_of(refusal)).specialist, number) == (name.rpartition("/")[0], 2**53 - 1)
