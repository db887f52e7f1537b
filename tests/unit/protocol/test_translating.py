from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import pytest

from homebred_protocol.client.errors import FailedError
from homebred_protocol.client.translating import (
    FALLBACKS,
    REVIEW_STATES,
    RUNTIMES,
    STATUSES,
    VERDICTS,
    Heard,
    decision,
    dry_run,
    event,
    outcome,
    request_message,
    review,
    task_message,
)
from homebred_protocol.client.values import (
    Attachment,
    Constraints,
    Decision,
    Fallback,
    Message,
    Outcome,
    OutgoingContext,
    Retracted,
    ReviewState,
    Runtime,
    Status,
    Task,
    Tool,
    Verdict,
)
from homebred_protocol.v1 import inference_pb2 as wire

FULL = Task(
    "two teas",
    workflow="order.normalise",
    kind="repeat",
    data_classes=("public",),
    allows_escalation=True,
    minimum_margin=0.0,
    expected_calls=3,
    deadline_s=2.0,
    requires=("tools",),
    context_tokens=100,
    schema={"type": "object"},
    tools=(Tool("look_up", "finds a room", {"type": "object"}, runs_here=True),),
    tool_choice="required",
    attachments=(Attachment("a.txt", b"x", "text/plain"),),
    session_id="visit-4",
    constraints=Constraints(matches="^a", contains=("b",), excludes=("c",), max_characters=9),
    rejects="r-0",
    task_id="t-1",
    max_tokens=5,
    temperature=0.0,
    seed=0,
    stop=("\n",),
)


def test_every_word_of_the_wire_has_its_word_here() -> None:
    tables: list[tuple[Any, Mapping[Any, Any], Any]] = [
        (wire.Runtime, RUNTIMES, Runtime),
        (wire.FallbackTarget, FALLBACKS, Fallback),
        (wire.OutcomeStatus, STATUSES, Status),
        (wire.ReviewState, REVIEW_STATES, ReviewState),
        (wire.Verdict, {number: word for word, number in VERDICTS.items()}, Verdict),
    ]
    for enum, table, words in tables:
        assert sorted(table) == sorted(enum.values())[1:]
        assert set(table.values()) == {word for word in words if word.value != "unknown"}
        for number, word in table.items():
            assert enum.Name(number).lower().endswith(word.value)


def test_a_task_and_a_request_carry_every_field() -> None:
    request = request_message(FULL)
    assert request.task.task_id == "t-1"
    assert json.loads(request.task.response_schema) == {"type": "object"}
    sent = {one.name for one, _ in request.task.ListFields()} | {one.name for one, _ in request.ListFields()}
    assert sent == {
        *({one.name for one in wire.Task.DESCRIPTOR.fields} - {"messages", "minimum_margin"}),
        *(one.name for one in wire.GenerateRequest.DESCRIPTOR.fields),
        "minimum_margin",
    }


def test_every_field_of_a_task_is_documented_by_the_wire() -> None:
    on_the_wire = {one.name for one in wire.Task.DESCRIPTOR.fields} | {
        one.name for one in wire.GenerateRequest.DESCRIPTOR.fields
    }
    named = {"schema" if name == "response_schema" else name for name in on_the_wire - {"task"}}
    assert named == {one.name for one in fields(Task)}


def test_what_is_not_given_is_not_sent() -> None:
    message = task_message(Task("x", task_id="t"))
    assert {one.name for one, _ in message.ListFields()} == {"task_id", "text"}
    conversation = task_message(Task(messages=(Message("user", "hello"),), task_id="t"))
    assert [(one.role, one.content) for one in conversation.messages] == [("user", "hello")]


def test_a_task_without_a_name_gets_one_of_its_own() -> None:
    first, second = (task_message(Task("x")).task_id for _ in range(2))
    assert first != second
    assert len(first) == 32


def test_a_schema_that_is_text_already_is_sent_as_it_is() -> None:
    assert task_message(Task("x", schema='{"a": 1 }')).response_schema == '{"a": 1 }'


def full_decision() -> wire.RouteDecision:
    message = wire.RouteDecision(
        selected_runtime=wire.RUNTIME_LOCAL,
        selected_model_or_stack="m",
        local_reason="why",
        redaction_required=True,
        evidence_required=True,
        fallback_target=wire.FALLBACK_TARGET_LOCAL_SUMMARY,
        reason_code="margin_met",
        classes=["a"],
        policy_digest="p",
        trace=["t"],
        route_id="r",
        supersedes="s",
    )
    message.route_created_at_utc.FromDatetime(datetime(2026, 11, 24, tzinfo=UTC))
    return message


