from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_protocol.documents.fields import DocumentError
from homebred_protocol.documents.task import BUILT_IN_CLASSES, KINDS, Task, content_text, read_task

MINIMAL = {"task_id": "t", "text": "hello"}


def problems_of(document: object) -> list[str]:
    with pytest.raises(DocumentError) as caught:
        read_task(document)
    return [problem.sentence() for problem in caught.value.problems]


def test_all_but_id_and_content_may_be_absent() -> None:
    assert read_task(MINIMAL) == Task(
        task_id="t",
        workflow=None,
        kind="other",
        data_classes=(),
        allows_escalation=False,
        minimum_margin=None,
        expected_calls=None,
        deadline_s=None,
        requires=(),
        context_tokens=None,
        has_response_schema=False,
    )


def test_everything_that_a_caller_may_say() -> None:
    document = {
        "task_id": "t",
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hello", "name": "x"}],
        "workflow": "intake.normalise",
        "kind": "tool_loop",
        "data_classes": ["public", "hr"],
        "allows_escalation": True,
        "minimum_margin": -0.5,
        "expected_calls": 9,
        "deadline_s": 2,
        "requires": ["vision", "tools"],
        "context_tokens": 4096,
        "response_schema": {"type": "object"},
    }
    assert read_task(document) == Task(
        task_id="t",
        workflow="intake.normalise",
        kind="tool_loop",
        data_classes=("public", "hr"),
        allows_escalation=True,
        minimum_margin=-0.5,
        expected_calls=9,
        deadline_s=2.0,
        requires=("vision", "tools"),
        context_tokens=4096,
        has_response_schema=True,
    )


def test_null_and_an_empty_workflow_equal_absent() -> None:
    absent = dict.fromkeys(("workflow", "kind", "data_classes", "messages", "response_schema", "deadline_s"))
    assert read_task(MINIMAL | absent) == read_task(MINIMAL | {"workflow": ""}) == read_task(MINIMAL)


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ("text", "(the document): is a string; write a table of keys and values"),
        ({"text": "x"}, "task_id: is missing; write a string"),
        (MINIMAL | {"kind": "chat"}, f"kind: is 'chat'; write one of: {', '.join(KINDS)}"),
        (MINIMAL | {"data_classes": "public"}, "data_classes: is a string; write a list of strings"),
        (MINIMAL | {"allows_escalation": "no"}, "allows_escalation: is a string; write true or false"),
        (MINIMAL | {"minimum_margin": 1.1}, "minimum_margin: is 1.1; write a finite number from -1 to 1"),
        (MINIMAL | {"deadline_s": -1}, "deadline_s: is -1; write a finite number of at least 0"),
        (MINIMAL | {"requires": ["smell"]}, "requires: names 'smell'; write any of: vision, audio, tools, embeddings"),
        (
            MINIMAL | {"response_schema": "object"},
            "response_schema: is not a JSON Schema object; write an object such as",
        ),
        (MINIMAL | {"messages": [{"role": "user"}]}, "messages[0].content: is missing; write a string"),
        (MINIMAL | {"constraints": "tea"}, "constraints: is a string; write a table"),
        (MINIMAL | {"constraints": {"matches": "a" * 1001}}, "constraints.matches: is too long; write at most 1000"),
        (MINIMAL | {"constraints": {"matches": 1}}, "constraints.matches: is an integer; write a string"),
        (
            MINIMAL | {"constraints": {"contains": [""]}},
            "constraints.contains: is more than texts to look for",
        ),
        (MINIMAL | {"constraints": {"excludes": ["a"] * 33}}, "constraints.excludes: is more than texts to look for"),
        (MINIMAL | {"constraints": {"max_characters": 0}}, "constraints.max_characters: is 0; write an integer of at"),
        (MINIMAL | {"constraints": {"max_words": 9}}, "constraints.max_words: is not a known key"),
        (MINIMAL | {"rejects": "r-1"}, "rejects: is there without a `session_id`; name the session"),
        (MINIMAL | {"session_id": "s", "rejects": "a\nb"}, "rejects: is no name; write at most 128 printable"),
        (MINIMAL | {"data_clases": []}, "data_clases: is not a known key; write 'data_classes' if that was meant"),
        (MINIMAL | {"Allows_Escalation": 1}, "Allows_Escalation: is not a known key; write 'allows_escalation'"),
    ],
)
def test_what_is_wrong_is_said(document: object, complaint: str) -> None:
    assert any(problem.startswith(complaint) for problem in problems_of(document))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ({}, "(the document): neither `text` nor `messages` is given; write exactly one of them"),
        ({"messages": []}, "(the document): neither `text` nor `messages` is given; write exactly one of them"),
        (
            {"text": "", "messages": [{"role": "user", "content": "x"}]},
            "(the document): both `text` and `messages` are given; write exactly one of them",
        ),
        ({"text": 5}, "text: is an integer; write a string"),
        ({"messages": "hello"}, "messages: is a string; write a list of tables"),
    ],
)
def test_the_content_is_given_in_exactly_one_way(content: dict[str, Any], complaint: str) -> None:
    assert problems_of({"task_id": "t"} | content) == [complaint]


def test_a_callers_own_keys_are_none_of_our_business() -> None:
    assert read_task(MINIMAL | {"trace_parent": "00-1", "colour": "red"}) == read_task(MINIMAL)


def test_all_problems_are_told_at_once() -> None:
    assert len(problems_of({"kind": 1, "deadline_s": "x", "requires": ["smell", "taste"]})) == 6


def test_public_is_a_label_like_any_other() -> None:
    assert "public" in BUILT_IN_CLASSES


def test_everything_that_a_person_wrote_is_looked_through() -> None:
    messages = [
        {"role": "system", "content": "one"},
        {"role": "user", "content": "two", "name": "three"},
    ]
    document = {"task_id": "id", "messages": messages, "response_schema": {"description": "fünf"}}
    read_task(document)
    text = content_text(document)
    assert all(word in text for word in ("one", "two", "three", "fünf"))
    assert content_text(MINIMAL) == "hello"


def test_no_escape_hides_a_word() -> None:
    said = json.dumps({"note": "for\tJürgen Müller"})
    call = {"id": "c", "name": "find", "arguments": said}
    messages = [
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "content": said, "tool_call_id": "c"},
    ]
    documents: list[dict[str, Any]] = [{"text": said}, *({"messages": [message]} for message in messages)]
    for document in documents:
        assert "Jürgen Müller" in content_text(document)
    assert all("note: for\tJürgen" in content_text({"messages": [message]}) for message in messages)


def test_what_is_absent_is_empty() -> None:
    assert content_text({"text": None, "messages": None}) == ""


@given(
    document=st.dictionaries(
        st.sampled_from([*Task.__dataclass_fields__, "text", "messages", "response_schema", "x"]),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text() | st.integers()),
    )
)
def test_any_document_is_a_task_or_an_error_that_says_why(document: dict[str, Any]) -> None:
    try:
        task = read_task(document)
    except DocumentError as error:
        assert error.problems  # noqa: PT017  # either way is right, and this is what one of them promises
    else:
        assert task.kind in KINDS
        assert isinstance(content_text(document), str)
