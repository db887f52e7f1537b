from __future__ import annotations

import json
from dataclasses import replace

import pytest

from homebred_daemon.core.asking_again import MAX_COMPLAINT_CHARACTERS, Ask, is_asked_again, summed
from homebred_engines.api import Finished, FinishReason, GenerateOptions, Message, Tool, ToolCall, Usage

USER = Message(role="user", content="Ring!")
OPTIONS = GenerateOptions(tools=(Tool(name="ring"),), json_schema='{"type": "object"}', stop=("END",), seed=7)
CALL = '<tool_call>{"name": "ring", "arguments": {}}</tool_call>'
ENDED = Finished(reason=FinishReason.STOP, usage=Usage())


def ask(*in_words: str, options: GenerateOptions = OPTIONS) -> Ask:
    asked: Ask | None = Ask(messages=(USER,), options=options)
    for option in in_words:
        assert asked is not None
        asked = asked.without(option)
    assert asked is not None
    return asked


def test_at_first_an_engine_is_asked_as_it_stands() -> None:
    assert (ask().engine_messages(), ask().engine_options()) == ((USER,), OPTIONS)


def test_a_schema_in_words_stands_in_the_system_message_and_no_longer_guides() -> None:
    told = ask("json_schema", options=GenerateOptions(json_schema='{"type": "object"}', seed=7))
    assert told.engine_options() == GenerateOptions(seed=7)
    assert told.engine_messages()[0].content.endswith('fits this JSON Schema:\n{"type": "object"}')
    before = Ask(
        messages=(Message(role="system", content="Be brief."), USER), options=told.options, in_words=told.in_words
    )
    assert before.engine_messages()[0].content.startswith("Be brief.\n\nAnswer with nothing but JSON")


def test_tools_in_words_take_the_schema_with_them() -> None:
    told = ask("tools")
    assert told.engine_options() == GenerateOptions(seed=7)
    assert "unless you call a tool" in told.engine_messages()[0].content


def test_a_call_that_must_be_made_is_guided_by_its_schema_while_the_engine_has_that() -> None:
    must = replace(OPTIONS, tool_choice="required")
    guided = ask("tools", options=must)
    assert json.loads(guided.engine_options().json_schema)["properties"]["name"] == {"const": "ring"}
    assert guided.engine_options().tools == ()
    said = guided.read('{"name":"ring","arguments":{}}', ENDED)
    assert (said.text, [call.name for call in said.calls]) == ("", ["ring"])
    assert replace(guided, options=replace(must, stop=("ring",))).read('{"name":"ring","arguments":{}}', ENDED) == said
    in_words = ask("tools", "json_schema", options=must)
    assert in_words.engine_options() == GenerateOptions(seed=7)
    assert "JSON Schema" not in in_words.engine_messages()[0].content
    assert [call.name for call in in_words.read(CALL, ENDED).calls] == ["ring"]


@pytest.mark.parametrize("option", ["seed", "logprobs", "", "json_schema"])
def test_what_cannot_be_told_or_was_told_already_cannot_be_told(option: str) -> None:
    assert ask("json_schema").without(option) is None


def test_an_engine_without_probabilities_is_asked_without_them() -> None:
    wanted = replace(OPTIONS, logprobs=True)
    assert ask("logprobs", options=wanted).engine_options() == OPTIONS
    assert ask("tools", "logprobs", options=wanted).engine_options() == ask("tools").engine_options()


def test_a_conversation_with_calls_can_be_told_to_an_engine_without_tools() -> None:
    call = ToolCall(id="c", name="ring", arguments="{}")
    messages = (
        USER,
        Message(role="assistant", content="", tool_calls=(call,)),
        Message(role="tool", content="rung", tool_call_id="c"),
    )
    told = Ask(messages=messages, options=GenerateOptions()).without("tools")
    assert told is not None
    assert [message.role for message in told.engine_messages()] == ["user", "assistant", "user"]


def test_a_call_is_read_where_tools_were_told_and_nowhere_else() -> None:
    assert ask().read(CALL, ENDED).text == CALL
    said = ask("tools").read(CALL, ENDED)
    assert (said.text, [call.name for call in said.calls], said.reason) == ("", ["ring"], FinishReason.TOOL_CALLS)
    broken = ask("tools").read(CALL[:-5], ENDED)
    assert (broken.calls, broken.is_half_call) == ((), True)


def test_a_fence_around_json_is_taken_off_and_nothing_else() -> None:
    assert ask("tools").read("```json\n{}\n```\n", ENDED).text == "{}"
    assert ask("tools").read("So: ```json\n{}\n```", ENDED).text == "So: ```json\n{}\n```"
    assert ask().read("```\n{}\n```", ENDED).text == "```\n{}\n```"


def test_a_further_ask_holds_what_was_said_and_a_complaint_of_bounded_length() -> None:
    call = ToolCall(id="c", name="ring", arguments="[]")
    said, told = ask().again("So.", (call,), "x" * 1000).messages[1:]
    assert said.content == 'So.\n<tool_call>{"name": "ring", "arguments": []}</tool_call>'
    assert "x" * MAX_COMPLAINT_CHARACTERS in told.content
    assert "x" * (MAX_COMPLAINT_CHARACTERS + 1) not in told.content
    assert ask().again("", (), "no").messages[1].content == "(nothing)"


@pytest.mark.parametrize(
    ("complaint", "reason", "asks", "was_shown", "expected"),
    [
        ("no", FinishReason.STOP, 1, False, True),
        ("no", FinishReason.TOOL_CALLS, 2, False, True),
        ("", FinishReason.STOP, 1, False, False),
        ("no", FinishReason.LENGTH, 1, False, False),
        ("no", FinishReason.STOP, 3, False, False),
        ("no", FinishReason.STOP, 1, True, False),
    ],
)
def test_when_it_is_asked_again(
    complaint: str, reason: FinishReason, asks: int, *, was_shown: bool, expected: bool
) -> None:
    assert is_asked_again(complaint, reason, asks=asks, was_shown=was_shown) is expected


def test_what_several_asks_took_is_added_up() -> None:
    one = Usage(prompt_tokens=1, cached_tokens=2, completion_tokens=3, prompt_s=4, completion_s=5, queued_s=6)
    two = Usage(prompt_tokens=2, cached_tokens=4, completion_tokens=6, prompt_s=8, completion_s=10, queued_s=12)
    assert summed(one, one) == two
