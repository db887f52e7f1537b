"""Tools in each wire format: how they are offered, how calls arrive in pieces, and how results are sent back."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from homebred_daemon.adapters.cloud.registry import WIRE_FORMATS
from homebred_daemon.adapters.cloud.wire_format import StreamedAnswer
from homebred_daemon.demo.stand_in_answers import STREAMS
from homebred_daemon.ports.cloud import BrokenAnswerError, CloudFinish, CloudFinished, CloudRequest
from homebred_engines.api import Message, Tool, ToolCall

SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}}}
TOOLS = (Tool(name="look_up", description="finds", parameters=json.dumps(SCHEMA)), Tool(name="ring"))
FIRST, SECOND = (ToolCall(id=f"call_{n}", name="look_up", arguments=f'{{"text": "{n}"}}') for n in (0, 1))
TURNS = (
    Message(role="user", content="Find 0 and 1."),
    Message(role="assistant", content="So I do.", tool_calls=(FIRST, SECOND)),
    Message(role="tool", content="zero", tool_call_id="call_0"),
    Message(role="tool", content="one", tool_call_id="call_1"),
)
every_format = pytest.mark.parametrize("name", sorted(WIRE_FORMATS))


def body(name: str, turns: tuple[Message, ...] = TURNS, choice: str = "auto") -> dict[str, Any]:
    request = CloudRequest(alias="a", turns=turns, max_tokens=9, tools=TOOLS, tool_choice=choice)
    return WIRE_FORMATS[name].body(request, "m")


def finished(name: str, chunks: Iterable[bytes]) -> CloudFinished:
    answer = StreamedAnswer(WIRE_FORMATS[name].reader())
    for chunk in chunks:
        list(answer.feed(chunk))
    return answer.finish()


def stream_of(name: str) -> bytes:
    asked = body(name, TURNS[:1])
    return "".join(STREAMS["/v1" + WIRE_FORMATS[name].path](iter(["Wait. "]), asked)).encode()


@every_format
def test_a_call_is_the_same_however_it_was_cut(name: str) -> None:
    data = stream_of(name)
    for cut in range(0, len(data), 3):
        end = finished(name, [data[:cut], data[cut:]])
        assert end.reason is CloudFinish.TOOL_CALLS
        assert end.tool_calls == (ToolCall(id="call_0", name="look_up", arguments='{"text": "Find 0 and 1."}'),)


@every_format
def test_an_answer_to_a_tools_result_asks_for_none(name: str) -> None:
    data = "".join(STREAMS["/v1" + WIRE_FORMATS[name].path](iter(["Done."]), body(name))).encode()
    assert finished(name, [data]).reason is CloudFinish.STOP


def test_openai_chat_carries_calls_and_results() -> None:
    sent = body("openai_chat", choice="look_up")
    function = {"name": "look_up", "arguments": FIRST.arguments}
    assert sent["messages"][1]["content"] == "So I do."
    assert sent["messages"][1]["tool_calls"][0] == {"id": "call_0", "type": "function", "function": function}
    assert sent["messages"][2:] == [
        {"role": "tool", "content": "zero", "tool_call_id": "call_0"},
        {"role": "tool", "content": "one", "tool_call_id": "call_1"},
    ]
    assert sent["tools"][0] == {
        "type": "function",
        "function": {"name": "look_up", "description": "finds", "parameters": SCHEMA},
    }
    assert sent["tools"][1]["function"]["parameters"] == {"type": "object", "properties": {}}
    assert sent["tool_choice"] == {"type": "function", "function": {"name": "look_up"}}


def test_openai_responses_carry_calls_and_results_as_items() -> None:
    sent = body("openai_responses", choice="look_up")
    assert sent["input"][1:] == [
        {"role": "assistant", "content": "So I do."},
        {"type": "function_call", "call_id": "call_0", "name": "look_up", "arguments": FIRST.arguments},
        {"type": "function_call", "call_id": "call_1", "name": "look_up", "arguments": SECOND.arguments},
        {"type": "function_call_output", "call_id": "call_0", "output": "zero"},
        {"type": "function_call_output", "call_id": "call_1", "output": "one"},
    ]
    described = {"name": "look_up", "description": "finds", "parameters": SCHEMA}
    assert sent["tools"][0] == {"type": "function", "strict": False, **described}
    assert sent["tool_choice"] == {"type": "function", "name": "look_up"}


def test_anthropic_carries_calls_as_blocks_and_all_results_in_one_message_of_the_users() -> None:
    sent = body("anthropic_messages", choice="look_up")
    assert sent["messages"][1]["content"] == [
        {"type": "text", "text": "So I do."},
        {"type": "tool_use", "id": "call_0", "name": "look_up", "input": {"text": "0"}},
        {"type": "tool_use", "id": "call_1", "name": "look_up", "input": {"text": "1"}},
    ]
    assert sent["messages"][2:] == [
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "call_0", "content": "zero"},
                {"type": "tool_result", "tool_use_id": "call_1", "content": "one"},
            ],
        }
    ]
    assert sent["tools"][0] == {"name": "look_up", "description": "finds", "input_schema": SCHEMA}
    assert sent["tool_choice"] == {"type": "tool", "name": "look_up"}


@pytest.mark.parametrize(
    ("choice", "openai", "anthropic"),
    [("auto", "auto", "auto"), ("none", "none", "none"), ("required",) * 2 + ("any",)],
)
def test_each_has_its_word_for_a_choice(choice: str, openai: str, anthropic: str) -> None:
    assert body("openai_chat", choice=choice)["tool_choice"] == openai
    assert body("openai_responses", choice=choice)["tool_choice"] == openai
    assert body("anthropic_messages", choice=choice)["tool_choice"] == {"type": anthropic}


@pytest.mark.parametrize(
    ("name", "event"),
    [
        ("openai_chat", {"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": "{"}}]}}]}),
        ("openai_chat", {"choices": [{"delta": {"tool_calls": [{"index": 999, "function": {"name": "a"}}]}}]}),
        ("openai_chat", {"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"name": "a" * 999}}]}}]}),
        (
            "openai_responses",
            {"type": "response.output_item.done", "output_index": 0, "item": {"type": "function_call"}},
        ),
        (
            "anthropic_messages",
            {"type": "content_block_delta", "index": 3, "delta": {"type": "input_json_delta", "partial_json": "{"}},
        ),
    ],
)
def test_a_call_that_never_began_or_goes_on_for_ever_is_a_broken_answer(name: str, event: dict[str, Any]) -> None:
    with pytest.raises(BrokenAnswerError):
        finished(name, [f"data: {json.dumps(event)}\n\n".encode()])
