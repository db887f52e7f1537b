"""The desk of the review queue: what callers and reviewers ask of it, beside the event loop, and what time does to it.

One thread works the book; every change is told to those who listen as soon as it is on the disk. An idle desk sleeps
until an item is due. What may become of an item stands in `core.review`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from homebred_daemon import messages
from homebred_daemon.core.decision import RouteDecision
from homebred_daemon.core.review import OPEN, ReviewItem, State
from homebred_daemon.errors import HomebredError, NotFoundError, OverloadedError
from homebred_daemon.inbound.answering import AcceptedTask
from homebred_daemon.inbound.reviewing import Resolution, Shown
from homebred_daemon.ports.clock import Clock
from homebred_daemon.ports.journal import Journal
from homebred_daemon.ports.review import Change, ReviewContent, ReviewCounts
from homebred_daemon.services.background import beside
from homebred_daemon.services.reviews.review_book import SETTLED_AT_ONCE, ReviewBook, ReviewTerms
from homebred_daemon.services.reviews.review_listeners import Listener, Listeners
from homebred_daemon.services.reviews.review_notes import note_change

LISTED_AT_ONCE = 1000
MAX_WAIT_S = 300.0
LONGEST_SLEEP_S = 900.0
"""The wall clock may be set meanwhile, and a suspended device's timers stand still."""
RETRY_AFTER_S = 60.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Load:
    """How full the queue is."""

    open_items: int = 0
    content_bytes: int = 0


