from __future__ import annotations

import json

import pytest

from homebred_engines.api import (
    ContextExceededError,
    Delta,
    EngineFailedError,
    FinishReason,
    InvalidRequestError,
    TokenLogprob,
)
from homebred_engines.llamacpp_chunks import ChunkReading


def _chunk(
    content: str | None = None, reason: str | None = None, logprob: float | None = None, **more: object
) -> bytes:
    choice: dict[str, object] = {"delta": {"content": content} if content else {}, "finish_reason": reason}
    if logprob is not None:
        choice["logprobs"] = {"content": [{"token": content, "logprob": logprob}]}
    return json.dumps({"choices": [choice], **more}).encode()


def _timings(predicted: int) -> dict[str, object]:
    return {"cache_n": 3, "prompt_n": 7, "predicted_n": predicted, "predicted_ms": 1500.0}


def test_chunks_that_wait_together_leave_as_one_delta() -> None:
    reading = ChunkReading()
    reading.feed(_chunk("Hel", timings=_timings(1)))
    reading.feed(_chunk("lo", timings=_timings(3)))
    assert reading.take_delta() == Delta(text="Hello", tokens=3)
    assert reading.take_delta() is None
    reading.feed(_chunk("!", timings=_timings(4)))
    assert reading.take_delta() == Delta(text="!", tokens=1)


def test_the_end_brings_reason_and_usage() -> None:
    reading = ChunkReading()
    reading.feed(_chunk(prompt_progress={"total": 10, "cache": 2, "processed": 2}))
    reading.feed(_chunk(prompt_progress={"total": 10, "cache": 3, "processed": 3}))  # a second turn found more cached
    reading.feed(_chunk("a", timings=_timings(1)))
    reading.feed(_chunk(reason="length", timings=_timings(2)))
    assert reading.reason is FinishReason.LENGTH
    usage = reading.usage(prompt_s=0.5)
    assert (usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens) == (10, 2, 2)
    assert (usage.prompt_s, usage.completion_s) == (0.5, 1.5)


def test_logprobs_never_rise_above_zero() -> None:
    reading = ChunkReading()
    reading.feed(_chunk("a", logprob=1e-9, timings=_timings(1)))
    delta = reading.take_delta()
    assert delta is not None
    assert delta.logprobs == (TokenLogprob(token="a", logprob=0.0),)  # noqa: S106 - a piece of text


def test_errors_are_typed() -> None:
    exceeded = {"code": 400, "type": "exceed_context_size_error", "message": "", "n_prompt_tokens": 9, "n_ctx": 8}
    with pytest.raises(ContextExceededError) as refusal:
        ChunkReading().feed(json.dumps({"error": exceeded}).encode())
    assert (refusal.value.prompt_tokens, refusal.value.context_tokens) == (9, 8)
    with pytest.raises(InvalidRequestError, match="bad grammar"):
        ChunkReading().feed(b'{"error": {"code": 400, "message": "bad grammar", "type": "invalid_request_error"}}')
    with pytest.raises(EngineFailedError, match="broke"):
        ChunkReading().feed(b'{"error": {"code": 500, "message": "it broke", "type": "server_error"}}')
