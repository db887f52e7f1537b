"""What an engine with tools must do: ask for one in the one way that its caller can rely on, or not at all."""

from __future__ import annotations

import json
from dataclasses import replace

import jsonschema_rs
import pytest
import pytest_asyncio
from tests.conformance.engine_bench import Answer, Bench

from homebred_engines.api import (
    Capability,
    FinishReason,
    GenerateOptions,
    Message,
    Tool,
    ToolCall,
    UnsupportedOptionError,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROOM = {"enum": ["hall", "kitchen"]}
SCHEMAS = {
    "ring": {
        "type": "object",
        "properties": {"room": ROOM, "times": {"type": "integer", "minimum": 1, "maximum": 3}},
        "required": ["room", "times"],
        "additionalProperties": False,
    },
    "open_door": {"type": "object", "properties": {"room": ROOM}, "required": ["room"], "additionalProperties": False},
    "wait": {"type": "object", "maxProperties": 0},
}
TOOLS = (
    Tool(name="ring", description="Rings a bell in a room.", parameters=json.dumps(SCHEMAS["ring"])),
    Tool(name="open_door", description="Opens the door of a room.", parameters=json.dumps(SCHEMAS["open_door"])),
    Tool(name="wait"),
)
ASKED = GenerateOptions(temperature=0, max_tokens=200, tools=TOOLS)
TEXT = "Ring the bell in the kitchen twice."
NEEDS = {
    Capability.JSON_SCHEMA: GenerateOptions(json_schema='{"type": "object"}'),
    Capability.LOGPROBS: GenerateOptions(logprobs=True),
    Capability.SEED: GenerateOptions(seed=1),
    Capability.STOP: GenerateOptions(stop=("x",)),
    Capability.TOOLS: GenerateOptions(tools=TOOLS),
}
"""An option for each capability that has one; a prefix cache is nothing that is asked for."""


@pytest_asyncio.fixture(loop_scope="module")
async def tool_bench(bench: Bench) -> Bench:
    if Capability.TOOLS not in await capabilities(bench):
        pytest.skip(f"{bench.candidate.name} has no tools, and refuses them: see the table")
    return bench


async def capabilities(bench: Bench) -> tuple[Capability, ...]:
    return (await bench.worker.describe()).engine.capabilities


def asserted_calls(answer: Answer) -> tuple[ToolCall, ...]:
    """The answer's calls, all of them ones that can be made."""
    for call in answer.finished.tool_calls:
        jsonschema_rs.validate(SCHEMAS[call.name], json.loads(call.arguments))
        assert call.id
    assert (answer.finished.reason is FinishReason.TOOL_CALLS) == bool(answer.finished.tool_calls)
    assert "tool_call>" not in answer.text
    return answer.finished.tool_calls


async def test_an_option_that_an_engine_lacks_is_refused_by_name(bench: Bench) -> None:
    has = await capabilities(bench)
    print(f"\n{bench.candidate.name}:", *(f"{each.value}={'yes' if each in has else 'NO'}" for each in Capability))  # noqa: T201  # the table is the point
    for capability, options in NEEDS.items():
        if capability not in has:
            with pytest.raises(UnsupportedOptionError, match=capability.value) as refusal:
                await bench.ask(TEXT, options)
            assert refusal.value.option == capability.value


async def test_a_tool_that_must_be_asked_for_is(tool_bench: Bench) -> None:
    answer = await tool_bench.ask(TEXT, replace(ASKED, tool_choice="required"))
    assert asserted_calls(answer)
    assert answer.text == ""


@pytest.mark.parametrize("name", SCHEMAS)
async def test_the_one_that_is_named_is_asked_for(tool_bench: Bench, name: str) -> None:
    calls = asserted_calls(await tool_bench.ask(TEXT, replace(ASKED, tool_choice=name)))
    assert [call.name for call in calls] == [name]


@pytest.mark.parametrize("text", [TEXT, 'ring {"room": "hall", "times": 2}', "Say hello."])
async def test_left_to_the_model_an_answer_is_text_or_a_whole_call(tool_bench: Bench, text: str) -> None:
    answer = await tool_bench.ask(text, ASKED)
    assert asserted_calls(answer) or answer.text


async def test_with_none_no_tool_is_asked_for(tool_bench: Bench) -> None:
    answer = await tool_bench.ask(TEXT, replace(ASKED, tool_choice="none"))
    assert not asserted_calls(answer)
    assert answer.text


async def test_results_are_sent_back_and_answered(tool_bench: Bench) -> None:
    calls = (
        ToolCall(id="a", name="ring", arguments='{"room": "hall", "times": 1}'),
        ToolCall(id="b", name="wait", arguments="{}"),
    )
    messages = [
        Message(role="system", content="Be brief."),
        Message(role="user", content=TEXT),
        Message(role="assistant", content="At once.", tool_calls=calls),
        Message(role="tool", content='{"heard": true}', tool_call_id="a"),
        Message(role="tool", content="waited", tool_call_id="b"),
    ]
    for options in (ASKED, replace(ASKED, tools=()), replace(ASKED, tool_choice="open_door")):
        answer = Answer.of([event async for event in tool_bench.worker.generate(messages, options)])
        assert asserted_calls(answer) or answer.text
        assert answer.finished.usage.prompt_tokens > 6


async def test_a_call_that_the_token_limit_cuts_short_is_none(tool_bench: Bench) -> None:
    if tool_bench.candidate.engine == "echo":
        pytest.skip("echo's calls have no tokens")
    answer = await tool_bench.ask(TEXT, replace(ASKED, tool_choice="required", max_tokens=3))
    assert answer.finished.reason is FinishReason.LENGTH
    assert not asserted_calls(answer)
    assert answer.text == ""


async def test_a_stop_string_ends_text_and_no_call(tool_bench: Bench) -> None:
    calls = asserted_calls(await tool_bench.ask(TEXT, replace(ASKED, tool_choice="ring", stop=("room", "times"))))
    assert calls
    whole = (await tool_bench.ask(TEXT, replace(ASKED, tool_choice="none"))).text
    stop = whole[len(whole) // 2 :][:3]
    answer = await tool_bench.ask(TEXT, replace(ASKED, tool_choice="none", stop=(stop,)))
    assert (answer.finished.reason, stop in answer.text) == (FinishReason.STOP, False)
    assert whole.startswith(answer.text)


async def test_an_answer_that_must_fit_a_schema_fits_it_or_is_a_call(tool_bench: Bench) -> None:
    schema = {"type": "object", "properties": {"done": {"type": "boolean"}}, "required": ["done"]}
    closed = json.dumps(schema | {"additionalProperties": False})
    answer = await tool_bench.ask(TEXT, replace(ASKED, json_schema=closed))
    if not asserted_calls(answer):
        jsonschema_rs.validate(schema, json.loads(answer.text))


@pytest.mark.parametrize(
    "parameters",
    [
        {
            "type": "object",
            "properties": {"room": {"$ref": "#/$defs/room"}},
            "required": ["room"],
            "$defs": {"room": ROOM},
        },
        {"type": "object", "properties": {"room": {"not": {"const": "hall"}}}, "required": ["room"]},
    ],
    ids=["references", "negation"],
)
async def test_parameters_are_followed_or_refused_and_never_ignored(
    tool_bench: Bench, parameters: dict[str, object]
) -> None:
    tool = Tool(name="ring", parameters=json.dumps(parameters))
    try:
        answer = await tool_bench.ask(
            TEXT, GenerateOptions(tools=(tool,), tool_choice="ring", temperature=0, max_tokens=80)
        )
    except UnsupportedOptionError as refusal:
        assert refusal.option in ("tools", "json_schema")  # noqa: PT017  # refusing is one of the two right ways
        return
    for call in answer.finished.tool_calls:
        jsonschema_rs.validate(parameters, json.loads(call.arguments))
