"""Writes the ledger beside the event loop: one writer, commits shared by all that wait (group commit).

Decisions and outcomes are awaited until they are committed. One whose waiter is cancelled is written all the same, so
that a crash takes at most the outcomes of tasks under way, whose decisions remain. It keeps nothing of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from homebred_daemon.core.measures import LEDGER_COMMIT_SECONDS, LEDGER_ENTRIES
from homebred_daemon.ports.ledger import FeedbackRecord, Ledger, LedgerEntry, OutcomeRecord, RecordedRoute
from homebred_daemon.ports.measures import UNMEASURED, Measures
from homebred_daemon.services.background import beside

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    entry: LedgerEntry | OutcomeRecord
    written: asyncio.Future[None]


class Recorder:
    """The ledger's one writer in this process."""

    def __init__(self, ledger: Ledger, measures: Measures = UNMEASURED) -> None:
        self._ledger = ledger
        self._measures = measures
        self._waiting: list[_Waiting] = []
        self._wake = asyncio.Event()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")
        self._is_writing = False
        self._hearers: list[Callable[[], None]] = []

    @property
    def is_alive(self) -> bool:
        """Whether what is put will be written."""
        return self._is_writing

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Writes for as long as the context lasts, and on leaving what is still waiting."""
        async with beside(self.run()):
            yield

    async def run(self) -> None:
        """Writes until cancelled, then what is still waiting. Nothing may be put afterwards."""
        self._is_writing = True
        try:
            while True:
                await self._wake.wait()
                await self._write_waiting()
        finally:
            await self._write_waiting()
            self._is_writing = False
            self._thread.shutdown()

    def tell(self, hear: Callable[[], None]) -> None:
        """Tells one more, from now on, whenever outcomes or feedback were committed; on the event loop."""
        self._hearers.append(hear)

    def _tell_hearers(self) -> None:
        for hear in self._hearers:
            hear()

    async def decision(self, entry: LedgerEntry) -> None:
        """Returns when the decision is committed.

        Raises:
            StateError: it could not be stored.
        """
        await self._put(entry)

    async def outcome(self, outcome: OutcomeRecord) -> None:
        """Returns when the outcome is committed; if its caller is cancelled it is written all the same.

        Raises:
            StateError: it could not be stored.
        """
        await asyncio.shield(self._put(outcome))

    async def keep_document(self, kind: str, digest: str, body: bytes) -> None:
        """Keeps a policy, registry or ceiling that decisions will name.

        Raises:
            StateError: it could not be stored.
        """
        await self._on_thread(partial(self._ledger.keep_document, kind, digest, body))

    async def status_counts(self) -> dict[str, int]:
        """Recorded outcomes by status."""
        return await self._on_thread(self._ledger.status_counts)

    async def feedback(self, feedback: FeedbackRecord) -> None:
        """Returns when what a caller says is committed.

        Raises:
            StateError: it could not be stored.
        """
        await self._on_thread(partial(self._ledger.record_feedback, feedback))
        self._tell_hearers()

    async def route(self, route_id: str) -> RecordedRoute | None:
        """A route's caller and status; None where there is none."""
        return await self._on_thread(partial(self._ledger.route, route_id))

    async def unfinished(self, limit: int) -> Sequence[str]:
        """The oldest routes without an outcome, at most so many."""
        return await self._on_thread(partial(self._ledger.unfinished, limit))

    async def _on_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _put(self, entry: LedgerEntry | OutcomeRecord) -> asyncio.Future[None]:
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(entry=entry, written=written))
        self._wake.set()
        return written

    async def _write_waiting(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            self._wake.clear()
            entries = [waiting.entry for waiting in batch]
            loop = asyncio.get_running_loop()
            writing = loop.run_in_executor(self._thread, self._write, entries)
            writing.add_done_callback(partial(self._tell, batch, loop.time()))
            await asyncio.shield(writing)  # a batch on its way is told of, even where `run` is cancelled meanwhile
        self._wake.clear()

    def _write(self, entries: list[LedgerEntry | OutcomeRecord]) -> list[Exception | None]:
        """Decisions in one commit, outcomes one by one: the answer for each entry is None or its failure."""
        failures: dict[int, Exception] = {}
        decisions = [entry for entry in entries if isinstance(entry, LedgerEntry)]
        try:
            if decisions:
                self._ledger.record_decisions(decisions)
        except Exception as error:  # noqa: BLE001  # told to every decision that waits for this commit
            failures |= {id(entry): error for entry in decisions}
        for entry in entries:
            if isinstance(entry, OutcomeRecord):
                try:
                    self._ledger.record_outcome(entry)
                except Exception as error:  # noqa: BLE001  # told to the one that waits for it
                    failures[id(entry)] = error
        return [failures.get(id(entry)) for entry in entries]

    def _tell(self, batch: list[_Waiting], began_s: float, writing: asyncio.Future[list[Exception | None]]) -> None:
        self._measures.observer(LEDGER_COMMIT_SECONDS)(asyncio.get_running_loop().time() - began_s)
        for waiting, failure in zip(batch, writing.result(), strict=True):
            kind = "decision" if isinstance(waiting.entry, LedgerEntry) else "outcome"
            self._measures.count(LEDGER_ENTRIES, kind, "stored" if failure is None else "failed")
            if waiting.written.cancelled():
                continue
            if failure is None:
                waiting.written.set_result(None)
            else:
                waiting.written.set_exception(failure)
        if any(isinstance(waiting.entry, OutcomeRecord) for waiting in batch):
            self._tell_hearers()
