"""One generation on TensorRT-LLM: a task that follows its steps, and its deltas for whoever reads them."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from homebred_engines import api
from homebred_engines.trtllm_errors import typed

_REASONS = {
    "stop": api.FinishReason.STOP,
    "length": api.FinishReason.LENGTH,
    "cancelled": api.FinishReason.CANCELLED,
}


class Run:
    """Follows the library's output, which is one object that changes at every step, so that no step is missed."""

    def __init__(
        self, output: Any, text_of: Callable[[int], str], *, wants_logprobs: bool, when_over: Callable[[], None]
    ) -> None:
        """`when_over` is called once it needs the model no more, though deltas may still be unread."""
        self.deltas: deque[api.Delta] = deque()
        self.failure: api.EngineError | None = None
        self.reason: api.FinishReason | None = None
        self.steps = 0
        """Steps heard."""
        self._tokens = self._cached_tokens = 0
        self._started_at, self._first_at = time.monotonic(), 0.0
        self._output = output
        self._text_of = text_of
        self._wants_logprobs = wants_logprobs
        self._news = asyncio.Event()
        self._following = asyncio.get_running_loop().create_task(self._follow())
        self._following.add_done_callback(lambda _: self._news.set())
        self._following.add_done_callback(lambda _: when_over())

    async def next_deltas(self) -> bool:
        """Waits for deltas; False when the generation has ended and every one is read."""
        while not self.deltas:
            if self._following.done():
                return bool(self.deltas)
            self._news.clear()
            await self._news.wait()
        return True

    async def end(self) -> None:
        """Cancels, and returns once the library says that the generation has ended. Raises EngineFailedError."""
        failure = None
        if self.reason is None:
            try:
                self._output.abort()
            except Exception as error:  # noqa: BLE001 - raised below, once nothing runs
                failure = typed(error, doing="cancelling")
        await asyncio.wait([self._following])
        if failure is not None:
            raise failure

    def usage(self, *, prompt_tokens: int) -> api.Usage:
        """What it took, up to now."""
        now = time.monotonic()
        first_at = self._first_at or now
        return api.Usage(
            prompt_tokens=prompt_tokens,
            cached_tokens=self._cached_tokens,
            completion_tokens=self._tokens,
            prompt_s=first_at - self._started_at,
            completion_s=now - first_at,
        )

    async def _follow(self) -> None:
        try:
            async for output in self._output:
                self._hear(output)
                self._news.set()
        except Exception as error:  # noqa: BLE001 - told to the reader
            self.failure = typed(error, doing="generating")

    def _hear(self, output: Any) -> None:
        self.steps += 1
        completion = output.outputs[0]
        tokens = list(completion.token_ids_diff)
        self._tokens += len(tokens)
        self._cached_tokens = output.cached_tokens or 0
        self._first_at = self._first_at or time.monotonic()
        text = completion.text_diff
        if tokens or text:
            logprobs = self._logprobs(tokens, text, completion) if self._wants_logprobs else ()
            self.deltas.append(api.Delta(text=text, tokens=len(tokens), logprobs=logprobs))
        if completion.finish_reason is not None:
            self.reason = _REASONS.get(completion.finish_reason)
            if self.reason is None:
                raise api.EngineFailedError(f"TensorRT-LLM ended a generation with {completion.finish_reason!r}.")

    def _logprobs(self, tokens: list[int], text: str, completion: Any) -> tuple[api.TokenLogprob, ...]:
        """One a token; a token that brought no text of its own has none."""
        texts = [text] if len(tokens) == 1 else [self._text_of(token) for token in tokens]
        by_token = zip(tokens, texts, completion.logprobs_diff, strict=False)
        return tuple(
            api.TokenLogprob(token=each, logprob=min(0.0, found[token].logprob))
            for token, each, found in by_token
            if each
        )
