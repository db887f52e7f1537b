from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_engines.api import QueueFullError
from homebred_engines.queueing import FairQueue, Ticket


def _drain(queue: FairQueue) -> list[str]:
    """Keys in the order in which they get the only slot."""
    order = []
    while (ticket := queue.next_runnable()) is not None:
        order.append(ticket.key)
        queue.leave(ticket)
    return order


def test_keys_take_turns_and_each_key_is_served_in_order() -> None:
    queue = FairQueue(slots=1)
    for key in ("a", "a", "a", "b", "c", "b"):
        queue.admit(key)
    assert _drain(queue) == ["a", "b", "c", "a", "b", "a"]


def test_within_a_key_first_come_is_first_served() -> None:
    queue = FairQueue(slots=1)
    tickets = [queue.admit("a") for _ in range(3)]
    served = []
    while (ticket := queue.next_runnable()) is not None:
        served.append(ticket)
        queue.leave(ticket)
    assert served == tickets


def test_no_more_run_than_there_are_slots() -> None:
    queue = FairQueue(slots=2)
    for _ in range(3):
        queue.admit("a")
    first = queue.next_runnable()
    assert first is not None
    assert queue.next_runnable() is not None
    assert queue.next_runnable() is None
    assert (queue.running, queue.queued) == (2, 1)
    queue.leave(first)
    assert queue.next_runnable() is not None


def test_a_full_queue_refuses_with_a_hint_from_the_mean_run() -> None:
    queue = FairQueue(slots=1, limit=1)
    running = queue.admit("a")
    assert queue.next_runnable() is running
    queue.leave(running, ran_s=8.0)
    queue.admit("a")
    queue.next_runnable()
    queue.admit("a")
    with pytest.raises(QueueFullError) as refusal:
        queue.admit("b")
    assert refusal.value.retry_after_s == pytest.approx(8.0)


def test_the_hint_before_any_run_is_a_second() -> None:
    assert FairQueue(slots=4).retry_after_s() == 1.0


def test_a_queue_without_places_still_fills_its_slots() -> None:
    queue = FairQueue(slots=1, limit=0)
    queue.admit("a")
    assert queue.next_runnable() is not None
    with pytest.raises(QueueFullError):
        queue.admit("a")


def test_leaving_the_queue_lets_the_others_move_up() -> None:
    queue = FairQueue(slots=1)
    leaver = queue.admit("a")
    queue.admit("b")
    queue.leave(leaver)
    queue.leave(leaver)
    assert _drain(queue) == ["b"]


def test_one_key_may_fill_the_queue_but_locks_nobody_out() -> None:
    queue = FairQueue(slots=1, limit=4)
    queue.admit("running")
    queue.next_runnable()
    greedy = [queue.admit("greedy") for _ in range(4)]
    assert queue.make_way("greedy") is None
    with pytest.raises(QueueFullError):
        queue.admit("greedy")
    assert queue.make_way("modest") is greedy[-1]
    queue.admit("modest")
    assert queue.make_way("modest") is greedy[-2]
    queue.admit("modest")
    assert queue.make_way("modest") is None, "now both have their share"
    with pytest.raises(QueueFullError):
        queue.admit("modest")


def test_nobody_makes_way_while_there_are_places() -> None:
    queue = FairQueue(slots=1, limit=4)
    for _ in range(3):
        queue.admit("greedy")
    assert queue.make_way("modest") is None


@given(st.lists(st.tuples(st.sampled_from(["admit", "next", "leave"]), st.sampled_from("abc"), st.integers(0, 9))))
def test_counts_hold_and_nobody_is_lost(steps: list[tuple[str, str, int]]) -> None:
    queue = FairQueue(slots=2, limit=3)
    here: list[Ticket] = []
    ran: Counter[Ticket] = Counter()
    for action, key, position in steps:
        if action == "admit":
            displaced = queue.make_way(key)
            if displaced is not None:
                assert displaced.key != key
                here.remove(displaced)
            try:
                here.append(queue.admit(key))
            except QueueFullError:
                assert queue.queued == 3
        elif action == "next":
            ticket = queue.next_runnable()
            if ticket is not None:
                ran[ticket] += 1
        elif here:
            queue.leave(here.pop(position % len(here)))
        assert queue.running <= 2
        assert queue.queued <= 3 + 2  # places, and free slots that nobody has been given yet
        assert queue.running + queue.queued == len(here)
    assert set(ran.values()) <= {1}, "no ticket runs twice"