def test_a_decision_has_the_wires_fields_in_its_order() -> None:
    assert [one.name for one in fields(Decision)] == [one.name for one in wire.RouteDecision.DESCRIPTOR.fields]
    told = decision(full_decision())
    assert told.selected_runtime is Runtime.LOCAL
    assert told.fallback_target is Fallback.LOCAL_SUMMARY
    assert told.route_created_at_utc == datetime(2026, 11, 24, tzinfo=UTC)
    assert (told.classes, told.trace, told.route_id, told.supersedes) == (("a",), ("t",), "r", "s")


def test_an_outcome_tells_what_was_not_measured_from_zero() -> None:
    none = outcome(wire.Outcome(status=wire.OUTCOME_STATUS_ANSWER))
    assert (none.first_token_ms, none.confidence, none.problem) == (None, None, None)
    some = outcome(wire.Outcome(first_token_ms=0, confidence=0, problem=wire.Problem(code="c", retry_after_s=2)))
    assert (some.first_token_ms, some.confidence) == (0, 0)
    assert some.problem is not None
    assert (some.problem.code, some.problem.retry_after_s) == ("c", 2)


def test_words_of_a_newer_daemon_are_unknown_and_no_crash() -> None:
    newer: Any = 99
    assert decision(wire.RouteDecision(selected_runtime=newer)).selected_runtime is Runtime.UNKNOWN
    assert decision(wire.RouteDecision(fallback_target=newer)).fallback_target is Fallback.UNKNOWN
    assert outcome(wire.Outcome(status=newer)).status is Status.UNKNOWN
    told = review(wire.GetReviewResponse(state=newer, output="x"))
    assert (told.state, told.output, told.ended) == (ReviewState.UNKNOWN, None, False)


def test_an_event_of_a_newer_daemon_is_none() -> None:
    assert event(wire.GenerateEvent()) is None
    assert event(wire.GenerateEvent(delta="")) == ""
    assert isinstance(event(wire.GenerateEvent(outcome=wire.Outcome())), Outcome)


def test_a_review_has_an_output_only_once_it_is_answered() -> None:
    waiting = review(wire.GetReviewResponse(route_id="r", state=wire.REVIEW_STATE_WAITING))
    assert (waiting.output, waiting.ended, waiting.filed_at_utc) == (None, False, None)
    response = wire.GetReviewResponse(route_id="r", state=wire.REVIEW_STATE_ANSWERED, output="yes")
    response.filed_at_utc.FromDatetime(datetime(2026, 11, 24, tzinfo=UTC))
    answered = review(response)
    assert (answered.output, answered.ended) == ("yes", True)
    assert answered.filed_at_utc == datetime(2026, 11, 24, tzinfo=UTC)


def test_an_answer_is_whole_once_its_outcome_is_heard() -> None:
    heard = Heard()
    assert not heard.anything
    for one in (decision(full_decision()), "a ", "b"):
        heard.add(one)
    with pytest.raises(FailedError):
        heard.answer()
    heard.add(outcome(wire.Outcome(status=wire.OUTCOME_STATUS_ANSWER)))
    assert (heard.answer().text, heard.answer().route_id) == ("a b", "r")


def test_a_dry_run_tells_what_would_leave_and_that_nothing_would() -> None:
    stays = dry_run(wire.RouteResponse(decision=full_decision()))
    assert (stays.reason_code, stays.would_send) == (full_decision().reason_code, None)
    context = wire.OutgoingContext(system="s", messages=[wire.Message(role="user", content="c")], dropped_messages=2)
    leaves = dry_run(wire.RouteResponse(decision=full_decision(), context=context)).would_send
    assert leaves == OutgoingContext(
        system="s", messages=(Message("user", "c"),), schema="", dropped_messages=2, tools=(), dropped_attachments=0
    )


def test_a_retraction_voids_the_pieces_before_it() -> None:
    heard = Heard()
    retraction = event(wire.GenerateEvent(retraction=wire.Retraction(code="cloud_cut_off")))
    assert retraction == Retracted(code="cloud_cut_off")
    for one in (decision(full_decision()), "no", retraction, "yes", outcome(wire.Outcome())):
        heard.add(one)
    assert heard.answer().streamed == "yes"
