"""Anthropic's messages."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import groupby

from typing_extensions import override

from homebred_daemon.adapters.cloud import wire_format
from homebred_daemon.adapters.cloud.wire_format import AnswerReader, Json, WireFormat
from homebred_daemon.ports.cloud import CloudFinish, CloudFinished, CloudRequest, CloudUsage
from homebred_engines import api
from homebred_engines.openai_forms import parameters_form

VERSION = "2023-06-01"
_FINISH = {
    "end_turn": CloudFinish.STOP,
    "stop_sequence": CloudFinish.STOP,
    "max_tokens": CloudFinish.LENGTH,
    "tool_use": CloudFinish.TOOL_CALLS,
    "model_context_window_exceeded": CloudFinish.LENGTH,
    "refusal": CloudFinish.FILTERED,
}


class AnthropicReader(AnswerReader):
    """Typed events: input tokens come with the first, the reason and output tokens before the last."""

    _reason = CloudFinish.OTHER
    _input_tokens: int | None = None
    _output_tokens: int | None = None

    @override
    def read(self, event: Json) -> str:
        match event["type"]:
            case "message_start":
                self._input_tokens = self._used(event["message"]).input_tokens
            case "content_block_delta" if event["delta"]["type"] == "text_delta":
                return wire_format.text(event["delta"]["text"])
            case "content_block_start" if event["content_block"]["type"] == "tool_use":
                self.calls.begin(event["index"], wire_format.text(event["content_block"]["name"]))
            case "content_block_delta" if event["delta"]["type"] == "input_json_delta":
                self.calls.add(event["index"], wire_format.text(event["delta"]["partial_json"]))
            case "message_delta":
                self._reason = wire_format.finish_reason(_FINISH, event["delta"].get("stop_reason"))
                self._output_tokens = self._used(event).output_tokens
            case "message_stop":
                used = CloudUsage(input_tokens=self._input_tokens, output_tokens=self._output_tokens)
                self.finished = CloudFinished(reason=self._reason, usage=used)
            case "error":
                raise wire_format.failure_in_stream(event.get("error"))
        return ""

    def _used(self, holder: Json) -> CloudUsage:
        return wire_format.usage(holder.get("usage"), "input_tokens", "output_tokens")


class AnthropicMessages(WireFormat):
    """`POST …/messages`."""

    path = "/messages"
    reader = AnthropicReader

    @override
    def headers(self, key: str) -> dict[str, str]:
        return {"anthropic-version": VERSION} | ({"x-api-key": key} if key else {})

    @override
    def body(self, request: CloudRequest, model: str) -> dict[str, object]:
        body: dict[str, object] = {
            "model": model,
            "messages": _messages(request.turns),
            "max_tokens": request.max_tokens,
            "stream": True,
        }
        if request.system:
            body["system"] = request.system
        if request.temperature is not None:
            body["temperature"] = request.temperature
        if request.top_p is not None:
            body["top_p"] = request.top_p
        if request.json_schema:
            schema = json.loads(request.json_schema)
            body["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
        if request.tools:
            body["tools"] = list(map(_tool, request.tools))
            body["tool_choice"] = _choice(request.tool_choice)
        return body


def _messages(turns: Sequence[api.Message]) -> list[dict[str, object]]:
    """Results of tools are the user's, and all that answer one turn stand in one message."""
    messages: list[dict[str, object]] = []
    for answers_calls, together in groupby(turns, key=lambda turn: bool(turn.tool_call_id)):
        if answers_calls:
            messages.append({"role": "user", "content": list(map(_result, together))})
        else:
            messages += ({"role": turn.role, "content": _content(turn)} for turn in together)
    return messages


def _result(turn: api.Message) -> dict[str, object]:
    return {"type": "tool_result", "tool_use_id": turn.tool_call_id, "content": turn.content}


def _content(turn: api.Message) -> object:
    if not turn.tool_calls:
        return turn.content
    said: list[dict[str, object]] = [{"type": "text", "text": turn.content}] if turn.content else []
    return said + [
        {"type": "tool_use", "id": call.id, "name": call.name, "input": json.loads(call.arguments)}
        for call in turn.tool_calls
    ]


def _tool(tool: api.Tool) -> dict[str, object]:
    return {"name": tool.name, "description": tool.description, "input_schema": parameters_form(tool)}


def _choice(choice: str) -> dict[str, object]:
    known = {"auto": "auto", "none": "none", "required": "any"}
    return {"type": known[choice]} if choice in known else {"type": "tool", "name": choice}
