"""One request on a LlamaServer: a thread that hears its chunks, and the event loop that reads them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor

from homebred_engines.api import EngineError
from homebred_engines.llamacpp_grammar import Grammar
from homebred_engines.llamacpp_server import LlamaServer


class Run:
    """One request: its thread, and the chunks it has brought and nobody has read yet."""

    def __init__(self, server: LlamaServer, *, adapter: str, when_over: Callable[[], None]) -> None:
        """`when_over` is called once it needs the server no more, though chunks may still be unread."""
        self.chunks: deque[bytes] = deque()
        self.failure: EngineError | None = None
        self.cancelled = False
        self.steps = 0
        """Chunks heard: one a batch of the prompt, one a token."""
        self._server = server
        self._adapter = adapter
        self._when_over = when_over
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._news_on_its_way = False
        self._thread: asyncio.Future[None] | None = None

    def start(self, threads: Executor, body: dict[str, object], grammar: Grammar | None) -> None:
        """Begins, in one of the threads."""
        self._thread = self._loop.run_in_executor(threads, self._work, body, grammar)
        self._thread.add_done_callback(self._ended)

    async def next_chunks(self) -> bool:
        """Waits for chunks; False when the request has ended and every chunk is read."""
        while not self.chunks:
            if self._thread is None or self._thread.done():
                return bool(self.chunks)
            self._news.clear()
            await self._news.wait()
        return True

    async def end(self) -> None:
        """Cancels, and returns once the server has let go of the slot."""
        self.cancelled = True
        if self._thread is not None and not self._thread.done():
            self._server.wake()
            await asyncio.wait([self._thread])

    def _ended(self, thread: asyncio.Future[None]) -> None:
        del thread
        self._news.set()
        self._when_over()

    def _work(self, body: dict[str, object], grammar: Grammar | None) -> None:
        try:
            self._server.stream(body, grammar, self._hear, lambda: self.cancelled, self._adapter)
        except EngineError as error:
            self.failure = error

    def _hear(self, chunk: bytes) -> None:
        """Called in the thread for each chunk. It must not raise: the library would swallow that."""
        self.chunks.append(chunk)
        self.steps += 1
        if not self._news_on_its_way:
            self._news_on_its_way = True
            try:
                self._loop.call_soon_threadsafe(self._tell)
            except RuntimeError:  # the loop is closed: nobody will read
                self.cancelled = True

    def _tell(self) -> None:
        self._news_on_its_way = False
        self._news.set()
