"""Between the wire's messages and the services' values; the only reader of inference messages in the daemon."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, get_args

from homebred_daemon.adapters.accepting import accepted, accepted_embedding
from homebred_daemon.core.attached_content import Attachment
from homebred_daemon.core.decision import Fallback, RouteDecision, Runtime
from homebred_daemon.core.task_content import tools_of
from homebred_daemon.errors import HomebredError, OverloadedError, RequestError
from homebred_daemon.inbound.answering import AcceptedTask, AnswerEvent, Decided, Outcome, Retracted, Routed
from homebred_daemon.inbound.embedding import Embeddings, EmbeddingTask
from homebred_engines import api
from homebred_protocol.v1 import inference_pb2 as wire

RUNTIMES = {
    Runtime.LOCAL: wire.RUNTIME_LOCAL,
    Runtime.CLOUD_ESCALATION: wire.RUNTIME_CLOUD_ESCALATION,
    Runtime.NO_OP: wire.RUNTIME_NO_OP,
}
FALLBACKS = {
    Fallback.NONE: wire.FALLBACK_TARGET_NONE,
    Fallback.LOCAL_SUMMARY: wire.FALLBACK_TARGET_LOCAL_SUMMARY,
    Fallback.HUMAN_REVIEW: wire.FALLBACK_TARGET_HUMAN_REVIEW,
}
STATUSES = {
    "answer": wire.OUTCOME_STATUS_ANSWER,
    "degraded": wire.OUTCOME_STATUS_DEGRADED,
    "review": wire.OUTCOME_STATUS_REVIEW,
    "error": wire.OUTCOME_STATUS_ERROR,
}
_Optional = Literal["minimum_margin", "expected_calls", "deadline_s", "context_tokens"]
_OPTIONAL: tuple[_Optional, ...] = get_args(_Optional)


def accepted_task(
    request: wire.GenerateRequest, *, caller: tuple[str, ...], deadline_s: float, new_task_id: Callable[[], str]
) -> AcceptedTask:
    """The request as a checked task; `deadline_s` is the most that the call itself allows.

    Raises:
        RequestError: with every problem found.
    """
    document = _document(request.task, new_task_id)
    attachments = tuple(
        Attachment(name=one.name, media_type=one.media_type, data=one.data) for one in request.task.attachments
    )
    return accepted(
        document,
        attachments=attachments,
        options=lambda: _options(request, document),
        caller=caller,
        deadline_s=deadline_s,
    )


def event_message(event: AnswerEvent) -> wire.GenerateEvent:
    """One event of an answer."""
    if isinstance(event, str):
        return wire.GenerateEvent(delta=event)
    if isinstance(event, Decided):
        message = decision_message(event.decision)
        message.route_id, message.supersedes = event.route_id, event.supersedes
        return wire.GenerateEvent(decision=message)
    if isinstance(event, api.ToolCall):
        return wire.GenerateEvent(tool_call=_call_message(event))
    if isinstance(event, Retracted):
        return wire.GenerateEvent(retraction=wire.Retraction(code=event.code))
    return wire.GenerateEvent(outcome=_outcome_message(event))


def embedding_task(request: wire.EmbedRequest, *, caller: tuple[str, ...], deadline_s: float) -> EmbeddingTask:
    """The request as a checked task; `deadline_s` is the most that the call itself allows. Raises RequestError."""
    asked_s = request.deadline_s if request.HasField("deadline_s") else deadline_s
    return accepted_embedding(
        request.texts, workflow=request.workflow or None, caller=caller, deadline_s=min(asked_s, deadline_s)
    )


def embedded_message(embeddings: Embeddings) -> wire.EmbedResponse:
    """Texts as vectors."""
    return wire.EmbedResponse(
        embeddings=[wire.Embedding(values=vector) for vector in embeddings.vectors],
        made_by=embeddings.made_by,
        prompt_tokens=embeddings.prompt_tokens,
    )


def routed_message(routed: Routed) -> wire.RouteResponse:
    """A dry run's result."""
    context = routed.context
    return wire.RouteResponse(
        decision=decision_message(routed.decision),
        context=None
        if context is None
        else wire.OutgoingContext(
            system=context.system,
            messages=turn_messages(context.turns),
            response_schema=context.json_schema,
            dropped_messages=context.dropped_turns,
            tools=tool_messages(context.tools),
            dropped_attachments=context.dropped_attachments,
        ),
    )


def tool_messages(tools: Iterable[api.Tool]) -> list[wire.Tool]:
    """Tools, without where they run: that is the caller's to know."""
    return [wire.Tool(name=tool.name, description=tool.description, parameters=tool.parameters) for tool in tools]


