"""The embedded default engine: llama.cpp through xllamacpp, continuous batching over a few slots. CPU or GPU.

The model file is checked (`gguf_file.py`) before llama.cpp sees it: its own refusals say nothing but "failed".
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import xllamacpp

from homebred_engines import api
from homebred_engines.llamacpp_chunks import ChunkReading
from homebred_engines.llamacpp_grammar import grammar_for
from homebred_engines.llamacpp_plan import Plan, plan_load, with_adapters
from homebred_engines.llamacpp_run import Run
from homebred_engines.llamacpp_server import LlamaServer
from homebred_engines.machine_memory import available_bytes
from homebred_engines.swapping import Swap
from homebred_engines.tool_prompts import AnswerReading, messages_with_tools

_CAPABILITIES = tuple(api.Capability)
_EMBEDDING = (api.Capability.EMBEDDINGS,)
_GENERATING = tuple(capability for capability in _CAPABILITIES if capability not in _EMBEDDING)
_CHECKED, _ALMOST, _LOADED = 0.05, 0.95, 1.0


@dataclass(frozen=True, slots=True)
class _Serving:
    """A server and what it was started with; the files of its adapters may be gone since."""

    server: LlamaServer
    plan: Plan


@dataclass(slots=True, kw_only=True)
class _Loaded:
    """A model in memory and what runs on it."""

    stats: api.EngineStats
    """Adapters aside, which change."""
    servings: Swap[_Serving]
    threads: ThreadPoolExecutor
    runs: set[Run] = field(default_factory=set)


class LlamaCppEngine:
    """Implements `api.Engine`."""

    def __init__(self) -> None:
        self._loaded: _Loaded | None = None
        self._steps_of_ended_runs = 0
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="load")

    async def load(self, options: api.LoadOptions) -> AsyncGenerator[float, None]:
        """Checks the file, then loads it in a thread. A load that is given up is freed when it has finished."""
        loop = asyncio.get_running_loop()
        yield 0.0
        plan = await loop.run_in_executor(self._loader, plan_load, options)
        yield _CHECKED
        serving = await self._started(plan)
        yield _LOADED
        self._loaded = _Loaded(
            stats=_stats(
                capabilities=_EMBEDDING if options.embeddings else _GENERATING,
                model_digest=options.model_digest,
                slots=plan.options.slots,
                context_tokens=plan.options.context_tokens,
                threads=plan.options.threads,
            ),
            servings=Swap(serving, self._close),
            threads=ThreadPoolExecutor(plan.options.slots, thread_name_prefix="slot"),
        )

    async def set_adapters(self, adapters: Sequence[api.Adapter]) -> AsyncGenerator[float, None]:
        """Starts a second server beside the first, as the set of one cannot change; where memory holds two."""
        loaded = self._loaded
        if loaded is None:
            raise api.ModelNotLoadedError("Adapters were to be set on it.")
        yield 0.0
        await loaded.servings.settled()
        async with loaded.servings.in_use() as serving:
            old = serving.plan
        new = await asyncio.get_running_loop().run_in_executor(self._loader, with_adapters, old, adapters)
        yield _CHECKED
        exchange = loaded.servings.exchange(
            partial(self._started, new),
            again=partial(self._started, old),
            fits_beside=partial(_fits_beside, new),
            first=_CHECKED,
            last=_ALMOST,
        )
        async with aclosing(exchange) as steps:
            async for progress in steps:
                self._steps_of_ended_runs += 1  # what waits for the new one is not stuck
                yield progress
        yield _LOADED

    async def generate(
        self, messages: Sequence[api.Message], options: api.GenerateOptions
    ) -> AsyncGenerator[api.Event, None]:
        """Streams one chat completion; a call of a tool comes whole, with the last event."""
        loaded = self._loaded
        if loaded is None:
            raise api.ModelNotLoadedError("A generation was asked of it.")
        body = _request_body(messages, options)
        reading, answer = ChunkReading(), AnswerReading(options if options.tools else api.GenerateOptions())
        async with self._running(loaded, options.adapter) as run:
            started_at, first_at = time.monotonic(), 0.0
            run.start(loaded.threads, body, grammar_for(options))
            while reading.reason is None and not answer.stopped and await run.next_chunks():
                while run.chunks and reading.reason is None:
                    reading.feed(run.chunks.popleft())
                delta = reading.take_delta()
                if delta is not None:
                    first_at = first_at or time.monotonic()
                    yield replace(delta, text=answer.feed(delta.text)) if options.tools else delta
            if kept := answer.finish(is_truncated=reading.reason is api.FinishReason.LENGTH):
                yield api.Delta(text=kept, tokens=0)
        if run.failure is not None:
            raise run.failure
        reason = api.FinishReason.STOP if answer.stopped else reading.reason
        if reason is None and self._loaded is loaded:
            raise api.EngineFailedError("llama.cpp ended a generation without a reason.")
        usage = reading.usage(prompt_s=(first_at or time.monotonic()) - started_at)
        yield answer.finished(reason or api.FinishReason.CANCELLED, usage)

    @asynccontextmanager
    async def _running(self, loaded: _Loaded, adapter: str) -> AsyncIterator[Run]:
        """A run that can be cancelled from outside, and is once it is left."""
        use = await loaded.servings.take()
        run = Run(use.served.server, adapter=adapter, when_over=use.release)
        loaded.runs.add(run)
        try:
            yield run
        finally:
            await run.end()
            use.release()
            loaded.runs.discard(run)
            self._steps_of_ended_runs += run.steps

    async def embed(self, texts: Sequence[str]) -> api.Embedded:
        """One call in a thread; what it has begun it ends, whoever has left."""
        loaded = self._loaded
        if loaded is None:
            raise api.ModelNotLoadedError("An embedding was asked of it.")
        return await asyncio.shield(self._embedded(loaded, tuple(texts)))

    async def _embedded(self, loaded: _Loaded, texts: tuple[str, ...]) -> api.Embedded:
        async with loaded.servings.in_use() as serving:
            return await asyncio.get_running_loop().run_in_executor(loaded.threads, serving.server.embed, texts)

    async def unload(self) -> None:
        """Cancels what runs, then frees the model in a thread."""
        loaded, self._loaded = self._loaded, None
        if loaded is None:
            return
        await asyncio.gather(*(run.end() for run in loaded.runs))
        await loaded.servings.end()
        loaded.threads.shutdown(wait=False)

    async def _started(self, plan: Plan) -> _Serving:
        server = await asyncio.get_running_loop().run_in_executor(self._loader, LlamaServer, plan.options)
        return _Serving(server, plan)

    async def _close(self, serving: _Serving) -> None:
        await asyncio.get_running_loop().run_in_executor(self._loader, serving.server.close)

    def progress(self) -> int:
        """Chunks that llama.cpp's threads have brought, and a step now and then while adapters are set."""
        running = self._loaded.runs if self._loaded else ()
        return self._steps_of_ended_runs + sum(run.steps for run in running)

    def stats(self) -> api.EngineStats:
        """As loaded, with the adapters of now."""
        loaded = self._loaded
        if loaded is None:
            return _stats()
        serving = loaded.servings.current
        adapters = serving.plan.options.adapters if serving else ()
        return replace(loaded.stats, adapters=tuple(sorted(adapter.digest for adapter in adapters)))


