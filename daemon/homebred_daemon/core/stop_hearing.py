"""What a device does with stop orders that it hears: nothing is believed of one but what its signature proves (I8).

    heard ──CheckStop──▶ signed       a stop holds at once, its end once it is on the disk
                    ├──▶ not signed   is no order; the device looks whether a newer root names its key
                    └──▶ nobody knows a stop holds until somebody does, its end does not; no floor rises

What is not proven is checked again after 1, 2, 4, … 60 s, as long as the broker keeps it or it holds, and told once to
people and the fleet where it stays so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

from homebred_daemon.core.fleet_messages import StopOrder
from homebred_daemon.core.fleet_steps import (
    Acknowledge,
    CheckStop,
    KeepStop,
    LookForRoots,
    Note,
    StopChecked,
    Want,
)
from homebred_daemon.core.stopping import Proof, Stopping

FIRST_CHECK_S, LONGEST_CHECK_S = 1.0, 60.0
TELL_AFTER_S = 7.0
"""A root that names a new key of the director's may be on its way: that is no alarm."""
APART_S = 60.0
"""Between two looks for newer roots, and between two reports: whoever floods a device with forgeries gets no more."""
LONGEST_LOOK_S = 3600.0
"""Between two looks for the sake of the same order; doubled up to there."""
MOST_TOLD = 4
"""Two orders wait at most, and each may be unsigned or unchecked."""
KEEP_AGAIN_S = 60.0
UNPROVEN: Final = "unproven"
"""The reason of a stop that holds while nobody can say whether the director has signed it."""
CAUSES: Final = {Proof.NOT_SIGNED: "unsigned", Proof.UNKNOWN: "unchecked"}


@dataclass(frozen=True, slots=True)
class _Waiting:
    """An order that is not proven."""

    order: StopOrder
    proof: Proof

    @property
    def holds(self) -> bool:
        return self.order.stopped and self.proof is Proof.UNKNOWN


