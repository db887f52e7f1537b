"""Each wire format: what is asked, and answers that are whole, cut, broken, or end in the provider's own error."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.cloud_streams import PIECES, STREAMS

from homebred_daemon.adapters.cloud.registry import WIRE_FORMATS
from homebred_daemon.adapters.cloud.wire_format import StreamedAnswer, error_of_status
from homebred_daemon.ports.cloud import (
    BrokenAnswerError,
    CloudError,
    CloudEvent,
    CloudFinish,
    CloudFinished,
    CloudRequest,
    CloudText,
    CloudUnreachableError,
    CloudUsage,
    CutOffError,
    ProviderFailedError,
    RateLimitedError,
    RequestRefusedError,
)
from homebred_engines import api

CANARY = "Ms Zorblatt"
USED = CloudUsage(input_tokens=11, output_tokens=7)
WHOLE: list[CloudEvent | str] = [*map(CloudText, PIECES), CloudFinished(reason=CloudFinish.STOP, usage=USED)]
REQUEST = CloudRequest(
    alias="cloud/default",
    system="Be brief.",
    turns=(api.Message(role="user", content="Who is ⟦person:k7f2m9qd4⟧?"),),
    max_tokens=64,
    temperature=0.5,
    json_schema='{"type": "object"}',
)
every_format = pytest.mark.parametrize("name", WIRE_FORMATS)


def answered(name: str, chunks: Iterable[bytes]) -> list[CloudEvent | str]:
    """The events, the last one its end or an error's code."""
    answer, events = StreamedAnswer(WIRE_FORMATS[name].reader()), list[CloudEvent | str]()
    try:
        for chunk in chunks:
            for event in answer.feed(chunk):
                events.append(event)  # what comes before an error counts
        events.append(answer.finish())
    except CloudError as error:
        events.append(answer.failure(error).code)
    return events


def last(name: str, *events: dict[str, Any], before: str = "") -> CloudEvent | str:
    stream = before + "".join(f"data: {json.dumps(event)}\n\n" for event in events)
    return answered(name, [stream.encode()])[-1]


@every_format
def test_every_split_of_an_answer_gives_the_same_events(name: str) -> None:
    stream = STREAMS[name].encode()
    for cut in range(len(stream) + 1):
        assert answered(name, [stream[:cut], stream[cut:]]) == WHOLE


@every_format
@given(st.data())
def test_every_split_of_a_damaged_answer_gives_the_same_events(name: str, data: st.DataObject) -> None:
    stream = bytearray(STREAMS[name].encode())
    place = data.draw(st.integers(0, len(stream) - 1))
    stream[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    whole = answered(name, [bytes(stream)])
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    chunks = [bytes(stream[start:end]) for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert answered(name, chunks) == whole
    assert answered(name, [bytes([byte]) for byte in stream]) == whole


@every_format
def test_an_answer_that_stops_anywhere_is_never_taken_for_whole(name: str) -> None:
    stream = STREAMS[name].encode()
    for cut in range(len(stream)):
        events = answered(name, [stream[:cut]])
        texts, end = events[:-1], events[-1]
        assert texts == WHOLE[: len(texts)]
        if isinstance(end, CloudFinished):  # all that can be missing is a count of tokens and what marks the end
            assert (len(texts), end.reason) == (len(PIECES), CloudFinish.STOP)
        else:
            assert end == (CutOffError.code if texts else CloudUnreachableError.code)


@every_format
@pytest.mark.parametrize(
    "data", ["{", "[]", "null", "{}", '{"type": 1}', '{"choices": 1}', "[" * 100_000], ids=lambda data: data[:12]
)
def test_what_is_not_as_the_format_says_is_a_broken_answer(name: str, data: str) -> None:
    end = answered(name, [f"data: {data}\n\n".encode()])
    assert end in ([BrokenAnswerError.code], [CloudUnreachableError.code])  # an event of an unknown type adds nothing
    if not data.startswith('{"type"'):
        assert end == [BrokenAnswerError.code]


def delta(name: str, content: object) -> dict[str, Any]:
    deltas: dict[str, dict[str, Any]] = {
        "openai_chat": {"choices": [{"delta": {"content": content}}]},
        "openai_responses": {"type": "response.output_text.delta", "delta": content},
        "anthropic_messages": {"type": "content_block_delta", "delta": {"type": "text_delta", "text": content}},
    }
    return deltas[name]


@every_format
@pytest.mark.parametrize("content", [5, ["a"], {"a": "b"}, "\ud83d"], ids=repr)
def test_a_delta_is_text_that_can_be_sent_on(name: str, content: object) -> None:
    assert last(name, delta(name, content)) == BrokenAnswerError.code


@every_format
def test_what_follows_the_end_is_not_read(name: str) -> None:
    assert answered(name, [STREAMS[name].encode() + b"data: {\n\n"]) == WHOLE


@pytest.mark.parametrize(
    ("name", "event", "reason"),
    [
        ("openai_chat", {"choices": [{"delta": {}, "finish_reason": "length"}]}, CloudFinish.LENGTH),
        ("openai_chat", {"choices": [{"delta": {}, "finish_reason": "content_filter"}]}, CloudFinish.FILTERED),
        ("openai_chat", {"choices": [{"delta": {}, "finish_reason": "tool_calls"}]}, CloudFinish.TOOL_CALLS),
        (
            "openai_responses",
            {"type": "response.incomplete", "response": {"incomplete_details": {"reason": "max_output_tokens"}}},
            CloudFinish.LENGTH,
        ),
        ("openai_responses", {"type": "response.incomplete", "response": {}}, CloudFinish.OTHER),
    ],
)
def test_a_provider_says_why_it_ended(name: str, event: dict[str, Any], reason: CloudFinish) -> None:
    assert last(name, event) == CloudFinished(reason=reason, usage=CloudUsage())


@pytest.mark.parametrize(
    ("stop_reason", "reason"),
    [("max_tokens", CloudFinish.LENGTH), ("refusal", CloudFinish.FILTERED), ("pause_turn", CloudFinish.OTHER)],
)
def test_anthropic_says_why_it_ended(stop_reason: str, reason: CloudFinish) -> None:
    ends = {"type": "message_delta", "delta": {"stop_reason": stop_reason}}, {"type": "message_stop"}
    assert last("anthropic_messages", *ends) == CloudFinished(reason=reason, usage=CloudUsage())


def test_a_refusal_in_words_is_no_ordinary_end() -> None:
    events = (
        {"type": "response.refusal.delta", "delta": "No."},
        {"type": "response.completed", "response": {"usage": None}},
    )
    assert last("openai_responses", *events) == CloudFinished(reason=CloudFinish.FILTERED, usage=CloudUsage())


@every_format
@pytest.mark.parametrize("before", ["", "text"])
def test_an_error_in_the_middle_is_the_providers_and_told_without_its_words(name: str, before: str) -> None:
    error = {"type": "overloaded_error", "message": f"about {CANARY}"}
    events = {
        "openai_chat": {"error": error},
        "openai_responses": {"type": "response.failed", "response": {"error": error}},
        "anthropic_messages": {"type": "error", "error": error},
    }
    answer = StreamedAnswer(WIRE_FORMATS[name].reader())
    stream = "".join(f"data: {json.dumps(event)}\n\n" for event in (delta(name, before), events[name]))
    with pytest.raises(ProviderFailedError, match="overloaded_error") as raised:
        list(answer.feed(stream.encode()))
    assert answer.failure(raised.value).has_streamed == bool(before)
    assert CANARY not in str(raised.value.record())


@pytest.mark.parametrize(
    ("status", "kind"), [(400, RequestRefusedError), (404, RequestRefusedError), (500, ProviderFailedError)]
)
def test_a_status_becomes_an_error_that_keeps_the_machine_code_alone(status: int, kind: type[CloudError]) -> None:
    body = json.dumps({"error": {"code": "bad_thing", "message": f"about {CANARY}"}}).encode()
    error = error_of_status(status, body)
    assert (type(error), error.message) == (kind, f"it answered {status} (bad_thing)")


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"error": 1}', b'{"error": {"code": "Ms Zorblatt"}}', b"\xff"]
)
def test_a_status_without_a_machine_code_is_told_by_its_number(body: bytes) -> None:
    assert error_of_status(503, body).message == "it answered 503"


