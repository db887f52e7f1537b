"""One engine worker beside the pool's, for a model that serves nobody: it gives way to every caller, at once.

It runs only while no caller's task uses or waits for an engine, in memory that no loaded model takes, and at the lowest
priority. The moment a task comes, what it generates is broken off; before the pool loads anything, its process is gone.
It asks nothing by itself, and no caller waits for it, but for the end of its process where a model is loaded.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Protocol

from homebred_daemon.core.memory_plan import Bounds, Need
from homebred_daemon.errors import EngineUnavailableError
from homebred_daemon.ports.engines import EngineLauncher, EngineWorker, Prompt, ServedAdapter, ServedModel
from homebred_daemon.services.loading import LoadFailure, Room, loaded_worker
from homebred_engines import api

FAILURES_TO_TELL = 3
"""Loads in a row that failed, before it is told: a busy machine leaves it little time."""


class BrokenOffError(Exception):
    """A caller came, or there is no room now: nothing is known of what was asked."""


class Host(Protocol):
    """The worker pool, as its guest looks at it."""

    def spare(self, need: Need) -> Need | None:
        """The most that one more model may take, 0: not bounded; None: somebody is being served, or it does not fit."""
        ...


class Guest:
    """The guest of one pool; fulfils `ports.engines.EnginePool` while it is visited."""

    def __init__(self, launcher: EngineLauncher, room: Room, host: Host) -> None:
        self._launcher = launcher
        self._room = replace(room, slots=1)
        self._host = host
        self._turn = asyncio.Lock()
        self._visit: asyncio.Timeout | None = None
        self._worker: EngineWorker | None = None
        self._loaded: tuple[ServedModel, ServedAdapter | None] | None = None
        self._failures = 0

    # -- for the pool

    def interrupt(self) -> None:
        """A caller is here: what runs is broken off in the loop's next turn."""
        if self._visit is not None and self._visit.when() is None:
            self._visit.reschedule(asyncio.get_running_loop().time())

    async def leave(self) -> None:
        """Returns once its process is gone; harmless where there is none."""
        self.interrupt()
        async with self._turn:
            await self._end()

    # -- for whoever asks it

    @property
    def bounds(self) -> Bounds:
        """What it and all of the pool's models may take together."""
        return self._room.bounds

    @property
    def keep_alive_s(self) -> float:
        """After so long without a task it is to leave, as other models do; 0: it need not."""
        return self._room.keep_alive_s

    def need(self, model: ServedModel, adapter: ServedAdapter | None) -> Need:
        """What a model takes here."""
        return self._room.need(model, () if adapter is None else (adapter,))

    @asynccontextmanager
    async def visit(self, model: ServedModel, adapter: ServedAdapter | None) -> AsyncIterator[None]:
        """The model can be asked for as long as the context lasts; it is loaded first where it is not.

        Raises:
            BrokenOffError: at any moment.
            EngineUnavailableError: its engine does not run.
        """
        async with self._turn:
            scope = self._visit = asyncio.timeout(None)
            try:
                async with scope:
                    await self._seat(model, adapter)
                    yield
            except TimeoutError:
                if not scope.expired():
                    raise
                raise BrokenOffError from None
            finally:
                self._visit = None

    async def generate(self, model: ServedModel, prompt: Prompt) -> AsyncGenerator[api.Event, None]:
        """As the port says, of the model that is visited."""
        if self._worker is None or self._loaded != (model, prompt.adapter):
            raise api.ModelNotLoadedError("Nobody visits it.")
        adapter = prompt.adapter
        options = replace(prompt.options, adapter=adapter.digest) if adapter else prompt.options
        stream = self._worker.generate(prompt.messages, options, request_id="", fairness_key="")
        async with aclosing(stream) as events:
            async for event in events:
                yield event

    async def embed(self, model: ServedModel, texts: Sequence[str], *, fairness_key: str) -> api.Embedded:
        """Nothing: vectors are not compared."""
        del texts, fairness_key
        raise api.UnsupportedOptionError(f"{model.title} was to embed as a guest.", option="embeddings")

    def out_of_service(self) -> frozenset[ServedModel]:
        """None: a guest that fails is asked no more by whoever asks it."""
        return frozenset()

    async def _seat(self, model: ServedModel, adapter: ServedAdapter | None) -> None:
        """Has it loaded, in memory that is free."""
        wanted = (model, adapter)
        is_here = self._worker is not None and self._worker.is_alive and self._loaded == wanted
        if not is_here:
            await self._end()
        spare = self._host.spare(Need() if is_here else self.need(model, adapter))
        if spare is None:
            raise BrokenOffError
        if is_here:
            return
        adapters = () if adapter is None else (adapter,)
        options = self._room.load_options(model, adapters, beside=spare)
        loaded = await loaded_worker(self._launcher, self._room, model.engine, options, gives_way=True)
        if isinstance(loaded, LoadFailure):
            self._failures += 1
            if isinstance(loaded.error, api.ModelRefusedError) or self._failures < FAILURES_TO_TELL:
                raise BrokenOffError from loaded.error  # the gate has loaded it: now there is no room, or no time
            raise EngineUnavailableError(f"its engine does not start: {loaded.error}") from loaded.error
        self._failures = 0
        self._worker, self._loaded = loaded.worker, wanted
        if loaded.refused:
            raise EngineUnavailableError("its adapter, which the gate has measured, is not taken any more")

    async def _end(self) -> None:
        worker, self._worker, self._loaded = self._worker, None, None
        if worker is not None:
            await worker.stop()
