"""Which stop order holds where the broker keeps another one than the database (I8).

A database that was replaced by an older copy knows nothing of the newest orders. The broker keeps the newest one, and
devices take no lower epoch: so the database follows the broker, and nothing that is in force is taken back.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from homebred_protocol.limits import MAX_CLAIMED


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A stop order, by what decides."""

    epoch: int
    stopped: bool


class Step(StrEnum):
    """What the database does about the order that the broker keeps."""

    NOTHING = "nothing"
    """The database's own order holds, and is published where the broker keeps another."""
    ADOPT = "adopt"
    """The broker's order holds."""
    STOP_ABOVE = "stop_above"
    """The two contradict each other: the fleet stops, by a new order above both."""
    ORDER_ABOVE = "order_above"
    """The broker never had the database's own order, and keeps another of this epoch: it is given another one."""


def step_after(own: Held | None, kept: Held, *, own_is_published: bool) -> Step:
    """What to do about what the broker keeps; `own_is_published`: a broker has had the database's order."""
    if not 0 < kept.epoch <= MAX_CLAIMED:
        return Step.NOTHING  # nobody could go above it for long: it is no order of this fleet
    if own is None:
        return Step.ADOPT
    if kept.epoch < own.epoch or kept == own:
        return Step.NOTHING
    is_awaited = not own_is_published
    if kept.epoch == own.epoch:
        return Step.ORDER_ABOVE if is_awaited else Step.STOP_ABOVE
    return Step.STOP_ABOVE if is_awaited and own.stopped and not kept.stopped else Step.ADOPT
