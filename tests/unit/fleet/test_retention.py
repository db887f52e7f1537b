from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from homebred_fleet.core.durations import DAY_S
from homebred_fleet.core.retention import fair_level, forgotten_before_s, to_free

HELD = st.dictionaries(st.text(min_size=1, max_size=3), st.integers(min_value=1, max_value=1000), max_size=8)


@given(held=HELD, most=st.integers(min_value=20, max_value=5000))
def test_whoever_holds_most_gives_until_there_is_room_and_nobody_gives_for_more(
    held: dict[str, int], most: int
) -> None:
    freed = to_free(held, most)
    left = {holder: count - freed.get(holder, 0) for holder, count in held.items()}
    assert all(0 < given <= held[holder] for holder, given in freed.items())
    if sum(held.values()) <= most:
        assert not freed
        return
    room = most - most // 20
    assert room - len(held) < sum(left.values()) <= room
    level = max(left.values())
    assert all(left[holder] == level for holder in freed)
    assert all(held[holder] <= level for holder in held.keys() - freed.keys())


@given(
    counts=st.lists(st.integers(min_value=0, max_value=1000), max_size=8), room=st.integers(min_value=0, max_value=5000)
)
def test_no_higher_level_has_room(counts: list[int], room: int) -> None:
    level = fair_level(counts, room)
    assert sum(min(count, level) for count in counts) <= room
    assert level == max(counts, default=0) or sum(min(count, level + 1) for count in counts) > room


def test_a_device_that_floods_the_fleet_gives_all() -> None:
    assert to_free({"flood": 900, "a": 50, "b": 60}, 1000) == {"flood": 60}
    assert to_free({"flood": 900, "second": 500, "a": 50}, 1000) == {"flood": 450, "second": 50}


def test_a_clock_that_jumps_ahead_costs_a_day_a_pass() -> None:
    now_s = 1_800_000_000
    kept = {"keep_s": 90 * DAY_S, "oldest_s": now_s - 90 * DAY_S - 60}
    assert forgotten_before_s(now_s=now_s, **kept) == now_s - 90 * DAY_S
    assert forgotten_before_s(now_s=now_s + 3650 * DAY_S, **kept) == kept["oldest_s"] + DAY_S
    assert forgotten_before_s(now_s=now_s - 3650 * DAY_S, **kept) < kept["oldest_s"]
