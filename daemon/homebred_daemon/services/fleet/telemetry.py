"""Follows the ledger, and puts into the outbox what the fleet may hear of it, with how far it has read: all or nothing.

So a kill between the two neither loses nor doubles anything. It runs beside the answers, on a thread of its own, and
only when something ended. Receipts and an hourly word on the device's health go the same way; what of them the disk
does not take waits in memory, and is counted where it cannot. It decides nothing about what is told (`core.telemetry`,
`core.evidence`), and sends nothing.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from homebred_daemon import fleet_messages
from homebred_daemon.core.evidence import Occurrences, evidence_facts
from homebred_daemon.core.telemetry import HealthFact, Route, Telling, receipt_fact, route_fact
from homebred_daemon.errors import StateError
from homebred_daemon.ports.clock import Clock
from homebred_daemon.ports.feed import Feed
from homebred_daemon.ports.journal import Journal
from homebred_daemon.ports.outbox import NO_OUTBOX, NewEvent, Outbox, OutboxDepth
from homebred_daemon.ports.telemetry import EventForms
from homebred_daemon.services.background import beside

T = TypeVar("T")
AT_ONCE = 200
"""Entries of the ledger that are read in one go."""
GATHER_S = 0.2
"""How long further outcomes are waited for once some were noted: fewer commits, and still noted within a second."""
HEALTH_EVERY_S = 3600.0
RETRY_S, MOST_RETRY_S = 1.0, 60.0
"""How long it waits after a failure, doubled each time."""
MOST_UNWRITTEN = 200
"""Receipts and the like that wait in memory for the disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What telemetry is made of and where it goes."""

    outbox: Outbox
    feed: Feed
    forms: EventForms
    told_by: Callable[[], Telling]
    """What holds now."""
    health: Callable[[OutboxDepth], HealthFact]
    """How the device stands now; called on the event loop."""


@dataclass(slots=True, kw_only=True)
class _Made:
    """What was made of some routes."""

    events: list[NewEvent] = field(default_factory=list)
    met: Occurrences
    lost: int = 0
    """Routes of which nothing could be told: their rows were altered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What one page brought."""

    events: int
    is_last: bool


class Carrier:
    """Carries the ledger into the outbox, page by page; each page is one commit. For one thread."""

    def __init__(self, outbox: Outbox, feed: Feed, forms: EventForms) -> None:
        self._outbox = outbox
        self._feed = feed
        self._forms = forms
        self._met: Occurrences = {}

    def carry(self, told: Telling) -> Carried:
        """Carries the next page. Raises StateError: nothing of it was carried."""
        cursor = self._outbox.cursor()
        if not cursor:  # a new outbox: the fleet hears of what ends from now on
            cursor = self._feed.end()
            self._outbox.append([], cursor=cursor)
        page = self._feed.read(cursor, limit=AT_ONCE)
        made = self._made_of(page.routes, told)
        if page.cursor != cursor:
            self._outbox.append(made.events, cursor=page.cursor, lost_routes=page.lost + made.lost)
            self._met = made.met
        return Carried(events=len(made.events), is_last=page.is_last)

    def _made_of(self, routes: Sequence[Route], told: Telling) -> _Made:
        forms, made = self._forms, _Made(met=self._met)
        for route in routes:
            try:
                body = forms.route_body(route_fact(route, told)) if route.said is None else b""
            except (ArithmeticError, ValueError):
                made.lost += 1
                continue
            if body:
                made.events.append(NewEvent(stream="route", body=body))
            facts, made.met = evidence_facts(route, told, made.met)
            made.events += [NewEvent(stream="evidence", body=forms.evidence_body(fact)) for fact in facts]
        return made


class Unwritten:
    """Events in memory until the disk takes them. The loop keeps them, one other thread writes them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: list[NewEvent] = []
        self._lost: Counter[str] = Counter()
        """Events, by stream, that had no room here either."""

    def keep(self, event: NewEvent) -> None:
        """Keeps an event, or counts it."""
        with self._lock:
            if len(self._events) < MOST_UNWRITTEN:
                self._events.append(event)
            else:
                self._lost[event.stream] += 1

    def write(self, outbox: Outbox) -> bool:
        """Writes all of it; whether there was anything. Raises StateError: the rest waits on."""
        with self._lock:
            events, lost = list(self._events), dict(self._lost)
        if events:
            outbox.append(events, cursor=outbox.cursor())
            with self._lock:
                del self._events[: len(events)]
        for stream, number in lost.items():
            outbox.count_lost(stream, number, "disk")
            with self._lock:
                self._lost = self._lost - Counter({stream: number})
        return bool(events or lost)


