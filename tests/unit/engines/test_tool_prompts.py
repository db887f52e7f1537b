from __future__ import annotations

import itertools
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_engines.api import GenerateOptions, Message, Tool, ToolCall
from homebred_engines.tool_prompts import AnswerReading, call_forms, call_schema, messages_with_tools

RING = Tool(name="ring", description="Rings.", parameters='{"properties": {"room": {"type": "string"}}}')
WAIT = Tool(name="wait")
BOTH = GenerateOptions(tools=(RING, WAIT))
CALL = '<tool_call>{"name": "ring", "arguments": {"room": "hall"}}</tool_call>'
RUNG = ToolCall(id="call_0", name="ring", arguments='{"room": "hall"}')


def read(options: GenerateOptions, *pieces: str, is_truncated: bool = False) -> tuple[str, tuple[ToolCall, ...]]:
    reading = AnswerReading(options)
    shown = [reading.feed(piece) for piece in pieces]
    return "".join([*shown, reading.finish(is_truncated=is_truncated)]), reading.calls()


def cut(text: str, places: list[int]) -> list[str]:
    edges = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    return [text[start:end] for start, end in itertools.pairwise(edges)]


PLACES = st.lists(st.integers(0, 200), max_size=12)


@given(st.sampled_from(["", "One moment. ", "a < b <tool ", "<tool_cal l>", "<<<"]), PLACES)
def test_a_call_is_found_however_it_comes_and_the_text_before_it_is_shown(text: str, places: list[int]) -> None:
    assert read(BOTH, *cut(text + CALL, places)) == (text, (RUNG,))


@given(st.text(alphabet="<tol_ca>x", max_size=30).filter(lambda text: "<tool_call>" not in text), PLACES)
def test_text_without_a_call_arrives_whole(text: str, places: list[int]) -> None:
    assert read(BOTH, *cut(text, places)) == (text, ())


@given(st.integers(1, len(CALL) - 1).filter(lambda length: not CALL[:length].endswith("}}")), PLACES)
def test_half_a_call_is_neither_text_nor_call(length: int, places: list[int]) -> None:
    assert read(BOTH, *cut("Wait. " + CALL[:length], places), is_truncated=True) == ("Wait. ", ())


@given(st.sampled_from(["Say STOP it", "Say STOP" + CALL]), PLACES)
def test_a_stop_string_ends_the_text(text: str, places: list[int]) -> None:
    assert read(replace(BOTH, stop=("STOP", "hall")), *cut(text, places)) == ("Say ", ())


@given(PLACES)
def test_a_stop_string_inside_a_call_ends_nothing(places: list[int]) -> None:
    assert read(replace(BOTH, stop=("hall", "tool", "<")), *cut(CALL, places)) == ("", (RUNG,))


def test_where_json_is_asked_for_a_marker_that_is_quoted_is_text() -> None:
    options = replace(BOTH, json_schema="{}")
    assert read(options, f'"{CALL}"') == (f'"{CALL}"', ())
    assert read(options, CALL) == ("", (RUNG,))


def test_without_tools_or_with_none_to_be_called_everything_is_text() -> None:
    assert read(GenerateOptions(), CALL) == (CALL, ())
    assert read(replace(BOTH, tool_choice="none"), CALL) == (CALL, ())


@pytest.mark.parametrize(
    "call",
    [
        CALL.replace("ring", "sing"),
        CALL.replace('{"room": "hall"}', "[]"),
        CALL.replace('{"room": "hall"}', '{"room": hall}'),
        CALL + " and more",
        CALL.replace("}}</tool_call>", ""),
        CALL.replace('"name": "ring"', '"name": ["ring"]'),
    ],
)
def test_what_only_looks_like_a_call_is_none(call: str) -> None:
    assert read(BOTH, call) == ("", ())


@pytest.mark.parametrize("call", [CALL.replace("</tool_call>", ""), CALL.replace(" ", "").replace(">{", ">\n{")])
def test_a_call_is_one_however_it_is_spaced(call: str) -> None:
    assert read(BOTH, call) == ("", (RUNG,))


def test_a_call_that_must_be_made_has_a_schema() -> None:
    assert call_schema(BOTH) == call_schema(replace(BOTH, tool_choice="none")) == ""
    named = json.loads(call_schema(replace(BOTH, tool_choice="ring")))
    assert named["properties"]["name"] == {"const": "ring"}
    assert named["properties"]["arguments"]["properties"] == {"room": {"type": "string"}}
    required = json.loads(call_schema(replace(BOTH, tool_choice="required")))
    assert [one["properties"]["name"]["const"] for one in required["anyOf"]] == ["ring", "wait"]
    referring = Tool(name="refer", parameters='{"$ref": "#/$defs/x", "$defs": {"x": {}}}')
    assert call_schema(GenerateOptions(tools=(referring,), tool_choice="required")) == ""


def test_a_call_has_the_form_that_guides_it() -> None:
    ring, wait = call_forms(BOTH)
    assert f"<tool_call>{ring.begin}{RUNG.arguments}{ring.end}" == CALL
    assert ring.schema == {"type": "object", "properties": {"room": {"type": "string"}}}
    assert wait.schema == {"type": "object", "properties": {}, "additionalProperties": False}
    assert [form.name for form in call_forms(replace(BOTH, tool_choice="wait"))] == ["wait"]
    assert call_forms(replace(BOTH, tool_choice="none")) == ()


def test_tools_stand_at_the_end_of_the_system_message() -> None:
    asked = (Message(role="user", content="Ring!"),)
    told, *rest = messages_with_tools((Message(role="system", content="Be brief."), *asked), BOTH)
    assert (told.role, rest) == ("system", list(asked))
    assert told.content.startswith("Be brief.\n\nTools that you can call:\n")
    lines = [json.loads(line) for line in told.content.splitlines() if line.startswith("{")]
    assert [line["name"] for line in lines] == ["ring", "wait"]
    assert messages_with_tools(asked, BOTH)[0].role == "system"
    assert messages_with_tools(asked, replace(BOTH, tool_choice="none")) == asked
    assert "wait" not in messages_with_tools(asked, replace(BOTH, tool_choice="ring"))[0].content


def test_calls_and_results_become_turns_that_alternate() -> None:
    waited = ToolCall(id="w", name="wait", arguments="{}")
    messages = (
        Message(role="user", content="Ring!"),
        Message(role="assistant", content="Now.", tool_calls=(RUNG, waited)),
        Message(role="tool", content="done", tool_call_id="call_0"),
        Message(role="tool", content='"quoted"', tool_call_id="w"),
    )
    turns = messages_with_tools(messages, GenerateOptions())
    assert [turn.role for turn in turns] == ["user", "assistant", "user"]
    assert turns[1].content == f'Now.\n{CALL}\n<tool_call>{{"name": "wait", "arguments": {{}}}}</tool_call>'
    assert turns[2].content.splitlines() == [
        '<tool_response>{"name": "ring", "content": "done"}</tool_response>',
        '<tool_response>{"name": "wait", "content": "\\"quoted\\""}</tool_response>',
    ]
