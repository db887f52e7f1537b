from __future__ import annotations

import json

import pytest

from homebred_daemon.core.attached_content import Attachment
from homebred_daemon.core.constraints import UNCONSTRAINED, Constraints
from homebred_daemon.core.task_content import (
    attachments_of,
    constraints_of,
    local_tools_of,
    schema_of,
    tools_of,
    turns_of,
)
from homebred_daemon.errors import RequestError
from homebred_engines.api import InvalidRequestError, Message, Tool, ToolCall


def test_a_text_is_the_users_one_turn() -> None:
    assert turns_of({"text": "hello"}) == (Message(role="user", content="hello"),)


def test_a_conversation_with_tools_is_taken_as_it_is() -> None:
    call = {"id": "a", "name": "ring", "arguments": "{}"}
    messages = [
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "content": "rung", "tool_call_id": "a"},
    ]
    assert turns_of({"messages": messages}) == (
        Message(role="assistant", content="", tool_calls=(ToolCall(**call),)),
        Message(role="tool", content="rung", tool_call_id="a"),
    )


@pytest.mark.parametrize(
    "message",
    [
        {"role": "tool", "content": "rung"},
        {"role": "user", "content": "x", "tool_call_id": "a"},
        {"role": "user", "content": "x", "tool_calls": [{"id": "a", "name": "b", "arguments": "{}"}]},
        {"role": "assistant", "tool_calls": [{"id": "a", "name": "b", "arguments": "no"}]},
        {"role": "assistant", "tool_calls": [{"id": "a", "name": "b", "arguments": '{"who": 1, "who": 2}'}]},
        {"role": "critic", "content": "x"},
    ],
)
def test_a_message_that_makes_no_sense_is_refused(message: dict[str, object]) -> None:
    with pytest.raises(InvalidRequestError):
        turns_of({"messages": [message]})


def test_tools_and_which_of_them_run_here() -> None:
    tools = [{"name": "ring", "runs_here": True}, {"name": "book", "description": "a room", "parameters": {"a": 1}}]
    assert tools_of({"tools": tools}) == (
        Tool(name="ring"),
        Tool(name="book", description="a room", parameters='{"a": 1}'),
    )
    assert local_tools_of({"tools": tools}) == {"ring"}
    assert (tools_of({}), local_tools_of({})) == ((), frozenset())


@pytest.mark.parametrize("name", ["", "a b", "ü", "a" * 65, "required"])
def test_a_tool_has_a_name_that_every_model_takes(name: str) -> None:
    with pytest.raises(InvalidRequestError):
        tools_of({"tools": [{"name": name}]})


def test_a_schema_is_json_text() -> None:
    assert json.loads(schema_of({"response_schema": {"title": "ü"}})) == {"title": "ü"}
    assert schema_of({}) == ""


def test_constraints_are_those_of_the_document_or_none() -> None:
    said = {"matches": "^a", "contains": ["b"], "excludes": None, "max_characters": 9}
    assert constraints_of({"constraints": said}) == Constraints(matches="^a", contains=("b",), max_characters=9)
    assert constraints_of({}) is constraints_of({"constraints": None}) is UNCONSTRAINED


def test_an_attachment_is_a_text_or_in_base64() -> None:
    attached = attachments_of(
        {"attachments": [{"name": "a.txt", "text": "ü"}, {"media_type": "image/png", "data": "iVBO"}]}
    )
    assert attached == (
        Attachment(name="a.txt", media_type="", data="ü".encode()),
        Attachment(name="", media_type="image/png", data=b"\x89PN"),
    )
    with pytest.raises(RequestError, match="no base64"):
        attachments_of({"attachments": [{"data": "?"}]})
