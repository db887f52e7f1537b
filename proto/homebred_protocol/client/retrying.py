"""Whether a call is made again, and when: pure, it takes the time and the luck that it needs.

A call is made again only where that cannot do a thing twice: the daemon did not take it (nothing was sent, or it
refused for want of room), or doing it twice is the same as doing it once. Never after something of an answer was
received, unless nobody has seen it, and never beyond the caller's deadline, which is for all tries together.
"""

from __future__ import annotations

from enum import Enum

from homebred_protocol.client.errors import CallError, ConnectionLostError, DaemonUnreachableError, OverloadedError

FIRST_WAIT_S = 0.05
LONGEST_WAIT_S = 1.0
OUTCOME_GRACE_S = 1.0
"""What grpc is given beyond the deadline: the daemon ends the task itself, and its own words say more."""


class Repeat(Enum):
    """When a call may be made again."""

    HARMLESS = "done twice is done once"
    UNTAKEN = "only where the daemon surely did not take it"
    ANEW = "done twice is done once, and what was received of the first is thrown away"


def may_repeat(error: CallError, repeat: Repeat, *, heard: bool) -> bool:
    """Whether the call may be made again; `heard`: something of its answer was received."""
    if heard and repeat is not Repeat.ANEW:
        return False
    if isinstance(error, ConnectionLostError):
        return repeat is not Repeat.UNTAKEN
    return isinstance(error, (DaemonUnreachableError, OverloadedError))


def wait_s(error: CallError, *, made: int, luck: float) -> float:
    """Seconds before the next try, after `made` tries; `luck` in [0, 1) keeps callers from coming back all at once."""
    if error.retry_after_s > 0:
        return error.retry_after_s * (1 + luck / 4)  # never earlier than advised
    longest = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(made - 1, 10))
    return longest * (1 + luck) / 2


class Tries:
    """The tries of one call. Times are those of one monotonic clock, seconds."""

    def __init__(self, repeat: Repeat, *, patience_s: float, deadline_s: float | None, now_s: float) -> None:
        """`patience_s` from the first failure, and never beyond `deadline_s` from now (None: no such bound)."""
        self._repeat = repeat
        self._patience_s = patience_s
        self._deadline_at_s = None if deadline_s is None else now_s + deadline_s
        self._first_failure_s: float | None = None
        self._made = 0

    def left_s(self, now_s: float) -> float | None:
        """What is left of the deadline; None: it has none."""
        return None if self._deadline_at_s is None else max(0.0, self._deadline_at_s - now_s)

    def wait_s(self, error: CallError, *, heard: bool, now_s: float, luck: float) -> float | None:
        """How long to wait before the next try; None: there is none, the error stands."""
        self._made += 1
        if self._first_failure_s is None:
            self._first_failure_s = now_s
        if not may_repeat(error, self._repeat, heard=heard):
            return None
        wait = wait_s(error, made=self._made, luck=luck)
        ends_s = self._first_failure_s + self._patience_s
        if self._deadline_at_s is not None:
            ends_s = min(ends_s, self._deadline_at_s)
        return wait if now_s + wait < ends_s else None
