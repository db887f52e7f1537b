"""Scripts of orders that come, with what a device does about each: none is believed but for its signature."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.stop_orders import KnownKeys, signed_stop

from homebred_daemon.core.fleet_messages import StopOrder
from homebred_daemon.core.fleet_steps import Acknowledge, CheckStop, KeepStop, LookForRoots, Note, StopChecked, Want
from homebred_daemon.core.stop_hearing import (
    APART_S,
    FIRST_CHECK_S,
    KEEP_AGAIN_S,
    LONGEST_CHECK_S,
    LONGEST_LOOK_S,
    TELL_AFTER_S,
    UNPROVEN,
    StopHearing,
)
from homebred_daemon.core.stopping import Stopping

RECEIPT = 5


class Script:
    """One device's orders; what is to be checked is checked at once, and kept while there is room."""

    def __init__(self) -> None:
        self.keys = KnownKeys()
        self.hearing = StopHearing(Stopping())
        self.has_room = True
        self.at_s = 0.0
        self.kept = Stopping()

    def hear(self, order: StopOrder) -> list[Want]:
        return self._play(self.hearing.hear(order, RECEIPT))

    def after(self, seconds: float) -> list[Want]:
        """Everything that is due on the way."""
        done, ends_at_s = [], self.at_s + seconds
        while (due_s := self.hearing.due_s()) is not None and due_s <= ends_at_s:
            self.at_s = due_s
            done += self._play(self.hearing.late(due_s))
        self.at_s = ends_at_s
        return done

    @property
    def holds(self) -> tuple[int, bool]:
        return self.hearing.stopping.epoch, self.hearing.stopping.stopped

    def _play(self, wants: list[Want]) -> list[Want]:
        done: list[Want] = []
        for want in wants:
            done.append(want)
            match want:
                case CheckStop():
                    checked = StopChecked(want.order, want.receipt, self.keys.check(want.order))
                    done += self._play(self.hearing.checked(checked, self.at_s))
                case KeepStop():
                    self.kept = want.stopping if self.has_room else self.kept
                    done += self._play(self.hearing.kept(want, self.at_s, ok=self.has_room))
        return done


def kinds(wants: list[Want], kind: type[Want]) -> int:
    return sum(isinstance(want, kind) for want in wants)


def unproven(wants: list[Want]) -> list[dict[str, object]]:
    return [dict(want.about) for want in wants if isinstance(want, Note) and want.what == "stop_unproven"]


def test_what_the_director_has_signed_holds_is_kept_and_then_acknowledged() -> None:
    script = Script()
    wants = script.hear(signed_stop(2, stopped=True))
    assert script.holds == (2, True)
    assert script.kept == script.hearing.proven
    assert Acknowledge(RECEIPT) in wants
    assert script.hear(signed_stop(2, stopped=True)) == [Acknowledge(RECEIPT)], "it is known, and not checked again"
    script.hear(signed_stop(3, stopped=False))
    assert script.holds == (3, False)
    assert script.hearing.due_s() is None


@pytest.mark.parametrize("forged", [signed_stop(9, stopped=True, key="thief"), StopOrder(epoch=9, stopped=True)])
def test_a_stop_that_the_director_has_not_signed_stops_nothing(forged: StopOrder) -> None:
    script = Script()
    wants = script.hear(forged)
    assert (script.holds, script.kept) == ((0, False), Stopping())
    assert kinds(wants, LookForRoots) == 1, "a newer root may name its key"
    assert Acknowledge(RECEIPT) in wants
    assert unproven(script.after(TELL_AFTER_S)) == [{"epoch": 9, "stopped": 1, "cause": "unsigned"}]


def test_nothing_but_a_signature_lifts_a_stop_and_nothing_else_moves_its_floor() -> None:
    script = Script()
    script.hear(signed_stop(4, stopped=True))
    genuine = signed_stop(5, stopped=False)
    for lift in (
        signed_stop(2**62, stopped=False, key="thief"),
        replace(genuine, epoch=2**62),
        replace(genuine, key_id="thief"),
        replace(signed_stop(5, stopped=True), stopped=False),
        signed_stop(3, stopped=False),
        StopOrder(epoch=5, stopped=False),
    ):
        script.hear(lift)
        script.after(100)
        assert script.holds == (4, True), lift
    script.hear(genuine)
    assert script.holds == (5, False)


