"""The ledger in SQLite: decisions chained by digest, outcomes, and the documents that decisions name.

It stores what it is given and tells what it finds altered. Deciding again is replay's work, elsewhere.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from homebred_daemon.adapters.store.database import connect, named_queries, transaction
from homebred_daemon.adapters.store.reading import connect_read_only
from homebred_daemon.core.records import DECISION_FIELDS, canonical, decision_record, inputs_record
from homebred_daemon.errors import StateError
from homebred_daemon.ports import LedgerEntry, OutcomeRecord, RecordedDecision
from homebred_protocol.digests import digest_of

PRUNE_EVERY = 1_000


class SqliteLedger:
    """One ledger file. Not safe for two threads at once: its owner serialises calls."""

    def __init__(self, path: Path, *, max_decisions: int = 1_000_000, read_only: bool = False) -> None:
        self._path = path
        self._max_decisions = max_decisions
        self._queries = named_queries()
        self._connection = connect_read_only(path) if read_only else connect(path)
        self._known: set[str] = set()
        self._since_prune = 0

    def close(self) -> None:
        """Folds the write-ahead log into the file and closes it."""
        self._connection.close()

    def keep_document(self, kind: str, digest: str, body: bytes) -> None:
        """Keeps a policy, registry or ceiling for replay; a document already kept is left as it is."""
        if digest not in self._known:
            with self._writing():
                self._connection.execute(self._queries["add_document"], {"digest": digest, "kind": kind, "body": body})
            self._known.add(digest)

    def record_decisions(self, entries: Sequence[LedgerEntry]) -> None:
        """Appends decisions in one transaction: all of them or none.

        Raises:
            StateError: nothing was stored; the disk is full or the file is damaged.
        """
        with self._writing():
            last = self._one("last_row_digest")
            digest = last["row_digest"] if last is not None else ""
            for entry in entries:
                row = _decision_row(entry, digest)
                digest = row["row_digest"]
                self._connection.execute(self._queries["add_decision"], row)
        self._since_prune += len(entries)
        if self._since_prune >= PRUNE_EVERY:
            self._since_prune = 0
            self.prune(entries[-1].decision.route_created_at_utc)

    def record_outcome(self, outcome: OutcomeRecord) -> None:
        """Stores what became of a route; a route has one outcome."""
        with self._writing():
            self._connection.execute(self._queries["add_outcome"], _outcome_row(outcome))

    def prune(self, now: datetime) -> int:
        """Drops the oldest decisions over the bound and records how many as a gap (I9)."""
        counts = self._one("count_decisions")
        surplus = counts["held"] - self._max_decisions if counts is not None else 0
        if counts is None or surplus <= 0:
            return 0
        with self._writing():
            bound = {"seq": counts["last"] - self._max_decisions}
            self._connection.execute(self._queries["drop_outcomes_before"], bound)
            self._connection.execute(self._queries["drop_decisions_before"], bound)
            gap = {"recorded_at_utc": now.isoformat(), "reason": "ledger bound reached", "decisions": surplus}
            self._connection.execute(self._queries["add_gap"], gap)
        return int(surplus)

    def document(self, kind: str, digest: str) -> bytes | None:
        """A kept document's bytes; None where it is absent or no longer fits its digest."""
        row = self._one("document", digest=digest, kind=kind)
        body = bytes(row["body"]) if row is not None else b""
        return body if row is not None and digest_of(body) == digest else None

    def decisions(self) -> Iterator[RecordedDecision]:
        """Every decision in the order made, with whether its row is as it was written."""
        previous: str | None = None
        for row in self._rows("decisions"):
            values = dict(row)
            intact = values["row_digest"] == _row_digest(values) and previous in (None, values["previous_digest"])
            previous = values["row_digest"]
            yield RecordedDecision(
                route_id=str(values["route_id"]),
                inputs=_parsed(values["inputs"]),
                decision=_stored_decision(values),
                intact=intact,
            )

    def altered_outcomes(self) -> int:
        """How many outcomes are not as they were written."""
        return sum(row["row_digest"] != _row_digest(dict(row)) for row in self._rows("outcomes"))

    def status_counts(self) -> dict[str, int]:
        """Outcomes by status."""
        return {row["status"]: row["number"] for row in self._connection.execute(self._queries["status_counts"])}

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            with transaction(self._connection):
                yield
        except sqlite3.Error as error:
            raise StateError(
                f"the ledger {self._path} could not be written: {error}",
                hint="free disk space or move the damaged file aside; nothing was stored",
            ) from error

    def _rows(self, name: str) -> Iterator[sqlite3.Row]:
        try:
            yield from self._connection.execute(self._queries[name])
        except sqlite3.Error as error:
            raise StateError(
                f"the ledger {self._path} cannot be read to its end: {error}",
                hint="restore it from a copy; what can be read without it is no evidence of the rest",
            ) from error

    def _one(self, name: str, **values: Any) -> sqlite3.Row | None:
        row: sqlite3.Row | None = self._connection.execute(self._queries[name], values).fetchone()
        return row


def _row_digest(values: Mapping[str, Any]) -> str:
    covered = {name: value for name, value in values.items() if name not in ("seq", "row_digest")}
    return digest_of(canonical(covered).encode())


def _decision_row(entry: LedgerEntry, previous_digest: str) -> dict[str, Any]:
    row = decision_record(entry.decision)
    row["classes"] = canonical(row["classes"])
    row["trace"] = canonical(row["trace"])
    row["redaction_required"] = int(row["redaction_required"])
    row["evidence_required"] = int(row["evidence_required"])
    row |= {
        "route_id": entry.route_id,
        "supersedes": entry.supersedes,
        "inputs": canonical(inputs_record(entry.inputs)),
        "previous_digest": previous_digest,
    }
    row["row_digest"] = _row_digest(row)
    return row


def _stored_decision(values: Mapping[str, Any]) -> dict[str, Any]:
    """The row's decision in the form of `decision_record`, as far as it still has that form."""
    decision = {name: values[name] for name in DECISION_FIELDS}
    decision["classes"] = _parsed(decision["classes"])
    decision["trace"] = _parsed(decision["trace"])
    decision["redaction_required"] = bool(decision["redaction_required"])
    decision["evidence_required"] = bool(decision["evidence_required"])
    return decision


def _outcome_row(outcome: OutcomeRecord) -> dict[str, Any]:
    row = asdict(outcome)
    row["recorded_at_utc"] = outcome.recorded_at_utc.isoformat()
    row["findings"] = canonical(list(outcome.findings))
    row["row_digest"] = _row_digest(row)
    return row


def _parsed(text: object) -> Any:
    """A stored JSON value; None where someone made it unreadable."""
    try:
        return json.loads(str(text))
    except ValueError:
        return None
