"""What OpenAI's parameters and our labels make of a request: a task, or an error that names the parameter."""

from __future__ import annotations

import json
from typing import Any

import pytest

from homebred_daemon.adapters.openai_gateway.chat_request import chat_document
from homebred_daemon.adapters.openai_gateway.completion_request import completion_document
from homebred_daemon.adapters.openai_gateway.failures import ModelNotFoundError, ParameterError
from homebred_daemon.adapters.openai_gateway.http_connection import Request
from homebred_daemon.adapters.openai_gateway.tasks import Asked, Reading
from homebred_daemon.core.constraints import Constraints
from homebred_daemon.errors import RequestError
from homebred_engines import api

READING = Reading(workflows_for=lambda _: ("letter.sort",), default_deadline_s=60, new_task_id=lambda: "made")
HELLO = [{"role": "user", "content": "hello"}]
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}


def chat(*, headers: tuple[tuple[str, str], ...] = (), **body: Any) -> Asked:
    request = Request(method="POST", path="/v1/chat/completions", headers=headers)
    told = json.dumps({"model": "homebred", "messages": HELLO} | body).encode()
    return READING.asked(request, told, ("token:desk",), chat_document)


def completion(**body: Any) -> Asked:
    request = Request(method="POST", path="/v1/completions", headers=())
    return READING.asked(
        request, json.dumps({"model": "homebred"} | body).encode(), ("token:desk",), completion_document
    )


def test_a_plain_request_is_a_plain_task_of_its_caller() -> None:
    task = chat().task
    assert (task.task.task_id, task.task.workflow, task.task.data_classes) == ("made", None, ())
    assert not task.task.allows_escalation
    assert (task.caller, task.deadline_s, task.turns) == (
        ("token:desk",),
        60,
        (api.Message(role="user", content="hello"),),
    )
    assert task.options == api.GenerateOptions()


def test_every_label_reaches_the_task_from_the_body_and_from_the_head() -> None:
    labels = {
        "task_id": "t1",
        "workflow": "letter.sort",
        "kind": "repeat",
        "data_classes": ["public", "client"],
        "allows_escalation": True,
        "minimum_margin": -0.1,
        "expected_calls": 3,
        "deadline_s": 5.0,
        "requires": ["vision"],
        "context_tokens": 100,
        "session_id": "s",
        "rejects": "r-0",
    }
    texts = {name: ",".join(value) if isinstance(value, list) else str(value) for name, value in labels.items()}
    head = tuple((f"x-homebred-{name.replace('_', '-')}", text) for name, text in texts.items())
    within, beside = chat(homebred=labels).task, chat(headers=head).task
    assert within == beside
    assert within.task.data_classes == ("public", "client")
    assert (within.deadline_s, within.session_id, within.task.minimum_margin) == (5.0, "s", -0.1)
    assert within.rejects == "r-0"


