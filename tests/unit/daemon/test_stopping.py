from __future__ import annotations

from tests.support.stop_orders import DIRECTOR, signed_stop

from homebred_daemon.core.stopping import Stopping

NOW = frozenset({DIRECTOR})


def test_the_higher_epoch_holds() -> None:
    stopped = Stopping().heard(signed_stop(3, stopped=True, reason_code="incident"), NOW)
    assert (stopped.epoch, stopped.stopped, stopped.reason_code) == (3, True, "incident")
    assert stopped.heard(signed_stop(2, stopped=False), NOW) is stopped
    lifted = stopped.heard(signed_stop(4, stopped=False), NOW)
    assert (lifted.epoch, lifted.stopped) == (4, False)


def test_of_two_orders_of_one_epoch_the_one_that_stops_holds() -> None:
    running = Stopping().heard(signed_stop(3, stopped=False), NOW)
    stopped = running.heard(signed_stop(3, stopped=True), NOW)
    assert stopped.stopped
    assert stopped.heard(signed_stop(3, stopped=False), NOW) is stopped


def test_the_same_order_again_changes_nothing_and_is_the_order_itself() -> None:
    order = signed_stop(3, stopped=True, reason_code="x")
    stopped = Stopping().heard(order, NOW)
    assert stopped.heard(order, NOW) is stopped
    assert stopped.order == order
    assert Stopping().order is None
    assert Stopping(epoch=3, stopped=True).order is None


def test_epochs_of_a_key_that_was_taken_away_are_no_floor_and_what_it_stopped_stays_stopped() -> None:
    thief = Stopping().heard(signed_stop(2**62, stopped=True), NOW)
    assert thief.heard(signed_stop(4, stopped=False), NOW).stopped
    rotated = thief.heard(signed_stop(4, stopped=False, key="director-2"), frozenset({"director-2"}))
    assert (rotated.epoch, rotated.stopped) == (4, False)


def test_while_a_root_names_both_keys_an_older_order_of_either_lifts_nothing() -> None:
    both = frozenset({DIRECTOR, "director-2"})
    stopped = Stopping().heard(signed_stop(7, stopped=True), both)
    assert stopped.heard(signed_stop(3, stopped=False), both) is stopped
    assert stopped.heard(signed_stop(3, stopped=False, key="director-2"), both) is stopped
