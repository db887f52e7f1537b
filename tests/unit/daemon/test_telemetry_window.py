from __future__ import annotations

import pytest

from homebred_daemon.core.fleet_messages import TelemetryAck
from homebred_daemon.core.telemetry_window import (
    ANSWER_WITHIN_S,
    HELD_BACK_S,
    HOLE_PAUSE_S,
    LINGER_S,
    LONGEST_WAIT_S,
    WINDOW,
    CountRefused,
    CutNext,
    Forget,
    HeldBack,
    Impossible,
    Send,
    Step,
    TelemetryWindow,
    TellFloor,
)
from homebred_daemon.ports.outbox import CutBatch

BOOT = "ab" * 16


def batch(after_seq: int, last_seq: int, stream: str = "route", boot_id: str = BOOT) -> CutBatch:
    return CutBatch(
        boot_id=boot_id, stream=stream, after_seq=after_seq, last_seq=last_seq, count=last_seq - after_seq, payload=b""
    )


def ack(up_to_seq: int, refused: int = 0, code: str = "", stream: str = "route", boot_id: str = BOOT) -> TelemetryAck:
    return TelemetryAck(
        boot_id=boot_id, stream=stream, up_to_seq=up_to_seq, refused_up_to_seq=refused, refusal_code=code
    )


ONE, TWO, THREE, FOUR, FIVE = (batch(5 * n, 5 * n + 5) for n in range(5))


def window(*batches: CutBatch) -> TelemetryWindow:
    """One whose outbox has cut these and has no more."""
    made = TelemetryWindow()
    made.hold(batches, 0.0)
    made.was_cut(None)
    return made


def sent(steps: list[Step]) -> list[object]:
    return [step.batch for step in steps if isinstance(step, Send)]


def test_what_was_cut_is_sent_in_its_order_as_far_as_the_window_goes() -> None:
    held = window(ONE, TWO, THREE, FOUR, FIVE)
    assert sent(held.steps(0.0)) == [ONE, TWO, THREE, FOUR]
    assert held.steps(1.0) == []
    assert held.answered(ack(5), 1.0) == [Forget(boot_id=BOOT, stream="route", up_to_seq=5)]
    assert sent(held.steps(1.0)) == [FIVE]


def test_one_answer_may_be_about_many_batches() -> None:
    held = window(ONE, TWO, THREE)
    held.steps(0.0)
    assert held.answered(ack(15), 1.0) == [Forget(boot_id=BOOT, stream="route", up_to_seq=15)]
    assert held.on_their_way == 0


def test_more_is_cut_while_there_is_room_and_new_events_wait_for_company() -> None:
    held = TelemetryWindow()
    held.hold((), 0.0)
    assert held.steps(0.0) == [CutNext()]
    assert held.steps(0.0) == []
    held.was_cut(None)
    held.expect_more(10.0)
    assert held.steps(10.0) == []
    assert held.due_s() == 10.0 + LINGER_S
    assert held.steps(10.0 + LINGER_S) == [CutNext()]
    held.was_cut(ONE)
    assert held.steps(11.0) == [Send(ONE), CutNext()]


def test_nothing_is_cut_while_the_window_is_full() -> None:
    held = TelemetryWindow()
    held.hold((ONE, TWO, THREE, FOUR), 0.0)
    assert len(held.steps(0.0)) == WINDOW


def test_after_a_lost_connection_everything_is_sent_again() -> None:
    held = window(ONE, TWO)
    held.steps(0.0)
    held.lose_sight()
    assert sent(held.steps(5.0)) == [ONE, TWO]


def test_without_an_answer_the_oldest_alone_is_sent_again_and_ever_more_seldom() -> None:
    held = window(ONE, TWO)
    held.steps(0.0)
    at_s, waits = 0.0, []
    for _ in range(6):
        due_s = held.due_s()
        assert due_s is not None
        assert sent(held.steps(due_s)) == [ONE]
        waits.append(due_s - at_s)
        at_s = due_s
    assert waits == [ANSWER_WITHIN_S, 20.0, 40.0, 80.0, LONGEST_WAIT_S, LONGEST_WAIT_S]
    held.answered(ack(5), at_s)
    assert sent(held.steps(at_s)) == [TWO]


def test_an_answer_that_moves_nothing_has_the_stream_sent_again_after_a_pause() -> None:
    held = window(ONE, TWO)
    held.steps(0.0)
    assert held.answered(ack(0), 0.5) == []
    assert held.steps(0.5) == []
    assert sent(held.steps(0.5 + HOLE_PAUSE_S)) == [ONE, TWO]


