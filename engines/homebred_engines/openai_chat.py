"""OpenAI's chat completions: a request as JSON, and what streams back read into deltas, calls and errors. Pure.

An event is one JSON object: a piece of text or of a call, the reason for the end, the usage, or an error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from homebred_engines import api
from homebred_engines.openai_forms import choice_form, message_form, tool_form

MAX_EVENT_BYTES = 1024 * 1024
MAX_STOP_STRINGS = 4
"""What every server takes; more are looked for here."""
_REASONS = {
    "stop": api.FinishReason.STOP,
    "length": api.FinishReason.LENGTH,
    "tool_calls": api.FinishReason.STOP,  # the calls themselves say so
}
_CONTEXT_CODES = {"exceed_context_size_error", "context_length_exceeded"}
_CONTEXT_WORDS = re.compile(r"context (length|size|window)", re.IGNORECASE)
_NUMBERS = re.compile(r"\d+")
_BAD_REQUEST, _UNAUTHORISED, _FORBIDDEN, _NOT_FOUND, _TOO_MANY, _SERVER_ERROR, _BUSY = 400, 401, 403, 404, 429, 500, 503
_RETRY_AFTER_S = 1.0
_DONE = b"[DONE]"


def request_body(model: str, messages: Sequence[api.Message], options: api.GenerateOptions) -> dict[str, object]:
    """What is asked of the server."""
    body: dict[str, object] = {
        "model": model,
        "messages": list(map(message_form, messages)),
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    given = {
        "max_tokens": options.max_tokens or None,
        "temperature": options.temperature,
        "top_p": options.top_p,
        "top_k": options.top_k,
        "seed": options.seed,
        "stop": list(options.stop) if 0 < len(options.stop) <= MAX_STOP_STRINGS else None,
    }
    body |= {name: value for name, value in given.items() if value is not None}
    if options.logprobs:
        body |= {"logprobs": True, "top_logprobs": 1}
    if options.json_schema:
        schema = {"name": "answer", "strict": True, "schema": options.parsed_schema()}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    if options.tools:
        body |= {"tools": list(map(tool_form, options.tools)), "tool_choice": choice_form(options.tool_choice)}
    return body


class EventLines:
    """The data of server-sent events out of bytes, however these were split."""

    def __init__(self) -> None:
        self._held = b""
        self.is_done = False
        """Whether the server has said that nothing follows."""

    def feed(self, piece: bytes) -> Iterator[dict[str, Any]]:
        """The JSON objects that are complete now. Raises EngineFailedError."""
        *lines, self._held = (self._held + piece).split(b"\n")
        if len(self._held) > MAX_EVENT_BYTES:
            raise api.EngineFailedError(f"An event of the server is longer than {MAX_EVENT_BYTES} bytes.")
        for line in lines:
            name, _, value = line.partition(b":")
            if name.strip() != b"data" or not value.strip():
                continue
            if value.strip() == _DONE:
                self.is_done = True
                return
            yield parsed(value)


def parsed(body: bytes) -> dict[str, Any]:
    """A JSON object. Raises EngineFailedError."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise api.EngineFailedError("The server answers with something that is no JSON object.")
    return document


class CompletionReading:
    """One generation's events."""

    def __init__(self) -> None:
        self.reason: api.FinishReason | None = None
        self.usage: Mapping[str, Any] = {}
        self._tokens = 0
        self._calls: dict[int, dict[str, str]] = {}

    def feed(self, document: Mapping[str, Any]) -> api.Delta | None:
        """The text in an event; None: there is none. Raises the error that the event holds."""
        if document.get("error"):
            raise typed_error(_SERVER_ERROR, document)
        self.usage = document.get("usage") or self.usage
        for choice in document.get("choices") or ():
            self.reason = _REASONS.get(choice.get("finish_reason") or "", self.reason)
            delta = choice.get("delta") or {}
            for call in delta.get("tool_calls") or ():
                self._feed_call(call)
            logprobs = tuple(
                api.TokenLogprob(token=each["token"], logprob=min(0.0, each["logprob"]))
                for each in (choice.get("logprobs") or {}).get("content") or ()
            )
            if delta.get("content") or logprobs:
                tokens = max(1, len(logprobs))
                self._tokens += tokens
                return api.Delta(text=delta.get("content") or "", tokens=tokens, logprobs=logprobs)
        return None

    def calls(self) -> tuple[api.ToolCall, ...]:
        """The calls, in order, where the answer came to its end."""
        if self.reason is not api.FinishReason.STOP:
            return ()
        return tuple(
            api.ToolCall(id=call["id"] or f"call_{index}", name=call["name"], arguments=call["arguments"] or "{}")
            for index, call in sorted(self._calls.items())
        )

    def finished_usage(self, *, prompt_s: float, completion_s: float) -> api.Usage:
        """As the server has it; where it has none, the tokens that were heard."""
        details = self.usage.get("prompt_tokens_details") or {}
        return api.Usage(
            prompt_tokens=self.usage.get("prompt_tokens") or 0,
            cached_tokens=details.get("cached_tokens") or 0,
            completion_tokens=self.usage.get("completion_tokens") or self._tokens,
            prompt_s=prompt_s,
            completion_s=completion_s,
        )

    def _feed_call(self, piece: Mapping[str, Any]) -> None:
        call = self._calls.setdefault(piece.get("index") or 0, {"id": "", "name": "", "arguments": ""})
        function = piece.get("function") or {}
        call["id"] = piece.get("id") or call["id"]
        call["name"] += function.get("name") or ""
        call["arguments"] += function.get("arguments") or ""


def typed_error(status: int, document: Mapping[str, Any], *, retry_after: str = "") -> api.EngineError:
    """A server's error as ours."""
    error = document.get("error")
    if not isinstance(error, dict):
        error = {"message": error or document.get("message") or document.get("detail")}
    status = error["code"] if isinstance(error.get("code"), int) else status
    message = str(error.get("message") or "no reason")
    if {str(error.get("type")), str(error.get("code"))} & _CONTEXT_CODES or (
        status == _BAD_REQUEST and _CONTEXT_WORDS.search(message)
    ):
        return _context_error(error, message)
    if status in (_TOO_MANY, _BUSY):
        return api.QueueFullError(f"The server says: {message}.", retry_after_s=_seconds(retry_after))
    if _BAD_REQUEST <= status < _SERVER_ERROR and status not in (_UNAUTHORISED, _FORBIDDEN, _NOT_FOUND):
        return api.InvalidRequestError(f"The server says: {message}.")
    return api.EngineFailedError(f"The server says: {message}.")


def _context_error(error: Mapping[str, Any], message: str) -> api.ContextExceededError:
    """Servers that give no figures name them in their sentence: the larger one is the prompt's."""
    numbers = sorted(map(int, _NUMBERS.findall(message))) or [0]
    prompt_tokens, context_tokens = error.get("n_prompt_tokens", numbers[-1]), error.get("n_ctx", numbers[0])
    return api.ContextExceededError(
        f"It has {prompt_tokens} tokens, the slot {context_tokens}.",
        prompt_tokens=int(prompt_tokens),
        context_tokens=int(context_tokens),
    )


def _seconds(field: str) -> float:
    return float(field) if field.isascii() and field.isdigit() else _RETRY_AFTER_S
