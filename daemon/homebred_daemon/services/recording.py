"""Writes the ledger beside the event loop: one writer, commits shared by all that wait (group commit).

A decision is awaited until it is committed. An outcome is queued and written before `close` returns. It keeps nothing
of its own: what a crash takes is at most the outcomes of the last moment, whose decisions remain.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from homebred_daemon.ports import Ledger, LedgerEntry, OutcomeRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    entry: LedgerEntry | OutcomeRecord
    written: asyncio.Future[None]


class Recorder:
    """The ledger's one writer in this process."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._waiting: list[_Waiting] = []
        self._wake = asyncio.Event()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")

    async def run(self) -> None:
        """Writes until cancelled, then what is still waiting."""
        try:
            while True:
                await self._wake.wait()
                await self._write_waiting()
        finally:
            await self._write_waiting()
            self._thread.shutdown()

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
        await asyncio.get_running_loop().run_in_executor(self._thread, self._ledger.keep_document, kind, digest, body)

    async def status_counts(self) -> dict[str, int]:
        """Recorded outcomes by status."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._ledger.status_counts)

    def _put(self, entry: LedgerEntry | OutcomeRecord) -> asyncio.Future[None]:
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(entry=entry, written=written))
        self._wake.set()
        return written

    async def _write_waiting(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            self._wake.clear()
            loop = asyncio.get_running_loop()
            failures = await loop.run_in_executor(self._thread, self._write, [waiting.entry for waiting in batch])
            for waiting, failure in zip(batch, failures, strict=True):
                _tell(waiting.written, failure)
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


def _tell(written: asyncio.Future[None], failure: Exception | None) -> None:
    if written.cancelled():
        return
    if failure is None:
        written.set_result(None)
    else:
        written.set_exception(failure)
