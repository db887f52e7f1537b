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

DROPPED_AT_ONCE = 1_000
"""How many decisions go at the bound, so that dropping is rare."""


class SqliteLedger:
    """One ledger file. Not safe for two threads at once: its owner serialises calls."""

    def __init__(self, path: Path, *, max_decisions: int = 1_000_000, read_only: bool = False) -> None:
        self._path = path
        self._max_decisions = max_decisions
        self._queries = named_queries()
        self._connection = connect_read_only(path) if read_only else connect(path)
        self._known: set[tuple[str, str]] = set()

    def close(self) -> None:
        """Folds the write-ahead log into the file and closes it."""
        self._connection.close()

    def keep_document(self, kind: str, digest: str, body: bytes) -> None:
        """Keeps a policy, registry or ceiling for replay; a document already kept is left as it is."""
        if (kind, digest) not in self._known:
            with self._writing():
                self._connection.execute(self._queries["add_document"], {"digest": digest, "kind": kind, "body": body})
            self._known.add((kind, digest))

    def record_decisions(self, entries: Sequence[LedgerEntry]) -> None:
        """Appends decisions in one transaction, all of them or none; over the bound the oldest go (I9).

        Raises:
            StateError: nothing was stored; the disk is full or the file is damaged.
        """
        with self._writing():
            last = self._one("last_decision")
            seq, digest = (last["seq"], last["row_digest"]) if last is not None else (0, "")
            for entry in entries:
                seq += 1
                row = _decision_row(entry, seq, digest)
                digest = row["row_digest"]
                self._connection.execute(self._queries["add_decision"], row)
            if entries:
                self._keep_to_bound(seq, entries[-1].decision.route_created_at_utc)

    def record_outcome(self, outcome: OutcomeRecord) -> None:
        """Stores what became of a route; a route has one outcome."""
        with self._writing():
            self._connection.execute(self._queries["add_outcome"], _outcome_row(outcome))

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
            intact = _is_intact(values) and previous in (None, values["previous_digest"])
            previous = values["row_digest"]
            yield RecordedDecision(
                route_id=str(values["route_id"]),
                inputs=_parsed(values["inputs"]),
                decision=_stored_decision(values),
                intact=intact,
            )

    def altered_outcomes(self) -> int:
        """How many outcomes are not as they were written."""
        return sum(not _is_intact(dict(row)) for row in self._rows("outcomes"))

    def status_counts(self) -> dict[str, int]:
        """Outcomes by status."""
        return {row["status"]: row["number"] for row in self._rows("status_counts")}

    def _keep_to_bound(self, last_seq: int, now: datetime) -> None:
        """Drops the oldest decisions where too many are held, and records how many as a gap."""
        first = self._one("first_decision")
        if first is None or last_seq - first["seq"] < self._max_decisions:
            return
        bound = {"seq": last_seq - self._max_decisions + min(DROPPED_AT_ONCE, self._max_decisions // 2)}
        self._connection.execute(self._queries["drop_outcomes_before"], bound)
        dropped = self._connection.execute(self._queries["drop_decisions_before"], bound).rowcount
        gap = {"recorded_at_utc": now.isoformat(), "reason": "ledger bound reached", "decisions": dropped}
        self._connection.execute(self._queries["add_gap"], gap)

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

    def _rows(self, name: str, **values: Any) -> Iterator[sqlite3.Row]:
        try:
            yield from self._connection.execute(self._queries[name], values)
        except sqlite3.Error as error:
            raise StateError(
                f"the ledger {self._path} cannot be read to its end: {error}",
                hint="restore it from a copy; what can be read without it is no evidence of the rest",
            ) from error

    def _one(self, name: str, **values: Any) -> sqlite3.Row | None:
        return next(self._rows(name, **values), None)


def _row_digest(values: Mapping[str, Any]) -> str:
    covered = {name: value for name, value in values.items() if name != "row_digest"}
    return digest_of(canonical(covered).encode())


def _is_intact(values: Mapping[str, Any]) -> bool:
    """Whether a row is as it was written."""
    try:
        return bool(values["row_digest"] == _row_digest(values))
    except ValueError:
        return False  # someone put an infinity in, which no JSON text can hold


def _decision_row(entry: LedgerEntry, seq: int, previous_digest: str) -> dict[str, Any]:
    row = decision_record(entry.decision)
    row["classes"] = canonical(row["classes"])
    row["trace"] = canonical(row["trace"])
    row["redaction_required"] = int(row["redaction_required"])
    row["evidence_required"] = int(row["evidence_required"])
    row |= {
        "seq": seq,
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
    except (ValueError, RecursionError):
        return None
