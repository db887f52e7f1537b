"""Lengths of time, written and said."""

from __future__ import annotations

import pytest

from homebred_fleet.core.durations import DAY_S, MAX_S, counted, duration_s, span


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0s", 0),
        ("90s", 90),
        ("15m", 900),
        ("2h", 7200),
        ("1d", DAY_S),
        ("1w", 7 * DAY_S),
        *((text, None) for text in ("", "m", "-1s", "1.5h", "٣s", "999999999w", "1y", "1h30m", " 1h")),
    ],
)
def test_what_is_written_is_read(text: str, seconds: int | None) -> None:
    assert duration_s(text) == seconds
    assert seconds is None or seconds <= MAX_S


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h"), (2 * DAY_S, "2 d")],
)
def test_a_length_of_time_is_said_in_its_largest_unit(seconds: int, words: str) -> None:
    assert span(seconds) == words


def test_one_of_a_thing_is_said_as_one() -> None:
    assert [counted(number, "device") for number in (0, 1, 2000)] == ["0 devices", "1 device", "2,000 devices"]
