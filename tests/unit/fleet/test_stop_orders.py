"""A database that was replaced by an older copy takes no stop back that is in force (I8)."""

from __future__ import annotations

import pytest

from homebred_fleet.core.stop_orders import Held, Step, step_after
from homebred_protocol.limits import MAX_CLAIMED


def stop(epoch: int) -> Held:
    return Held(epoch=epoch, stopped=True)


def go(epoch: int) -> Held:
    return Held(epoch=epoch, stopped=False)


@pytest.mark.parametrize(
    ("own", "is_published", "kept", "step"),
    [
        (None, False, stop(1), Step.ADOPT),
        (go(5), True, stop(7), Step.ADOPT),
        (stop(5), True, go(7), Step.ADOPT),
        (go(5), False, stop(7), Step.ADOPT),
        (stop(5), False, go(7), Step.STOP_ABOVE),
        (go(5), True, stop(5), Step.STOP_ABOVE),
        (go(5), False, stop(5), Step.ORDER_ABOVE),
        (stop(5), False, go(5), Step.ORDER_ABOVE),
        (stop(5), True, stop(5), Step.NOTHING),
        (go(5), True, stop(4), Step.NOTHING),
        (go(5), True, stop(0), Step.NOTHING),
        (go(5), True, stop(MAX_CLAIMED), Step.ADOPT),
        (go(5), True, stop(MAX_CLAIMED + 1), Step.NOTHING),
        (None, False, stop(MAX_CLAIMED + 1), Step.NOTHING),
    ],
)
def test_the_newest_order_holds_and_where_two_contradict_each_other_the_fleet_stops(
    own: Held | None,
    is_published: bool,  # noqa: FBT001  # a column of the table above
    kept: Held,
    step: Step,
) -> None:
    assert step_after(own, kept, own_is_published=is_published) is step
