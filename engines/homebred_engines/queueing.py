"""Who gets the next slot: a bounded queue that is fair between keys. Pure: no I/O, no clock, no tasks.

Keys take turns; within a key, first come, first served. One key may fill the queue while nobody else wants it, but
locks nobody out: in a full queue, a key that waits with fewer takes the place of the newest of the key with the most.
The service (`service.py`) keeps the tickets' futures and the time, and acts on what this module decides.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from dataclasses import dataclass

from homebred_engines.api import QueueFullError

DEFAULT_QUEUE_LIMIT = 64
_MINIMUM_RETRY_S = 0.1
_UNMEASURED_RETRY_S = 1.0
_NEWEST_RUN_WEIGHT = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class Ticket:
    """A request's place: waiting, then running, then gone. Compared by identity."""

    key: str
    """Requests of different keys take turns."""


class FairQueue:
    """Hands `slots` slots to tickets, round-robin over their keys, and lets at most `limit` wait."""

    def __init__(self, *, slots: int, limit: int = DEFAULT_QUEUE_LIMIT) -> None:
        self.slots = slots
        self.limit = limit
        self._waiting: OrderedDict[str, deque[Ticket]] = OrderedDict()  # the first key's turn comes next
        self._running: set[Ticket] = set()
        self._queued = 0
        self._mean_run_s = math.nan

    @property
    def running(self) -> int:
        """Tickets that hold a slot."""
        return len(self._running)

    @property
    def queued(self) -> int:
        """Tickets that wait for one."""
        return self._queued

    def admit(self, key: str) -> Ticket:
        """A ticket that waits; call `next_runnable` after. Raises QueueFullError."""
        if self._is_full:
            raise self.refusal()
        ticket = Ticket(key)
        self._waiting.setdefault(key, deque()).append(ticket)
        self._queued += 1
        return ticket

    def make_way(self, key: str) -> Ticket | None:
        """Before `admit` of a key: who has left a full queue for it, and is to be refused; None: nobody."""
        if not self._is_full:
            return None
        greediest = max(self._waiting, key=lambda waiting: len(self._waiting[waiting]), default=key)
        if len(self._waiting.get(greediest, ())) <= len(self._waiting.get(key, ())) + 1:
            return None  # with this one more the two would have changed sides
        ticket = self._waiting[greediest][-1]
        self.leave(ticket)
        return ticket

    def refusal(self) -> QueueFullError:
        """What one hears who finds no place."""
        return QueueFullError(f"As many requests wait as may: {self.limit}.", retry_after_s=self.retry_after_s())

    def next_runnable(self) -> Ticket | None:
        """The ticket whose turn it is, now running; None when no slot is free or nobody waits."""
        if not self._waiting or self.running >= self.slots:
            return None
        key, tickets = self._waiting.popitem(last=False)
        ticket = tickets.popleft()
        if tickets:
            self._waiting[key] = tickets  # at the end: every other key comes first
        self._queued -= 1
        self._running.add(ticket)
        return ticket

    def leave(self, ticket: Ticket, *, ran_s: float | None = None) -> None:
        """Gives up the ticket's slot or its place; `ran_s` of a run that ended by itself feeds the retry hint."""
        if ticket in self._running:
            self._running.remove(ticket)
            if ran_s is not None:
                older_s = ran_s if math.isnan(self._mean_run_s) else self._mean_run_s
                self._mean_run_s = older_s + _NEWEST_RUN_WEIGHT * (ran_s - older_s)
            return
        tickets = self._waiting.get(ticket.key)
        if tickets is not None and ticket in tickets:
            tickets.remove(ticket)
            self._queued -= 1
            if not tickets:
                del self._waiting[ticket.key]

    @property
    def _is_full(self) -> bool:
        has_free_slot = self.running + self._queued < self.slots
        return not has_free_slot and self._queued >= self.limit

    def retry_after_s(self) -> float:
        """When the next place is likely to be free: with every slot busy, one run ends each mean run / slots."""
        if math.isnan(self._mean_run_s):
            return _UNMEASURED_RETRY_S
        return max(_MINIMUM_RETRY_S, self._mean_run_s / self.slots)
