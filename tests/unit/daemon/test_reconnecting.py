from __future__ import annotations

import pytest

from homebred_daemon.core.reconnecting import LONGEST_CAP_S, SHORTEST_S, STEADY_AFTER_S, STUBBORN, Reconnecting


def test_the_cap_doubles_to_two_minutes_and_the_wait_is_drawn_evenly_below_it() -> None:
    waits = Reconnecting()
    assert [waits.wait_s("lost", 0.0, 0.999999) for _ in range(9)] == pytest.approx(
        [2, 4, 8, 16, 32, 64, 120, 120, 120], rel=1e-3
    )
    assert waits.wait_s("lost", 0.0, 0.5) == 60
    assert waits.wait_s("lost", 0.0, 0.0) == SHORTEST_S


def test_a_steady_connection_begins_anew_and_a_short_one_does_not() -> None:
    waits = Reconnecting()
    for _ in range(8):
        waits.wait_s("lost", 0.0, 0.5)
    waits.connected(100.0)
    assert waits.wait_s("lost", 101.0, 0.5) == LONGEST_CAP_S / 2
    waits.connected(200.0)
    assert waits.wait_s("lost", 200.0 + STEADY_AFTER_S, 0.5) == SHORTEST_S


@pytest.mark.parametrize("reason", sorted(STUBBORN))
def test_what_seldom_passes_by_itself_waits_long_from_the_first_time_on(reason: str) -> None:
    assert Reconnecting().wait_s(reason, 0.0, 0.5) == LONGEST_CAP_S / 2
