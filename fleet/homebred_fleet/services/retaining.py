"""Keeps the controller's telemetry within its bounds: hourly by age, and as soon as there is too much (I9)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from homebred_fleet import messages
from homebred_fleet.core.durations import DAY_S
from homebred_fleet.core.figures import Figures
from homebred_fleet.core.retention import MAX_STARTS, forgotten_before_s, to_free
from homebred_fleet.errors import FleetError
from homebred_fleet.ports.journal import Journal
from homebred_fleet.ports.retained import Retained, Starts

EVERY_S = 3600.0
"""Between two passes where nothing was too much in between."""
LOOK_EVERY_S = 5.0
"""How often it is seen whether too much came since."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """How much of one kind is kept, and how long."""

    kind: str
    """For people: such as `events`."""
    rows: Retained
    days: int
    most: int
    """Rows of all devices together."""


class Retaining:
    """One loop."""

    def __init__(
        self,
        bounds: Sequence[Bound],
        starts: Starts,
        journal: Journal,
        figures: Figures,
        *,
        now_s: Callable[[], int],
    ) -> None:
        """Every event that is stored adds at most a row to each of `bounds`."""
        self._bounds = bounds
        self._starts = starts
        self._journal = journal
        self._figures = figures
        self._now_s = now_s
        self._room = 0
        """Events that may be stored before a bound may be passed."""

    async def run(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        old_due_s = loop.time()
        while True:
            stored, is_due = self._figures.events_stored, loop.time() >= old_due_s
            try:
                await self.look(also_old=is_due)
            except FleetError as error:
                self._journal.note(messages.NOT_FORGOTTEN, error_code=error.code)
                self._room = 0
            else:
                old_due_s = loop.time() + EVERY_S if is_due else old_due_s
            await self._wait(stored, until_s=loop.time() + EVERY_S)

    async def look(self, *, also_old: bool) -> None:
        """One pass: what is too old, no more often than hourly, then what is too much. Raises FleetError."""
        rooms = []
        for bound in self._bounds:
            if also_old:
                await self._forget_old(bound)
            rooms.append(bound.most - await self._forget_surplus(bound))
        await self._forget_starts()
        self._room = max(0, min(rooms))

    async def _forget_old(self, bound: Bound) -> None:
        now_s, gone = self._now_s(), 0
        for device, oldest_s in (await asyncio.to_thread(bound.rows.oldest_s)).items():
            before_s = forgotten_before_s(now_s=now_s, keep_s=bound.days * DAY_S, oldest_s=oldest_s)
            if before_s <= oldest_s:
                continue
            while count := await asyncio.to_thread(bound.rows.forget_before, device, before_s):
                gone += count
        if gone:
            self._figures.count_forgotten(bound.kind, gone)
            self._journal.note(messages.OLD_FORGOTTEN, kind=bound.kind, count=gone, days=bound.days)

    async def _forget_surplus(self, bound: Bound) -> int:
        """How much is held after it."""
        held = await asyncio.to_thread(bound.rows.held)
        freed = 0
        for device, surplus in to_free(held, bound.most).items():
            gone = 0
            while gone < surplus and (
                count := await asyncio.to_thread(bound.rows.forget_oldest, device, surplus - gone)
            ):
                gone += count
            freed += gone
            self._figures.count_forgotten(bound.kind, gone)
            self._journal.note(messages.SURPLUS_FORGOTTEN, device=device, kind=bound.kind, count=gone, most=bound.most)
        return sum(held.values()) - freed

    async def _forget_starts(self) -> None:
        for device, count in (await asyncio.to_thread(self._starts.held)).items():
            surplus = max(0, count - MAX_STARTS)
            while surplus and (gone := await asyncio.to_thread(self._starts.forget_oldest, device, surplus)):
                surplus -= gone

    async def _wait(self, stored: int, *, until_s: float) -> None:
        """Until then, or until more was stored than there was room for; never less than a moment."""
        loop = asyncio.get_running_loop()
        while loop.time() < until_s:
            await asyncio.sleep(LOOK_EVERY_S)
            if self._figures.events_stored - stored > self._room:
                return