class ReviewDesk:
    """One queue. Fulfils `inbound.reviewing.Reviews`."""

    def __init__(
        self,
        book: ReviewBook,
        terms: ReviewTerms,
        clock: Clock,
        *,
        new_claim_id: Callable[[], str],
        journal: Journal,
    ) -> None:
        self._book = book
        self._terms = terms
        self._clock = clock
        self._new_claim_id = new_claim_id
        self._journal = journal
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="review")
        self._unheard: list[Change] = []
        """The thread's: what it has done and not told yet."""
        self._listeners = Listeners()
        self._load = _Load()
        self._reserved = _Load()
        self._due: datetime | None = None
        self._due_changed = asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keeps time for as long as the context lasts; on leaving, what is under way is finished.

        Raises:
            StateError: the queue cannot be read.
        """
        try:
            await self._do(lambda _: None)
            async with beside(self._keep_time()):
                yield
        finally:
            self._thread.shutdown()

    # For those whose tasks are in it

    @contextmanager
    def room(self, size: int) -> Iterator[None]:
        """Holds room for one task of about so many bytes, until it is filed or was not needed.

        Raises:
            OverloadedError: the queue is full.
        """
        open_items = self._load.open_items + self._reserved.open_items
        content_bytes = self._load.content_bytes + self._reserved.content_bytes
        if open_items >= self._terms.max_items or content_bytes + size > self._terms.max_bytes:
            self._journal.note(messages.REVIEW_QUEUE_FULL, waiting=open_items)
            raise OverloadedError(
                f"only a person could answer this, and the review queue is full ({open_items} tasks wait)",
                hint="have reviewers work it off (`homebred review list`), then send the task again",
                retry_after_s=RETRY_AFTER_S,
            )
        self._reserve(1, size)
        try:
            yield
        finally:
            self._reserve(-1, -size)

    def file(self, route_id: str, accepted: AcceptedTask, decision: RouteDecision) -> asyncio.Future[ReviewItem]:
        """Takes a task in, whoever waits for it; done when it is on the disk.

        The future's exception is an OverloadedError or a StateError where it could not be filed.
        """
        now = self._clock.now()
        item = ReviewItem(
            route_id=route_id,
            task_id=accepted.task.task_id,
            workflow=accepted.task.workflow or "",
            classes=decision.classes,
            reason_code=decision.reason_code.value,
            filed_by=accepted.caller[0] if accepted.caller else "",
            filed_at_utc=now,
            expires_at_utc=now + timedelta(seconds=self._terms.retention_s),
        )
        content = ReviewContent(
            messages=accepted.turns,
            response_schema=accepted.options.json_schema,
            attachments=accepted.attachments,
            tools=accepted.options.tools,
        )
        return self._submit(lambda _: self._changed(self._book.file(item, content)))

    async def wait(self, route_id: str, *, caller: tuple[str, ...], sees_all: bool, wait_s: float) -> Shown:
        """How a task stands for who filed it; waits for its end, at most so long. Raises as `Reviews.wait`."""
        look = partial(self._looked_at, route_id, caller, sees_all)
        shown = await self._do(look)
        if not (shown.item.is_open and wait_s > 0) or self._listeners.is_over:  # wait_s may be no number at all
            return shown
        with self._listeners.waiting(route_id) as listener, suppress(TimeoutError):
            async with asyncio.timeout(min(wait_s, MAX_WAIT_S)):
                while (shown := await self._do(look)).item.is_open and not listener.is_dismissed:
                    await listener.changed()
        return shown

    async def filed_among(self, route_ids: Sequence[str]) -> frozenset[str]:
        """Which of these routes have an item."""
        return await self._do(lambda _: self._book.filed_among(route_ids))

    async def keep_correction(self, route_id: str, output: str) -> None:
        """Keeps what an answer should have been; empty: what was said before goes.

        Raises:
            OverloadedError: as many are kept as may be.
            StateError: it could not be stored.
        """
        await self._do(lambda now: self._book.keep_correction(route_id, output, now=now))

    # For reviewers

    async def listed(self, states: frozenset[State], limit: int) -> tuple[tuple[ReviewItem, ...], bool]:
        """Items in these states, oldest first, and whether there are more."""
        most = min(limit, LISTED_AT_ONCE) if limit > 0 else LISTED_AT_ONCE
        items = await self._do(lambda _: self._book.items(states or OPEN, most + 1))
        return tuple(items[:most]), len(items) > most

    async def watch(self) -> AsyncGenerator[ReviewItem, None]:
        """The open items, then every change. Raises OverloadedError."""
        with self._listeners.watching() as listener:
            await self._begin(listener)
            while True:
                yield await listener.next()

    async def claim(self, route_id: str, *, by: str, lease_s: float) -> ReviewItem:
        """Takes an item for one reviewer; no route: the oldest that waits. Raises as `Reviews.claim`."""
        claim = partial(self._book.claim, route_id, by=by, claim_id=self._new_claim_id(), lease_s=lease_s)
        return await self._do(lambda now: self._changed(claim(now=now)))

    async def show(self, route_id: str) -> Shown:
        """An item with its content. Raises NotFoundError, StateError."""
        return await self._do(lambda _: self._book.show(route_id))

    async def resolve(self, route_id: str, claim_id: str, resolution: Resolution) -> ReviewItem:
        """Ends an item. Raises as `Reviews.resolve`."""
        resolve = partial(self._book.resolve, route_id, claim_id=claim_id, resolution=resolution)
        return await self._do(lambda now: self._changed(resolve(now=now)))

    async def release(self, route_id: str, claim_id: str) -> ReviewItem:
        """Gives an item back. Raises NotFoundError, ConflictError, StateError."""
        release = partial(self._book.release, route_id, claim_id=claim_id)
        return await self._do(lambda now: self._changed(release(now=now)))

    # For those who look after the daemon

    def dismiss(self) -> None:
        """Lets everybody go who watches or waits: the daemon is about to stop."""
        self._listeners.dismiss()

    async def counts(self) -> ReviewCounts:
        """How the queue stands."""
        return await self._do(lambda _: self._book.counts())

    @property
    def open_items(self) -> int:
        """Open items now."""
        return self._load.open_items

    @property
    def capacity(self) -> int:
        """Open items at most."""
        return self._terms.max_items

    # On the loop

    async def _begin(self, listener: Listener) -> None:
        listener.begin_with(await self._do(lambda _: self._book.items(OPEN, self._terms.max_items)))

    def _reserve(self, items: int, characters: int) -> None:
        self._reserved = _Load(
            open_items=self._reserved.open_items + items, content_bytes=self._reserved.content_bytes + characters
        )

    async def _keep_time(self) -> None:
        """Wakes when an item is due, and does what time does."""
        while True:
            self._due_changed.clear()
            try:
                async with asyncio.timeout(self._sleep_s()):
                    await self._due_changed.wait()
            except TimeoutError:
                await self._settle()

    def _sleep_s(self) -> float | None:
        if self._due is None:
            return None
        return min(max((self._due - self._clock.now()).total_seconds(), 0.0), LONGEST_SLEEP_S)

    async def _settle(self) -> None:
        try:
            await self._do(lambda _: None)
        except HomebredError as error:  # a damaged file: every call hears so too
            self._report(error)
            self._due = self._clock.now() + timedelta(seconds=RETRY_AFTER_S)

    async def _do(self, work: Callable[[datetime], T]) -> T:
        """Has the thread do something; where its caller leaves meanwhile it is done all the same."""
        return await asyncio.shield(self._submit(work))

    def _submit(self, work: Callable[[datetime], T]) -> asyncio.Future[T]:
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._thread, partial(self._work, loop, work))

    def _take(self, changes: Sequence[Change], load: _Load, due: datetime | None) -> None:
        """Hears from the thread what it has done."""
        self._load = load
        if due != self._due:
            self._due = due
            self._due_changed.set()
        for change in changes:
            if change.before != change.after:
                note_change(self._journal, change)
                self._listeners.tell(change)

    def _report(self, error: HomebredError) -> None:
        self._journal.note(messages.REVIEWS_IN_TROUBLE, error_code=error.code)

    # On the thread

    def _work(self, loop: asyncio.AbstractEventLoop, work: Callable[[datetime], T]) -> T:
        """Lets time catch up, then works; what has changed is told before the work's own caller hears of it."""
        now = self._clock.now()
        settled = self._settled(loop, now)
        try:
            return work(now)
        finally:
            load = _Load(open_items=self._book.open_items(), content_bytes=self._book.content_bytes())
            due = self._book.next_due() if settled else now + timedelta(seconds=RETRY_AFTER_S)
            changes, self._unheard = self._unheard, []
            loop.call_soon_threadsafe(self._take, changes, load, due)

    def _settled(self, loop: asyncio.AbstractEventLoop, now: datetime) -> bool:
        """Whether time could catch up; every rule knows what time it is, so that the queue can be worked without."""
        try:
            while len(changes := self._book.settle(now)) >= SETTLED_AT_ONCE:
                self._unheard += changes
        except HomebredError as error:  # such as a full disk
            loop.call_soon_threadsafe(self._report, error)
            return False
        self._unheard += changes
        return True

    def _changed(self, change: Change) -> ReviewItem:
        """What a transition leads to; none of those that are asked for erases an item."""
        self._unheard.append(change)
        if change.after is None:
            raise NotFoundError("the review is no longer kept")
        return change.after

    def _looked_at(self, route_id: str, caller: tuple[str, ...], sees_all: bool, now: datetime) -> Shown:  # noqa: FBT001  # partially applied
        del now
        item = self._book.item(route_id)
        if not sees_all and (not caller or item.filed_by != caller[0]):
            raise NotFoundError(
                f"there is no review {route_id} of this caller", hint="ask as the user who sent the task"
            )
        return Shown(item=item) if item.is_open else self._book.result(route_id)
