from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_engines import api
from homebred_engines.openai_chat import CompletionReading, EventLines, request_body, typed_error

HELLO = (api.Message(role="user", content="hello"),)


def event(reason: str | None = None, **delta: object) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}


def call(index: int, **more: object) -> dict[str, Any]:
    return event(tool_calls=[{"index": index, **more}])


@given(st.lists(st.integers(1, 40), max_size=20), st.sampled_from([b"\n", b"\r\n"]))
def test_events_are_found_however_the_bytes_were_split(sizes: list[int], end: bytes) -> None:
    stream = end.join(
        [b": ping", b"", b'data: {"n": 1}', b"", b"event: x", b'data:{"n": 2}', b"", b"data: [DONE]", b""]
    )
    lines, found = EventLines(), []
    for size in [*sizes, len(stream)]:
        found += [*lines.feed(stream[:size])]
        stream = stream[size:]
    assert found == [{"n": 1}, {"n": 2}]
    assert lines.is_done


def test_events_that_are_none_or_too_long_are_failures() -> None:
    with pytest.raises(api.EngineFailedError):
        [*EventLines().feed(b"data: hello\n")]
    with pytest.raises(api.EngineFailedError, match="longer"):
        [*EventLines().feed(b"x" * 2_000_000)]


def test_text_becomes_deltas_and_the_usage_that_the_server_has() -> None:
    reading = CompletionReading()
    assert reading.feed(event(role="assistant", content=None)) is None
    assert reading.feed(event(content="hel")) == api.Delta(text="hel", tokens=1)
    logprobs = {"content": [{"token": "l", "logprob": 1e-9}, {"token": "o", "logprob": -1.0}]}
    likely = (api.TokenLogprob(token="l", logprob=0.0), api.TokenLogprob(token="o", logprob=-1.0))  # noqa: S106
    chunk = {"choices": [{"delta": {"content": "lo"}, "logprobs": logprobs, "finish_reason": None}]}
    assert reading.feed(chunk) == api.Delta(text="lo", tokens=2, logprobs=likely)
    assert reading.feed(event("length")) is None
    assert reading.reason is api.FinishReason.LENGTH
    assert reading.finished_usage(prompt_s=1, completion_s=2).completion_tokens == 3
    reading.feed({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 4}})
    usage = reading.finished_usage(prompt_s=1, completion_s=2)
    assert usage == api.Usage(prompt_tokens=9, completion_tokens=4, prompt_s=1, completion_s=2)


def test_calls_are_put_together_from_their_pieces() -> None:
    reading = CompletionReading()
    reading.feed(call(1, id="b", function={"name": "wait"}))
    reading.feed(call(0, function={"name": "ring", "arguments": '{"times"'}))
    reading.feed(call(0, function={"arguments": ": 2}"}))
    assert reading.calls() == ()
    reading.feed(event("tool_calls"))
    assert reading.calls() == (
        api.ToolCall(id="call_0", name="ring", arguments='{"times": 2}'),
        api.ToolCall(id="b", name="wait", arguments="{}"),
    )


def test_a_call_that_the_token_limit_cut_short_is_none() -> None:
    reading = CompletionReading()
    reading.feed(call(0, id="a", function={"name": "ring", "arguments": '{"ti'}))
    reading.feed(event("length"))
    assert reading.calls() == ()


def test_only_what_was_asked_for_is_sent() -> None:
    body = request_body("m", HELLO, api.GenerateOptions())
    assert {*body} == {"model", "messages", "stream", "stream_options"}
    options = api.GenerateOptions(
        temperature=0, max_tokens=3, seed=1, stop=("a",) * 5, logprobs=True, json_schema='{"type": "object"}',
        tools=(api.Tool(name="ring"),), tool_choice="ring",
    )  # fmt: skip
    body = request_body("m", HELLO, options)
    assert "stop" not in body  # more than servers take: they are looked for here
    assert body["tool_choice"] == {"type": "function", "function": {"name": "ring"}}
    assert json.dumps(body["response_format"]).count('{"type": "object"}') == 1


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, {"error": {"message": "no"}}, api.InvalidRequestError),
        (422, {"detail": "no"}, api.InvalidRequestError),
        (401, {"error": "no"}, api.EngineFailedError),
        (404, {"error": {"message": "no"}}, api.EngineFailedError),
        (429, {"message": "no"}, api.QueueFullError),
        (503, {"error": {"message": "no"}}, api.QueueFullError),
        (500, {}, api.EngineFailedError),
        (200, {"error": {"code": 400, "message": "no"}}, api.InvalidRequestError),
    ],
)
def test_errors_are_typed(status: int, error: dict[str, Any], kind: type[api.EngineError]) -> None:
    assert type(typed_error(status, error)) is kind


@pytest.mark.parametrize(
    "error",
    [
        {"type": "exceed_context_size_error", "n_prompt_tokens": 90, "n_ctx": 80, "message": "too long"},
        {"code": "context_length_exceeded", "message": "at most 80 tokens, and you asked for 90"},
        {"code": 400, "message": "This model's maximum context length is 80 tokens. However, you requested 90 tokens."},
    ],
)
def test_a_prompt_that_is_too_long_is_told_as_such_by_every_kind_of_server(error: dict[str, Any]) -> None:
    found = typed_error(400, {"error": error})
    assert isinstance(found, api.ContextExceededError)
    assert (found.prompt_tokens, found.context_tokens) == (90, 80)
