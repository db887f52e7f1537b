"""Runs the product's router on the plain documents that the oracle takes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tests.support.cases import Case, World

from homebred_daemon.core.decision import RouteDecision
from homebred_daemon.core.link import Link
from homebred_daemon.core.routing import DecisionInputs, decide
from homebred_protocol.documents.policy import Policy, bounded, read_ceiling, read_policy
from homebred_protocol.documents.registry import Registry, read_registry
from homebred_protocol.documents.task import read_task

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Parsed:
    """A world as the product reads it."""

    registry: Registry
    policy: Policy


def parsed(world: World) -> Parsed:
    """The world's documents, the policy bounded by its ceiling."""
    policy = read_policy(world.policy, "sha256:policy")
    if world.ceiling is not None:
        policy = bounded(policy, read_ceiling(world.ceiling, "sha256:ceiling"))
    return Parsed(registry=read_registry(world.registry, "sha256:registry"), policy=policy)


def inputs_of(case: Case, world: Parsed) -> DecisionInputs:
    """The case as DecisionInputs."""
    return DecisionInputs(
        task=read_task({"task_id": "t", "text": "x"} | case.task),
        registry=world.registry,
        policy=world.policy,
        link=Link(case.link),
        now=NOW,
        caller=case.caller,
        detected=frozenset(case.detected),
        residual_risk=case.residual_risk,
        context_method="" if case.residual_risk is None else "redaction",
        unavailable=case.unavailable,
    )


def routed(case: Case, world: Parsed) -> dict[str, Any]:
    """The product's decision in the oracle's words."""
    return in_oracle_words(decide(inputs_of(case, world)))


def in_oracle_words(decision: RouteDecision) -> dict[str, Any]:
    """A decision's fields that the oracle speaks of."""
    return {
        "selected_runtime": decision.selected_runtime.value,
        "selected_model_or_stack": decision.selected_model_or_stack,
        "redaction_required": decision.redaction_required,
        "evidence_required": decision.evidence_required,
        "fallback_target": decision.fallback_target.value,
        "reason_code": decision.reason_code.value,
        "classes": list(decision.classes),
    }
