"""OpenAI's chat completions, which most other providers and local servers speak as well."""

from __future__ import annotations

import json
from dataclasses import replace

from typing_extensions import override

from homebred_daemon.adapters.cloud import wire_format
from homebred_daemon.adapters.cloud.wire_format import AnswerReader, Json, WireFormat
from homebred_daemon.ports.cloud import CloudFinish, CloudFinished, CloudRequest, CloudUsage
from homebred_engines.openai_forms import choice_form, message_form, tool_form

_FINISH = {
    "stop": CloudFinish.STOP,
    "length": CloudFinish.LENGTH,
    "tool_calls": CloudFinish.TOOL_CALLS,
    "content_filter": CloudFinish.FILTERED,
}


class OpenAiChatReader(AnswerReader):
    """Chunks with a delta each; the count of tokens comes in a chunk of its own after the last."""

    end_mark = "[DONE]"

    @override
    def read(self, event: Json) -> str:
        if event.get("error"):
            raise wire_format.failure_in_stream(event["error"])
        text = ""
        for choice in event["choices"]:
            delta = choice.get("delta") or {}
            text += delta.get("content") or ""
            for call in delta.get("tool_calls") or ():
                self._take_call(call["index"], call.get("function") or {})
            if choice.get("finish_reason"):
                reason = wire_format.finish_reason(_FINISH, choice["finish_reason"])
                self.finished = CloudFinished(reason=reason, usage=CloudUsage())
        if event.get("usage") and self.finished is not None:
            used = wire_format.usage(event["usage"], "prompt_tokens", "completion_tokens")
            self.finished = replace(self.finished, usage=used)
        return text

    def _take_call(self, index: int, function: Json) -> None:
        """The name comes once; a server that sends it with every piece means the same call."""
        if function.get("name"):
            self.calls.begin(index, wire_format.text(function["name"]))
        self.calls.add(index, wire_format.text(function.get("arguments") or ""))


class OpenAiChat(WireFormat):
    """`POST …/chat/completions`."""

    path = "/chat/completions"
    reader = OpenAiChatReader

    @override
    def headers(self, key: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {key}"} if key else {}

    @override
    def body(self, request: CloudRequest, model: str) -> dict[str, object]:
        system = [{"role": "system", "content": request.system}] if request.system else []
        body: dict[str, object] = {
            "model": model,
            "messages": [*system, *map(message_form, request.turns)],
            "max_tokens": request.max_tokens,  # the older name, which every server knows
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if request.temperature is not None:
            body["temperature"] = request.temperature
        if request.top_p is not None:
            body["top_p"] = request.top_p
        if request.seed is not None:
            body["seed"] = request.seed
        if request.json_schema:
            schema = {"name": "answer", "schema": json.loads(request.json_schema)}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        if request.tools:
            body["tools"] = list(map(tool_form, request.tools))
            body["tool_choice"] = choice_form(request.tool_choice)
        return body
