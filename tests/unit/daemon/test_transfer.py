"""What of a file is asked for next, what may be transferred at all, and what a disk must have free."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.made_files import described

from homebred_daemon.core.transfer import (
    FRAME_BYTES,
    MAX_FILES,
    Room,
    Span,
    WantedFile,
    in_order,
    missing_bytes,
    next_span,
    short_by,
    what_is_wrong,
)

SMALL = described(b"a specialist", "specialist.toml")


def of_frames(count: int, last: int = 1) -> WantedFile:
    """A file of so many frames; nobody looks at their bytes."""
    length = max(0, (count - 1) * FRAME_BYTES + last) if count else 0
    return replace(SMALL, path="model.gguf", length=length, frames=("0" * 64,) * count)


def test_a_fresh_file_is_asked_for_from_beginning_to_end() -> None:
    assert next_span(of_frames(5), frozenset()) == Span(first=0, end=5)


def test_what_is_asked_for_ends_where_something_is_held() -> None:
    assert next_span(of_frames(6), {0, 1, 4}) == Span(first=2, end=4)


def test_nothing_is_asked_for_once_all_is_held() -> None:
    assert next_span(of_frames(2), {0, 1}) is None
    assert next_span(of_frames(0), frozenset()) is None


@given(st.integers(0, 40), st.frozensets(st.integers(0, 45)))
def test_asking_until_nothing_is_missing_asks_for_each_missing_frame_once(count: int, held: frozenset[int]) -> None:
    file, have = of_frames(count), set(held)
    asked: list[int] = []
    while (span := next_span(file, have)) is not None:
        asked += range(span.first, span.end)
        have |= set(range(span.first, span.end))
    assert asked == [number for number in range(count) if number not in held]


@given(st.integers(1, 40), st.integers(1, FRAME_BYTES), st.frozensets(st.integers(0, 45)))
def test_what_is_missing_and_what_is_held_are_the_file(count: int, last: int, held: frozenset[int]) -> None:
    file = of_frames(count, last)
    have = sum(file.frame_length(number) for number in range(count) if number in held)
    assert missing_bytes(file, held) + have == file.length


def test_small_files_come_first_and_equal_ones_once() -> None:
    large = described(b"x" * 1000, "large")
    again = replace(SMALL, path="the same elsewhere")
    assert in_order([large, SMALL, again]) == [again, large]


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (replace(SMALL, digest="sha256:12"), "a digest of specialist.toml is none"),
        (replace(SMALL, digest="md5:" + "0" * 64), "a digest of specialist.toml is none"),
        (replace(SMALL, frames=("zz",)), "a digest of specialist.toml is none"),
        (replace(SMALL, frames=()), "specialist.toml has 12 bytes, and 0 frames are named"),
        (replace(SMALL, length=FRAME_BYTES + 1), "specialist.toml has 4194305 bytes, and 1 frames are named"),
        (replace(SMALL, length=-1), "specialist.toml has -1 bytes, and 1 frames are named"),
    ],
)
def test_a_file_that_cannot_be_verified_is_refused_before_anything_is_asked_for(file: WantedFile, said: str) -> None:
    assert what_is_wrong([file]) == said


def test_two_files_of_one_digest_must_be_one_file() -> None:
    other = replace(SMALL, path="other", frames=("0" * 64,))
    assert what_is_wrong([SMALL, other]) == "specialist.toml and other have one digest, and differ"


def test_a_transfer_has_bounds() -> None:
    assert what_is_wrong([SMALL] * MAX_FILES) == ""
    assert "1001 files" in what_is_wrong([SMALL] * (MAX_FILES + 1))


def test_a_disk_must_keep_its_reserve() -> None:
    room = Room(free_bytes=1000, total_bytes=5000)
    assert short_by(room, 600, 400) == 0
    assert short_by(room, 601, 400) == 1
