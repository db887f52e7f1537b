"""What an answer looks like on the wire: OpenAI's objects for chat and for completions, with our `homebred` in them."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Final, Protocol

from typing_extensions import override

from homebred_daemon.core.records import decision_record
from homebred_daemon.inbound.answering import Decided, Outcome
from homebred_daemon.ports.ledger import OutcomeRecord
from homebred_engines import api

DECISION_HEADER: Final = "x-homebred-decision"
REQUEST_ID_HEADER: Final = "x-request-id"
"""What OpenAI's clients show of a request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """What every object of one answer repeats."""

    route_id: str
    created_s: int
    """Unix time of the decision."""
    model: str
    """As the caller wrote it."""
    includes_usage: bool


class Form(Protocol):
    """The objects of one endpoint."""

    def opening(self, naming: Naming) -> list[dict[str, Any]]:
        """What a stream begins with, before any piece."""
        ...

    def piece(self, naming: Naming, text: str) -> dict[str, Any]:
        """A piece of a stream."""
        ...

    def tool_call(self, naming: Naming, call: api.ToolCall, number: int) -> dict[str, Any]:
        """A tool to call, whole, in a stream."""
        ...

    def closing(self, naming: Naming, outcome: Outcome, homebred: dict[str, Any]) -> list[dict[str, Any]]:
        """What a stream ends with."""
        ...

    def whole(
        self, naming: Naming, text: str, calls: tuple[api.ToolCall, ...], outcome: Outcome, homebred: dict[str, Any]
    ) -> dict[str, Any]:
        """An answer that comes whole."""
        ...


class _Form(Form, ABC):
    """What both have in common."""

    _prefix = ""
    _object = ""
    _chunk_object = ""

    @override
    def closing(self, naming: Naming, outcome: Outcome, homebred: dict[str, Any]) -> list[dict[str, Any]]:
        last = self._chunk(naming, self._last_choice(outcome.record.finish_reason)) | {"homebred": homebred}
        if not naming.includes_usage:
            return [last]
        return [last, self._chunk(naming) | {"usage": usage_document(outcome.record)}]

    @abstractmethod
    def _last_choice(self, finish_reason: str) -> dict[str, Any]:
        """The choice that says why an answer ended."""

    def _chunk(self, naming: Naming, *choices: dict[str, Any]) -> dict[str, Any]:
        chunk = self._named(naming, self._chunk_object, *choices)
        return chunk | {"usage": None} if naming.includes_usage else chunk

    def _named(self, naming: Naming, kind: str, *choices: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": f"{self._prefix}{naming.route_id}",
            "object": kind,
            "created": naming.created_s,
            "model": naming.model,
            "choices": list(choices),
        }


class ChatForm(_Form):
    """`chat.completion` and its chunks."""

    _prefix = "chatcmpl-"
    _object = "chat.completion"
    _chunk_object = "chat.completion.chunk"

    @override
    def opening(self, naming: Naming) -> list[dict[str, Any]]:
        return [self._delta(naming, {"role": "assistant", "content": ""})]

    @override
    def piece(self, naming: Naming, text: str) -> dict[str, Any]:
        return self._delta(naming, {"content": text})

    @override
    def tool_call(self, naming: Naming, call: api.ToolCall, number: int) -> dict[str, Any]:
        return self._delta(naming, {"tool_calls": [{"index": number} | _call_document(call)]})

    @override
    def whole(
        self, naming: Naming, text: str, calls: tuple[api.ToolCall, ...], outcome: Outcome, homebred: dict[str, Any]
    ) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": text if text or not calls else None}
        if calls:
            message["tool_calls"] = [_call_document(call) for call in calls]
        reason = outcome.record.finish_reason
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
        whole = self._named(naming, self._object, choice)
        return whole | {"usage": usage_document(outcome.record), "homebred": homebred}

    @override
    def _last_choice(self, finish_reason: str) -> dict[str, Any]:
        return {"index": 0, "delta": {}, "logprobs": None, "finish_reason": finish_reason}

    def _delta(self, naming: Naming, delta: dict[str, Any]) -> dict[str, Any]:
        return self._chunk(naming, {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None})


class CompletionForm(_Form):
    """`text_completion`, whole or in pieces."""

    _prefix = "cmpl-"
    _object = _chunk_object = "text_completion"

    @override
    def opening(self, naming: Naming) -> list[dict[str, Any]]:
        return []

    @override
    def piece(self, naming: Naming, text: str) -> dict[str, Any]:
        return self._chunk(naming, self._choice(text, None))

    @override
    def tool_call(self, naming: Naming, call: api.ToolCall, number: int) -> dict[str, Any]:
        raise AssertionError("a completion is asked without tools")

    @override
    def whole(
        self, naming: Naming, text: str, calls: tuple[api.ToolCall, ...], outcome: Outcome, homebred: dict[str, Any]
    ) -> dict[str, Any]:
        whole = self._named(naming, self._object, self._choice(text, outcome.record.finish_reason))
        return whole | {"usage": usage_document(outcome.record), "homebred": homebred}

    @override
    def _last_choice(self, finish_reason: str) -> dict[str, Any]:
        return self._choice("", finish_reason)

    @staticmethod
    def _choice(text: str, finish_reason: str | None) -> dict[str, Any]:
        return {"index": 0, "text": text, "logprobs": None, "finish_reason": finish_reason}


def decision_header(decided: Decided) -> tuple[str, str]:
    """The decision in one line of ASCII: what an application must tell apart before the first byte of an answer."""
    decision = decided.decision
    said = {
        "route_id": decided.route_id,
        "selected_runtime": decision.selected_runtime.value,
        "selected_model_or_stack": decision.selected_model_or_stack,
        "reason_code": decision.reason_code.value,
        "redaction_required": decision.redaction_required,
        "evidence_required": decision.evidence_required,
        "fallback_target": decision.fallback_target.value,
    }
    return DECISION_HEADER, json.dumps(said, separators=(",", ":"))


def homebred_document(decided: Decided, outcome: Outcome | None) -> dict[str, Any]:
    """Decision and outcome, as far as they are known."""
    said: dict[str, Any] = {
        "decision": decision_record(decided.decision) | {"route_id": decided.route_id, "supersedes": decided.supersedes}
    }
    return said if outcome is None else said | {"outcome": _outcome_document(outcome)}


def usage_document(record: OutcomeRecord) -> dict[str, Any]:
    """What it took, in OpenAI's words."""
    return {
        "prompt_tokens": record.prompt_tokens,
        "completion_tokens": record.completion_tokens,
        "total_tokens": record.prompt_tokens + record.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": record.cached_tokens},
    }


def _outcome_document(outcome: Outcome) -> dict[str, Any]:
    record = outcome.record
    return {
        "status": record.status,
        "weak": outcome.weak,
        "findings": list(record.findings),
        "answered_by": record.answered_by,
        "first_token_ms": record.first_token_ms,
        "total_ms": record.total_ms,
        "confidence": record.confidence,
    }


def _call_document(call: api.ToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