def test_too_many_requests_say_when_to_come_again() -> None:
    error = error_of_status(429, b"", retry_after_s=3.0)
    assert isinstance(error, RateLimitedError)
    assert error.retry_after_s == 3.0


def test_what_openai_chat_is_asked() -> None:
    assert WIRE_FORMATS["openai_chat"].body(REQUEST, "gpt") == {
        "model": "gpt",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Who is ⟦person:k7f2m9qd4⟧?"},
        ],
        "max_tokens": 64,
        "temperature": 0.5,
        "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}},
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_what_openai_responses_are_asked() -> None:
    assert WIRE_FORMATS["openai_responses"].body(REQUEST, "gpt") == {
        "model": "gpt",
        "instructions": "Be brief.",
        "input": [{"role": "user", "content": "Who is ⟦person:k7f2m9qd4⟧?"}],
        "max_output_tokens": 64,
        "temperature": 0.5,
        "text": {"format": {"type": "json_schema", "name": "answer", "schema": {"type": "object"}}},
        "store": False,
        "stream": True,
    }


def test_what_anthropic_messages_are_asked() -> None:
    assert WIRE_FORMATS["anthropic_messages"].body(REQUEST, "claude") == {
        "model": "claude",
        "system": "Be brief.",
        "messages": [{"role": "user", "content": "Who is ⟦person:k7f2m9qd4⟧?"}],
        "max_tokens": 64,
        "temperature": 0.5,
        "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}},
        "stream": True,
    }


@every_format
def test_what_is_asked_of_sampling_is_passed_on_where_it_can_be(name: str) -> None:
    body = WIRE_FORMATS[name].body(replace(REQUEST, top_p=0.5, seed=7), "m")
    assert (body["top_p"], body.get("seed")) == (0.5, 7 if name == "openai_chat" else None)


@every_format
def test_what_is_not_asked_for_is_not_said(name: str) -> None:
    plain = replace(REQUEST, system="", temperature=None, json_schema="")
    body = WIRE_FORMATS[name].body(plain, "m")
    assert body.keys().isdisjoint({"system", "instructions", "temperature", "response_format", "text", "output_config"})
    assert WIRE_FORMATS[name].headers("").keys().isdisjoint({"Authorization", "x-api-key"})


@every_format
def test_the_key_stands_in_one_header(name: str) -> None:
    assert sum("s3cret" in value for value in WIRE_FORMATS[name].headers("s3cret").values()) == 1
