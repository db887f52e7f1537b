"""What the stand-in cloud answers, as each of the three wire formats has it. It is no model.

It says what it was asked. Where it was given tools, it asks for the first of them with what it was asked, once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

PIECE_CHARACTERS = 5
Stream = Iterator[str]


def answer_to(asked: Mapping[str, Any]) -> str:
    """What it says: what the user said last, with the words around it that a model would find."""
    said = _said_last(asked)
    return f"You asked: {said} In short: {said}"


def pieces_of(text: str, *, is_endless: bool = False) -> Stream:
    """The text in small pieces, which split every token."""
    while True:
        for start in range(0, len(text), PIECE_CHARACTERS):
            yield text[start : start + PIECE_CHARACTERS]
        if not is_endless:
            return


def _turns(asked: Mapping[str, Any]) -> list[Any]:
    return asked.get("messages") or asked.get("input") or [{"role": "user", "content": ""}]


def _said_last(asked: Mapping[str, Any]) -> str:
    said = [turn["content"] for turn in _turns(asked) if turn.get("role") == "user"]
    return next((content for content in reversed(said) if isinstance(content, str)), "")


def _call(asked: Mapping[str, Any]) -> tuple[str, str] | None:
    """The tool that it asks for, and its arguments; None: it asks for none, or was answered already."""
    last = _turns(asked)[-1]
    if not asked.get("tools") or last.get("role") != "user" or not isinstance(last.get("content"), str):
        return None
    tool = asked["tools"][0]
    name = tool.get("name") or tool["function"]["name"]
    return name, json.dumps({"text": last["content"]}, ensure_ascii=False)


def _event(data: Mapping[str, Any]) -> str:
    kind = f"event: {data['type']}\n" if "type" in data else ""
    return f"{kind}data: {json.dumps(data, ensure_ascii=False)}\n\n"


def _counts(asked: Mapping[str, Any]) -> tuple[int, int]:
    """Tokens of the question and of the answer, counted in words."""
    return len(json.dumps(asked).split()), len(answer_to(asked).split())


def _openai_chat(pieces: Stream, asked: Mapping[str, Any]) -> Stream:
    def chunk(delta: Mapping[str, Any], reason: str | None = None) -> str:
        return _event({"choices": [{"index": 0, "delta": delta, "finish_reason": reason}], "usage": None})

    yield chunk({"role": "assistant", "content": ""})
    for piece in pieces:
        yield chunk({"content": piece})
    call = _call(asked)
    if call is not None:
        name, arguments = call
        function = {"name": name, "arguments": ""}
        yield chunk({"tool_calls": [{"index": 0, "id": "toolu_1", "type": "function", "function": function}]})
        for piece in pieces_of(arguments):
            yield chunk({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
    yield chunk({}, "stop" if call is None else "tool_calls")
    sent, answered = _counts(asked)
    yield _event({"choices": [], "usage": {"prompt_tokens": sent, "completion_tokens": answered}})
    yield "data: [DONE]\n\n"


def _openai_responses(pieces: Stream, asked: Mapping[str, Any]) -> Stream:
    yield _event({"type": "response.created", "response": {"status": "in_progress"}})
    for piece in pieces:
        yield _event({"type": "response.output_text.delta", "delta": piece})
    call = _call(asked)
    if call is not None:
        name, arguments = call
        for piece in pieces_of(arguments):
            yield _event({"type": "response.function_call_arguments.delta", "output_index": 1, "delta": piece})
        item = {"type": "function_call", "call_id": "toolu_1", "name": name, "arguments": arguments}
        yield _event({"type": "response.output_item.done", "output_index": 1, "item": item})
    sent, answered = _counts(asked)
    used = {"input_tokens": sent, "output_tokens": answered}
    yield _event({"type": "response.completed", "response": {"status": "completed", "usage": used}})


def _anthropic_messages(pieces: Stream, asked: Mapping[str, Any]) -> Stream:
    sent, answered = _counts(asked)
    yield _event({"type": "message_start", "message": {"usage": {"input_tokens": sent, "output_tokens": 1}}})
    for piece in pieces:
        yield _event({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}})
    call = _call(asked)
    if call is not None:
        name, arguments = call
        block = {"type": "tool_use", "id": "toolu_1", "name": name, "input": {}}
        yield _event({"type": "content_block_start", "index": 1, "content_block": block})
        for piece in pieces_of(arguments):
            more = {"type": "input_json_delta", "partial_json": piece}
            yield _event({"type": "content_block_delta", "index": 1, "delta": more})
    why, used = "end_turn" if call is None else "tool_use", {"output_tokens": answered}
    yield _event({"type": "message_delta", "delta": {"stop_reason": why}, "usage": used})
    yield _event({"type": "message_stop"})


STREAMS = {
    "/v1/chat/completions": _openai_chat,
    "/v1/responses": _openai_responses,
    "/v1/messages": _anthropic_messages,
}
