"""The ledger: every decision with what it depended on, and what became of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from homebred_daemon.core.decision import RouteDecision
from homebred_daemon.core.routing import DecisionInputs


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One decision on its way into the ledger."""

    route_id: str
    inputs: DecisionInputs
    decision: RouteDecision
    supersedes: str = ""
    """The route whose failure, or whose answer's rejection, led to this one; empty: none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeRecord:
    """What became of a route; content-free."""

    route_id: str
    recorded_at_utc: datetime
    status: str
    """`answer`, `degraded`, `review` or `error`."""
    answered_by: str = ""
    """Specialist id; empty: nobody."""
    findings: tuple[str, ...] = ()
    """What verification found: words of `core.verification.Finding`."""
    finish_reason: str = ""
    error_code: str = ""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    first_token_ms: float | None = None
    total_ms: float
    confidence: float | None = None
    """Mean token probability, in [0, 1]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackRecord:
    """What a caller says of an answer; content-free."""

    route_id: str
    recorded_at_utc: datetime
    verdict: str
    """`good`, `bad` or `corrected`."""
    has_correction: bool
    """Whether the caller said what the answer should have been."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRoute:
    """What became of a route, and whose it was."""

    caller: tuple[str, ...]
    """Attested principals."""
    status: str
    """Of its outcome; empty: it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedDecision:
    """One row of a ledger, as found."""

    route_id: str
    inputs: Any
    """JSON of DecisionInputs, documents by digest; anything at all where the row was altered."""
    decision: dict[str, Any]
    intact: bool
    """Whether the row still fits its digest and its place in the chain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerCheck:
    """How the rows of a ledger agree with their digests and with each other; all but `unfinished` should be 0."""

    missing_decisions: int = 0
    """Neither held nor counted as dropped; at least so many."""
    altered_documents: int = 0
    altered_outcomes: int = 0
    altered_gaps: int = 0
    """Counts of dropped decisions that are not as they were written."""
    altered_feedback: int = 0
    altered_marks: int = 0
    """Notes of the daemon's own, of how far everything has its outcome, that are not as they were written."""
    stray_outcomes: int = 0
    """Outcomes of routes that no decision has, and feedback on such."""
    unfinished: int = 0
    """Decisions without an outcome: not asked for, taken by a crash, under way, or removed."""

    @property
    def is_sound(self) -> bool:
        """Whether nothing is altered, missing or astray."""
        altered = self.altered_documents + self.altered_outcomes + self.altered_gaps
        altered += self.altered_feedback + self.altered_marks
        return not (self.missing_decisions + altered + self.stray_outcomes)


class LedgerReader(Protocol):
    """A ledger to be replayed."""

    def document(self, kind: str, digest: str) -> bytes | None:
        """A kept document's bytes; None where it is absent or no longer fits its digest."""
        ...

    def decisions(self) -> Iterator[RecordedDecision]:
        """Every decision in the order made."""
        ...

    def check(self) -> LedgerCheck:
        """How its rows agree with their digests and with each other."""
        ...


class Ledger(LedgerReader, Protocol):
    """The ledger: decisions with what they depended on, and what became of them."""

    def keep_document(self, kind: str, digest: str, body: bytes) -> None:
        """Keeps a policy, registry or ceiling under its digest."""
        ...

    def record_decisions(self, entries: Sequence[LedgerEntry]) -> None:
        """Appends decisions: all of them or none."""
        ...

    def record_outcome(self, outcome: OutcomeRecord) -> None:
        """Stores what became of a route."""
        ...

    def record_feedback(self, feedback: FeedbackRecord) -> None:
        """Stores what a caller says of a route, instead of what it said before."""
        ...

    def route(self, route_id: str) -> RecordedRoute | None:
        """A route's caller and status; None where there is no such decision, or it is altered."""
        ...

    def unfinished(self, limit: int) -> Sequence[str]:
        """The oldest routes without an outcome, at most so many; dear only where there are some."""
        ...

    def status_counts(self) -> dict[str, int]:
        """Outcomes by status."""
        ...
