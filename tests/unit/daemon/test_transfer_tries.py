"""Who is asked next: the first that may be, the failing one later and later, the one that lies never again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from homebred_daemon.core.transfer_tries import (
    LONGEST_CAP_S,
    MAX_ASKED_FOR_S,
    MAX_WRONG,
    Ask,
    GiveUp,
    Problem,
    Tries,
    Wait,
)

FILE, OTHER = "sha256:1", "sha256:2"


def test_the_first_source_is_asked_first() -> None:
    assert Tries(["controller", "store"]).next(FILE, 0.0) == Ask(0)


def test_a_source_that_broke_off_after_frames_came_is_asked_again_at_once() -> None:
    tries = Tries(["controller"])
    for _ in range(1000):
        tries.came(0)
        tries.failed(0, FILE, Problem.AWAY, 5.0, 0.9)
        assert tries.next(FILE, 5.0) == Ask(0)


def test_one_that_gives_nothing_is_asked_later_each_time_and_another_meanwhile() -> None:
    tries, waits = Tries(["controller", "store"]), []
    for _ in range(14):
        tries.failed(0, FILE, Problem.AWAY, 0.0, 1.0)
        assert tries.next(FILE, 0.0) in {Ask(0), Ask(1)}
        tries_alone = tries.next(FILE, LONGEST_CAP_S)
        assert tries_alone == Ask(0)
        waits.append(tries._standing[0].asked_after_s)
    assert waits[:4] == [0, 1, 2, 4]
    assert waits[-1] == LONGEST_CAP_S
    assert tries.next(FILE, 0.0) == Ask(1)


def test_where_all_are_away_the_first_to_be_asked_again_is_waited_for() -> None:
    tries = Tries(["controller", "store"])
    for source in (0, 0, 0, 1, 1):
        tries.failed(source, FILE, Problem.AWAY, 10.0, 1.0)
    assert tries.next(FILE, 10.0) == Wait(1.0)


def test_a_source_is_left_alone_for_as_long_as_it_asks_but_not_for_days() -> None:
    tries = Tries(["controller"])
    tries.failed(0, FILE, Problem.AWAY, 0.0, 0.0, asked_for_s=90)
    assert tries.next(FILE, 0.0) == Wait(90)
    tries.failed(0, FILE, Problem.AWAY, 0.0, 0.0, asked_for_s=10**9)
    assert tries.next(FILE, 0.0) == Wait(MAX_ASKED_FOR_S)


def test_who_refuses_a_file_is_not_asked_for_it_again_and_for_others_still() -> None:
    tries = Tries(["controller", "store"])
    tries.failed(0, FILE, Problem.REFUSES, 0.0, 0.0)
    assert tries.next(FILE, 0.0) == Ask(1)
    assert tries.next(OTHER, 0.0) == Ask(0)


def test_who_sends_something_else_three_times_is_asked_for_nothing_more() -> None:
    tries = Tries(["controller", "store"])
    for _ in range(MAX_WRONG):
        assert tries.next(OTHER, 1000.0) == Ask(0)
        tries.failed(0, FILE, Problem.WRONG, 0.0, 0.0)
    assert tries.next(OTHER, 1000.0) == Ask(1)


def test_a_file_that_nobody_gives_is_given_up_with_the_reasons() -> None:
    tries = Tries(["controller", "store"])
    tries.failed(0, FILE, Problem.REFUSES, 0.0, 0.0)
    for _ in range(MAX_WRONG):
        tries.failed(1, FILE, Problem.WRONG, 0.0, 0.0)
    why = "controller does not have it, or does not give it; store sent something else"
    assert tries.next(FILE, 0.0) == GiveUp(why)
    assert Tries([]).next(FILE, 0.0) == GiveUp("there is no source to ask")


def test_sources_that_are_merely_away_are_never_given_up() -> None:
    tries = Tries(["controller"])
    for _ in range(5000):
        tries.failed(0, FILE, Problem.AWAY, 0.0, 0.5)
    assert isinstance(tries.next(FILE, 0.0), Wait)


@given(st.lists(st.tuples(st.sampled_from([Problem.AWAY, Problem.WRONG]), st.floats(0, 1)), max_size=40))
def test_no_source_is_waited_for_longer_than_the_longest_cap(failures: list[tuple[Problem, float]]) -> None:
    tries = Tries(["controller"])
    for problem, chance in failures:
        tries.failed(0, FILE, problem, 0.0, chance)
    match tries.next(FILE, 0.0):
        case Wait(wait_s):
            assert 0 < wait_s <= LONGEST_CAP_S
        case Ask(source):
            assert source == 0
        case GiveUp():
            assert sum(problem is Problem.WRONG for problem, _ in failures) >= MAX_WRONG
