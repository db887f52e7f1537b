"""Streamed answers in the three wire formats, cut anywhere: what comes home is exact, and no token is ever shown."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_daemon.adapters.cloud.registry import WIRE_FORMATS
from homebred_daemon.adapters.cloud.wire_format import StreamedAnswer
from homebred_daemon.core.pseudonyms import CLOSE, KEY_BYTES, OPEN, Pseudonyms
from homebred_daemon.demo.stand_in_answers import STREAMS

KEY = bytes(range(KEY_BYTES))
VALUES = st.lists(st.text(st.sampled_from("Añ 王🙂-e"), min_size=1, max_size=8), min_size=1, max_size=3)
WORDS = st.lists(st.text(st.sampled_from("ab ü🙂,"), max_size=6), min_size=4, max_size=4)
FORMATS = sorted(WIRE_FORMATS)


def cut(text: str, at: list[int]) -> list[str]:
    places = sorted({0, *(place % (len(text) + 1) for place in at), len(text)})
    return [text[start:end] for start, end in pairwise(places)]


def streamed(wire_format: str, pieces: list[str]) -> bytes:
    """An answer as the provider's server would send it."""
    asked = {"messages": [{"role": "user", "content": "x"}], "input": [{"role": "user", "content": "x"}]}
    return "".join(STREAMS["/v1" + WIRE_FORMATS[wire_format].path](iter(pieces), asked)).encode()


def shown(wire_format: str, session: Pseudonyms, chunks: list[bytes]) -> list[str]:
    """What the caller sees, piece by piece."""
    answer, restorer = StreamedAnswer(WIRE_FORMATS[wire_format].reader()), session.restorer()
    pieces = [restorer.feed(text.text) for chunk in chunks for text in answer.feed(chunk)]
    answer.finish()
    return [*pieces, restorer.finish()]


@pytest.mark.parametrize("wire_format", FORMATS)
@given(values=VALUES, words=WORDS, cuts=st.lists(st.integers(0, 400), max_size=12), chunks=st.integers(1, 97))
def test_a_restored_answer_is_exact_however_it_was_cut(
    wire_format: str, values: list[str], words: list[str], cuts: list[int], chunks: int
) -> None:
    session = Pseudonyms(KEY)
    tokens = [session.token("person", value) for value in values]
    masked = words[0] + "".join(f" {token} {word}" for token, word in zip(tokens, words[1:], strict=False))
    wanted = words[0] + "".join(f" {value} {word}" for value, word in zip(values, words[1:], strict=False))
    data = streamed(wire_format, cut(masked, cuts))
    pieces = shown(wire_format, session, [data[at : at + chunks] for at in range(0, len(data), chunks)])
    assert "".join(pieces) == wanted
    assert not any(OPEN in piece or CLOSE in piece for piece in pieces)


@pytest.mark.parametrize("wire_format", FORMATS)
def test_every_single_place_to_cut_is_as_good_as_another(wire_format: str) -> None:
    session = Pseudonyms(KEY)
    masked = f"Grüße an {session.token('person', 'Ada Zölle')} 🙂."
    for place in range(len(masked) + 1):
        data = streamed(wire_format, [masked[:place], masked[place:]])
        for at in range(0, len(data), 7):
            assert "".join(shown(wire_format, session, [data[:at], data[at:]])) == "Grüße an Ada Zölle 🙂."


@pytest.mark.parametrize("wire_format", FORMATS)
def test_restoring_holds_back_nothing_but_a_token(wire_format: str) -> None:
    session = Pseudonyms(KEY)
    token = session.token("person", "Ada")
    pieces = ["so ", token[:4], token[4:], " is", " it"]
    answer, restorer = StreamedAnswer(WIRE_FORMATS[wire_format].reader()), session.restorer()
    texts = [text.text for text in answer.feed(streamed(wire_format, pieces))]
    assert [restorer.feed(text) for text in texts] == ["so ", "", "Ada", " is", " it"]
