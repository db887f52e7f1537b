"""What of the fleet's telemetry is deleted, and when: by its age, and where there is too much by who holds most (I9).

Nothing is deleted that was not counted: how much of what a device sent is forgotten stays in the books. It deletes
nothing itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from homebred_fleet.core.durations import DAY_S

SLACK = 20
"""A twentieth of the most is freed at a time: not a little with every batch."""

MAX_STARTS = 10_000
"""Of one device: far more than a device itself still knows of, which is what it may speak of again."""


def to_free(held: Mapping[str, int], most: int) -> dict[str, int]:
    """How much each holder gives up where all together hold more than `most`; those that give nothing are left out.

    Max-min fair (Bertsekas & Gallager, Data Networks, 6.5.2): everyone may hold the same, and what one does not need
    is the others'. So a device that floods the fleet pushes out what it sent itself.
    """
    if sum(held.values()) <= most:
        return {}
    level = fair_level(held.values(), most - most // SLACK)
    return {holder: count - level for holder, count in sorted(held.items()) if count > level}


def fair_level(counts: Iterable[int], room: int) -> int:
    """The most that each may hold so that all together hold no more than `room`, and none could hold more."""
    left = sorted(counts)
    for place, count in enumerate(left):
        share = room // (len(left) - place)
        if count > share:
            return share
        room -= count
    return max(left, default=0)


def forgotten_before_s(*, now_s: int, keep_s: int, oldest_s: int) -> int:
    """Before which moment a device's events go in one pass, of which the oldest is from `oldest_s`.

    At most a day's events at a time: a clock that jumped ahead by years is noticed before it has cost much.
    """
    return min(now_s - keep_s, oldest_s + DAY_S)
