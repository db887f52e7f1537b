"""Which evidence a task leaves for breeding, and what of it may leave the device (CONTRACT "evidence").

A task may leave several kinds; `evidence_required` false never suppresses a slow, weak or failed outcome. What is told
follows the policy's [evidence] table under the site ceiling, and for guarded tasks the same rules as all telemetry.
There is no structural fingerprint of a task yet: the field stays empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from homebred_daemon.core.decision import Reason, Runtime
from homebred_daemon.core.telemetry import (
    MOST_ID_CHARACTERS,
    Route,
    Telling,
    classes_told,
    counted,
    findings_told,
    is_guarded,
    millionths,
    named,
    seconds,
    workflow_told,
)
from homebred_daemon.core.verification import WEAK, Finding


class Kind(StrEnum):
    """Why a local descendant may be worth breeding: the words of homebred.v1.EvidenceKind."""

    FALLBACK = "fallback"
    """Another specialist or lane than the contract's first choice answered, or answered in its place."""
    SLOW = "slow"
    WEAK = "weak"
    FAILED = "failed"
    CORRECTED = "corrected"
    REJECTED = "rejected"
    ESCALATED = "escalated"
    REVIEWED = "reviewed"


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceFact:
    """One piece of evidence: homebred.v1.EvidenceEvent's fields."""

    recorded_at_s: int
    """Unix seconds; the hour where guarded, as every time below."""
    guarded: bool
    created_at_s: int
    kind: Kind
    route_id: str = ""
    workflow: str
    specialist: str = ""
    reason: Reason | None = None
    classes: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    occurrences: int
    """Of this kind and workflow since the daemon started."""
    total_ms: int = 0
    confidence_ppm: int | None = None
    has_correction: bool = False


Occurrences = Mapping[tuple[Kind, str], int]
"""How often each kind was met in each workflow since the daemon started."""


def kinds(route: Route) -> tuple[Kind, ...]:
    """What its end, or what was said of it later, is evidence of; empty: of nothing."""
    if route.said is not None:
        said = {"corrected": (Kind.CORRECTED,), "bad": (Kind.REJECTED,)}
        return said.get(route.said.verdict, ())
    ended = route.ended
    if ended is None:
        return ()
    fell_back = ended.status == "degraded" or Finding.FALLBACK in ended.findings
    found = {
        Kind.FALLBACK: fell_back or route.reason is Reason.OFFLINE_LOCAL,
        Kind.SLOW: Finding.SLOW in ended.findings,
        Kind.WEAK: not WEAK.isdisjoint(ended.findings),
        Kind.FAILED: ended.status == "error",
        Kind.REJECTED: Finding.REJECTED_BY_CALLER in ended.findings,
        Kind.ESCALATED: route.runtime is Runtime.CLOUD_ESCALATION,
        Kind.REVIEWED: ended.status == "review",
    }
    return tuple(kind for kind, is_so in found.items() if is_so)


def evidence_facts(
    route: Route, told: Telling, met: Occurrences
) -> tuple[tuple[EvidenceFact, ...], dict[tuple[Kind, str], int]]:
    """What may leave the device of a route's evidence, and the occurrences with it.

    Args:
        route: its end, or what was said of it.
        told: policy and workflows that it is told by.
        met: occurrences before it.
    """
    workflow = workflow_told(route, told)
    after = dict(met)
    facts = []
    for kind in kinds(route):
        after[kind, workflow] = after.get((kind, workflow), 0) + 1
        if told.policy.evidence.leaves:
            facts.append(_fact(route, told, kind, after[kind, workflow]))
    return tuple(facts), after


def _fact(route: Route, told: Telling, kind: Kind, occurrences: int) -> EvidenceFact:
    guarded = is_guarded(route, told.policy)
    ended, said = route.ended, route.said
    moment = said.at_utc if said is not None else ended.at_utc if ended is not None else route.created_at_utc
    may = told.policy.evidence.fields
    own = frozenset[str]() if guarded else may
    return EvidenceFact(
        recorded_at_s=seconds(moment, guarded=guarded),
        guarded=guarded,
        created_at_s=seconds(route.created_at_utc, guarded=guarded),
        kind=kind,
        route_id=named(route.route_id, most=MOST_ID_CHARACTERS) if "route_id" in own else "",
        workflow=workflow_told(route, told),
        specialist=named(ended.answered_by) if ended is not None and "specialist" in own else "",
        reason=route.reason if "reason" in may else None,
        classes=classes_told(route) if "classes" in may else (),
        findings=findings_told(ended) if ended is not None and "findings" in may else (),
        occurrences=counted(occurrences, guarded=guarded),
        total_ms=counted(ended.total_ms, guarded=guarded) if ended is not None and "total_ms" in may else 0,
        confidence_ppm=millionths(ended.confidence) if ended is not None and "confidence" in own else None,
        has_correction=said is not None and said.has_correction and "has_correction" in may,
    )
