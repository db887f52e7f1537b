"""What a caller of the gateway is told of an answer, event by event, over a connection of two ends in this process."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.support.answering_stage import accepted_task

from homebred_daemon.adapters.openai_gateway.answer_forms import ChatForm
from homebred_daemon.adapters.openai_gateway.failures import error_body, headers_of, status_of
from homebred_daemon.adapters.openai_gateway.http_connection import Bounds, Connection
from homebred_daemon.adapters.openai_gateway.listening import Listener, StreamListener, WholeListener
from homebred_daemon.adapters.openai_gateway.tasks import Asked
from homebred_daemon.core.decision import Fallback, Reason, RouteDecision, Runtime
from homebred_daemon.errors import (
    DeadlineError,
    DrainingError,
    EngineUnavailableError,
    HomebredError,
    NeedsReviewError,
    OverloadedError,
    RequestError,
    StateError,
    UnattestedError,
)
from homebred_daemon.inbound.answering import AnswerEvent, Decided, Outcome, Retracted
from homebred_daemon.ports.ledger import OutcomeRecord
from homebred_engines import api

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
BOUNDS = Bounds(max_body_bytes=1000, unread_timeout_s=5)
REQUEST = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n"
HEARD = object()
"""Stands among events for the question whether all of them were heard."""


def decided(runtime: Runtime = Runtime.LOCAL, route_id: str = "r1") -> Decided:
    decision = RouteDecision(
        selected_runtime=runtime,
        selected_model_or_stack="someone",
        local_reason="because",
        redaction_required=False,
        evidence_required=False,
        fallback_target=Fallback.NONE,
        route_created_at_utc=NOW,
        reason_code=Reason.MARGIN_MET,
        classes=("public",),
        policy_digest="sha256:p",
        trace=("saw",),
    )
    return Decided(route_id=route_id, decision=decision, supersedes="")


def outcome(status: str = "answer", problem: HomebredError | None = None, **record: Any) -> Outcome:
    told: dict[str, Any] = {"finish_reason": "stop", "prompt_tokens": 2, "completion_tokens": 3} | record
    written = OutcomeRecord(route_id="r1", recorded_at_utc=NOW, status=status, total_ms=1, **told)
    return Outcome(record=written, weak=False, problem=problem)


async def told_of(
    kind: Callable[..., Listener], events: tuple[AnswerEvent | object, ...]
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body that the other end gets."""
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=ours)
    far_reader, far_writer = await asyncio.open_connection(sock=theirs)
    connection = Connection(reader, writer, BOUNDS)
    far_writer.write(REQUEST)
    assert await connection.next_request() is not None
    assert await connection.body() == b""
    connection.closes = True
    asked = Asked(task=accepted_task(), model="homebred", streams=True, includes_usage=False)
    listener = kind(connection, ChatForm(), asked)
    for event in events:
        await (listener.has_heard() if event is HEARD else listener.hear(event))  # type: ignore[arg-type]
    connection.close()
    head, _, body = (await far_reader.read()).partition(b"\r\n\r\n")
    far_writer.close()
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return int(first.split()[1]), headers, body


def stream(*events: AnswerEvent | object) -> tuple[int, list[Any]]:
    """Status and the events of a stream; [DONE] is the word DONE."""
    status, _, body = asyncio.run(told_of(StreamListener, events))
    data = [line.removeprefix(b"data: ") for line in body.split(b"\n") if line.startswith(b"data: ")]
    return status, ["DONE" if one == b"[DONE]" else json.loads(one) for one in data]


def text_of(events: list[Any]) -> str:
    choices = [choice for one in events if one != "DONE" for choice in one.get("choices", [])]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def whole(*events: AnswerEvent | object) -> tuple[int, Any]:
    status, _, body = asyncio.run(told_of(WholeListener, events))
    return status, json.loads(body)


def test_a_local_answer_streams_as_it_comes() -> None:
    status, events = stream(decided(), "one ", "two", HEARD, outcome())
    assert (status, text_of(events)) == (200, "one two")
    assert [one["choices"][0]["delta"].get("content") for one in events[:3]] == ["", "one ", "two"]
    assert events[-2]["choices"][0]["finish_reason"] == "stop"
    assert events[-2]["homebred"]["decision"]["route_id"] == "r1"
    assert events[-2]["homebred"]["outcome"]["status"] == "answer"
    assert events[-1] == "DONE"


