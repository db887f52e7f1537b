"""Which evidence a task leaves, and what of it may leave the device."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from tests.support.told_routes import AT, ENDED, PRIVATE, ROUTE, TELLING, WORKFLOWS, routes, told_by

from homebred_daemon.core.decision import Reason, Runtime
from homebred_daemon.core.evidence import EvidenceFact, Kind, evidence_facts, kinds
from homebred_daemon.core.telemetry import OTHER, TOLD_FINDINGS, UNRECOGNISED, Route, Said, Telling
from homebred_protocol.documents.policy import EVIDENCE_FIELDS, EvidencePolicy
from homebred_protocol.documents.task import BUILT_IN_CLASSES
from homebred_protocol.v1 import fleet_pb2 as wire

CORRECTED = Said(at_utc=AT, verdict="corrected", has_correction=True)


def ended(route: Route = ROUTE, **values: Any) -> Route:
    return replace(route, ended=replace(ENDED, **values))


def facts(route: Route, told: Telling = TELLING) -> tuple[EvidenceFact, ...]:
    return evidence_facts(route, told, {})[0]


def test_kinds_are_those_of_the_wire() -> None:
    names = {f"EVIDENCE_KIND_{kind.upper()}" for kind in Kind}
    assert names == set(wire.EvidenceKind.keys()) - {"EVIDENCE_KIND_UNSPECIFIED"}


@pytest.mark.parametrize(
    ("route", "expected"),
    [
        (ROUTE, ()),
        (ended(status="degraded"), (Kind.FALLBACK,)),
        (ended(findings=("fallback",)), (Kind.FALLBACK,)),
        (replace(ROUTE, reason=Reason.OFFLINE_LOCAL), (Kind.FALLBACK,)),
        (ended(findings=("slow",)), (Kind.SLOW,)),
        (ended(findings=("low_confidence",)), (Kind.WEAK,)),
        (ended(findings=("empty", "truncated", "slow")), (Kind.SLOW, Kind.WEAK)),
        (ended(status="error"), (Kind.FAILED,)),
        (ended(findings=("rejected_by_caller",)), (Kind.REJECTED,)),
        (replace(ROUTE, runtime=Runtime.CLOUD_ESCALATION), (Kind.ESCALATED,)),
        (ended(status="review"), (Kind.REVIEWED,)),
        (replace(ROUTE, said=CORRECTED), (Kind.CORRECTED,)),
        (replace(ROUTE, said=replace(CORRECTED, verdict="bad")), (Kind.REJECTED,)),
        (replace(ended(status="error"), said=replace(CORRECTED, verdict="good")), ()),
        (replace(ROUTE, ended=None), ()),
    ],
)
def test_what_a_task_is_evidence_of(route: Route, expected: tuple[Kind, ...]) -> None:
    assert kinds(route) == expected


def test_evidence_that_is_not_required_is_left_by_slow_weak_and_failed_outcomes_all_the_same() -> None:
    route = replace(ended(findings=("slow", "empty"), status="error"), evidence_required=False)
    assert kinds(route) == (Kind.SLOW, Kind.WEAK, Kind.FAILED)


def test_occurrences_count_a_kind_in_a_workflow() -> None:
    met: dict[tuple[Kind, str], int] = {}
    counted = []
    for route in (ended(status="error"), ended(status="error"), ended(replace(ROUTE, workflow=None), status="error")):
        (fact,), met = evidence_facts(route, TELLING, met)
        counted.append((fact.workflow, fact.occurrences))
    assert counted == [("intake.extract", 1), ("intake.extract", 2), ("", 1)]


def test_of_a_guarded_task_a_correction_is_told_without_ids_names_or_exact_figures() -> None:
    met = {(Kind.CORRECTED, "intake.extract"): 2}
    (fact,), _ = evidence_facts(replace(PRIVATE, said=CORRECTED), TELLING, met)
    assert (fact.route_id, fact.specialist, fact.confidence_ppm) == ("", "", None)
    assert (fact.occurrences, fact.total_ms, fact.created_at_s % 3600, fact.recorded_at_s % 3600) == (4, 128, 0, 0)
    assert (fact.kind, fact.has_correction, fact.reason) == (Kind.CORRECTED, True, Reason.LOCAL_ONLY)


def test_the_policy_can_keep_all_evidence_at_home_and_what_happened_is_counted_still() -> None:
    told = told_by(evidence=EvidencePolicy(leaves=False))
    found, met = evidence_facts(ended(status="error"), told, {})
    assert (found, met) == ((), {(Kind.FAILED, "intake.extract"): 1})


@pytest.mark.parametrize("name", sorted(EVIDENCE_FIELDS))
def test_the_policy_says_which_fields_may_leave(name: str) -> None:
    attributes = {"confidence": "confidence_ppm", "fingerprint": ""}
    attribute = attributes.get(name, name)
    route = replace(ended(status="error", findings=("slow",)), said=CORRECTED)
    (whole,) = facts(route)
    (without,) = facts(route, told_by(evidence=EvidencePolicy(fields=frozenset(EVIDENCE_FIELDS) - {name})))
    if not attribute:
        assert whole == without, "there is no fingerprint yet"
        return
    assert getattr(whole, attribute)
    assert not getattr(without, attribute)
    assert replace(without, **{attribute: getattr(whole, attribute)}) == whole


@given(routes)
def test_every_field_of_guarded_evidence_is_a_word_a_power_of_two_or_an_hour(route: Route) -> None:
    for fact in facts(route):
        assert fact.workflow in WORKFLOWS | {"", UNRECOGNISED}
        if not fact.guarded:
            continue
        assert (fact.route_id, fact.specialist, fact.confidence_ppm) == ("", "", None)
        assert set(fact.classes) <= {*BUILT_IN_CLASSES, OTHER}
        assert set(fact.findings) <= {*TOLD_FINDINGS, OTHER}
        assert all(number & (number - 1) == 0 for number in (fact.occurrences, fact.total_ms))
        assert fact.recorded_at_s % 3600 == fact.created_at_s % 3600 == 0
