"""Requests of this device that wait for the controller's answer, without I/O: each is settled within a bounded time.

A request is under way from its publication to its answer, its deadline, or the end of the connection, whichever comes
first; without a connection it fails at once, and nothing is asked again from here. An answer is found by its
correlation: the start of the daemon and a number that is never used again, so that a late answer, or one that a broker
kept over a restart, settles nothing. What is asked and answered is not known here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from homebred_daemon.core.fleet_messages import Answered, Request
from homebred_protocol.requests import Outcome

ANSWER_WITHIN_S = 30.0
"""16 KiB at little more than half a kilobyte a second."""
MOST_UNDER_WAY = 40
"""A window of blocks, and a few looks beside it."""
_NUMBER_BYTES = 8


class Failure(StrEnum):
    """Why a request has no answer."""

    AWAY = "away"
    """There is no connection."""
    LOST = "lost"
    """The connection ended before the answer."""
    TURNED_AWAY = "turned_away"
    """The broker did not take it."""
    UNHEARD = "unheard"
    """The broker took it, and nobody was there to hear it."""
    LATE = "late"
    """No answer came in time."""
    LATER = "later"
    """The controller cannot answer at present."""
    REFUSED = "refused"
    """The controller does not understand it, or does not know this device."""
    CROWDED = "crowded"
    """Too many are under way."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Somebody asks; as an event. `Settle` follows, whatever happens, unless it is abandoned."""

    number: int
    """Never used twice within a start of the daemon."""
    operation: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Abandon:
    """Nobody waits for the answer any more; as an event."""

    number: int


@dataclass(frozen=True, slots=True)
class Settle:
    """Hand an answer, or why there is none, to whoever asked."""

    number: int
    result: bytes | Failure


class Requesting:
    """All that is under way."""

    def __init__(self, boot_id: str) -> None:
        self._start = bytes.fromhex(boot_id)[:_NUMBER_BYTES]
        self._due_s: dict[int, float] = {}
        """By number, in the order in which they were asked, and so in that of their deadlines."""

    def due_s(self) -> float | None:
        """When the first of them is late."""
        return next(iter(self._due_s.values()), None)

    def ask(self, ask: Ask, at_s: float) -> Request | Settle:
        """What is to be published, over a connection that stands."""
        if len(self._due_s) >= MOST_UNDER_WAY:
            return Settle(ask.number, Failure.CROWDED)
        self._due_s[ask.number] = at_s + ANSWER_WITHIN_S
        correlation = self._start + ask.number.to_bytes(_NUMBER_BYTES, "big")
        return Request(operation=ask.operation, correlation=correlation, body=ask.body)

    def abandon(self, number: int) -> None:
        """Its answer is nobody's any more."""
        self._due_s.pop(number, None)

    def answered(self, answered: Answered) -> Settle | None:
        """Whose answer it is; None: nobody's who waits."""
        result = _RESULTS.get(answered.outcome, answered.body)
        return self._settle(answered.correlation, result)

    def was_not_heard(self, request: Request, *, ok: bool) -> Settle | None:
        """The broker did not take it, or had nobody to give it to."""
        return self._settle(request.correlation, Failure.UNHEARD if ok else Failure.TURNED_AWAY)

    def late(self, at_s: float) -> list[Settle]:
        """Those whose time is over."""
        late = [number for number, due_s in self._due_s.items() if due_s <= at_s]
        for number in late:
            del self._due_s[number]
        return [Settle(number, Failure.LATE) for number in late]

    def lose(self) -> list[Settle]:
        """The connection ended: no answer comes, or only one that somebody has given up by then."""
        lost = [Settle(number, Failure.LOST) for number in self._due_s]
        self._due_s.clear()
        return lost

    def _settle(self, correlation: bytes, result: bytes | Failure) -> Settle | None:
        number = int.from_bytes(correlation[_NUMBER_BYTES:], "big")
        is_mine = correlation[:_NUMBER_BYTES] == self._start
        return Settle(number, result) if is_mine and self._due_s.pop(number, None) is not None else None


_RESULTS = {Outcome.LATER: Failure.LATER, Outcome.REFUSED: Failure.REFUSED}