def test_messages_come_in_our_words() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"a": 1}'}}
    turns = chat(
        messages=[
            {"role": "developer", "content": "be brief"},
            {"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]},
            {"role": "assistant", "content": None, "refusal": None, "annotations": [], "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": "seen"},
        ],
        tools=[TOOL],
    ).task.turns
    assert turns == (
        api.Message(role="system", content="be brief"),
        api.Message(role="user", content="one\ntwo"),
        api.Message(
            role="assistant", content="", tool_calls=(api.ToolCall(id="c1", name="look", arguments='{"a": 1}'),)
        ),
        api.Message(role="tool", content="seen", tool_call_id="c1"),
    )


def test_what_is_asked_of_the_generation_comes_through() -> None:
    asked = chat(
        max_completion_tokens=7,
        temperature=0.5,
        top_p=0.9,
        seed=3,
        stop=["a", "b"],
        stream=True,
        stream_options={"include_usage": True},
        tools=[TOOL],
        tool_choice={"type": "function", "function": {"name": "look"}},
        homebred={"local_tools": ["look"]},
    )
    assert (asked.streams, asked.includes_usage) == (True, True)
    options = asked.task.options
    assert (options.max_tokens, options.temperature, options.top_p, options.seed) == (7, 0.5, 0.9, 3)
    assert (options.stop, options.tool_choice, [tool.name for tool in options.tools]) == (("a", "b"), "look", ["look"])
    assert asked.task.local_tools == {"look"}
    assert "tools" in asked.task.task.requires
    assert chat(stop="x", max_tokens=2).task.options == api.GenerateOptions(stop=("x",), max_tokens=2)


@pytest.mark.parametrize(
    ("response_format", "schema"),
    [
        ({"type": "text"}, ""),
        ({"type": "json_object"}, '{"type": "object"}'),
        (
            {"type": "json_schema", "json_schema": {"name": "n", "strict": True, "schema": {"type": "null"}}},
            '{"type": "null"}',
        ),
    ],
)
def test_a_format_is_a_schema(response_format: dict[str, Any], schema: str) -> None:
    task = chat(response_format=response_format).task
    assert (task.options.json_schema, task.task.has_response_schema) == (schema, bool(schema))


def test_attachments_come_with_the_labels() -> None:
    task = chat(homebred={"attachments": [{"name": "a.txt", "text": "MRN 4471203"}]}).task
    assert [one.name for one in task.attachments] == ["a.txt"]
    assert "MRN 4471203" in task.text


def test_constraints_come_with_the_labels_and_are_content() -> None:
    task = chat(homebred={"constraints": {"matches": "^a", "excludes": ["MRN 4471203"], "max_characters": 9}}).task
    assert task.constraints == Constraints(matches="^a", excludes=("MRN 4471203",), max_characters=9)
    assert "MRN 4471203" in task.text
    with pytest.raises(RequestError, match=r"constraints\.contains: is a string"):
        chat(homebred={"constraints": {"contains": "tea"}})


def test_a_model_may_name_a_workflow_and_nothing_else() -> None:
    assert chat(model="homebred/letter.sort").task.task.workflow == "letter.sort"
    assert chat(model="homebred/letter.sort", homebred={"workflow": "letter.sort"}).task.task.workflow == "letter.sort"
    for name in ("", "homebred/", "homebred/x", "letter.sort", "specialist"):
        with pytest.raises(ModelNotFoundError, match="routing contract"):
            chat(model=name)
    with pytest.raises(ParameterError, match="different workflows"):
        chat(model="homebred/letter.sort", homebred={"workflow": "other"})


def test_values_that_change_nothing_are_taken() -> None:
    neutral: dict[str, Any] = {
        "n": 1,
        "logprobs": False,
        "frequency_penalty": 0,
        "presence_penalty": 0.0,
        "logit_bias": {},
    }
    further: dict[str, Any] = {
        "parallel_tool_calls": True,
        "store": False,
        "modalities": ["text"],
        "top_logprobs": None,
    }
    assert chat(**neutral, **further).task == chat().task


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ({"n": 2}, "n"),
        ({"n": True}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"top_logprobs": 0}, "top_logprobs"),
        ({"parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"logit_bias": {"5": 1}}, "logit_bias"),
        ({"metadata": {}}, "metadata"),
        ({"functions": []}, "functions"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"stream": True, "stream_options": {"other": True}}, "stream_options.other"),
        ({"stop": 3}, "stop"),
        ({"seed": -1}, "seed"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"messages": [{"role": "user", "content": "x", "name": "Anna"}]}, "messages[0].name"),
        ({"messages": [{"role": "poet", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "messages[0].content[0].type"),
        ({"tools": [{"type": "custom"}]}, "tools[0].type"),
        ({"tools": [TOOL], "tool_choice": "maybe"}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": {"type": "allowed_tools"}}, "tool_choice"),
        ({"response_format": {"type": "grammar"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"homebred": {"data_clases": ["patient"]}}, "homebred.data_clases"),
        ({"homebred": ["patient"]}, "homebred"),
        ({"homebred": {"local_tools": ["look"]}}, "homebred.local_tools"),
        ({"headers": (("x-homebred-data-clases", "patient"),)}, "x-homebred-data-clases"),
        ({"headers": (("x-homebred-deadline-s", "soon"),)}, "x-homebred-deadline-s"),
        ({"headers": (("x-homebred-kind", "other"),), "homebred": {"kind": "other"}}, "kind"),
        ({"headers": (("x-homebred-kind", "other"), ("x-homebred-kind", "other"))}, "kind"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(body: dict[str, Any], parameter: str) -> None:
    with pytest.raises(ParameterError) as refused:
        chat(**body)
    assert refused.value.parameter == parameter


@pytest.mark.parametrize(
    "body",
    [
        {"homebred": {"kind": "poem"}},
        {"homebred": {"deadline_s": -1}},
        {"messages": []},
        {"messages": [{"role": "user", "content": " "}]},
        {"messages": [{"role": "tool", "content": "no call"}]},
        {"seed": 1 << 40},
        {"tools": [{"type": "function", "function": {"name": "a b"}}]},
        {"tool_choice": "required"},
    ],
)
def test_what_is_no_task_is_refused_as_it_is_everywhere(body: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match="the task cannot be accepted"):
        chat(**body)


def test_a_completion_is_a_task_of_one_text() -> None:
    for prompt in ("a b", ["a b"]):
        task = completion(prompt=prompt, max_tokens=4).task
        assert task.turns == (api.Message(role="user", content="a b"),)
        assert task.options.max_tokens == 4


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ({}, "prompt"),
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"prompt": [1, 2]}, "prompt"),
        ({"prompt": "a", "echo": True}, "echo"),
        ({"prompt": "a", "suffix": "z"}, "suffix"),
        ({"prompt": "a", "best_of": 2}, "best_of"),
        ({"prompt": "a", "tools": []}, "tools"),
    ],
)
def test_what_a_completion_cannot_be_is_refused_by_name(body: dict[str, Any], parameter: str) -> None:
    with pytest.raises(ParameterError) as refused:
        completion(**body)
    assert refused.value.parameter == parameter
