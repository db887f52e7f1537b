"""The wire's messages in the JSON that commands print: enums as the contract's words, fields in its order."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from homebred_protocol.v1 import inference_pb2 as wire

Json = dict[str, Any]


def decision_json(decision: wire.RouteDecision) -> Json:
    """A decision as `homebred route` prints it, with its route id."""
    return {
        "selected_runtime": _word(wire.Runtime.Name(decision.selected_runtime), "RUNTIME_"),
        "selected_model_or_stack": decision.selected_model_or_stack,
        "local_reason": decision.local_reason,
        "redaction_required": decision.redaction_required,
        "evidence_required": decision.evidence_required,
        "fallback_target": _word(wire.FallbackTarget.Name(decision.fallback_target), "FALLBACK_TARGET_"),
        "route_created_at_utc": decision.route_created_at_utc.ToDatetime(UTC).isoformat(),
        "reason_code": decision.reason_code,
        "classes": list(decision.classes),
        "policy_digest": decision.policy_digest,
        "trace": list(decision.trace),
        "route_id": decision.route_id,
        "supersedes": decision.supersedes,
    }


def outcome_json(outcome: wire.Outcome) -> Json:
    """How a task ended."""
    problem = outcome.problem
    return {
        "status": _word(wire.OutcomeStatus.Name(outcome.status), "OUTCOME_STATUS_"),
        "weak": outcome.weak,
        "findings": list(outcome.findings),
        "answered_by": outcome.answered_by,
        "finish_reason": outcome.finish_reason,
        "prompt_tokens": outcome.usage.prompt_tokens,
        "cached_tokens": outcome.usage.cached_tokens,
        "completion_tokens": outcome.usage.completion_tokens,
        "confidence": outcome.confidence if outcome.HasField("confidence") else None,
        "error": {"code": problem.code, "message": problem.message, "hint": problem.hint}
        if outcome.HasField("problem")
        else None,
    }


def review_json(review: Any) -> Json:
    """A task that a person must answer, without its content."""
    return {
        "route_id": review.route_id,
        "state": review_state(review),
        "task_id": review.task_id,
        "workflow": review.workflow,
        "classes": list(review.classes),
        "reason_code": review.reason_code,
        "filed_by": review.filed_by,
        "filed_at_utc": _time(review, "filed_at_utc"),
        "expires_at_utc": _time(review, "expires_at_utc"),
        "claimed_by": review.claimed_by,
        "claim_ends_at_utc": _time(review, "claim_ends_at_utc"),
    }


def review_result_json(result: wire.GetReviewResponse) -> Json:
    """What became of a task that went to a person."""
    return {
        "route_id": result.route_id,
        "state": review_state(result),
        "output": result.output,
        "note": result.note,
        "filed_at_utc": _time(result, "filed_at_utc"),
        "expires_at_utc": _time(result, "expires_at_utc"),
    }


def review_state(review: Any) -> str:
    """The state of a review in a word."""
    return _word(wire.ReviewState.Name(review.state), "REVIEW_STATE_")


def _time(message: Any, name: str) -> str | None:
    return getattr(message, name).ToDatetime(UTC).isoformat() if message.HasField(name) else None


def timings_json(outcome: wire.Outcome) -> Json:
    """Milliseconds from acceptance."""
    return {
        "first_token_ms": outcome.first_token_ms if outcome.HasField("first_token_ms") else None,
        "total_ms": outcome.total_ms,
    }


def _word(name: str, prefix: str) -> str:
    return name.removeprefix(prefix).lower()
