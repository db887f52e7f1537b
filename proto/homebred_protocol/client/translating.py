"""Between an application's values and the wire's messages. It imports protobuf, not grpc."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime, timezone
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from homebred_protocol.client.errors import FailedError
from homebred_protocol.client.values import (
    Answer,
    Constraints,
    Decision,
    DryRun,
    Embeddings,
    Event,
    Fallback,
    Message,
    Outcome,
    OutgoingContext,
    Problem,
    Retracted,
    Review,
    ReviewState,
    Runtime,
    Status,
    Task,
    Tool,
    ToolCall,
    Verdict,
)
from homebred_protocol.v1 import inference_pb2 as wire

RUNTIMES = {
    wire.RUNTIME_LOCAL: Runtime.LOCAL,
    wire.RUNTIME_CLOUD_ESCALATION: Runtime.CLOUD_ESCALATION,
    wire.RUNTIME_NO_OP: Runtime.NO_OP,
}
FALLBACKS = {
    wire.FALLBACK_TARGET_NONE: Fallback.NONE,
    wire.FALLBACK_TARGET_LOCAL_SUMMARY: Fallback.LOCAL_SUMMARY,
    wire.FALLBACK_TARGET_HUMAN_REVIEW: Fallback.HUMAN_REVIEW,
}
STATUSES = {
    wire.OUTCOME_STATUS_ANSWER: Status.ANSWER,
    wire.OUTCOME_STATUS_DEGRADED: Status.DEGRADED,
    wire.OUTCOME_STATUS_REVIEW: Status.REVIEW,
    wire.OUTCOME_STATUS_ERROR: Status.ERROR,
}
REVIEW_STATES = {
    wire.REVIEW_STATE_WAITING: ReviewState.WAITING,
    wire.REVIEW_STATE_CLAIMED: ReviewState.CLAIMED,
    wire.REVIEW_STATE_ANSWERED: ReviewState.ANSWERED,
    wire.REVIEW_STATE_DECLINED: ReviewState.DECLINED,
    wire.REVIEW_STATE_EXPIRED: ReviewState.EXPIRED,
}
STATE_NUMBERS = {state: number for number, state in REVIEW_STATES.items()}
VERDICTS = {
    Verdict.GOOD: wire.VERDICT_GOOD,
    Verdict.BAD: wire.VERDICT_BAD,
    Verdict.CORRECTED: wire.VERDICT_CORRECTED,
}


def task_message(task: Task) -> wire.Task:
    """A task; one without a name gets one here, for all its tries."""
    return wire.Task(
        task_id=task.task_id or uuid.uuid4().hex,
        workflow=task.workflow,
        kind=task.kind,
        data_classes=task.data_classes,
        allows_escalation=task.allows_escalation,
        minimum_margin=task.minimum_margin,
        expected_calls=task.expected_calls,
        deadline_s=task.deadline_s,
        requires=task.requires,
        context_tokens=task.context_tokens,
        text=task.text,
        messages=map(_message, task.messages),
        response_schema=_schema(task.schema),
        tools=map(_tool, task.tools),
        tool_choice=task.tool_choice,
        attachments=[
            wire.Attachment(name=one.name, media_type=one.media_type, data=one.data) for one in task.attachments
        ],
        session_id=task.session_id,
        constraints=_constraints(task.constraints),
        rejects=task.rejects,
    )


def _constraints(constraints: Constraints | None) -> wire.Constraints | None:
    if constraints is None:
        return None
    return wire.Constraints(
        matches=constraints.matches,
        contains=constraints.contains,
        excludes=constraints.excludes,
        max_characters=constraints.max_characters,
    )


def _message(message: Message) -> wire.Message:
    calls = [wire.ToolCall(id=call.id, name=call.name, arguments=call.arguments) for call in message.tool_calls]
    return wire.Message(role=message.role, content=message.content, tool_calls=calls, tool_call_id=message.tool_call_id)


def _tool(tool: Tool) -> wire.Tool:
    return wire.Tool(
        name=tool.name,
        description=tool.description,
        parameters=_schema(tool.parameters),
        runs_here=tool.runs_here,
    )


def _schema(schema: Mapping[str, Any] | str | None) -> str:
    """As text; an empty text is no schema, an empty mapping one that everything fits."""
    return "" if schema is None else schema if isinstance(schema, str) else json.dumps(schema)


def request_message(task: Task) -> wire.GenerateRequest:
    """A task and what is asked of the generation."""
    return wire.GenerateRequest(
        task=task_message(task),
        max_tokens=task.max_tokens,
        temperature=task.temperature,
        seed=task.seed,
        stop=task.stop,
    )


def deadline_s(request: wire.GenerateRequest) -> float | None:
    """Seconds that the caller gives; None: the device's own bound holds."""
    return request.task.deadline_s if request.task.HasField("deadline_s") else None


def feedback_message(route_id: str, verdict: Verdict, corrected_output: str) -> wire.FeedbackRequest:
    """How good an answer was."""
    return wire.FeedbackRequest(route_id=route_id, verdict=VERDICTS[verdict], corrected_output=corrected_output)