class Telemetry:
    """Fulfils `ports.fleet_commands.InstallReceipts`."""

    def __init__(
        self,
        sources: Sources,
        clock: Clock,
        journal: Journal,
        *,
        tell: Callable[[], None] = lambda: None,
        thread: Executor | None = None,
    ) -> None:
        """Has one more follower of the ledger.

        Args:
            sources: what telemetry is made of.
            clock: the time.
            journal: where it says that it is held up.
            tell: called on the event loop when something new waits in the outbox.
            thread: where files are read and written, one call at a time; None: on a thread of its own.
        """
        self._sources = sources
        self._clock = clock
        self._journal = journal
        self._tell = tell
        self._thread = thread or ThreadPoolExecutor(max_workers=1, thread_name_prefix="telemetry")
        self._wake = asyncio.Event()
        self._carrier = Carrier(sources.outbox, sources.feed, sources.forms)
        self._unwritten = Unwritten()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Notes what happens for as long as the context lasts, and on leaving what has ended until then."""
        async with beside(self._run()):
            yield

    def wake(self) -> None:
        """Something has ended."""
        self._wake.set()

    def receipt(
        self, kind: str, subject: str, result: str, problem_code: str, *, version: int = 0, signed: bytes = b""
    ) -> bool:
        """Notes what the device did of what it was told; it is written within moments, or waits for a full disk."""
        fact = receipt_fact(kind, subject, result, problem_code, version=version, signed=signed)
        self._keep("receipt", self._sources.forms.receipt_body(fact, at_s=self._now_s()))
        return True

    async def written(self) -> None:
        """As the port says."""
        await self._write_unwritten()

    async def _run(self) -> None:
        self._wake.set()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._follow())
                group.create_task(self._tell_health())
        finally:
            await self._last_words()
            self._thread.shutdown()

    async def _follow(self) -> None:
        wait_s = 0.0
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._catch_up()
            except StateError as error:
                if not wait_s:
                    self._journal.note(fleet_messages.TELEMETRY_HELD_UP, error_code=error.code)
                wait_s = min(max(RETRY_S, 2 * wait_s), MOST_RETRY_S)
                self._wake.set()
            else:
                if wait_s:
                    self._journal.note(fleet_messages.TELEMETRY_GOES_ON)
                wait_s = 0.0
            await asyncio.sleep(wait_s or GATHER_S)

    async def _tell_health(self) -> None:
        """Tells it once an hour, and the site of what was lost meanwhile."""
        lost_before: int | None = None
        while True:
            depth = await self._depth()
            if lost_before is not None and depth.lost_events > lost_before:
                self._journal.note(fleet_messages.TELEMETRY_LOST, count=depth.lost_events - lost_before)
            lost_before = max(lost_before or 0, depth.lost_events)
            self._keep("health", self._sources.forms.health_body(self._sources.health(depth), at_s=self._now_s()))
            await asyncio.sleep(HEALTH_EVERY_S)

    async def _depth(self) -> OutboxDepth:
        try:
            return await self._on_thread(self._sources.outbox.depth)
        except StateError:
            return NO_OUTBOX

    def _keep(self, stream: str, body: bytes) -> None:
        """Keeps an event in memory until whoever follows the ledger writes it, which is next."""
        self._unwritten.keep(NewEvent(stream=stream, body=body))
        self.wake()

    def _now_s(self) -> int:
        return int(self._clock.now().timestamp())

    async def _catch_up(self) -> None:
        """Notes all that has ended. Raises StateError: not all of it; nothing is lost."""
        await self._write_unwritten()
        while not await self._carry_page():
            pass

    async def _carry_page(self) -> bool:
        """Carries some of the ledger into the outbox; whether it was the last."""
        carried = await self._on_thread(partial(self._carrier.carry, self._sources.told_by()))
        if carried.events:
            self._tell()
        return carried.is_last

    async def _write_unwritten(self) -> None:
        """Raises StateError: it waits on."""
        if await self._on_thread(partial(self._unwritten.write, self._sources.outbox)):
            self._tell()

    async def _last_words(self) -> None:
        """Notes what ended until now; what it cannot, the next start does."""
        try:
            await asyncio.shield(self._catch_up())
        except StateError as error:
            self._journal.note(fleet_messages.TELEMETRY_HELD_UP, error_code=error.code)

    async def _on_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
