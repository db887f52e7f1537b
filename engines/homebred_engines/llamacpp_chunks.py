"""What xllamacpp's server streams, read into deltas, usage and errors. Pure: bytes in, values out.

A chunk is one JSON object: progress of the prompt, a piece of text with the timings so far, the end with its reason, or
an error.
"""

from __future__ import annotations

import json
from typing import Any

from homebred_engines import api

_REASONS = {"stop": api.FinishReason.STOP, "length": api.FinishReason.LENGTH}
_CONTEXT_ERROR = "exceed_context_size_error"
_FIRST_SERVER_ERROR = 500


class ChunkReading:
    """One generation's chunks. Text gathers until `take_delta`, so that what waits together leaves together."""

    def __init__(self) -> None:
        self.reason: api.FinishReason | None = None
        self._text: list[str] = []
        self._logprobs: list[api.TokenLogprob] = []
        self._timings: dict[str, Any] = {}
        self._tokens_taken = 0
        self._cached_tokens: int | None = None

    def feed(self, chunk: bytes) -> None:
        """Reads one chunk. Raises the error that it holds."""
        document = json.loads(chunk)
        if "error" in document:
            raise typed_error(document["error"])
        self._timings = document.get("timings") or self._timings
        if self._cached_tokens is None and "prompt_progress" in document:  # a later turn finds its own work cached
            self._cached_tokens = document["prompt_progress"]["cache"]
        for choice in document["choices"]:
            content = choice["delta"].get("content")
            if content:
                self._text.append(content)
            logprobs = choice.get("logprobs")
            if logprobs:
                self._logprobs.extend(
                    api.TokenLogprob(token=each["token"], logprob=min(0.0, each["logprob"]))
                    for each in logprobs["content"]
                )
            reason = choice["finish_reason"]
            if reason:
                self.reason = _REASONS.get(reason, api.FinishReason.STOP)

    def take_delta(self) -> api.Delta | None:
        """Everything since the last delta; None when there is nothing."""
        tokens = self._timings.get("predicted_n", 0)
        if not self._text and not self._logprobs:
            return None
        delta = api.Delta(text="".join(self._text), tokens=tokens - self._tokens_taken, logprobs=tuple(self._logprobs))
        self._text, self._logprobs, self._tokens_taken = [], [], tokens
        return delta

    def usage(self, *, prompt_s: float) -> api.Usage:
        """As the last timings have it; the prompt's time is the caller's, since it may be read in several turns."""
        timings = self._timings
        return api.Usage(
            prompt_tokens=timings.get("cache_n", 0) + timings.get("prompt_n", 0),
            cached_tokens=self._cached_tokens or 0,
            completion_tokens=timings.get("predicted_n", 0),
            prompt_s=prompt_s,
            completion_s=timings.get("predicted_ms", 0.0) / 1000,
        )


def typed_error(error: dict[str, Any]) -> api.EngineError:
    """The server's error object as ours."""
    if error.get("type") == _CONTEXT_ERROR:
        prompt_tokens, context_tokens = int(error["n_prompt_tokens"]), int(error["n_ctx"])
        return api.ContextExceededError(
            f"It has {prompt_tokens} tokens, the slot {context_tokens}.",
            prompt_tokens=prompt_tokens,
            context_tokens=context_tokens,
        )
    message = str(error.get("message", "no message"))
    if int(error.get("code", _FIRST_SERVER_ERROR)) < _FIRST_SERVER_ERROR:
        return api.InvalidRequestError(f"llama.cpp says: {message}.")
    return api.EngineFailedError(f"llama.cpp says: {message}.")
