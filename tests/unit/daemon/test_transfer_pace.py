"""A rate is kept over any time, and windows open and close at their minutes, over midnight too."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_daemon.core.transfer_pace import (
    DAY_S,
    SLICE_BYTES,
    SMALLEST_SLICE_BYTES,
    TokenBucket,
    Window,
    opens_in_s,
    read_windows,
)

HOUR_S = 3600


def test_without_a_rate_nobody_waits() -> None:
    bucket = TokenBucket(0, 0.0)
    assert bucket.slice_bytes == SLICE_BYTES
    assert bucket.wait_s(10**12, 1.0) == 0


@given(st.integers(20_000, 10**9), st.lists(st.floats(0, 30), min_size=20, max_size=20))
def test_over_any_time_no_more_comes_than_the_rate_and_one_slice(rate: int, pauses: list[float]) -> None:
    now, read, bucket = 0.0, 0, TokenBucket(rate, 0.0)
    for pause in pauses:
        now += pause
        read += bucket.slice_bytes
        now += bucket.wait_s(bucket.slice_bytes, now)
        assert read <= rate * now + bucket.slice_bytes + 1


def test_who_reads_all_the_time_gets_the_rate() -> None:
    now, read, bucket = 0.0, 0, TokenBucket(1_000_000, 0.0)
    while now < 60:
        read += bucket.slice_bytes
        now += bucket.wait_s(bucket.slice_bytes, now)
    assert read / now == pytest.approx(1_000_000, rel=0.01)


def test_a_slow_rate_is_read_in_small_slices_and_a_fast_one_in_large() -> None:
    assert TokenBucket(1_000, 0.0).slice_bytes == SMALLEST_SLICE_BYTES
    assert TokenBucket(1_000_000, 0.0).slice_bytes == 125_000
    assert TokenBucket(10**9, 0.0).slice_bytes == SLICE_BYTES


def test_a_clock_that_went_back_gives_nothing() -> None:
    bucket = TokenBucket(1_000, 100.0)
    assert bucket.wait_s(1_000, 50.0) == pytest.approx(1.0)


def test_a_window_over_midnight_is_open_on_both_sides_of_it() -> None:
    (night,) = read_windows("22:00-05:00")
    assert night.opens_in_s(22 * HOUR_S) == 0
    assert night.opens_in_s(0) == 0
    assert night.opens_in_s(5 * HOUR_S - 1) == 0
    assert night.opens_in_s(5 * HOUR_S) == 17 * HOUR_S
    assert night.opens_in_s(22 * HOUR_S - 1) == 1


def test_the_next_of_several_windows_counts() -> None:
    windows = read_windows(" 22:00-05:00, 12:00-13:30 ")
    assert len(windows) == 2
    assert opens_in_s(windows, 11 * HOUR_S) == HOUR_S
    assert opens_in_s(windows, 14 * HOUR_S) == 8 * HOUR_S
    assert opens_in_s(windows, 13 * HOUR_S) == 0


def test_no_window_is_any_time_and_so_is_one_that_ends_where_it_begins() -> None:
    assert opens_in_s(read_windows(""), 3.0) == 0
    assert opens_in_s(read_windows("08:00-08:00"), 3.0) == 0


@given(st.integers(0, 1439), st.integers(0, 1439), st.floats(0, DAY_S, exclude_max=True))
def test_a_window_is_open_when_it_says_it_will_be(begin: int, end: int, now: float) -> None:
    window = Window(begins_s=begin * 60, ends_s=end * 60)
    wait_s = window.opens_in_s(now)
    assert 0 <= wait_s < DAY_S
    if wait_s:  # one that is open now may end within the millisecond
        assert window.opens_in_s((now + wait_s + 0.001) % DAY_S) == 0


@pytest.mark.parametrize("text", ["22-05", "24:00-05:00", "22:60-05:00", "22:00-05:00,", "always", "22:00–05:00"])
def test_what_is_no_window_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="is no window of a day: write 22:00-05:00"):
        read_windows(text)
