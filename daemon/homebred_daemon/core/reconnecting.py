"""When a lost link to the broker is tried again: full jitter, so that a fleet does not come back all at once.

Exponential back-off with full jitter (Brooker 2015): each wait is drawn evenly from nothing to a cap that doubles.
"""

from __future__ import annotations

FIRST_CAP_S = 2.0
LONGEST_CAP_S = 120.0
SHORTEST_S = 1.0
STEADY_AFTER_S = 60.0
"""A connection that lasted so long was a good one: the next loss begins at the first cap."""
STUBBORN = frozenset({"unauthorised", "refused", "taken_over", "tls"})
"""Reasons that seldom pass by themselves: two devices of one name would take over from each other for ever."""


class Reconnecting:
    """The waits of one link. Times are seconds of one monotonic clock."""

    def __init__(self) -> None:
        self._failures = 0
        self._connected_at_s: float | None = None

    def connected(self, now_s: float) -> None:
        """There is a connection."""
        self._connected_at_s = now_s

    def wait_s(self, reason: str, now_s: float, chance: float) -> float:
        """How long to wait after an end.

        Args:
            reason: a word of `homebred_protocol.mqtt.Ended`.
            now_s: when it ended.
            chance: evenly from [0, 1).
        """
        if self._connected_at_s is not None and now_s - self._connected_at_s >= STEADY_AFTER_S:
            self._failures = 0
        self._connected_at_s = None
        cap_s = LONGEST_CAP_S if reason in STUBBORN else min(FIRST_CAP_S * 2.0**self._failures, LONGEST_CAP_S)
        self._failures = min(self._failures + 1, 30)
        return max(SHORTEST_S, cap_s * chance)
