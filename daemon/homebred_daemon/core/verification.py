"""What an answer must withstand before it counts: findings, and whether they make it weak.

Whether text fits a JSON Schema or keeps to constraints was checked before; nothing here parses or measures.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Finding(StrEnum):
    """What verification can find; each is evidence."""

    EMPTY = "empty"
    TRUNCATED = "truncated"
    SCHEMA_INVALID = "schema_invalid"
    CONSTRAINT_BROKEN = "constraint_broken"
    """Its text is not as the caller asked."""
    LOW_CONFIDENCE = "low_confidence"
    SLOW = "slow"
    FALLBACK = "fallback"
    REJECTED_BY_CALLER = "rejected_by_caller"
    """It was asked for since the caller did not take an earlier answer."""
    CASCADE_BUDGET_SPENT = "cascade_budget_spent"
    """Too few calls or too little time were left to ask smaller specialists first."""
    NO_CLOUD_LANE = "no_cloud_lane"
    WITHHELD = "withheld"
    UNSEARCHED = "unsearched"
    """What would leave could not be searched for names, so it did not leave."""
    CLOUD_FAILED = "cloud_failed"
    """The cloud gave no answer that holds; why is one of the following."""
    STOPPED_AT_GATE = "stopped_at_gate"
    """What was about to leave still held what may not: an incident."""
    CLOUD_CLOSED = "cloud_closed"
    CLOUD_BUDGET_SPENT = "cloud_budget_spent"
    CLOUD_UNREACHABLE = "cloud_unreachable"
    CAPTIVE_PORTAL = "captive_portal"
    WRONG_CERTIFICATE = "wrong_certificate"
    CLOUD_RATE_LIMITED = "cloud_rate_limited"
    PROVIDER_FAILED = "provider_failed"
    CLOUD_REFUSED = "cloud_refused"
    BROKEN_ANSWER = "broken_answer"
    CLOUD_CUT_OFF = "cloud_cut_off"
    CLOUD_DEADLINE = "cloud_deadline"
    CLOUD_FILTERED = "cloud_filtered"
    CLOUD_UNFIT = "cloud_unfit"
    """Its answer did not fit the schema, or broke a constraint."""
    ALTERED_TOKEN = "altered_token"  # noqa: S105  # a word, no password
    MASKED_SCHEMA = "masked_schema"
    """What had to be masked in the schema left none that a provider could read."""


WEAK = frozenset(
    {
        Finding.EMPTY,
        Finding.TRUNCATED,
        Finding.SCHEMA_INVALID,
        Finding.CONSTRAINT_BROKEN,
        Finding.LOW_CONFIDENCE,
        Finding.WITHHELD,
    }
)
"""Findings that say not to rely on the answer; the others speak of the way to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A finished generation, as verification looks at it."""

    text: str
    has_tool_calls: bool = False
    truncated: bool
    """Whether the token limit ended it."""
    fits_schema: bool | None = None
    """None: no schema was asked for."""
    fits_tools: bool = True
    """Whether its tool calls are ones that can be made, and there where they must be."""
    keeps_constraints: bool = True
    """Whether its text is as the caller asked, beside the schema."""
    confidence: float | None = None
    """Mean token probability in [0, 1]; None: not measured."""


def verify(answer: Answer, *, minimum_confidence: float | None = None) -> tuple[Finding, ...]:
    """What is wrong with an answer, most telling first; empty: nothing was found."""
    found = []
    if not answer.text.strip() and not answer.has_tool_calls:
        found.append(Finding.EMPTY)
    if answer.fits_schema is False or not answer.fits_tools:
        found.append(Finding.SCHEMA_INVALID)
    if not answer.keeps_constraints:
        found.append(Finding.CONSTRAINT_BROKEN)
    if answer.truncated:
        found.append(Finding.TRUNCATED)
    if minimum_confidence is not None and answer.confidence is not None and answer.confidence < minimum_confidence:
        found.append(Finding.LOW_CONFIDENCE)
    return tuple(found)


def is_weak(findings: tuple[Finding, ...]) -> bool:
    """Whether an answer with these findings is weak."""
    return not WEAK.isdisjoint(findings)


def is_slow(total_ms: float, latency_budget_ms: float | None) -> bool:
    """Whether an answer took longer than its workflow's budget, milliseconds from acceptance to outcome."""
    return latency_budget_ms is not None and total_ms > latency_budget_ms
