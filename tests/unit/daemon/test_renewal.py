from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_daemon.core.renewal import (
    LONGEST_URGENT_WAIT_S,
    LONGEST_WAIT_S,
    LOOK_AGAIN_S,
    Life,
    Standing,
    luck_of,
    plan,
    standing,
)

DAY_S = 86_400
BEGINS_S = 1_790_000_000
LIFE = Life(begins_s=BEGINS_S, ends_s=BEGINS_S + 90 * DAY_S, luck=0.0)


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (-3650.0, Standing.NOT_YET),
        (-0.01, Standing.NOT_YET),
        (-0.003, Standing.GOOD),
        (0.0, Standing.GOOD),
        (59.9, Standing.GOOD),
        (60.1, Standing.DUE),
        (74.9, Standing.DUE),
        (75.1, Standing.SOON),
        (85.4, Standing.SOON),
        (85.6, Standing.URGENT),
        (90.1, Standing.ENDED),
        (3650.0, Standing.ENDED),
    ],
)
def test_a_certificate_stands_as_its_life_and_the_clock_say(day: float, expected: Standing) -> None:
    assert standing(LIFE, BEGINS_S + day * DAY_S) is expected


def test_devices_that_were_enrolled_together_are_due_over_days() -> None:
    lucky = [Life(begins_s=LIFE.begins_s, ends_s=LIFE.ends_s, luck=luck).due_s for luck in (0.0, 0.5, 1.0)]
    assert [(due_s - BEGINS_S) / DAY_S for due_s in lucky] == pytest.approx([60, 61.875, 63.75])


def test_a_certificates_luck_is_between_nothing_and_one_and_stays() -> None:
    assert luck_of("sha256:" + "0" * 64) == 0.0
    assert luck_of("sha256:" + "f" * 64) == pytest.approx(1.0)
    assert luck_of("sha256:" + "8" * 64) == luck_of("sha256:" + "8" * 64)


def at(day: float, *, failures: int = 0, since_try_s: float | None = None, chance: float = 1.0) -> tuple[bool, float]:
    made = plan(LIFE, now_s=BEGINS_S + day * DAY_S, failures=failures, since_try_s=since_try_s, chance=chance)
    return made.renews, made.wait_s


def test_before_it_is_due_nothing_is_tried_and_the_clock_is_looked_at_every_hour() -> None:
    assert at(1) == (False, LOOK_AGAIN_S)
    renews, wait_s = at(60 - 100 / DAY_S)
    assert not renews
    assert wait_s == pytest.approx(100, abs=1)


@pytest.mark.parametrize("day", [-3650, 61, 80, 88, 91, 3650])
def test_once_due_or_where_the_clock_is_wrong_the_controller_is_asked_at_once(day: int) -> None:
    assert at(day) == (True, 0.0)


def test_failures_are_followed_by_longer_and_longer_waits() -> None:
    waits = [at(61, failures=failures, since_try_s=0.0)[1] for failures in (1, 2, 3)]
    assert waits == [120, 240, 480]
    assert at(61, failures=2, since_try_s=0.0, chance=0.0) == (False, 120)
    assert at(61, failures=2, since_try_s=239.0) == (False, 1.0)
    assert at(61, failures=2, since_try_s=240.0) == (True, 0.0)


@given(
    failures=st.integers(0, 10_000),
    chance=st.floats(0, 1),
    day=st.floats(-5000, 5000),
    since_s=st.floats(0, 1e9),
)
def test_no_device_ever_stops_trying(failures: int, chance: float, day: float, since_s: float) -> None:
    now_s = BEGINS_S + day * DAY_S
    made = plan(LIFE, now_s=now_s, failures=failures, since_try_s=since_s, chance=chance)
    assert 0 <= made.wait_s <= LOOK_AGAIN_S
    longest_s = LONGEST_URGENT_WAIT_S if made.standing is Standing.URGENT else LONGEST_WAIT_S
    if made.standing is not Standing.GOOD and since_s >= longest_s:
        assert made.renews
    assert made.renews == (made.wait_s == 0.0)
