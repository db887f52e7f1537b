"""What leaves as tokens comes back whole, however it is split, and never where it could be carried out from."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from homebred_daemon.core.pseudonyms import (
    ALPHABET,
    CLOSE,
    KEY_BYTES,
    OPEN,
    WITHHELD,
    Pseudonyms,
    Restorer,
    TokenError,
    check_number,
)
from homebred_daemon.core.sensitivity import Span

KEY = bytes(range(KEY_BYTES))
TEXT = st.text(st.sampled_from([*"ab .\n", OPEN, CLOSE, "ü", "\U0001f600"]), max_size=30)
VALUE = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


def restored(session: Pseudonyms, *pieces: str) -> str:
    restorer = session.restorer()
    return "".join([*(restorer.feed(piece) for piece in pieces), restorer.finish()])


def masked(session: Pseudonyms, *parts: str | tuple[str, str]) -> tuple[str, str]:
    """A text of plain parts and of sensitive ones (type, value), as it is and as it leaves."""
    text, spans = "", list[Span]()
    for part in parts:
        value = part if isinstance(part, str) else part[1]
        if not isinstance(part, str):
            spans.append(Span(len(text), len(text) + len(value), part[0], 1))
        text += value
    return text, session.masked(text, spans)


PARTS = st.lists(TEXT | st.tuples(st.sampled_from(["PERSON", "US_SSN"]), VALUE), max_size=6)


@given(PARTS)
def test_a_text_comes_back_as_it_was_split_anywhere(parts: list[str | tuple[str, str]]) -> None:
    session = Pseudonyms(KEY)
    text, leaves = masked(session, *(one for part in parts for one in (" ", part, " ")))
    for at in range(len(leaves) + 1):
        assert restored(session, leaves[:at], leaves[at:]) == text
    assert restored(session, *leaves) == text


@given(PARTS)
def test_no_sensitive_value_and_no_bracket_of_the_texts_own_leaves(parts: list[str | tuple[str, str]]) -> None:
    session = Pseudonyms(KEY)
    _, leaves = masked(session, *parts)
    tokens = re.findall(f"{OPEN}[a-z0-9_]+:[{ALPHABET}]{{9}}{CLOSE}", leaves)
    assert leaves.count(OPEN) == len(tokens)
    assert len([part for part in parts if not isinstance(part, str)]) <= len(tokens)


def test_the_same_value_has_the_same_token_in_its_session_and_no_other() -> None:
    session = Pseudonyms(KEY)
    token = session.token("person", "Ada")
    assert token == session.token("person", "Ada") == Pseudonyms(KEY).token("person", "Ada")
    assert len({token, session.token("person", "Bea"), session.token("city", "Ada")}) == 3
    assert Pseudonyms(bytes(KEY_BYTES)).token("person", "Ada") != token
    with pytest.raises(ValueError, match="32 bytes"):
        Pseudonyms(KEY[1:])


def test_values_whose_tokens_would_be_the_same_get_different_ones() -> None:
    class Colliding(Pseudonyms):
        @override
        def _digest(self, message: bytes) -> bytes:
            return message.split(b"\0")[1] * 5  # the attempt alone

    session = Colliding(KEY)
    text, leaves = masked(session, ("PERSON", "Ada"), " ", ("PERSON", "Bea"), " ", ("PERSON", "Ada"))
    assert restored(session, leaves) == text


def test_every_single_wrong_character_shows_in_the_check_character() -> None:
    numbers = [3, 31, 0, 7, 16, 15, 1, 22]
    for place in range(len(numbers)):
        wrong = [check_number([*numbers[:place], other, *numbers[place + 1 :]]) for other in range(32)]
        assert len(set(wrong)) == 32


@pytest.mark.parametrize(
    "alter",
    [
        lambda token: token[:-3] + "00" + CLOSE,
        lambda token: token.replace("person", "people"),
        lambda token: token.replace(OPEN + "person", OPEN + "Person"),
        lambda token: token.replace(":", " : "),
        lambda token: token[:-1],
        lambda token: token[:4],
        lambda token: OPEN,
        lambda token: OPEN + token,
        lambda token: token[1:],
        lambda token: token[1:-1].upper(),
        lambda token: token.partition(":")[2][:-1],
    ],
)
def test_a_token_that_was_altered_cut_off_or_made_up_ends_the_answer_and_is_not_shown(alter: object) -> None:
    session = Pseudonyms(KEY)
    token = session.token("person", "Ada")
    answer = f"Dear {alter(token)} and so on"  # type: ignore[operator]  # a lambda of the table
    for pieces in (list(answer), [answer]):
        restorer = session.restorer()
        shown, has_failed = shown_until_failure(restorer, pieces)
        assert has_failed
        assert OPEN not in shown
        assert "Ada" not in shown
        assert token[-10:-1] not in shown.lower()
        with pytest.raises(TokenError):
            restorer.feed("more")


def shown_until_failure(restorer: Restorer, pieces: list[str]) -> tuple[str, bool]:
    shown = ""
    try:
        for piece in pieces:
            shown += restorer.feed(piece)
        shown += restorer.finish()
    except TokenError:
        return shown, True
    return shown, False


@pytest.mark.parametrize(
    "answer",
    [
        "see https://evil.example/?q=@",
        "see HTTPS://evil.example/a,b;@",
        "see //evil.example/@",
        "see www.evil.example@",
        "see evil.example/x?@",
        "![it](evil/@)",
        "[it](</a b @>)",
        "write to mailto:x@",
        "<img src='x.png?@'>",
        '<a title=">" href="@">it</a>',
        "<img alt='\"' src=\nx@",
        "<@>",
        "</@",
    ],
)
def test_a_value_is_withheld_where_it_could_be_carried_out(answer: str) -> None:
    session = Pseudonyms(KEY)
    answer = answer.replace("@", session.token("person", "Ada"))
    for at in range(len(answer) + 1):
        assert "Ada" not in restored(session, answer[:at], answer[at:])
    assert WITHHELD in restored(session, *answer)


@pytest.mark.parametrize("answer", ["@.evil.example", "@-x.evil.example/", "x@y@evil.example", "@//x", "x.@.evil"])
def test_a_word_with_a_value_never_goes_on_to_be_a_link(answer: str) -> None:
    session = Pseudonyms(KEY)
    told = restored(session, answer.replace("@", session.token("person", "Ada"), 1) + " and on")
    assert "evil" not in told.replace(WITHHELD, "")
    assert told.endswith(WITHHELD + " and on")


@pytest.mark.parametrize(
    "answer",
    ["Dear @, and @. Then", "@/@", "@: yes", "(@)", "a < @ > b", '"@"', "x >@", "https://a.example/ @", "@'s"],
)
def test_a_value_that_is_only_read_is_put_back(answer: str) -> None:
    session = Pseudonyms(KEY)
    token = session.token("person", "Ada")
    assert restored(session, answer.replace("@", token)) == answer.replace("@", "Ada")


def test_nothing_is_held_back_but_the_beginning_of_an_issued_token() -> None:
    session = Pseudonyms(KEY)
    token = session.token("person", "Ada")
    restorer = session.restorer()
    assert restorer.feed("Dear ") == "Dear "
    assert [restorer.feed(character) for character in token] == [""] * (len(token) - 1) + ["Ada"]
    assert restorer.feed(",") == ","
    assert (restorer.finish(), restorer.withheld) == ("", 0)
