from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_daemon.core.context import MinimumContext, minimum_context
from homebred_daemon.core.documents import Document
from homebred_daemon.core.sensitivity import Span
from homebred_engines.api import Message, Tool, ToolCall


def talk(*contents: str, system: str = "") -> list[Message]:
    """Turns of user and assistant, the user's last."""
    roles = ["user", "assistant"] * len(contents)
    first = 0 if len(contents) % 2 else 1
    turns = [Message(role=role, content=content) for role, content in zip(roles[first:], contents, strict=False)]
    return [Message(role="system", content=system), *turns] if system else turns


def sent(turns: list[Message]) -> list[str]:
    return [turn.content for turn in minimum_context(turns).turns]


QUESTION = "Which three markets should a small bakery in the north enter next, and in which order?"


def test_a_question_of_its_own_goes_alone() -> None:
    turns = talk("My neighbour Ada Quill has gout.", "I am sorry to hear so.", QUESTION, system="Be brief.")
    context = minimum_context(turns)
    assert (context.system, [turn.content for turn in context.turns], context.dropped_turns) == (
        "Be brief.",
        [QUESTION],
        2,
    )


@pytest.mark.parametrize(
    "last", ["Make it shorter.", "Why?", "And what would the second option cost us over three years, given that?"]
)
def test_what_points_back_takes_the_exchange_before_it_along(last: str) -> None:
    assert sent(talk("Unrelated.", "Yes.", QUESTION, "Bremen, Kiel, Lübeck.", last)) == [
        QUESTION,
        "Bremen, Kiel, Lübeck.",
        last,
    ]


def test_shared_words_take_everything_since_along() -> None:
    last = "Compare the harbour warehouse with the second location once more, in full sentences please and by cost."
    turns = talk("The harbour warehouse costs 4.", "Noted.", "Nice weather.", "Indeed.", last)
    assert sent(turns) == [turn.content for turn in turns]


def test_the_first_turn_that_goes_is_the_users() -> None:
    assert [turn.role for turn in minimum_context(talk("a", "b", "Why?")).turns] == ["user", "assistant", "user"]


def test_instructions_alone_are_asked_as_a_turn() -> None:
    assert minimum_context([Message(role="system", content="Say hello.")]) == MinimumContext(
        system="", turns=(Message(role="user", content="Say hello."),), dropped_turns=0
    )


@given(st.lists(st.text("ab Quill.?", max_size=30), min_size=1, max_size=7))
def test_what_goes_is_the_end_of_the_conversation_and_nothing_is_lost(contents: list[str]) -> None:
    turns = talk(*contents)
    context = minimum_context(turns)
    assert list(context.turns) == turns[context.dropped_turns :]
    assert context.turns


def find_quill(text: str) -> tuple[Span, ...]:
    at = text.find("Quill")
    return (Span(at, at + 5, "PERSON", 2),) if at >= 0 else ()


def document(name: str, text: str) -> Document:
    return Document(name=name, text=text)


LEASE, MENU = document("lease-2024.txt", "The tenant pays for repairs of the roof."), document("menu.txt", "Two teas.")


@pytest.mark.parametrize(
    ("asked", "needed"),
    [
        ("What does lease-2024 say?", [LEASE]),
        ("Does the tenant pay for repairs?", [LEASE]),
        ("Compare menu.txt with the lease-2024, please.", [LEASE, MENU]),
        ("What is this?", [LEASE, MENU]),
    ],
)
def test_a_document_goes_where_it_is_spoken_of_and_all_where_none_is(asked: str, needed: list[Document]) -> None:
    context = minimum_context([Message(role="user", content=asked)], documents=[LEASE, MENU])
    assert list(context.documents) == needed
    assert context.dropped_attachments == 2 - len(needed)
    assert all(one.text in context.text for one in needed)


def test_an_exchange_with_a_tool_goes_whole_from_the_users_question_on() -> None:
    call = ToolCall(id="a", name="look_up", arguments='{"who": "Quill"}')
    turns = [
        *talk("Where is my parcel, the small blue one that I sent from Bremen?", "On its way."),
        Message(role="user", content="Which room has the next free afternoon, and for how many people?"),
        Message(role="assistant", content="", tool_calls=(call,)),
        Message(role="tool", content="Room 3.", tool_call_id="a"),
    ]
    context = minimum_context(turns, tools=(Tool(name="look_up", description="finds rooms"),))
    assert (list(context.turns), context.dropped_turns) == (turns[2:], 2)
    assert all(part in context.text for part in ("who: Quill", "Room 3.", "look_up", "finds rooms"))