def test_what_a_cloud_model_says_is_held_back_until_it_holds() -> None:
    status, events = stream(decided(Runtime.CLOUD_ESCALATION), "one ", "two", HEARD, outcome())
    assert (status, text_of(events)) == (200, "one two")
    assert [one["choices"][0]["delta"].get("content") for one in events[:2]] == ["", "one two"]


def test_a_retracted_answer_is_never_seen_and_whoever_answers_in_its_place_streams() -> None:
    cloud = decided(Runtime.CLOUD_ESCALATION)
    for listen, read in (
        (stream, text_of),
        (whole, lambda told: told["choices"][0]["message"]["content"]),
    ):
        status, told = listen(
            cloud,
            "wrong",
            Retracted(code="cloud_cut_off"),
            "ri",
            "ght",
            HEARD,
            outcome("degraded", findings=("cloud_failed",)),
        )
        assert (status, read(told)) == (200, "right")


def test_a_decision_that_supersedes_is_the_one_in_the_head() -> None:
    _, headers, _ = asyncio.run(told_of(StreamListener, (decided(), decided(route_id="r2"), "x", HEARD, outcome())))
    assert json.loads(headers["x-homebred-decision"])["route_id"] == headers["x-request-id"] == "r2"


@pytest.mark.parametrize("kind", [StreamListener, WholeListener])
def test_an_error_before_the_first_piece_is_a_status_of_its_own(kind: Callable[..., Listener]) -> None:
    review = outcome("review", NeedsReviewError("why", hint="what next"))
    status, headers, body = asyncio.run(told_of(kind, (decided(Runtime.NO_OP), review)))
    error = json.loads(body)["error"]
    assert (status, error["message"]) == (422, "why; next: what next")
    assert error["homebred"]["decision"]["selected_runtime"] == "no_op"
    assert headers["x-should-retry"] == "false"


def test_an_error_after_the_first_piece_ends_the_stream_without_a_word_that_it_is_whole() -> None:
    status, events = stream(decided(), "half an", outcome("error", EngineUnavailableError("broke off")))
    assert status == 200
    assert events[-1]["error"]["code"] == "engine_unavailable"
    assert "DONE" not in events
    assert all(one["choices"][0]["finish_reason"] is None for one in events[:-1])


def test_tools_are_told_whole_and_numbered() -> None:
    calls = [api.ToolCall(id=f"c{number}", name="look", arguments="{}") for number in range(2)]
    _, events = stream(decided(), *calls, HEARD, outcome(finish_reason="tool_calls"))
    told = [call for one in events[1:3] for call in one["choices"][0]["delta"]["tool_calls"]]
    assert [(call["index"], call["id"], call["function"]["name"]) for call in told] == [
        (0, "c0", "look"),
        (1, "c1", "look"),
    ]
    _, body = whole(decided(), *calls, HEARD, outcome(finish_reason="tool_calls"))
    assert body["choices"][0]["message"]["content"] is None
    assert [call["id"] for call in body["choices"][0]["message"]["tool_calls"]] == ["c0", "c1"]


def test_an_answer_that_does_not_fit_says_so_where_it_ends() -> None:
    _, body = whole(decided(), "text", HEARD, outcome(finish_reason="schema_invalid", findings=("schema_invalid",)))
    assert body["choices"][0]["finish_reason"] == "schema_invalid"
    assert body["homebred"]["outcome"]["findings"] == ["schema_invalid"]


@pytest.mark.parametrize(
    ("error", "status", "retry"),
    [
        (UnattestedError(), 401, "x-should-retry"),
        (RequestError(), 400, "x-should-retry"),
        (NeedsReviewError(), 422, "x-should-retry"),
        (OverloadedError(retry_after_s=0.2), 429, "retry-after"),
        (DrainingError(retry_after_s=2), 503, "retry-after"),
        (EngineUnavailableError(), 503, ""),
        (DeadlineError(), 504, "x-should-retry"),
        (StateError(), 500, "x-should-retry"),
        (HomebredError(), 500, "x-should-retry"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, HomebredError) else None,
)
def test_an_error_has_its_status_and_says_whether_to_try_again(error: HomebredError, status: int, retry: str) -> None:
    headers = dict(headers_of(error))
    assert (status_of(error), next(iter(headers), "")) == (status, retry)
    assert headers.get("retry-after") != "0"
    assert error_body(error)["error"]["code"] == error.code
