"""Events come out alike, however their bytes were split and their lines were ended."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from homebred_daemon.adapters.cloud.server_sent_events import MAX_EVENT_BYTES, EventParser
from homebred_daemon.ports.cloud import BrokenAnswerError

LINE = st.text(st.characters(blacklist_characters="\r\n", blacklist_categories=["Cs"]), max_size=20)
BROKEN = "broken"


def parsed(chunks: Iterable[bytes]) -> list[str]:
    """The events, and at last BROKEN where nothing more could be read."""
    parser, events = EventParser(), list[str]()
    try:
        for chunk in chunks:
            for event in parser.feed(chunk):
                events.append(event)  # what comes before an error counts
    except BrokenAnswerError:
        events.append(BROKEN)
    return events


def split(stream: bytes, cuts: Iterable[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    return [stream[start:end] for start, end in pairwise(places)]


@given(st.lists(st.lists(LINE, min_size=1, max_size=3), max_size=5), st.sampled_from(["\n", "\r\n", "\r"]))
def test_what_was_written_is_read(events: list[list[str]], end: str) -> None:
    stream = "".join("".join(f"data: {line}{end}" for line in event) + end for event in events)
    assert parsed([stream.encode() + b"\n"]) == ["\n".join(event) for event in events]


@given(st.binary(max_size=200), st.lists(st.integers(min_value=0), max_size=8))
@example(b"data: a\r\n\r\n", [8])
@example(b"data: \xc3\xa4\n\ndata: \xff\n\n", [7])
@example(b"data: a\r\rdata: b\n\n", [8, 9])
def test_every_split_gives_the_same_events(stream: bytes, cuts: list[int]) -> None:
    whole = parsed([stream, b"."])  # something after it: a last CR alone ends a line only once more is known
    assert parsed([*split(stream, cuts), b"."]) == whole
    assert parsed([*(bytes([byte]) for byte in stream), b"."]) == whole


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"\xef\xbb\xbfdata: after a mark\n\n", ["after a mark"]),
        (b": a comment\n\ndata:no space\n\n", ["no space"]),
        (b"event: e\nid: 1\nretry: 2\ndata\ndata:  two\n\n", ["\n two"]),
        (b"data: first\n\ndata: never ended\n", ["first"]),
        (b"data: good\n\ndata: \xff\n\ndata: unread\n\n", ["good", BROKEN]),
    ],
)
def test_it_reads_as_the_standard_says(stream: bytes, events: list[str]) -> None:
    assert parsed([stream]) == events


@pytest.mark.parametrize("stream", [b"data: " + b"x" * MAX_EVENT_BYTES, b":" * MAX_EVENT_BYTES + b"::\n\n"])
def test_a_line_has_a_bound_whether_it_ends_or_not(stream: bytes) -> None:
    assert parsed([stream]) == parsed(re.findall(b"(?s).{1,65536}", stream)) == [BROKEN]


def test_the_lines_of_one_event_have_a_bound_together() -> None:
    line = b"data: " + b"x" * 100_000 + b"\n"
    assert parsed([line] * 10 + [b"\n"]) != [BROKEN]
    assert parsed([line] * 11) == [BROKEN]