def turn_messages(turns: Iterable[api.Message]) -> list[wire.Message]:
    """A conversation."""
    return [
        wire.Message(
            role=turn.role,
            content=turn.content,
            tool_calls=map(_call_message, turn.tool_calls),
            tool_call_id=turn.tool_call_id,
        )
        for turn in turns
    ]


def decision_message(decision: RouteDecision) -> wire.RouteDecision:
    """A decision without the id that only a recorded one has."""
    message = wire.RouteDecision(
        selected_runtime=RUNTIMES[decision.selected_runtime],
        selected_model_or_stack=decision.selected_model_or_stack,
        local_reason=decision.local_reason,
        redaction_required=decision.redaction_required,
        evidence_required=decision.evidence_required,
        fallback_target=FALLBACKS[decision.fallback_target],
        reason_code=decision.reason_code.value,
        classes=decision.classes,
        policy_digest=decision.policy_digest,
        trace=decision.trace,
    )
    message.route_created_at_utc.FromDatetime(decision.route_created_at_utc)
    return message


def _call_message(call: api.ToolCall) -> wire.ToolCall:
    return wire.ToolCall(id=call.id, name=call.name, arguments=call.arguments)


def problem_message(error: HomebredError) -> wire.Problem:
    """What a person needs to hear of an error."""
    retry_after_s = error.retry_after_s if isinstance(error, OverloadedError) else 0.0
    return wire.Problem(code=error.code, message=error.message, hint=error.hint, retry_after_s=retry_after_s)


def _outcome_message(outcome: Outcome) -> wire.Outcome:
    record = outcome.record
    return wire.Outcome(
        status=STATUSES[record.status],
        weak=outcome.weak,
        findings=record.findings,
        answered_by=record.answered_by,
        finish_reason=record.finish_reason,
        usage=wire.Usage(
            prompt_tokens=record.prompt_tokens,
            cached_tokens=record.cached_tokens,
            completion_tokens=record.completion_tokens,
        ),
        first_token_ms=record.first_token_ms,
        total_ms=record.total_ms,
        confidence=record.confidence,
        problem=None if outcome.problem is None else problem_message(outcome.problem),
    )


def _document(task: wire.Task, new_task_id: Callable[[], str]) -> dict[str, Any]:
    """The task in the shape that `read_task` checks; absent fields stay absent."""
    document: dict[str, Any] = {
        "task_id": task.task_id or new_task_id(),
        "workflow": task.workflow or None,
        "kind": task.kind or None,
        "data_classes": list(task.data_classes),
        "allows_escalation": task.allows_escalation,
        "requires": list(task.requires),
    }
    document |= {name: getattr(task, name) for name in _OPTIONAL if task.HasField(name)}
    if task.messages:
        document["messages"] = [_message_document(message) for message in task.messages]
    if task.text or not task.messages:
        document["text"] = task.text
    if task.response_schema:
        document["response_schema"] = _schema(task.response_schema, "response_schema")
    if task.tools:
        document["tools"] = [_tool_document(tool) for tool in task.tools]
    if task.HasField("constraints"):
        document["constraints"] = _constraints_document(task.constraints)
    document |= {"session_id": task.session_id or None, "rejects": task.rejects or None}
    return document | {"tool_choice": task.tool_choice or None}


def _constraints_document(constraints: wire.Constraints) -> dict[str, Any]:
    return {
        "matches": constraints.matches,
        "contains": list(constraints.contains),
        "excludes": list(constraints.excludes),
        "max_characters": constraints.max_characters if constraints.HasField("max_characters") else None,
    }


def _message_document(message: wire.Message) -> dict[str, Any]:
    calls = [{"id": call.id, "name": call.name, "arguments": call.arguments} for call in message.tool_calls]
    said = {"role": message.role, "content": message.content, "tool_call_id": message.tool_call_id or None}
    return said | {"tool_calls": calls} if calls else said


def _tool_document(tool: wire.Tool) -> dict[str, Any]:
    parameters = _schema(tool.parameters, f"parameters of the tool {tool.name}") if tool.parameters else None
    said = {"name": tool.name, "description": tool.description, "parameters": parameters}
    return said | {"runs_here": tool.runs_here}


def _schema(text: str, what: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"{what} is not JSON: {error}", hint="send a JSON Schema as text") from None


def _options(request: wire.GenerateRequest, document: Mapping[str, Any]) -> api.GenerateOptions:
    return api.GenerateOptions(
        max_tokens=request.max_tokens,
        temperature=request.temperature if request.HasField("temperature") else None,
        seed=request.seed if request.HasField("seed") else None,
        stop=tuple(request.stop),
        json_schema=request.task.response_schema,
        tools=tools_of(document),
        tool_choice=request.task.tool_choice or "auto",
    )
