"""`homebred redact`: texts in, masked texts out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.command_line import homebred
from tests.support.routing_files import json_lines

from homebred_daemon.adapters.detectors.ner import is_installed

TEXT = "\N{GRINNING FACE} Mail jo.miller@example.org, card 4111 1111 1111 1111, key AKIAIOSFODNN7EXAMPLE."


def redacted(*documents: dict[str, Any], options: tuple[str | Path, ...] = ()) -> list[dict[str, Any]]:
    ended = homebred("redact", "--jsonl", *options, stdin=json_lines(list(documents)))
    assert (ended.status, ended.err) == (0, "")
    return ended.lines


def test_a_text_comes_back_with_each_span_replaced_by_its_type() -> None:
    (record,) = redacted({"id": "a", "text": TEXT})
    assert list(record) == ["id", "text", "spans", "classes", "residual_risk"]
    assert record["id"] == "a"
    assert len(record["spans"]) == 3
    assert "code" in record["classes"]
    rebuilt, shown_from = "", 0
    for span in record["spans"]:
        assert list(span) == ["start", "end", "type", "tier"]
        assert shown_from <= span["start"] < span["end"]
        rebuilt += TEXT[shown_from : span["start"]] + f"<{span['type']}>"
        shown_from = span["end"]
    assert record["text"] == rebuilt + TEXT[shown_from:]
    assert "jo.miller" not in record["text"]
    assert 0 <= record["residual_risk"] <= 1


def test_offsets_count_code_points() -> None:
    (record,) = redacted({"id": "a", "text": TEXT})
    first = record["spans"][0]
    assert TEXT[first["start"] : first["end"]] == "jo.miller@example.org"


def test_a_plain_text_comes_back_as_it_is() -> None:
    (record,) = redacted({"id": 7, "text": "we bake bread in spring"})
    assert record == {"id": 7, "text": "we bake bread in spring", "spans": [], "classes": [], "residual_risk": 0.0}


def test_an_empty_text_is_a_text() -> None:
    assert redacted({"id": "a", "text": ""})[0]["text"] == ""


def test_names_are_masked_for_the_cloud_lane_alone() -> None:
    document = {"id": "a", "text": "ask Zorblatt about the invoice, card 4111 1111 1111 1111"}
    (local,) = redacted(document)
    ended = homebred("redact", "--jsonl", "--lane", "cloud", stdin=json_lines([document, document]))
    assert ended.status == 0
    assert ended.err.count("name lists alone") == (0 if is_installed() else 1)
    (cloud, again) = ended.lines
    assert cloud == again
    assert ("Zorblatt" in local["text"], "Zorblatt" in cloud["text"]) == (True, False)
    assert local["residual_risk"] > cloud["residual_risk"] == 0
    assert {span["tier"] for span in cloud["spans"]} == {1, 3}


def test_a_policy_sets_risk_weights_and_classes(tmp_path: Path) -> None:
    policy = tmp_path / "p.toml"
    policy.write_text('[detection.classes]\nEMAIL = "client"\n[residual_risk]\ncapitalised = 0\n')
    document = {"id": "a", "text": "ask Zorblatt Quuxley, or jo.miller@example.org"}
    (plain,) = redacted(document)
    (by_policy,) = redacted(document, options=("--policy", policy))
    assert plain["residual_risk"] > by_policy["residual_risk"] == 0
    assert by_policy["spans"][0]["type"] == "EMAIL"
    assert (plain["classes"], by_policy["classes"]) == ([], ["client"])


def test_bad_lines_are_answered_in_their_place() -> None:
    lines = (
        b'\n{"id": "a"}\n{"text": "b"}\n{"id": true, "text": "b"}\n{"id": "a", "text": 3}\n'
        b'{"id": ["a"], "text": "b"}\nx\n{"id": "a", "text": "b"}'
    )
    ended = homebred("redact", "--jsonl", stdin=lines)
    assert (ended.status, ended.err) == (0, "")
    assert [answer.get("error", {}).get("code") for answer in ended.lines] == ["bad_line"] * 7 + [None]


def test_what_the_site_knows_is_masked_and_raises_its_class(tmp_path: Path) -> None:
    file = tmp_path / "known.jsonl"
    file.write_text('{"text": "Anna Müller", "class": "patient"}\n{"text": "PX-4471", "class": "trade_secret"}\n')
    (hit,) = redacted({"id": "a", "text": "MUELLER, Anna asks for px4471"}, options=("--gazetteer", file))
    assert hit["text"] == "<KNOWN_PATIENT> asks for <KNOWN_TRADE_SECRET>"
    assert hit["classes"] == ["patient", "trade_secret"]
    assert [(span["start"], span["end"], span["tier"]) for span in hit["spans"]] == [(0, 13, 2), (23, 29, 2)]


def test_a_wrong_gazetteer_is_told_by_line_and_never_quoted(tmp_path: Path) -> None:
    file = tmp_path / "known.jsonl"
    file.write_text('{"text": "Anna Müller", "class": "patient"}\n{"text": "Jo", "class": "patient"}\nZorblatt\n')
    ended = homebred("redact", "--jsonl", "--gazetteer", file, stdin='{"id": "a", "text": "b"}')
    assert (ended.status, ended.out) == (2, "")
    assert "2 lines are wrong" in ended.err
    assert "line 2: a name of one word has at least 3 letters" in ended.err
    assert "line 3: " in ended.err
    assert not any(word in ended.err for word in ("Jo", "Zorblatt", "Müller"))


def test_other_input_and_other_lanes_are_refused() -> None:
    assert homebred("redact").status == 2
    assert homebred("redact", "--jsonl", "--lane", "sea").status == 2
