from __future__ import annotations

from homebred_daemon.core.fleet_messages import StopOrder
from homebred_daemon.core.stopping import Stopping


def order(epoch: int, *, stopped: bool) -> StopOrder:
    return StopOrder(epoch=epoch, stopped=stopped, reason_code="incident")


def test_the_higher_epoch_holds() -> None:
    stopped = Stopping().heard(order(3, stopped=True))
    assert (stopped.epoch, stopped.stopped, stopped.reason_code) == (3, True, "incident")
    assert stopped.heard(order(2, stopped=False)) is stopped
    assert stopped.heard(order(4, stopped=False)) == Stopping(epoch=4, stopped=False, reason_code="incident")


def test_of_two_orders_of_one_epoch_the_one_that_stops_holds() -> None:
    running = Stopping(epoch=3)
    assert running.heard(order(3, stopped=True)).stopped
    stopped = Stopping(epoch=3, stopped=True)
    assert stopped.heard(order(3, stopped=False)) is stopped


def test_the_same_order_again_changes_nothing() -> None:
    stopped = Stopping(epoch=3, stopped=True, reason_code="x")
    assert stopped.heard(order(3, stopped=True)) is stopped
