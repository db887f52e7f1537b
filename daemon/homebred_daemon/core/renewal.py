"""When a device renews its certificate, and how urgent it is: a plan from the certificate, the clock and what failed.

A third of a certificate's life is left when it is due, so that weeks without a link do no harm. It renews nothing, and
knows that the clock may be wrong by years.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

DUE_PART: Final = 2 / 3
"""Of its life, after which a certificate is due."""
SPREAD_PART: Final = 1 / 24
"""Of its life, over which devices that were enrolled together spread their renewals."""
SOON_PART: Final = 1 / 6
"""Of its life, left: whoever looks after the device should know by now."""
URGENT_PART: Final = 1 / 20
CLOCK_TOLERANCE_S: Final = 300
FIRST_WAIT_S: Final = 60.0
LONGEST_WAIT_S: Final = 6 * 3600.0
LONGEST_URGENT_WAIT_S: Final = 3600.0
LOOK_AGAIN_S: Final = 3600.0
"""A clock may jump: nothing is waited for longer than this at one stretch."""


class Standing(StrEnum):
    """How a certificate stands, by this device's clock."""

    GOOD = "good"
    DUE = "due"
    SOON = "ends_soon"
    URGENT = "ends_very_soon"
    ENDED = "ended"
    NOT_YET = "not_yet_valid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """When a certificate is valid, Unix seconds."""

    begins_s: int
    ends_s: int
    luck: float
    """From 0 to 1, fixed for a certificate: where in the spread it is due."""

    @property
    def length_s(self) -> int:
        """All of it."""
        return max(1, self.ends_s - self.begins_s)

    @property
    def due_s(self) -> int:
        """When it is to be renewed."""
        return self.begins_s + int(self.length_s * (DUE_PART + SPREAD_PART * self.luck))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to do now."""

    renews: bool
    wait_s: float
    """Until the next plan is made; 0 where `renews`."""
    standing: Standing


def luck_of(digest: str) -> float:
    """A certificate's place in the spread, from its `sha256:…`: the same after every restart."""
    return int(digest.partition(":")[2][:8], 16) / 0x1_0000_0000


def standing(life: Life, now_s: float) -> Standing:
    """How it stands."""
    left_s = life.ends_s - now_s
    if now_s < life.begins_s - CLOCK_TOLERANCE_S:
        return Standing.NOT_YET
    if left_s < 0:
        return Standing.ENDED
    if left_s < life.length_s * URGENT_PART:
        return Standing.URGENT
    if left_s < life.length_s * SOON_PART:
        return Standing.SOON
    return Standing.DUE if now_s >= life.due_s else Standing.GOOD


def plan(life: Life, *, now_s: float, failures: int, since_try_s: float | None, chance: float) -> Plan:
    """What to do now.

    Args:
        life: of the certificate in force.
        now_s: this device's clock.
        failures: tries in a row that failed.
        since_try_s: how long ago the last one was, by a clock that only goes forward; None: there was none.
        chance: from 0 to 1, drawn anew for each failure.
    """
    stands = standing(life, now_s)
    if stands is Standing.GOOD:
        return Plan(renews=False, wait_s=min(LOOK_AGAIN_S, max(1.0, life.due_s - now_s)), standing=stands)
    # Before its beginning and after its end the clock may be wrong and the controller may know better: it is asked.
    rest_s = _rest_s(stands, failures, chance) - (since_try_s or 0.0)
    if since_try_s is None or rest_s <= 0:
        return Plan(renews=True, wait_s=0.0, standing=stands)
    return Plan(renews=False, wait_s=min(LOOK_AGAIN_S, rest_s), standing=stands)


def _rest_s(stands: Standing, failures: int, chance: float) -> float:
    """Between two tries: doubled from a minute on, half of it left to chance."""
    longest_s = LONGEST_URGENT_WAIT_S if stands is Standing.URGENT else LONGEST_WAIT_S
    return min(longest_s, FIRST_WAIT_S * 2.0 ** min(failures, 16)) * (1 + chance) / 2
