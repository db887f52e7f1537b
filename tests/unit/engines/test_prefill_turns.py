from __future__ import annotations

import threading

from homebred_engines.prefill_turns import PrefillTurns, Turn


def test_the_next_one_reads_when_the_first_leaves() -> None:
    turns, first, second = PrefillTurns(), Turn(), Turn()
    turns.enter(first, lambda: False)
    assert not turns.others_wait()
    entered = threading.Event()

    def wait_for_turn() -> None:
        turns.enter(second, lambda: False)
        entered.set()

    waiter = threading.Thread(target=wait_for_turn)
    waiter.start()
    while not turns.others_wait():
        entered.wait(0.001)
    assert not entered.is_set()
    turns.leave(first)
    turns.leave(first)
    waiter.join()
    assert not turns.others_wait()


def test_a_cancelled_one_stops_waiting() -> None:
    turns, first, second = PrefillTurns(), Turn(), Turn()
    cancelled = threading.Event()
    turns.enter(first, lambda: False)
    waiter = threading.Thread(target=turns.enter, args=(second, cancelled.is_set))
    waiter.start()
    cancelled.set()
    turns.wake()
    waiter.join()


def test_a_turn_ends_after_its_share_unless_the_cache_kept_nothing() -> None:
    turn = Turn()
    turn.begin(0)
    assert [turn.has_had_its_share() for _ in range(3)] == [False, False, True]
    turn.begin(128)
    assert [turn.has_had_its_share() for _ in range(3)] == [False, False, True]
    turn.begin(128)
    assert not any(turn.has_had_its_share() for _ in range(9))
