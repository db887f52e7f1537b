"""Writes a command's decisions into a ledger file, in batches, and what is left when the command ends or is ended."""

from __future__ import annotations

import signal
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from homebred_daemon.core.decision import RouteDecision
from homebred_daemon.core.routing import DecisionInputs
from homebred_daemon.document_files import ReadDocument
from homebred_daemon.ports.ledger import Ledger, LedgerEntry

BATCH = 500

Record = Callable[[DecisionInputs, RouteDecision], None]


@contextmanager
def journal(path: Path | None, documents: Iterable[ReadDocument[Any]]) -> Iterator[Record]:
    """A function that records decisions which name these documents; without a path it records nothing.

    Raises:
        StateError: the ledger cannot be opened or written.
        RequestError: the file exists and is not a ledger.
    """
    if path is None:
        yield lambda _inputs, _decision: None
        return
    from homebred_daemon.adapters.store.ledger import SqliteLedger  # noqa: PLC0415  # SQLite only where it is asked for
    from homebred_daemon.adapters.store.reading import require_ledger  # noqa: PLC0415

    if path.exists():
        require_ledger(path)
    ledger = SqliteLedger(path)
    try:
        for document in documents:
            ledger.keep_document(document.kind, document.digest, document.body)
        batch = _Batch(ledger)
        try:
            yield batch.record
        finally:
            batch.flush()
    finally:
        ledger.close()


class _Batch:
    """Decisions on their way into a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._entries: list[LedgerEntry] = []

    def record(self, inputs: DecisionInputs, decision: RouteDecision) -> None:
        """Takes one decision; every BATCH of them is written."""
        self._entries.append(LedgerEntry(route_id=str(uuid.uuid4()), inputs=inputs, decision=decision))
        if len(self._entries) >= BATCH:
            self.flush()

    def flush(self) -> None:
        """Writes what is held; an interrupt waits until it is known to be written, or it would be written twice."""
        held_back = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            if self._entries:
                self._ledger.record_decisions(self._entries)
                self._entries.clear()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, held_back)