def _fits_beside(new: Plan, standing: Sequence[_Serving]) -> bool:
    """Within the budget, and in what the machine has now: others may have been loaded since."""
    return new.fits_beside(*(serving.plan for serving in standing)) and new.own_bytes <= available_bytes()


def _stats(*, capabilities: tuple[api.Capability, ...] = _CAPABILITIES, **loaded: Any) -> api.EngineStats:
    version = xllamacpp.__version__
    return api.EngineStats(engine="llamacpp", engine_version=version, capabilities=capabilities, **loaded)


def _request_body(messages: Sequence[api.Message], options: api.GenerateOptions) -> dict[str, object]:
    body: dict[str, object] = {
        "messages": [
            {"role": message.role, "content": message.content} for message in messages_with_tools(messages, options)
        ],
        "stream": True,
        "return_progress": True,  # so that the callback is called, and can cancel, while the prompt is read
        "timings_per_token": True,
        "reasoning_format": "none",
        "max_tokens": options.max_tokens or -1,
        "stop": [] if options.tools else list(options.stop),
    }
    if options.logprobs:
        body |= {"logprobs": True, "top_logprobs": 1}
    sampling = {
        "temperature": options.temperature,
        "top_p": options.top_p,
        "top_k": options.top_k,
        "seed": options.seed,
    }
    return body | {name: value for name, value in sampling.items() if value is not None}