def event(message: wire.GenerateEvent) -> Event | None:
    """One event of an answer; None: of a kind that only a newer daemon knows."""
    kind = message.WhichOneof("event")
    if kind == "delta":
        return message.delta
    if kind == "tool_call":
        return _call(message.tool_call)
    if kind == "decision":
        return decision(message.decision)
    if kind == "retraction":
        return Retracted(code=message.retraction.code)
    return outcome(message.outcome) if kind == "outcome" else None


def decision(message: wire.RouteDecision) -> Decision:
    """A decision."""
    return Decision(
        selected_runtime=RUNTIMES.get(message.selected_runtime, Runtime.UNKNOWN),
        selected_model_or_stack=message.selected_model_or_stack,
        local_reason=message.local_reason,
        redaction_required=message.redaction_required,
        evidence_required=message.evidence_required,
        fallback_target=FALLBACKS.get(message.fallback_target, Fallback.UNKNOWN),
        route_created_at_utc=_time(message.route_created_at_utc),
        reason_code=message.reason_code,
        classes=tuple(message.classes),
        policy_digest=message.policy_digest,
        trace=tuple(message.trace),
        route_id=message.route_id,
        supersedes=message.supersedes,
    )


def dry_run(message: wire.RouteResponse) -> DryRun:
    """What a dry run says."""
    decided, context = decision(message.decision), message.context
    would_send = OutgoingContext(
        system=context.system,
        messages=tuple(
            Message(one.role, one.content, tool_calls=tuple(map(_call, one.tool_calls)), tool_call_id=one.tool_call_id)
            for one in context.messages
        ),
        schema=context.response_schema,
        dropped_messages=context.dropped_messages,
        tools=tuple(Tool(one.name, one.description, one.parameters) for one in context.tools),
        dropped_attachments=context.dropped_attachments,
    )
    kept = {one.name: getattr(decided, one.name) for one in fields(decided)}
    return DryRun(**kept, would_send=would_send if message.HasField("context") else None)


def outcome(message: wire.Outcome) -> Outcome:
    """How a task ended."""
    problem = message.problem
    return Outcome(
        status=STATUSES.get(message.status, Status.UNKNOWN),
        weak=message.weak,
        findings=tuple(message.findings),
        answered_by=message.answered_by,
        finish_reason=message.finish_reason,
        prompt_tokens=message.usage.prompt_tokens,
        cached_tokens=message.usage.cached_tokens,
        completion_tokens=message.usage.completion_tokens,
        first_token_ms=message.first_token_ms if message.HasField("first_token_ms") else None,
        total_ms=message.total_ms,
        confidence=message.confidence if message.HasField("confidence") else None,
        problem=Problem(
            code=problem.code, message=problem.message, hint=problem.hint, retry_after_s=problem.retry_after_s
        )
        if message.HasField("problem")
        else None,
    )


def embeddings(message: wire.EmbedResponse) -> Embeddings:
    """Texts as vectors."""
    return Embeddings(
        vectors=tuple(tuple(one.values) for one in message.embeddings),
        made_by=message.made_by,
        prompt_tokens=message.prompt_tokens,
    )


def review(message: wire.GetReviewResponse) -> Review:
    """What became of a task that went to a person."""
    state = REVIEW_STATES.get(message.state, ReviewState.UNKNOWN)
    return Review(
        route_id=message.route_id,
        state=state,
        output=message.output if state is ReviewState.ANSWERED else None,
        note=message.note,
        filed_at_utc=_time(message.filed_at_utc) if message.HasField("filed_at_utc") else None,
        expires_at_utc=_time(message.expires_at_utc) if message.HasField("expires_at_utc") else None,
    )


class Heard:
    """What has been received of one answer so far."""

    def __init__(self) -> None:
        self.anything = False
        self._decisions: list[Decision] = []
        self._pieces: list[str] = []
        self._calls: list[ToolCall] = []
        self._outcome: Outcome | None = None

    def add(self, heard: Event) -> None:
        """One more event."""
        self.anything = True
        if isinstance(heard, str):
            self._pieces.append(heard)
        elif isinstance(heard, Decision):
            self._decisions.append(heard)
        elif isinstance(heard, ToolCall):
            self._calls.append(heard)
        elif isinstance(heard, Retracted):
            self._pieces.clear()
            self._calls.clear()
        else:
            self._outcome = heard

    def answer(self) -> Answer:
        """The whole.

        Raises:
            FailedError: the stream ended before it was whole.
        """
        if self._outcome is None or not self._decisions:
            raise FailedError("the answer ended without its outcome", hint="send the task again, and report this")
        return Answer(
            decisions=tuple(self._decisions),
            outcome=self._outcome,
            streamed="".join(self._pieces),
            tool_calls=tuple(self._calls),
        )


def _call(message: wire.ToolCall) -> ToolCall:
    return ToolCall(id=message.id, name=message.name, arguments=message.arguments)


def _time(message: Timestamp) -> datetime:
    return message.ToDatetime(timezone.utc)
