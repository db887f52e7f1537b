"""Anthropic's messages."""

from __future__ import annotations

import json

from typing_extensions import override

from homebred_daemon.adapters.cloud import wire_format
from homebred_daemon.adapters.cloud.wire_format import AnswerReader, Json, WireFormat
from homebred_daemon.ports.cloud import CloudFinish, CloudFinished, CloudRequest, CloudUsage

VERSION = "2023-06-01"
_FINISH = {
    "end_turn": CloudFinish.STOP,
    "stop_sequence": CloudFinish.STOP,
    "max_tokens": CloudFinish.LENGTH,
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
            "messages": [{"role": turn.role, "content": turn.content} for turn in request.turns],
            "max_tokens": request.max_tokens,
            "stream": True,
        }
        if request.system:
            body["system"] = request.system
        if request.temperature is not None:
            body["temperature"] = request.temperature
        if request.json_schema:
            schema = json.loads(request.json_schema)
            body["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
        return body