def test_the_answer_to_a_duplicate_has_nothing_sent_again_where_things_move() -> None:
    held = window(ONE, TWO)
    held.steps(0.0)
    held.answered(ack(0), 0.1)
    held.answered(ack(5), 0.2)
    held.answered(ack(5), 0.3)
    held.answered(ack(10), 0.4)
    assert held.steps(5.0) == []


def test_a_hole_that_stays_is_asked_about_ever_more_seldom() -> None:
    held = window(ONE)
    held.steps(0.0)
    at_s, times = 0.0, 0
    while at_s < 3600:
        held.answered(ack(0), at_s)
        times += len(sent(held.steps(at_s)))
        at_s += 0.5
    assert times < 80


def test_a_controller_that_has_less_than_it_had_acknowledged_is_told_so_now_and_then() -> None:
    held = window(THREE)
    held.steps(0.0)
    assert held.answered(ack(5), 0.0) == [TellFloor(boot_id=BOOT, stream="route")]
    assert held.answered(ack(5), 1.0) == []
    assert held.answered(ack(5), ANSWER_WITHIN_S) == [TellFloor(boot_id=BOOT, stream="route")]


def test_a_refused_batch_is_counted_and_what_came_before_it_is_not() -> None:
    held = window(ONE, TWO, THREE)
    held.steps(0.0)
    assert held.answered(ack(10, refused=10, code="count"), 1.0) == [
        Forget(boot_id=BOOT, stream="route", up_to_seq=5),
        CountRefused(boot_id=BOOT, stream="route", up_to_seq=10, code="count"),
    ]
    assert held.on_their_way == 1


def test_a_refusal_of_the_first_batch_and_the_acknowledgement_behind_it_come_in_one() -> None:
    held = window(ONE, TWO)
    held.steps(0.0)
    assert held.answered(ack(10, refused=5, code="count"), 1.0) == [
        CountRefused(boot_id=BOOT, stream="route", up_to_seq=5, code="count"),
        Forget(boot_id=BOOT, stream="route", up_to_seq=10),
    ]


@pytest.mark.parametrize("wrong", [ack(11), ack(0, refused=7, code="count"), ack(0, refused=99, code="count")])
def test_an_answer_about_what_was_never_cut_changes_nothing(wrong: TelemetryAck) -> None:
    held = window(ONE, TWO)
    held.steps(0.0)
    assert any(isinstance(step, Impossible) for step in held.answered(wrong, 1.0))
    assert held.on_their_way == 2


def test_a_late_refusal_changes_nothing() -> None:
    held = window(TWO)
    held.steps(0.0)
    assert held.answered(ack(5, refused=5, code="count"), 1.0) == []


def test_answers_of_other_boots_and_streams_change_nothing() -> None:
    held = window(ONE)
    held.steps(0.0)
    assert held.answered(ack(5, stream="health"), 1.0) == []
    assert held.answered(ack(5, boot_id="cd" * 16), 1.0) == []
    assert held.on_their_way == 1


def test_what_cannot_be_read_yet_is_kept_and_tried_again_much_later() -> None:
    held = window(ONE, TWO)
    held.steps(0.0)
    assert held.answered(ack(0, code="schema"), 1.0) == [HeldBack(code="schema", seconds=HELD_BACK_S)]
    assert held.steps(2.0) == []
    assert held.due_s() == 1.0 + HELD_BACK_S
    assert sent(held.steps(1.0 + HELD_BACK_S)) == [ONE]


def test_what_the_broker_turned_away_is_sent_again_after_a_pause() -> None:
    held = window(ONE)
    held.steps(0.0)
    held.was_turned_away(ONE, 1.0)
    assert held.steps(2.0) == []
    assert sent(held.steps(1.0 + ANSWER_WITHIN_S)) == [ONE]


def test_an_outbox_that_cannot_be_written_is_asked_again_later() -> None:
    held = TelemetryWindow()
    held.hold((), 0.0)
    held.steps(0.0)
    held.could_not_cut(0.0)
    assert held.steps(1.0) == []
    assert held.steps(LONGEST_WAIT_S) == [CutNext()]


def test_it_never_asks_to_be_woken_where_there_is_nothing_to_do() -> None:
    held = window(ONE, TWO)
    for at_s in (0.0, 3.0, 200.0):
        held.steps(at_s)
        due_s = held.due_s()
        assert due_s is not None
        assert due_s > at_s
    held.answered(ack(10), 201.0)
    assert held.due_s() is None
