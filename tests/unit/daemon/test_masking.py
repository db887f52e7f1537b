from __future__ import annotations

import json
import re

import pytest

from homebred_daemon.core.context import minimum_context
from homebred_daemon.core.documents import Document
from homebred_daemon.core.masking import masked
from homebred_daemon.core.pseudonyms import KEY_BYTES, Pseudonyms
from homebred_daemon.core.sensitivity import Span
from homebred_daemon.errors import DetectionError
from homebred_engines.api import Message, Tool, ToolCall


def find_quill(text: str) -> tuple[Span, ...]:
    """Ada Quill, and whoever has the number 4711."""
    places = [(word, at) for word in ("Quill", "4711") for at in range(len(text)) if text.startswith(word, at)]
    return tuple(Span(at, at + len(word), "PERSON", 3) for word, at in places)


def hidden(turns: list[Message], **more: object) -> tuple[Pseudonyms, str]:
    session = Pseudonyms(bytes(KEY_BYTES))
    context = masked(minimum_context(turns, **more), find_quill, session)  # type: ignore[arg-type]
    return session, repr(context)


CALL = ToolCall(id="chart-Quill-4711", name="chart_of_Quill", arguments='{"who": "Quill", "number": 4711}')
CALLING = Message(role="assistant", content="", tool_calls=(CALL,))
TALK = [
    Message(role="system", content="Ask Quill."),
    Message(role="user", content="Why does Quill write?"),
    Message(role="assistant", content="", tool_calls=(CALL,)),
    Message(role="tool", content="Quill: 4711", tool_call_id=CALL.id),
]
TOOL = Tool(name=CALL.name, description="the chart of Quill", parameters='{"properties": {"Quill": {"const": 4711}}}')


def test_nothing_that_is_found_leaves_in_any_part_of_a_task() -> None:
    documents = [Document(name="Quill.txt", text="Quill again")]
    _, leaving = hidden(
        TALK, tools=(TOOL,), tool_choice=TOOL.name, documents=documents, json_schema='{"title": "Quill"}'
    )
    assert "Quill" not in leaving
    assert "4711" not in leaving
    assert "again" in leaving


@pytest.mark.parametrize("role", ["user", "tool"])
def test_no_escape_hides_what_is_found(role: str) -> None:
    said = json.dumps({"who": "Quill"}).replace("Q", r"\u0051")
    turns = [Message(role="user", content="Go on."), CALLING, Message(role="tool", content=said, tool_call_id=CALL.id)]
    context = minimum_context(turns if role == "tool" else [Message(role="user", content=said)])
    sent = masked(context, find_quill, Pseudonyms(bytes(KEY_BYTES))).turns[-1].content
    assert "Quill" in context.text
    assert json.loads(sent)["who"].startswith("⟦person:")


def test_what_one_part_gives_away_is_masked_in_all() -> None:
    def find_patients(text: str) -> tuple[Span, ...]:
        names = {found[1] for found in re.finditer(r"patient (\w+)", text)}
        return tuple(Span(*found.span(), "PERSON", 3) for found in re.finditer(r"\w+", text) if found[0] in names)

    call = ToolCall(id="c", name="chart_of_Baker", arguments='{"who": "Baker"}')
    turns = [
        Message(role="user", content="How is patient Baker?"),
        Message(role="assistant", content="", tool_calls=(call,)),
        Message(role="tool", content="Baker sleeps.", tool_call_id="c"),
    ]
    documents = [Document(name="Baker", text="Baker slept.")]
    context = minimum_context(turns, tools=(Tool(name=call.name, description="as of Baker"),), documents=documents)
    sent = masked(context, find_patients, Pseudonyms(bytes(KEY_BYTES)))
    assert "Baker" not in repr(sent)
    assert "sleeps" in repr(sent)


def test_one_value_has_one_token_in_all_of_them() -> None:
    session = Pseudonyms(bytes(KEY_BYTES))
    context = masked(minimum_context(TALK, tools=(TOOL,)), find_quill, session)
    token = session.token("person", "Quill")
    assert (context.system, context.turns[0].content) == (f"Ask {token}.", f"Why does {token} write?")
    assert json.loads(context.turns[1].tool_calls[0].arguments)["who"] == token
    assert token in json.loads(context.tools[0].parameters)["properties"]


def test_ids_of_calls_are_counted_and_lead_to_their_results() -> None:
    context = masked(minimum_context(TALK), find_quill, Pseudonyms(bytes(KEY_BYTES)))
    assert (context.turns[1].tool_calls[0].id, context.turns[2].tool_call_id) == ("call_0", "call_0")


def test_a_tools_name_that_says_something_goes_under_another_and_a_plain_one_as_it_is() -> None:
    session = Pseudonyms(bytes(KEY_BYTES))
    plain = Tool(name="look_up")
    context = masked(minimum_context(TALK, tools=(TOOL, plain), tool_choice=TOOL.name), find_quill, session)
    alias = context.tools[0].name
    assert (session.name(alias), context.tools[1].name) == (TOOL.name, "look_up")
    assert (context.turns[1].tool_calls[0].name, context.tool_choice) == (alias, alias)
    assert alias.replace("_", "").isalnum()


def test_documents_stand_masked_in_the_users_last_turn() -> None:
    context = masked(
        minimum_context(TALK, documents=[Document(name="a.txt", text="by Quill")]),
        find_quill,
        Pseudonyms(bytes(KEY_BYTES)),
    )
    assert "--- a.txt ---\nby ⟦person:" in context.turns[0].content
    assert context.documents == ()


def test_what_is_nested_beyond_reading_is_not_sent() -> None:
    deep = '{"a":' * 5000 + "1" + "}" * 5000
    with pytest.raises((DetectionError, ValueError)):
        hidden([Message(role="user", content="x")], json_schema=deep)
