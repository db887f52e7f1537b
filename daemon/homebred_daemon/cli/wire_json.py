"""What the daemon answers in the JSON that commands print: enums as the contract's words, fields in its order."""

from __future__ import annotations

from typing import Any

from homebred_protocol.client import Decision, Outcome

Json = dict[str, Any]


def decision_json(decision: Decision) -> Json:
    """A decision as `homebred route` prints it, with its route id."""
    return {
        "selected_runtime": str(decision.selected_runtime),
        "selected_model_or_stack": decision.selected_model_or_stack,
        "local_reason": decision.local_reason,
        "redaction_required": decision.redaction_required,
        "evidence_required": decision.evidence_required,
        "fallback_target": str(decision.fallback_target),
        "route_created_at_utc": decision.route_created_at_utc.isoformat(),
        "reason_code": decision.reason_code,
        "classes": list(decision.classes),
        "policy_digest": decision.policy_digest,
        "trace": list(decision.trace),
        "route_id": decision.route_id,
        "supersedes": decision.supersedes,
    }


def outcome_json(outcome: Outcome) -> Json:
    """How a task ended."""
    problem = outcome.problem
    return {
        "status": str(outcome.status),
        "weak": outcome.weak,
        "findings": list(outcome.findings),
        "answered_by": outcome.answered_by,
        "finish_reason": outcome.finish_reason,
        "prompt_tokens": outcome.prompt_tokens,
        "cached_tokens": outcome.cached_tokens,
        "completion_tokens": outcome.completion_tokens,
        "confidence": outcome.confidence,
        "error": None if problem is None else {"code": problem.code, "message": problem.message, "hint": problem.hint},
    }


def timings_json(outcome: Outcome) -> Json:
    """Milliseconds from acceptance."""
    return {
        "first_token_ms": outcome.first_token_ms,
        "total_ms": outcome.total_ms,
    }
