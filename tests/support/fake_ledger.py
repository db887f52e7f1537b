"""A ledger in memory: what `ports.Ledger` promises and nothing else; held to it by the same contract suite as SQLite's.

It can be told to fail, as a full disk does. It does NOT chain rows: nobody alters what only a test can reach.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence

from homebred_daemon.core.records import canonical, decision_record, inputs_record
from homebred_daemon.errors import StateError
from homebred_daemon.ports.ledger import (
    FeedbackRecord,
    LedgerCheck,
    LedgerEntry,
    OutcomeRecord,
    RecordedDecision,
    RecordedRoute,
)
from homebred_protocol.digests import digest_of


class FakeLedger:
    """Decisions, outcomes and documents in lists that a test may look into."""

    def __init__(self) -> None:
        self.entries: list[LedgerEntry] = []
        self.outcomes: list[OutcomeRecord] = []
        self.feedback: dict[str, FeedbackRecord] = {}
        self.commits: list[int] = []
        """How many decisions each commit held."""
        self.is_full = False
        """Whether every write fails."""
        self._documents: dict[tuple[str, str], bytes] = {}

    def keep_document(self, kind: str, digest: str, body: bytes) -> None:
        self._must_have_room()
        self._documents.setdefault((kind, digest), body)

    def record_decisions(self, entries: Sequence[LedgerEntry]) -> None:
        self._must_have_room()
        route_ids = [entry.route_id for entry in (*self.entries, *entries)]
        if len(set(route_ids)) < len(route_ids):
            raise StateError("the ledger could not be written: a route id is used twice")
        self.entries += entries
        self.commits.append(len(entries))

    def record_outcome(self, outcome: OutcomeRecord) -> None:
        self._must_have_room()
        if any(outcome.route_id == other.route_id for other in self.outcomes):
            raise StateError("the ledger could not be written: the route has its outcome")
        self.outcomes.append(outcome)

    def record_feedback(self, feedback: FeedbackRecord) -> None:
        self._must_have_room()
        if any(entry.route_id == feedback.route_id for entry in self.entries):
            self.feedback[feedback.route_id] = feedback

    def route(self, route_id: str) -> RecordedRoute | None:
        statuses = {outcome.route_id: outcome.status for outcome in self.outcomes}
        for entry in self.entries:
            if entry.route_id == route_id:
                return RecordedRoute(caller=entry.inputs.caller, status=statuses.get(route_id, ""))
        return None

    def unfinished(self, limit: int) -> Sequence[str]:
        ended = {outcome.route_id for outcome in self.outcomes}
        return [entry.route_id for entry in self.entries if entry.route_id not in ended][:limit]

    def document(self, kind: str, digest: str) -> bytes | None:
        body = self._documents.get((kind, digest))
        return body if body is not None and digest_of(body) == digest else None

    def decisions(self) -> Iterator[RecordedDecision]:
        for entry in self.entries:
            yield RecordedDecision(
                route_id=entry.route_id,
                inputs=json.loads(canonical(inputs_record(entry.inputs))),
                decision=decision_record(entry.decision),
                intact=True,
            )

    def check(self) -> LedgerCheck:
        decided = {entry.route_id for entry in self.entries}
        ended = {outcome.route_id for outcome in self.outcomes}
        misfits = sum(digest_of(body) != digest for (_, digest), body in self._documents.items())
        return LedgerCheck(
            altered_documents=misfits, stray_outcomes=len(ended - decided), unfinished=len(decided - ended)
        )

    def status_counts(self) -> dict[str, int]:
        return dict(Counter(outcome.status for outcome in self.outcomes))

    def _must_have_room(self) -> None:
        if self.is_full:
            raise StateError("the ledger could not be written: database or disk is full")
