"""OpenAI's responses, asked to keep nothing (`store`)."""

from __future__ import annotations

import json
from collections.abc import Iterator

from typing_extensions import override

from homebred_daemon.adapters.cloud import wire_format
from homebred_daemon.adapters.cloud.wire_format import AnswerReader, Json, WireFormat
from homebred_daemon.ports.cloud import CloudFinish, CloudFinished, CloudRequest
from homebred_engines import api
from homebred_engines.openai_forms import parameters_form

_INCOMPLETE = {"max_output_tokens": CloudFinish.LENGTH, "content_filter": CloudFinish.FILTERED}


class OpenAiResponsesReader(AnswerReader):
    """Typed events; the last one carries the whole response, of which its end and its tokens are read."""

    _has_refused = False

    @override
    def read(self, event: Json) -> str:
        match event["type"]:
            case "response.output_text.delta":
                return wire_format.text(event["delta"])
            case "response.refusal.delta":
                self._has_refused = True
                return wire_format.text(event["delta"])
            case "response.output_item.done" if event["item"]["type"] == "function_call":
                index = event["output_index"]
                self.calls.begin(index, wire_format.text(event["item"]["name"]))
                self.calls.add(index, wire_format.text(event["item"]["arguments"]))
            case "response.completed":
                asks = CloudFinish.TOOL_CALLS if self.calls.whole() else CloudFinish.STOP
                self._finish(event["response"], CloudFinish.FILTERED if self._has_refused else asks)
            case "response.incomplete":
                why = (event["response"].get("incomplete_details") or {}).get("reason")
                self._finish(event["response"], wire_format.finish_reason(_INCOMPLETE, why))
            case "response.failed":
                raise wire_format.failure_in_stream(event["response"].get("error"))
            case "error":
                raise wire_format.failure_in_stream(event.get("error") or {"code": event.get("code")})
        return ""

    def _finish(self, response: Json, reason: CloudFinish) -> None:
        used = wire_format.usage(response.get("usage"), "input_tokens", "output_tokens")
        self.finished = CloudFinished(reason=reason, usage=used)


class OpenAiResponses(WireFormat):
    """`POST …/responses`."""

    path = "/responses"
    reader = OpenAiResponsesReader

    @override
    def headers(self, key: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {key}"} if key else {}

    @override
    def body(self, request: CloudRequest, model: str) -> dict[str, object]:
        body: dict[str, object] = {
            "model": model,
            "input": [item for turn in request.turns for item in _items(turn)],
            "max_output_tokens": request.max_tokens,
            "store": False,
            "stream": True,
        }
        if request.system:
            body["instructions"] = request.system
        if request.temperature is not None:
            body["temperature"] = request.temperature
        if request.top_p is not None:
            body["top_p"] = request.top_p
        if request.json_schema:
            schema = json.loads(request.json_schema)
            body["text"] = {"format": {"type": "json_schema", "name": "answer", "schema": schema}}
        if request.tools:
            body["tools"] = list(map(_tool, request.tools))
            body["tool_choice"] = _choice(request.tool_choice)
        return body


def _items(turn: api.Message) -> Iterator[dict[str, object]]:
    if turn.tool_call_id:
        yield {"type": "function_call_output", "call_id": turn.tool_call_id, "output": turn.content}
        return
    if turn.content or not turn.tool_calls:
        yield {"role": turn.role, "content": turn.content}
    for call in turn.tool_calls:
        yield {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": call.arguments}


def _tool(tool: api.Tool) -> dict[str, object]:
    function = {"name": tool.name, "description": tool.description, "parameters": parameters_form(tool)}
    return {"type": "function", "strict": False, **function}  # strict takes few schemas


def _choice(choice: str) -> object:
    return choice if choice in api.TOOL_CHOICES else {"type": "function", "name": choice}