def test_an_order_of_a_new_key_holds_as_soon_as_a_look_has_brought_its_root_and_is_no_alarm() -> None:
    script = Script()
    script.hear(signed_stop(1, stopped=False))
    wants = script.hear(signed_stop(2, stopped=True, key="director-2"))
    assert (script.holds, kinds(wants, LookForRoots)) == ((1, False), 1)
    script.keys.keys = {"director-2"}
    wants = script.after(FIRST_CHECK_S)
    assert script.holds == (2, True)
    assert unproven(wants + script.after(1000)) == []
    assert script.hearing.due_s() is None


def test_a_stop_that_nobody_can_check_holds_and_its_epoch_is_no_floor() -> None:
    script = Script()
    script.keys.is_readable = False
    script.hear(signed_stop(2**62, stopped=True, key="thief"))
    assert script.holds == (0, True)
    assert script.hearing.stopping.reason_code == UNPROVEN
    assert script.kept == Stopping()
    assert unproven(script.after(TELL_AFTER_S)) == [{"epoch": 2**62, "stopped": 1, "cause": "unchecked"}]
    script.keys.is_readable = True
    script.after(LONGEST_CHECK_S)
    assert script.holds == (0, False), "it was a forgery"
    script.hear(signed_stop(1, stopped=True))
    assert script.holds == (1, True)


def test_while_nobody_can_check_no_lift_ends_a_stop_and_afterwards_what_was_heard_last_counts() -> None:
    script = Script()
    script.keys.is_readable = False
    script.hear(signed_stop(4, stopped=True))
    script.hear(signed_stop(5, stopped=False))
    script.hear(signed_stop(3, stopped=False))
    script.hear(signed_stop(5, stopped=False))
    assert script.holds == (0, True)
    script.keys.is_readable = True
    script.after(LONGEST_CHECK_S)
    assert script.holds == (5, False)
    assert script.hearing.due_s() is None


def test_a_signed_order_frees_at_once_from_a_stop_that_could_not_be_checked_before() -> None:
    script = Script()
    script.keys.is_readable = False
    script.hear(signed_stop(4, stopped=True))
    script.keys.is_readable = True
    script.hear(signed_stop(5, stopped=False))
    assert script.holds == (5, False)


def test_forgeries_without_end_cost_a_look_and_a_report_a_minute_and_never_the_next_order() -> None:
    script = Script()
    done: list[Want] = []
    for number in range(600):
        done += script.hear(signed_stop(100 + number, stopped=bool(number % 2), key=f"thief-{number}"))
        done += script.after(1)
    assert 10 <= kinds(done, LookForRoots) <= 11
    assert 9 <= len(unproven(done)) <= 11
    script.hear(signed_stop(1, stopped=True))
    assert script.holds == (1, True)


def test_a_forgery_is_told_though_another_order_came_at_once() -> None:
    script = Script()
    script.hear(signed_stop(1, stopped=False))
    script.hear(signed_stop(9, stopped=True, key="thief"))
    script.hear(signed_stop(1, stopped=False))
    assert len(unproven(script.after(APART_S))) == 1
    assert script.hearing.due_s() is None, "the broker keeps it no more, so that it is not checked again"


def test_checks_of_what_stays_unproven_grow_rare() -> None:
    script = Script()
    script.hear(signed_stop(9, stopped=True, key="thief"))
    assert kinds(script.after(3600), CheckStop) <= 6 + 3600 / LONGEST_CHECK_S


def test_a_forgery_that_stays_is_told_once_and_has_the_device_look_ever_more_rarely() -> None:
    script = Script()
    forged = signed_stop(9, stopped=True, key="thief")
    done = script.hear(forged)
    for _ in range(24):
        done += script.after(3600)
        done += script.hear(forged)  # at another connection
    assert len(unproven(done)) == 1
    assert kinds(done, LookForRoots) <= 6 + 24 * 3600 / LONGEST_LOOK_S
    wants = script.hear(signed_stop(10, stopped=True, key="director-2")) + script.after(APART_S)
    assert kinds(wants, LookForRoots) >= 1, "another order may be of a new key"
    assert len(unproven(wants)) == 1


