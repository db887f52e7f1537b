"""Decisions and their inputs as plain JSON values, and back: what the ledger stores and replay compares.

Content-free by construction: a Task holds none. Nothing is stored or read here.
"""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from homebred_daemon.core.decision import RouteDecision
from homebred_daemon.core.link import Link
from homebred_daemon.core.routing import DecisionInputs
from homebred_protocol.documents.policy import Policy
from homebred_protocol.documents.registry import Registry
from homebred_protocol.documents.task import Task

Record = dict[str, Any]

DECISION_FIELDS = tuple(field.name for field in fields(RouteDecision))
"""The decision's fields, the contract's seven first."""


def canonical(value: object) -> str:
    """The one JSON text of a value: sorted keys, no spaces, shortest exact floats."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def inputs_record(inputs: DecisionInputs) -> Record:
    """What a decision depended on; registry, policy and ceiling by digest."""
    return {
        "task": asdict(inputs.task),
        "caller": list(inputs.caller),
        "detected": sorted(inputs.detected),
        "carried": sorted(inputs.carried),
        "detector_digest": inputs.detector_digest,
        "registry_digest": inputs.registry.digest,
        "policy_digest": inputs.policy.digest,
        "ceiling_digest": inputs.policy.ceiling_digest,
        "link": inputs.link.value,
        "link_cause": inputs.link_cause,
        "context_method": inputs.context_method,
        "context_reason": inputs.context_reason,
        "residual_risk": inputs.residual_risk,
        "unavailable": sorted(inputs.unavailable),
        "now": inputs.now.isoformat(),
    }


def read_inputs(record: Record, *, registry: Registry, policy: Policy) -> DecisionInputs:
    """The inputs again, given the documents that the record names by digest.

    Raises:
        KeyError, TypeError, ValueError: the record was not written by `inputs_record`.
    """
    task = dict(record["task"])
    task["data_classes"] = tuple(task["data_classes"])
    task["requires"] = tuple(task["requires"])
    return DecisionInputs(
        task=Task(**task),
        registry=registry,
        policy=policy,
        link=Link(record["link"]),
        link_cause=record["link_cause"],
        now=datetime.fromisoformat(record["now"]),
        caller=tuple(record["caller"]),
        detected=frozenset(record["detected"]),
        carried=frozenset(record["carried"]),
        detector_digest=record["detector_digest"],
        context_method=record["context_method"],
        context_reason=record["context_reason"],
        residual_risk=record["residual_risk"],
        unavailable=frozenset(record["unavailable"]),
    )


def decision_record(decision: RouteDecision) -> Record:
    """The decision's fields in the contract's order."""
    return {
        "selected_runtime": decision.selected_runtime.value,
        "selected_model_or_stack": decision.selected_model_or_stack,
        "local_reason": decision.local_reason,
        "redaction_required": decision.redaction_required,
        "evidence_required": decision.evidence_required,
        "fallback_target": decision.fallback_target.value,
        "route_created_at_utc": decision.route_created_at_utc.isoformat(),
        "reason_code": decision.reason_code.value,
        "classes": list(decision.classes),
        "policy_digest": decision.policy_digest,
        "trace": list(decision.trace),
    }
