"""Which source is asked next, when one that failed is asked again, and when a file is given up.

    away      it cannot be reached, or broke off: asked again, at once where much came since, else later each time
    refuses   it does not give this file: never asked for it again in this transfer
    wrong     what it sent is not what was asked for: three times, and it is asked for nothing more in this transfer

A transfer whose sources are all merely away goes on for ever: whoever wanted it ends it. It asks and waits for nothing.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field

FIRST_CAP_S = 1.0
LONGEST_CAP_S = 300.0
MAX_ASKED_FOR_S = 3600.0
"""As long as a source may ask to be left alone."""
MAX_WRONG = 3
"""A single damaged frame may be a router's bad memory; three are a source that is not to be believed."""


class Problem(enum.Enum):
    """How a source failed."""

    AWAY = "away"
    REFUSES = "refuses"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask this source now."""

    source: int


@dataclass(frozen=True, slots=True)
class Wait:
    """None can be asked before."""

    wait_s: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """No source will give this file."""

    why: str


@dataclass(slots=True)
class _Standing:
    """How one source stands."""

    failures: int = 0
    """Since a frame came of it."""
    asked_after_s: float = 0.0
    wrongs: int = 0
    refused: set[str] = field(default_factory=set)
    """Digests of files."""


class Tries:
    """The sources of one transfer, in the order in which they are preferred. Times are of one monotonic clock."""

    def __init__(self, sources: Sequence[str]) -> None:
        """`sources` are their names, for people."""
        self._names = tuple(sources)
        self._standing = [_Standing() for _ in sources]

    def next(self, digest: str, now_s: float) -> Ask | Wait | GiveUp:
        """What to do for a file."""
        able = [number for number, each in enumerate(self._standing) if not self._is_out(each, digest)]
        if not able:
            return GiveUp(self._why(digest))
        ready = next((number for number in able if self._standing[number].asked_after_s <= now_s), None)
        if ready is not None:
            return Ask(ready)
        return Wait(min(self._standing[number].asked_after_s for number in able) - now_s)

    def came(self, source: int) -> None:
        """A frame came of it and was the right one, or enough of one that its next failure is not one more in a row."""
        self._standing[source].failures = 0

    def failed(
        self, source: int, digest: str, problem: Problem, now_s: float, chance: float, *, asked_for_s: float = 0.0
    ) -> None:
        """A source failed.

        Args:
            source: which.
            digest: of the file that it was asked for.
            problem: how.
            now_s: when.
            chance: evenly from [0, 1): a fleet does not come back all at once.
            asked_for_s: how long it asks to be left alone (RFC 9110 §10.2.3).
        """
        standing = self._standing[source]
        if problem is Problem.REFUSES:
            standing.refused.add(digest)
            return
        if problem is Problem.WRONG:
            standing.wrongs += 1
        cap_s = min(FIRST_CAP_S * 2.0 ** (standing.failures - 1), LONGEST_CAP_S) if standing.failures else 0.0
        standing.failures = min(standing.failures + 1, 30)
        standing.asked_after_s = now_s + max(cap_s * (1 + chance) / 2, min(asked_for_s, MAX_ASKED_FOR_S))

    def _is_out(self, standing: _Standing, digest: str) -> bool:
        return standing.wrongs >= MAX_WRONG or digest in standing.refused

    def _why(self, digest: str) -> str:
        said = [
            f"{name} {'does not have it, or does not give it' if digest in each.refused else 'sent something else'}"
            for name, each in zip(self._names, self._standing, strict=True)
        ]
        return "; ".join(said) or "there is no source to ask"
