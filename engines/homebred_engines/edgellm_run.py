"""One generation on TensorRT Edge-LLM: a thread that listens to its channel, and its deltas for whoever reads them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor

from homebred_engines import api
from homebred_engines.edgellm_batches import Row
from homebred_engines.edgellm_library import Chunk
from homebred_engines.edgellm_process import RemoteRow

_REASONS = {
    "END_ID": api.FinishReason.STOP,
    "STOP_WORDS": api.FinishReason.STOP,
    "LENGTH": api.FinishReason.LENGTH,
    "CANCELLED": api.FinishReason.CANCELLED,
}
_BATCH_FAILURE_S = 1.0
_FAILED = "TensorRT Edge-LLM ended a generation with {reason}; a schema that its vocabulary cannot spell does that too."


class Run:
    """Waits for its batch, then listens in a thread, since the channel blocks. All else happens on the event loop."""

    def __init__(
        self, row: Row, native: RemoteRow, *, count_step: Callable[[], None], when_over: Callable[[], None]
    ) -> None:
        """`when_over` is called once it needs the runtime no more, though deltas may still be unread."""
        self.row = row
        self.native = native
        self.deltas: deque[api.Delta] = deque()
        self.failure: api.EngineError | None = None
        self.reason: api.FinishReason | None = None
        self._count_step = count_step
        self._when_over = when_over
        self._tokens = 0
        self._started_at, self._first_at = time.monotonic(), 0.0
        self._loop = asyncio.get_running_loop()
        self._news, self._ended = asyncio.Event(), asyncio.Event()
        self._batch_over = threading.Event()

    def listen(self, readers: Executor) -> None:
        """Its batch begins."""
        readers.submit(self._listen)

    def batch_ended(self, failure: api.EngineError | None) -> None:
        """Nothing more comes."""
        self.failure = self.failure or failure
        self._batch_over.set()

    def withdraw(self) -> None:
        """It will be in no batch."""
        self.reason = api.FinishReason.CANCELLED
        self._end()

    async def next_deltas(self) -> bool:
        """Waits for deltas; False when the generation has ended and every one is read."""
        while not self.deltas:
            if self.reason is not None or self._ended.is_set():
                return False
            self._news.clear()
            await self._news.wait()
        return True

    async def end(self) -> None:
        """Cancels, and returns once the runtime is done with it, at the next token or the end of the prompt.

        Raises EngineFailedError.
        """
        failure = None if self._ended.is_set() else self._cancelling()
        await self._ended.wait()
        if failure is not None:
            raise failure

    def usage(self) -> api.Usage:
        """What it took, up to now; the wait for its batch counts to the first token."""
        now = time.monotonic()
        first_at = self._first_at or now
        return api.Usage(
            prompt_tokens=self.row.prompt_tokens,
            completion_tokens=self._tokens,
            prompt_s=first_at - self._started_at,
            completion_s=now - first_at,
        )

    def _cancelling(self) -> api.EngineError | None:
        """Cancels; what went wrong."""
        try:
            self.native.cancel()
        except api.EngineError as error:
            return error
        return None

    def _listen(self) -> None:
        failure: api.EngineError | None = None
        try:
            for chunk in self.native.chunks():
                if chunk.reason and chunk.reason not in _REASONS:
                    self._batch_over.wait(_BATCH_FAILURE_S)  # what broke the whole batch says more
                self._loop.call_soon_threadsafe(self._hear, chunk)
            self._batch_over.wait(0 if self.reason else _BATCH_FAILURE_S)
        except api.EngineError as error:
            failure = error
        finally:
            self._loop.call_soon_threadsafe(self._end, failure)

    def _end(self, failure: api.EngineError | None = None) -> None:
        self.failure = self.failure or failure
        self._ended.set()
        self._news.set()
        self._when_over()

    def _hear(self, chunk: Chunk) -> None:
        self._count_step()
        if self.reason is None:  # else it is a token more than was asked for, on its way when it was cancelled
            self._take(chunk)
        self._news.set()

    def _take(self, chunk: Chunk) -> None:
        self._tokens += chunk.tokens
        self._first_at = self._first_at or time.monotonic()
        if chunk.tokens or chunk.text:
            self.deltas.append(api.Delta(text=chunk.text, tokens=chunk.tokens, logprobs=chunk.logprobs))
        if chunk.reason:
            self.reason = _REASONS.get(chunk.reason)
            if self.reason is None:
                self.failure = self.failure or api.EngineFailedError(_FAILED.format(reason=chunk.reason))
        elif self._tokens >= self.row.most_tokens:
            self.reason = api.FinishReason.LENGTH  # its batch goes on for those that asked for more
            self.failure = self.failure or self._cancelling()
