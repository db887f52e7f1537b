"""Facts as the bytes of homebred.v1: every word has its number there, and nothing is lost on the way."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.told_routes import PRIVATE, ROUTE, TELLING, routes

from homebred_daemon.adapters.telemetry_wire import evidence_body, health_body, receipt_body, route_body
from homebred_daemon.core.decision import Fallback, Reason, Runtime
from homebred_daemon.core.evidence import evidence_facts
from homebred_daemon.core.link import Link
from homebred_daemon.core.telemetry import (
    OTHER,
    TOLD_FINDINGS,
    HealthFact,
    ReceiptFact,
    Route,
    Said,
    counted,
    route_fact,
)
from homebred_daemon.core.verification import Finding
from homebred_protocol.documents.task import BUILT_IN_CLASSES
from homebred_protocol.v1 import fleet_pb2 as wire
from homebred_protocol.v1 import inference_pb2 as inference


def told(route: Route) -> wire.RouteEvent:
    return wire.Event.FromString(route_body(route_fact(route, TELLING))).route


def test_an_open_task_arrives_whole() -> None:
    event = wire.Event.FromString(route_body(route_fact(ROUTE, TELLING)))
    route = event.route
    assert (route.selected_runtime, route.fallback_target) == (
        inference.RUNTIME_LOCAL,
        inference.FALLBACK_TARGET_NONE,
    )
    assert (route.selected_model_or_stack, route.answered_by) == ("clinic-intake", "clinic-intake")
    assert (route.reason_code, route.status) == (wire.ROUTE_REASON_MARGIN_MET, inference.OUTCOME_STATUS_ANSWER)
    assert (list(route.classes), route.link) == ([wire.DATA_CLASS_PUBLIC], wire.ROUTE_LINK_UP)
    assert (route.route_id, route.workflow, route.policy_digest) == (
        ROUTE.route_id,
        "intake.extract",
        ROUTE.policy_digest,
    )
    assert (route.prompt_tokens, route.completion_tokens, route.first_token_ms, route.total_ms) == (100, 33, 12, 100)
    assert route.confidence_ppm == 750_000
    assert route.route_created_at_utc.ToDatetime().isoformat() == "2026-11-23T09:41:17"
    assert event.recorded_at_s == route.route_created_at_utc.seconds


def test_what_is_not_known_is_absent_and_not_nothing() -> None:
    assert not told(PRIVATE).HasField("confidence_ppm")
    assert ROUTE.ended is not None
    without = told(replace(ROUTE, ended=replace(ROUTE.ended, first_token_ms=None)))
    assert not without.HasField("first_token_ms")


@given(routes)
def test_whatever_a_ledger_holds_becomes_events_that_can_be_read(route: Route) -> None:
    fact = route_fact(route, TELLING)
    event = wire.Event.FromString(route_body(fact))
    assert (event.route.guarded, event.route.workflow) == (fact.guarded, fact.workflow)
    for piece in evidence_facts(route, TELLING, {})[0]:
        told_piece = wire.Event.FromString(evidence_body(piece)).evidence
        assert (told_piece.guarded, told_piece.occurrences) == (piece.guarded, piece.occurrences)
        assert told_piece.kind != wire.EVIDENCE_KIND_UNSPECIFIED


@pytest.mark.parametrize("runtime", Runtime)
def test_every_runtime_has_its_number(runtime: Runtime) -> None:
    name = f"RUNTIME_{runtime.upper()}"
    assert told(replace(ROUTE, runtime=runtime)).selected_runtime == inference.Runtime.Value(name)


@pytest.mark.parametrize("fallback", Fallback)
def test_every_fallback_has_its_number(fallback: Fallback) -> None:
    name = f"FALLBACK_TARGET_{fallback.upper()}"
    assert told(replace(ROUTE, fallback=fallback)).fallback_target == inference.FallbackTarget.Value(name)


def test_reasons_links_labels_and_findings_are_those_of_the_wire() -> None:
    for words, enum, prefix in (
        (set(Reason), wire.RouteReason, "ROUTE_REASON_"),
        (set(Link), wire.RouteLink, "ROUTE_LINK_"),
        ({*BUILT_IN_CLASSES, OTHER}, wire.DataClass, "DATA_CLASS_"),
        ({*TOLD_FINDINGS, OTHER}, wire.RouteFinding, "ROUTE_FINDING_"),
    ):
        assert {f"{prefix}{word.upper()}" for word in words} == set(enum.keys()) - {f"{prefix}UNSPECIFIED"}
    assert set(Finding) >= TOLD_FINDINGS


@pytest.mark.parametrize("kind", ["desired", "command", "stop", "identity"])
def test_every_kind_of_receipt_has_its_number(kind: str) -> None:
    fact = ReceiptFact(kind=kind, subject="id", version=3, result="refused", problem_code="invalid")
    event = wire.Event.FromString(receipt_body(fact, at_s=17))
    receipt = event.receipt
    assert receipt.kind == wire.ReceiptKind.Value(f"RECEIPT_KIND_{kind.upper()}")
    assert (receipt.subject, receipt.version, receipt.result, receipt.problem_code) == ("id", 3, "refused", "invalid")
    assert event.recorded_at_s == 17


@given(st.builds(HealthFact, **dict.fromkeys(HealthFact.__slots__, st.integers(0, 2**31))))
def test_health_arrives_as_it_stands_with_waiting_reviews_in_powers_of_two(fact: HealthFact) -> None:
    event = wire.Event.FromString(health_body(fact, at_s=17))
    assert {name: getattr(event.health, name) for name in HealthFact.__slots__} == {
        name: getattr(fact, name) for name in HealthFact.__slots__ if name != "reviews_waiting"
    } | {"reviews_waiting": counted(fact.reviews_waiting, guarded=True)}


def test_a_correction_is_told_with_what_it_is_of() -> None:
    said = Said(at_utc=ROUTE.created_at_utc, verdict="corrected", has_correction=True)
    ((fact,), _) = evidence_facts(replace(ROUTE, said=said), TELLING, {})
    evidence = wire.Event.FromString(evidence_body(fact)).evidence
    assert (evidence.kind, evidence.has_correction) == (wire.EVIDENCE_KIND_CORRECTED, True)
    assert (evidence.route_id, evidence.specialist, evidence.reason) == (
        ROUTE.route_id,
        "clinic-intake",
        wire.ROUTE_REASON_MARGIN_MET,
    )
    assert (evidence.fingerprint, evidence.confidence_ppm) == (b"", 750_000)


@pytest.mark.parametrize(("waiting", "told"), [(0, 0), (1, 1), (3, 4), (5, 8), (8, 8), (9, 16)])
def test_waiting_reviews_are_told_as_a_power_of_two_since_guarded_tasks_may_be_among_them(
    waiting: int, told: int
) -> None:
    health = replace(HealthFact(**dict.fromkeys(HealthFact.__slots__, 5)), reviews_waiting=waiting)
    event = wire.Event.FromString(health_body(health, at_s=17))
    assert (event.health.reviews_waiting, event.health.loaded_models) == (told, 5)
