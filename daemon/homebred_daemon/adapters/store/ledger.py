"""The ledger in SQLite: decisions chained by digest, outcomes, and the documents that decisions name.

It stores what it is given and tells what it finds altered. Deciding again is replay's work, elsewhere.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from homebred_daemon.adapters.store.database import LEDGER, connect, transaction
from homebred_daemon.adapters.store.reading import connect_read_only
from homebred_daemon.adapters.store.rows import (
    decision_row,
    document_row,
    feedback_row,
    gap_row,
    is_intact,
    mark_row,
    outcome_row,
    parsed,
    stored_decision,
)
from homebred_daemon.core.routing import DecisionInputs
from homebred_daemon.errors import StateError, UnwritableError
from homebred_daemon.ports.ledger import (
    FeedbackRecord,
    LedgerCheck,
    LedgerEntry,
    OutcomeRecord,
    RecordedDecision,
    RecordedRoute,
)
from homebred_protocol.digests import digest_of

DROPPED_AT_ONCE = 1_000
"""How many decisions go at the bound, so that dropping is rare."""
MARKED_EVERY = 1_000
"""How many decisions lie between two notes of how far all of them have their outcomes."""


class SqliteLedger:
    """One ledger file. Not safe for two threads at once: its owner serialises calls."""

    def __init__(self, path: Path, *, max_decisions: int = 1_000_000, read_only: bool = False) -> None:
        self._path = path
        self._max_decisions = max_decisions
        self._queries = LEDGER.queries()
        self._connection = connect_read_only(path) if read_only else connect(path, LEDGER)
        self._writer_id = secrets.token_hex(8)
        self._is_noted = False
        """Whether the feed knows that this process writes to it."""
        self._kept: dict[str, tuple[str, bytes]] = {}
        """Digest and body of the document of each kind that was kept here last."""

    def close(self) -> None:
        """Folds the write-ahead log into the file and closes it."""
        self._connection.close()

    def keep_document(self, kind: str, digest: str, body: bytes) -> None:
        """Keeps a policy, registry or ceiling for replay; the bytes of one already kept are left as they are."""
        if self._kept.get(kind) == (digest, body):
            return
        with self._writing():
            if not self._is_newest(kind, digest):
                last = self._one("last_decision")
                self._place(kind, digest, body, after_seq=last["seq"] if last is not None else 0)
        self._kept[kind] = (digest, body)

    def record_decisions(self, entries: Sequence[LedgerEntry]) -> None:
        """Appends decisions in one transaction, all of them or none; over the bound the oldest go (I9).

        Raises:
            StateError: nothing was stored; the disk is full or the file is damaged.
        """
        with self._writing():
            last = self._one("last_decision")
            seq, digest = (last["seq"], last["row_digest"]) if last is not None else (0, "")
            newest: dict[str, str] = {}
            for entry in entries:
                for kind, named in _documents_of(entry.inputs).items():
                    if newest.get(kind) != named:
                        self._name(kind, named, after_seq=seq)
                        newest[kind] = named
                seq += 1
                row = decision_row(entry, seq, digest)
                digest = row["row_digest"]
                self._connection.execute(self._queries["add_decision"], row)
            if entries:
                if seq // MARKED_EVERY > (seq - len(entries)) // MARKED_EVERY:
                    self._mark_finished(seq - len(entries))
                self._keep_to_bound(seq, entries[-1].decision.route_created_at_utc)

    def record_outcome(self, outcome: OutcomeRecord) -> None:
        """Stores what became of a route; a route has one outcome.

        Where the bound has dropped its decision meanwhile, and counted it, the outcome goes with it.
        """
        with self._ending("outcome", outcome.route_id):
            self._connection.execute(self._queries["add_outcome"], outcome_row(outcome))

    def record_feedback(self, feedback: FeedbackRecord) -> None:
        """Stores what a caller says of a route, instead of what it said before; nothing where the route is gone."""
        with self._ending("feedback", feedback.route_id):
            self._connection.execute(self._queries["add_feedback"], feedback_row(feedback))

    def route(self, route_id: str) -> RecordedRoute | None:
        """A route's caller and status; None where there is no such decision, or it is altered."""
        row = self._one("route", route_id=route_id)
        if row is None:
            return None
        values = dict(row)
        status = values.pop("status") or ""
        if not is_intact(values):
            return None
        return RecordedRoute(caller=tuple(parsed(values["inputs"])["caller"]), status=status)

    def unfinished(self, limit: int) -> Sequence[str]:
        """The oldest routes without an outcome; it looks no further back than all were known to have theirs."""
        last = self._one("last_decision")
        with suppress(UnwritableError), self._writing():  # an older mark only has us look further back
            self._mark_finished(last["seq"] if last is not None else 0)
        return [row["route_id"] for row in self._rows("unfinished_after", seq=self._finished(), limit=limit)]

    def document(self, kind: str, digest: str) -> bytes | None:
        """A kept document's bytes; None where it is absent or no longer fits its digest."""
        row = self._one("document", digest=digest, kind=kind)
        body = bytes(row["body"]) if row is not None else b""
        return body if row is not None and digest_of(body) == digest else None

    def decisions(self) -> Iterator[RecordedDecision]:
        """Every decision in the order made, with whether its row is as it was written."""
        previous: tuple[int, str] | None = None
        for row in self._rows("decisions"):
            values = dict(row)
            follows = previous in (None, (values["seq"] - 1, values["previous_digest"]))
            previous = (values["seq"], values["row_digest"])
            yield RecordedDecision(
                route_id=str(values["route_id"]),
                inputs=parsed(values["inputs"]),
                decision=stored_decision(values),
                intact=is_intact(values) and follows,
            )

    def check(self) -> LedgerCheck:
        """What its rows say of each other; every table is read whole."""
        gaps = list(self._rows("gaps"))
        return LedgerCheck(
            missing_decisions=self._missing(dropped=sum(gap["decisions"] for gap in gaps)),
            altered_documents=sum(not is_intact(dict(row)) for row in self._rows("documents")),
            altered_outcomes=sum(not is_intact(dict(row)) for row in self._rows("outcomes")),
            altered_gaps=sum(not is_intact(dict(gap)) for gap in gaps),
            altered_feedback=sum(not is_intact(dict(row)) for row in self._rows("feedback")),
            altered_marks=sum(not is_intact(dict(row)) for row in self._rows("marks")),
            stray_outcomes=self._number("stray_outcomes"),
            unfinished=self._number("unfinished"),
        )

    def status_counts(self) -> dict[str, int]:
        """Outcomes by status."""
        return {row["status"]: row["number"] for row in self._rows("status_counts")}

    def _keep_to_bound(self, last_seq: int, now: datetime) -> None:
        """Drops the oldest decisions where too many are held, and records how many as a gap."""
        first = self._one("first_decision")
        if first is None or last_seq - first["seq"] < self._max_decisions:
            return
        bound = last_seq - self._max_decisions + min(DROPPED_AT_ONCE, self._max_decisions // 2)
        self._connection.execute(self._queries["drop_outcomes_before"], {"seq": bound})
        self._connection.execute(self._queries["drop_feedback_before"], {"seq": bound})
        self._connection.execute(self._queries["drop_feed_before"], {"seq": bound})
        self._connection.execute(self._queries["drop_writers"])
        dropped = self._connection.execute(self._queries["drop_decisions_before"], {"seq": bound}).rowcount
        self._connection.execute(self._queries["drop_documents_before"], {"seq": bound})
        self._connection.execute(self._queries["add_gap"], gap_row(now, last_seq=bound, decisions=dropped))

    def _mark_finished(self, last_seq: int) -> None:
        """Notes up to where every decision, of those up to the last one given, has its outcome."""
        before = self._finished()
        first_open = self._one("unfinished_after", seq=before, limit=1)
        finished = last_seq if first_open is None else min(first_open["seq"] - 1, last_seq)
        if finished > before:
            self._connection.execute(self._queries["set_mark"], mark_row(finished))

    def _finished(self) -> int:
        """Up to which decision all have their outcomes, as far as was noted; 0 where the note is none of ours."""
        row = self._one("marks")
        return int(row["seq"]) if row is not None and is_intact(dict(row)) else 0

    def _missing(self, *, dropped: int) -> int:
        """Decisions that are neither held nor counted as dropped."""
        (held,) = self._rows("extent")
        if not held["number"]:
            return min(dropped, 1)  # the bound always leaves some: nobody knows how many
        holes = held["last"] - held["first"] + 1 - held["number"]
        return int(abs(held["first"] - 1 - dropped) + holes)

    def _number(self, name: str) -> int:
        (row,) = self._rows(name)
        return int(row["number"])

    def _name(self, kind: str, digest: str, *, after_seq: int) -> None:
        """Sees to it that a document that a decision names is there and the newest of its kind.

        So whatever another took the place of is named by no later decision, and can go with the earlier ones. Another
        process may have put its own document there, or dropped this one.
        """
        if self._is_newest(kind, digest):
            return
        row = self._one("document", digest=digest, kind=kind)
        kept_digest, body = self._kept.get(kind, ("", b""))
        if row is not None or kept_digest == digest:
            self._place(kind, digest, bytes(row["body"]) if row is not None else body, after_seq=after_seq)

    def _is_newest(self, kind: str, digest: str) -> bool:
        newest = self._one("newest_document", kind=kind)
        return newest is not None and bool(newest["digest"] == digest)

    def _place(self, kind: str, digest: str, body: bytes, *, after_seq: int) -> None:
        position = self._number("last_position") + 1
        row = document_row(kind, digest, body, position=position, kept_after=after_seq)
        self._connection.execute(self._queries["add_document"], row)

    @contextmanager
    def _ending(self, kind: str, route_id: str) -> Iterator[None]:
        """Writes what became of a decision, and that it did; the first time, on the disk with all before it.

        Whoever follows the feed can tell by this process's note whether a power cut has taken rows (`core.feed`).
        """
        with self._writing(survives_power_cuts=not self._is_noted):
            if not self._is_noted:
                self._connection.execute(self._queries["add_writer"], {"id": self._writer_id})
            yield
            self._connection.execute(self._queries["add_to_feed"], {"kind": kind, "route_id": route_id})
        self._is_noted = True

    @contextmanager
    def _writing(self, *, survives_power_cuts: bool = False) -> Iterator[None]:
        try:
            if survives_power_cuts:
                self._connection.execute("PRAGMA synchronous = FULL")
            with transaction(self._connection):
                yield
            if survives_power_cuts:
                self._connection.execute("PRAGMA synchronous = NORMAL")
        except sqlite3.Error as error:
            raise UnwritableError(
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


def _documents_of(inputs: DecisionInputs) -> dict[str, str]:
    """Digests, by kind, of the documents that a decision names."""
    named = {
        "registry": inputs.registry.digest,
        "policy": inputs.policy.digest,
        "ceiling": inputs.policy.ceiling_digest,
    }
    return {kind: digest for kind, digest in named.items() if digest}