class StopHearing:
    """The stop orders of one session."""

    def __init__(self, proven: Stopping) -> None:
        self.proven = proven
        """The newest order that the director has signed, as far as it holds."""
        self._waiting: tuple[_Waiting, ...] = ()
        """The last that was heard, where it is not proven; before it a stop that holds meanwhile."""
        self._check_at_s, self._check_after_s = math.inf, FIRST_CHECK_S
        self._heard: StopOrder | None = None
        """What the broker keeps, as far as it was heard."""
        self._looked_at_s = self._told_at_s = -math.inf
        self._look_after_s = APART_S
        self._told: tuple[_Waiting, ...] = ()
        """The last that were."""
        self._untold: _Waiting | None = None
        self._tell_at_s = math.inf
        self._keeping: KeepStop | None = None
        """The newest that the disk is to take."""
        self._keep_at_s = math.inf
        """When it is tried again."""

    @property
    def stopping(self) -> Stopping:
        """What holds now: a stop, too, that nobody can check. Its epoch is no floor."""
        if not self.proven.stopped and any(one.holds for one in self._waiting):
            return replace(self.proven, stopped=True, reason_code=UNPROVEN)
        return self.proven

    def due_s(self) -> float | None:
        """When `late` has something to do; None: not before something happens."""
        due_s = min(self._check_at_s, self._tell_at_s, self._keep_at_s)
        return due_s if due_s < math.inf else None

    def late(self, at_s: float) -> list[Want]:
        """What is to be done by now."""
        wants: list[Want] = []
        if at_s >= self._keep_at_s and self._keeping is not None:
            self._keep_at_s = math.inf
            wants.append(self._keeping)
        if at_s >= self._check_at_s:
            self._check_after_s = min(2 * self._check_after_s, LONGEST_CHECK_S)
            self._check_at_s = at_s + self._check_after_s
            wants += [CheckStop(one.order) for one in self._waiting]
        if at_s >= self._tell_at_s and self._untold is not None:
            wants.append(_told(self._untold))
            self._told = (*self._told[1 - MOST_TOLD :], self._untold)
            self._untold, self._tell_at_s, self._told_at_s = None, math.inf, at_s
        return wants

    def hear(self, order: StopOrder, receipt: int) -> list[Want]:
        """An order came; whose it is, is not known yet."""
        self._heard = order
        self._wait(self._waiting)
        return [Acknowledge(receipt) if order == self.proven.order else CheckStop(order, receipt)]

    def hear_none(self, receipt: int) -> list[Want]:
        """The broker keeps no order any more, or none that can be read."""
        self._heard = None
        self._wait(self._waiting)
        return [Acknowledge(receipt)]

    def checked(self, checked: StopChecked, at_s: float) -> list[Want]:
        """What became of an order's signature."""
        if checked.proof.proof is Proof.SIGNED:
            return self._prove(checked)
        found = _Waiting(checked.order, checked.proof.proof)
        if checked.receipt is None:  # checked again: it waits where it did
            waiting = tuple(found if one.order == found.order else one for one in self._waiting)
        else:
            holding = [one for one in self._waiting if one.holds and one.order != found.order]
            waiting = (*holding[-1:], found)
        self._wait(waiting, at_s)
        doubt = self._doubt(found, at_s) if found in self._waiting else []
        return [*doubt, *_acknowledged(checked.receipt)]

    def kept(self, what: KeepStop, at_s: float, *, ok: bool) -> list[Want]:
        """Whether an order is on the disk."""
        if what != self._keeping:  # a newer one was heard meanwhile
            return [*_acknowledged(what.receipt)]
        if not ok:
            self._keep_at_s = at_s + KEEP_AGAIN_S
            return []
        self.proven, self._keeping = what.stopping, None
        return [*_acknowledged(what.receipt)]

    def _prove(self, checked: StopChecked) -> list[Want]:
        """It is the director's."""
        order = checked.order
        self._wait(tuple(one for one in self._waiting if one.order != order))
        if self._untold is not None and self._untold.order == order:
            self._untold, self._tell_at_s = None, math.inf
        others = [CheckStop(one.order) for one in self._waiting]  # somebody can say again
        newest = self.proven if self._keeping is None else self._keeping.stopping
        heard = newest.heard(order, checked.proof.director_keys)
        if heard == newest:
            return [*others, *_acknowledged(checked.receipt)]
        is_news = (heard.epoch, heard.stopped) != (newest.epoch, newest.stopped)
        if heard.stopped:  # a stop holds from now on, whether or not the disk takes it
            self.proven = heard
        displaced = self._keeping.receipt if self._keeping is not None and self._keep_at_s < math.inf else None
        self._keeping, self._keep_at_s = KeepStop(heard, checked.receipt), math.inf
        about = (("epoch", heard.epoch), ("stopped", int(heard.stopped)))
        note = [Note("stop_order", about)] if is_news else []
        return [*_acknowledged(displaced), self._keeping, *note, *others]

    def _wait(self, waiting: tuple[_Waiting, ...], at_s: float = math.inf) -> None:
        """Of these the ones that the broker keeps, and a stop that holds."""
        waiting = tuple(one for one in waiting if one.holds or one.order == self._heard)
        if {one.order for one in waiting} - {one.order for one in self._waiting}:
            self._check_after_s, self._look_after_s = FIRST_CHECK_S, APART_S
            self._check_at_s = at_s + FIRST_CHECK_S
        if not waiting:
            self._check_at_s = math.inf
        self._waiting = waiting

    def _doubt(self, found: _Waiting, at_s: float) -> list[Want]:
        """It may be the director's all the same, by a newer root; and people should know of it."""
        if self._untold is None and found not in self._told:
            self._untold, self._tell_at_s = found, max(at_s + TELL_AFTER_S, self._told_at_s + APART_S)
        if at_s - self._looked_at_s < self._look_after_s:
            return []
        self._looked_at_s, self._look_after_s = at_s, min(2 * self._look_after_s, LONGEST_LOOK_S)
        return [LookForRoots()]


def _acknowledged(receipt: int | None) -> list[Acknowledge]:
    return [] if receipt is None else [Acknowledge(receipt)]


def _told(one: _Waiting) -> Note:
    about = (("epoch", one.order.epoch), ("stopped", int(one.order.stopped)), ("cause", CAUSES[one.proof]))
    return Note("stop_unproven", about)
