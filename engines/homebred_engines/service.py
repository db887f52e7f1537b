"""The Engine service over one engine: admission, slots, errors, counters. It knows no socket and no process.

A generation whose call is cancelled keeps its slot until the engine says that it is free.
"""

from __future__ import annotations

import asyncio
import dataclasses
import sys
import time
import traceback
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any, TypeAlias

import grpc

from homebred_engines import api, wire
from homebred_engines.queueing import FairQueue, Ticket
from homebred_protocol.v1 import engine_pb2

_Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"  # generic in its type stubs, not at run time


class EngineService:
    """Serves one engine to one daemon; registered as the protocol's EngineServicer."""

    def __init__(self, engine: api.Engine, *, queue_limit: int, resident_bytes: Callable[[], int]) -> None:
        self._engine = engine
        self._queue = FairQueue(slots=0, limit=queue_limit)
        self._resident_bytes = resident_bytes
        self._slot_granted: dict[Ticket, asyncio.Future[None]] = {}
        self._model_change = asyncio.Lock()
        self._generated_tokens = 0
        self._unread = 0
        """Running generations whose reader has yet to take what is there."""

    async def Describe(  # noqa: N802 - the protocol's name
        self, request: engine_pb2.DescribeRequest, context: _Context
    ) -> engine_pb2.DescribeResponse:
        """Answers at any time."""
        del request, context
        return self._describe()

    async def Load(  # noqa: N802 - the protocol's name
        self, request: engine_pb2.LoadRequest, context: _Context
    ) -> AsyncIterator[engine_pb2.LoadEvent]:
        """Progress, then `ready`."""
        async with _errors_as_status(context):
            options = wire.load_options(request)
            self._require_capabilities(options.needed_capabilities())
            async with self._model_change:
                if not self._is_loaded(options.model_digest):
                    async with aclosing(self._engine.load(options)) as steps:
                        async for progress in steps:
                            yield engine_pb2.LoadEvent(progress=progress)
                    self._queue = FairQueue(slots=self._engine.stats().slots, limit=self._queue.limit)
            yield engine_pb2.LoadEvent(ready=self._describe())

    async def SetAdapters(  # noqa: N802 - the protocol's name
        self, request: engine_pb2.SetAdaptersRequest, context: _Context
    ) -> AsyncIterator[engine_pb2.LoadEvent]:
        """Progress, then `ready`; the set that is served already changes nothing."""
        async with _errors_as_status(context):
            adapters = wire.adapters_of(request)
            self._require_capabilities({api.Capability.ADAPTERS: "adapters"})
            async with self._model_change:
                stats = self._engine.stats()
                if not stats.model_digest:
                    raise api.ModelNotLoadedError("Adapters were to be set on it.")
                if set(stats.adapters) != {each.digest for each in adapters}:
                    async with aclosing(self._engine.set_adapters(adapters)) as steps:
                        async for progress in steps:
                            yield engine_pb2.LoadEvent(progress=progress)
            yield engine_pb2.LoadEvent(ready=self._describe())

    async def Generate(  # noqa: N802 - the protocol's name
        self, request: engine_pb2.EngineGenerateRequest, context: _Context
    ) -> AsyncIterator[engine_pb2.EngineEvent]:
        """Waits for a slot, then streams."""
        async with _errors_as_status(context):
            messages, options = wire.generate_options(request)
            self._refuse_unsupported(messages, options)
            async with (
                self._slot(request.fairness_key) as queued_s,
                aclosing(self._engine.generate(messages, options)) as events,
            ):
                async for event in events:
                    if isinstance(event, api.Delta):
                        self._generated_tokens += event.tokens
                    else:
                        usage = dataclasses.replace(event.usage, queued_s=queued_s)
                        event = dataclasses.replace(event, usage=usage)  # noqa: PLW2901 - its last event, completed
                    self._unread += 1
                    try:
                        yield wire.write_event(event)
                    finally:
                        self._unread -= 1

    async def Embed(  # noqa: N802 - the protocol's name
        self, request: engine_pb2.EngineEmbedRequest, context: _Context
    ) -> engine_pb2.EngineEmbedResponse:
        """Waits for a slot, then embeds."""
        async with _errors_as_status(context):
            texts = wire.embed_texts(request)
            self._require_capabilities({api.Capability.EMBEDDINGS: "embeddings"})
            async with self._slot(request.fairness_key):
                return wire.write_embedded(await self._engine.embed(texts))

    async def Unload(  # noqa: N802 - the protocol's name
        self, request: engine_pb2.UnloadRequest, context: _Context
    ) -> engine_pb2.UnloadResponse:
        """Turns away what waits, ends what runs, frees the model; without a model, nothing happens."""
        del request
        async with _errors_as_status(context), self._model_change:
            for granted in self._slot_granted.values():
                if not granted.done():
                    granted.set_exception(api.ModelNotLoadedError("It was unloaded while the request waited."))
            if self._engine.stats().model_digest:
                await self._engine.unload()
        return engine_pb2.UnloadResponse()

    def _describe(self) -> engine_pb2.DescribeResponse:
        return wire.write_stats(
            api.WorkerStats(
                engine=self._engine.stats(),
                running=self._queue.running,
                queued=self._queue.queued,
                queue_limit=self._queue.limit,
                resident_bytes=self._resident_bytes(),
                generated_tokens=self._generated_tokens,
                progress=self._engine.progress(),
                computing=self._queue.running - self._unread,
            )
        )

    def _is_loaded(self, digest: str) -> bool:
        loaded = self._engine.stats().model_digest
        if loaded and loaded != digest:
            raise api.ModelConflictError(f"It serves {loaded}, and {digest} was asked for.")
        return bool(loaded)

    def _refuse_unsupported(self, messages: Iterable[api.Message], options: api.GenerateOptions) -> None:
        needed = options.needed_capabilities()
        if any(message.tool_calls or message.tool_call_id for message in messages):
            needed[api.Capability.TOOLS] = "tools"
        stats = self._require_capabilities(needed)
        if api.Capability.EMBEDDINGS in stats.capabilities and stats.model_digest:
            raise api.UnsupportedOptionError("The model was loaded for embeddings, and generates nothing.")

    def _require_capabilities(self, needed: Mapping[api.Capability, str]) -> api.EngineStats:
        """The engine's stats, which were looked at."""
        stats = self._engine.stats()
        for capability, option in needed.items():
            if capability not in stats.capabilities:
                raise api.UnsupportedOptionError(f"{stats.engine} has no {option}.", option=option)
        return stats

    @asynccontextmanager
    async def _slot(self, fairness_key: str) -> AsyncIterator[float]:
        """Holds one of the engine's slots; yields the seconds waited for it."""
        if not self._engine.stats().model_digest:
            raise api.ModelNotLoadedError("A generation was asked of it.")
        queue = self._queue  # a later load brings a new one; this ticket stays with its own
        asked_at = time.monotonic()
        self._make_way(queue, fairness_key)
        ticket = queue.admit(fairness_key)
        granted = self._slot_granted[ticket] = asyncio.get_running_loop().create_future()
        ran_s = None
        try:
            self._grant(queue)
            await granted
            started_at = time.monotonic()
            yield started_at - asked_at
            ran_s = time.monotonic() - started_at
        finally:
            del self._slot_granted[ticket]
            queue.leave(ticket, ran_s=ran_s)
            self._grant(queue)

    def _make_way(self, queue: FairQueue, fairness_key: str) -> None:
        """Turns one away for a newcomer, where somebody else holds more than a fair share of a full queue."""
        ticket = queue.make_way(fairness_key)
        if ticket is not None and not self._slot_granted[ticket].done():
            self._slot_granted[ticket].set_exception(queue.refusal())

    def _grant(self, queue: FairQueue) -> None:
        while (ticket := queue.next_runnable()) is not None:
            granted = self._slot_granted[ticket]
            if not granted.done():  # a caller that is just being cancelled leaves by itself
                granted.set_result(None)


@asynccontextmanager
async def _errors_as_status(context: _Context) -> AsyncIterator[None]:
    """Ends the call with the error's status, and the error itself in the trailing metadata."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever an engine throws becomes the call's status
        if isinstance(error, api.EngineError):
            failure = error
        else:
            traceback.print_exc(file=sys.stderr)  # the daemon keeps the last lines for its failure report
            failure = api.EngineFailedError(f"{type(error).__name__} inside the worker.")
        packed = wire.pack_error(failure)
        await context.abort(
            wire.STATUS_OF_ERROR[type(failure)],
            f"{failure.what} {failure.why}",
            trailing_metadata=((wire.ERROR_METADATA_KEY, packed),),
        )
