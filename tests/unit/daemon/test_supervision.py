from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_daemon.core.supervision import (
    FAILURES_TO_PARK,
    FAULTS_TO_BREAK,
    HEALTHY,
    LONGEST_BACKOFF_S,
    NEXT,
    SERVED_WELL_S,
    WINDOW_S,
    Event,
    Health,
    Phase,
    Progress,
    after,
    after_fault,
    backoff_s,
    is_broken,
)


def failed(times: int, *, every_s: float = 1.0, event: Event = Event.FAILURE) -> Health:
    health = HEALTHY
    for number in range(times):
        health = after(health, event, number * every_s, why="It fell over.")
    return health


def test_the_table_knows_every_event_in_every_phase() -> None:
    assert set(NEXT) == set(Phase)
    assert all(set(row) == set(Event) for row in NEXT.values())


def test_only_an_operator_wakes_a_parked_model() -> None:
    leaving = {event for event, phase in NEXT[Phase.PARKED].items() if phase is not Phase.PARKED}
    assert leaving == {Event.REVIVAL}


def test_each_failure_doubles_the_rest_up_to_a_minute() -> None:
    assert [backoff_s(number) for number in range(1, 9)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert backoff_s(10_000) == LONGEST_BACKOFF_S


def test_a_failed_model_is_askable_again_after_its_rest_and_not_before() -> None:
    health = after(HEALTHY, Event.FAILURE, 100.0, why="It fell over.")
    assert health.phase is Phase.BACKING_OFF
    assert not health.is_askable(100.99)
    assert health.is_askable(101.0)


def test_a_success_forgets_every_failure() -> None:
    assert after(failed(FAILURES_TO_PARK - 1), Event.SUCCESS, 50.0) == HEALTHY


def test_the_fifth_failure_in_ten_minutes_parks_the_model_with_the_reason() -> None:
    assert failed(FAILURES_TO_PARK - 1).phase is Phase.BACKING_OFF
    parked = failed(FAILURES_TO_PARK)
    assert parked.phase is Phase.PARKED
    assert not parked.is_askable(1e9)
    assert parked.note(1e9) == "parked after 5 failures: It fell over."


def test_failures_far_apart_never_park_it_and_rest_it_longer_and_longer() -> None:
    spread = failed(20, every_s=WINDOW_S / 4 + 1)
    assert spread.phase is Phase.BACKING_OFF
    assert spread.retry_at_s == 19 * (WINDOW_S / 4 + 1) + LONGEST_BACKOFF_S


def test_a_worker_that_does_not_even_start_is_tried_for_ever() -> None:
    health = failed(50, event=Event.NO_START)
    assert health.phase is Phase.BACKING_OFF
    assert health.retry_at_s == 49 + LONGEST_BACKOFF_S


def test_a_refused_model_is_parked_at_once() -> None:
    refused = after(HEALTHY, Event.REFUSAL, 1.0, why="It is a picture of a cat.")
    assert refused.phase is Phase.PARKED
    assert refused.note(2.0) == "parked after 1 failure: It is a picture of a cat."


def test_a_worker_that_served_for_a_while_counts_as_a_success_before_it_failed() -> None:
    health = after(failed(FAILURES_TO_PARK - 1), Event.FAILURE, 10.0, served_s=SERVED_WELL_S)
    assert (health.phase, health.failures, health.retry_at_s) == (Phase.BACKING_OFF, 1, 11.0)


@pytest.mark.parametrize("health", [failed(3), failed(FAILURES_TO_PARK)], ids=["backing off", "parked"])
def test_an_operator_revives_it_from_everything(health: Health) -> None:
    assert after(health, Event.REVIVAL, 0.0) == HEALTHY


def test_a_late_success_does_not_unpark_it() -> None:
    parked = failed(FAILURES_TO_PARK)
    assert after(parked, Event.SUCCESS, 9.0) == parked


def test_notes_say_what_happened_and_what_comes_next() -> None:
    health = failed(2)
    assert health.note(1.0) == "2 failures in a row, not asked for another 2 s: It fell over."
    assert health.note(3.5) == "2 failures in a row, tried again by the next request: It fell over."
    assert HEALTHY.note(0.0) == ""


def test_faults_in_a_row_break_a_living_worker_and_leave_it_askable_until_then() -> None:
    health = HEALTHY
    for number in range(1, FAULTS_TO_BREAK + 1):
        health = after_fault(health)
        assert is_broken(health) is (number == FAULTS_TO_BREAK)
    assert health.is_askable(0.0)
    assert health.note(0.0) == "its engine failed: It could not answer a task, and told its caller why."
    assert not is_broken(after(health, Event.FAILURE, 0.0)), "the next worker starts with a clean record"


@given(st.lists(st.tuples(st.sampled_from(list(Event)), st.floats(0, 2 * WINDOW_S))))
def test_whatever_happens_a_rest_is_bounded_and_never_shorter_than_a_second(
    steps: list[tuple[Event, float]],
) -> None:
    health, now_s = HEALTHY, 0.0
    for event, passing_s in steps:
        now_s += passing_s
        health = after(health, event, now_s)
        if health.phase is Phase.BACKING_OFF and event not in (Event.SUCCESS, Event.REVIVAL):
            assert now_s + 1.0 <= health.retry_at_s <= now_s + LONGEST_BACKOFF_S
        assert len(health.counted_at_s) <= FAILURES_TO_PARK
        assert (health == HEALTHY) is (health.phase is Phase.HEALTHY)


def test_a_worker_that_moves_is_never_stalled() -> None:
    progress = Progress(steps=0, moved_at_s=0.0)
    for now_s in itertools.takewhile(lambda now_s: now_s < 100, itertools.count(1)):
        progress = progress.seen(now_s, computing=1, now_s=now_s)
    assert progress.stalled_s(100.0) == 1.0


def test_a_worker_that_owes_a_step_is_stalled_since_it_last_moved() -> None:
    progress = Progress(steps=7, moved_at_s=10.0)
    assert progress.seen(7, computing=2, now_s=70.0).stalled_s(70.0) == 60.0


def test_a_worker_whose_reader_is_the_slow_one_owes_nothing() -> None:
    progress = Progress(steps=7, moved_at_s=10.0).seen(7, computing=0, now_s=70.0)
    assert progress.stalled_s(70.0) == 0.0
