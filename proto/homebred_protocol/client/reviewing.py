"""How often a review is asked for until it has ended: pure, it takes the time that it needs."""

from __future__ import annotations

from homebred_protocol.client.values import Review

LONGEST_WAIT_S = 30.0
"""What the daemon is asked to wait at most: a call that lasts longer is more likely to be cut."""
SHORTEST_POLL_S = 1.0
"""A daemon that does not wait is asked no more often than this."""


class Polls:
    """The polls for one review. Times are those of one monotonic clock, seconds."""

    def __init__(self, timeout_s: float, now_s: float) -> None:
        self._ends_s = now_s + timeout_s
        self._polled_s = now_s

    def wait_s(self, now_s: float) -> float:
        """How long the daemon is asked to wait now."""
        self._polled_s = now_s
        return min(LONGEST_WAIT_S, max(0.0, self._ends_s - now_s))

    def pause_s(self, review: Review, now_s: float) -> float | None:
        """How long to pause before the next poll; None: there is none, the review is as it is."""
        if review.ended or now_s >= self._ends_s:
            return None
        return min(max(0.0, self._polled_s + SHORTEST_POLL_S - now_s), self._ends_s - now_s)
