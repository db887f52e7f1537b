"""What the daemon answers in the JSON that commands print: enums as the contract's words, fields in its order."""

from __future__ import annotations

from datetime import UTC
from typing import Any, Literal

from google.protobuf.timestamp_pb2 import Timestamp

from homebred_protocol.client import Decision, Outcome, Review
from homebred_protocol.v1 import control_pb2, inference_pb2

Json = dict[str, Any]
TimeName = Literal["filed_at_utc", "expires_at_utc", "claim_ends_at_utc"]


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


def review_json(review: control_pb2.Review) -> Json:
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


def review_result_json(result: Review) -> Json:
    """What became of a task that went to a person."""
    return {
        "route_id": result.route_id,
        "state": str(result.state),
        "output": result.output or "",
        "note": result.note,
        "filed_at_utc": None if result.filed_at_utc is None else result.filed_at_utc.isoformat(),
        "expires_at_utc": None if result.expires_at_utc is None else result.expires_at_utc.isoformat(),
    }


def review_state(review: control_pb2.Review) -> str:
    """The state of a review in a word."""
    return inference_pb2.ReviewState.Name(review.state).removeprefix("REVIEW_STATE_").lower()


def _time(message: control_pb2.Review, name: TimeName) -> str | None:
    moment: Timestamp = getattr(message, name)
    return moment.ToDatetime(UTC).isoformat() if message.HasField(name) else None


def timings_json(outcome: Outcome) -> Json:
    """Milliseconds from acceptance."""
    return {
        "first_token_ms": outcome.first_token_ms,
        "total_ms": outcome.total_ms,
    }