def test_an_order_that_the_broker_keeps_no_more_is_forgotten_unless_it_holds() -> None:
    script = Script()
    script.hear(signed_stop(9, stopped=True, key="thief"))
    assert script.hearing.hear_none(RECEIPT) == [Acknowledge(RECEIPT)]
    assert kinds(script.after(3600), CheckStop) == 0
    script.keys.is_readable = False
    script.hear(signed_stop(8, stopped=True, key="thief"))
    script.hearing.hear_none(RECEIPT)
    script.after(3600)
    assert script.holds == (0, True), "the broker may have forgotten a stop of the director's"
    script.keys.is_readable = True
    script.after(LONGEST_CHECK_S)
    assert script.holds == (0, False)
    assert kinds(script.after(3600), CheckStop) == 0


def test_a_stop_that_could_not_be_checked_is_forgotten_as_a_forgery_where_the_order_in_force_came_again() -> None:
    script = Script()
    script.hear(signed_stop(1, stopped=False))
    script.keys.is_readable = False
    script.hear(signed_stop(9, stopped=True, key="thief"))
    script.hear(signed_stop(1, stopped=False))
    assert script.holds == (1, True)
    script.keys.is_readable = True
    script.after(LONGEST_CHECK_S)
    assert script.holds == (1, False)
    assert kinds(script.after(3600), CheckStop) == 0


def test_another_order_is_checked_soon_again_however_long_one_before_it_has_waited() -> None:
    script = Script()
    script.hear(signed_stop(9, stopped=True, key="thief"))
    script.after(3600)
    script.hear(signed_stop(2, stopped=True, key="director-2"))
    script.keys.keys = {"director-2"}
    script.after(FIRST_CHECK_S)
    assert script.holds == (2, True)


def test_an_older_stop_that_comes_again_displaces_no_lift_that_waits_for_the_disk() -> None:
    script = Script()
    script.hear(signed_stop(2, stopped=True))
    script.has_room = False
    script.hear(signed_stop(5, stopped=False))
    wants = script.hear(signed_stop(4, stopped=True))
    assert (kinds(wants, KeepStop), kinds(wants, Note)) == (0, 0)
    assert Acknowledge(RECEIPT) in wants
    script.has_room = True
    script.after(KEEP_AGAIN_S)
    assert script.holds == (5, False)


def test_a_lift_that_waits_for_the_disk_is_acknowledged_where_a_newer_order_takes_its_place() -> None:
    script = Script()
    script.hear(signed_stop(2, stopped=True))
    script.has_room = False
    script.hear(signed_stop(5, stopped=False))
    script.has_room = True
    wants = script.hear(signed_stop(6, stopped=True))
    assert wants.count(Acknowledge(RECEIPT)) == 2
    assert (script.holds, script.hearing.due_s()) == ((6, True), None)


def test_what_the_disk_does_not_take_is_kept_later_and_a_lift_holds_only_then() -> None:
    script = Script()
    script.hear(signed_stop(2, stopped=True))
    script.has_room = False
    wants = script.hear(signed_stop(3, stopped=False))
    assert Acknowledge(RECEIPT) not in wants
    assert script.holds == (2, True)
    script.has_room = True
    assert Acknowledge(RECEIPT) in script.after(KEEP_AGAIN_S)
    assert script.holds == (3, False)


def test_a_lift_that_the_disk_takes_after_a_newer_stop_was_heard_lifts_nothing() -> None:
    hearing, keys = StopHearing(Stopping()), KnownKeys()

    def heard(order: StopOrder) -> KeepStop:
        wants = hearing.checked(StopChecked(order, RECEIPT, keys.check(order)), 0.0)
        [keep] = [want for want in wants if isinstance(want, KeepStop)]
        return keep

    lift, stop = heard(signed_stop(3, stopped=False)), heard(signed_stop(4, stopped=True))
    assert hearing.kept(lift, 0.0, ok=True) == [Acknowledge(RECEIPT)]
    hearing.kept(stop, 0.0, ok=True)
    assert (hearing.stopping.epoch, hearing.stopping.stopped) == (4, True)


def test_the_same_order_signed_anew_is_kept_where_the_key_before_is_gone_and_nobody_is_told_again() -> None:
    script = Script()
    script.hear(signed_stop(4, stopped=True))
    script.keys.keys = {"director-2"}
    wants = script.hear(signed_stop(4, stopped=True, key="director-2"))
    assert script.kept.key_id == "director-2"
    assert kinds(wants, Note) == 0
