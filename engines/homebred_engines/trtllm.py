"""TensorRT-LLM as an engine: a Hugging Face checkpoint on one NVIDIA GPU, in-flight batching over a few slots.

Held to the recorded contract of TensorRT-LLM 1.2.1 (`facts/`); it was NEVER executed on the real package or a GPU.
What it asks of the package stands in `trtllm_library.py`; here are the checks before, the memory, the streams.
"""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import metadata
from typing import Any

from homebred_engines import api
from homebred_engines.model_room import answer_room
from homebred_engines.opening import progress_until
from homebred_engines.run_deltas import read_deltas
from homebred_engines.swapping import Swap, Use
from homebred_engines.tool_prompts import AnswerReading, messages_with_tools
from homebred_engines.trtllm_library import DISTRIBUTION, MODULE, free_device_bytes
from homebred_engines.trtllm_plan import Plan, plan_load, with_adapters
from homebred_engines.trtllm_run import Run
from homebred_engines.trtllm_serving import Serving, digests
from homebred_engines.xgrammar_guidance import guidance_for

_CAPABILITIES = (
    api.Capability.JSON_SCHEMA,
    api.Capability.LOGPROBS,
    api.Capability.PREFIX_CACHE,
    api.Capability.SEED,
    api.Capability.STOP,
    api.Capability.TOOLS,
    api.Capability.ADAPTERS,
)
_CHECKED, _ALMOST, _LOADED = 0.05, 0.95, 1.0


@dataclass(slots=True, kw_only=True)
class _Loaded:
    """A model in memory and what runs on it."""

    stats: api.EngineStats
    """Adapters aside, which change."""
    servings: Swap[Serving]
    runs: set[Run] = field(default_factory=set)


class TrtLlmEngine(api.WithoutEmbeddings):
    """Implements `api.Engine`. Raises ImportError where the package is not installed."""

    def __init__(self) -> None:
        if importlib.util.find_spec(MODULE) is None:
            raise ModuleNotFoundError(f"{MODULE} is not installed in {sys.executable}; set engine.python to its own")
        self._loaded: _Loaded | None = None
        self._steps_of_the_past = 0
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="load")

    async def load(self, options: api.LoadOptions) -> AsyncGenerator[float, None]:
        """Checks the checkpoint, then loads it in a thread. A load that is given up is freed when it has finished.

        The library does not say how far it is: progress moves with time, and comes to its end only with the model.
        """
        loop = asyncio.get_running_loop()
        yield 0.0
        plan = await loop.run_in_executor(self._loader, _plan, options)
        yield _CHECKED
        opening = self._loader.submit(Serving, plan)
        try:
            async for progress in progress_until(asyncio.wrap_future(opening), first=_CHECKED, last=_ALMOST):
                yield progress
            serving = opening.result()
            yield _LOADED
        except BaseException:
            self._loader.submit(_close_opened, opening)
            raise
        stats = _stats(
            model_digest=options.model_digest, slots=plan.llm.slots, context_tokens=plan.llm.context_tokens, threads=1
        )
        self._loaded = _Loaded(stats=stats, servings=Swap(serving, self._close))

    async def set_adapters(self, adapters: Sequence[api.Adapter]) -> AsyncGenerator[float, None]:
        """At once where there is room for them; else the model is drained and loaded again with room."""
        loaded = self._loaded
        if loaded is None:
            raise api.ModelNotLoadedError("Adapters were to be set on it.")
        yield 0.0
        await loaded.servings.settled()
        async with loaded.servings.in_use() as serving:
            old = serving.plan
            new = await asyncio.to_thread(with_adapters, old, adapters)
            yield _CHECKED
            if serving.takes(new):
                serving.take(new)
                yield _LOADED
                return
        exchange = loaded.servings.exchange(
            partial(self._opened, new),
            again=partial(self._opened, old),
            fits_beside=lambda _: False,
            first=_CHECKED,
            last=_ALMOST,
        )
        async with aclosing(exchange) as steps:
            async for progress in steps:
                self._steps_of_the_past += 1  # what waits for the new one is not stuck
                yield progress
        yield _LOADED

    async def generate(
        self, messages: Sequence[api.Message], options: api.GenerateOptions
    ) -> AsyncGenerator[api.Event, None]:
        """Streams one chat completion; a call of a tool comes whole, with the last event."""
        loaded = self._loaded
        if loaded is None:
            raise api.ModelNotLoadedError("A generation was asked of it.")
        answer = AnswerReading(options)  # of a stop string the library may send a part
        async with (
            self._running(loaded, messages, options) as (run, prompt_tokens),
            aclosing(read_deltas(run, answer)) as deltas,
        ):
            async for delta in deltas:
                yield delta
        if run.failure is not None:
            raise run.failure
        yield answer.finished(self._reason(loaded, run, answer), run.usage(prompt_tokens=prompt_tokens))

    @asynccontextmanager
    async def _running(
        self, loaded: _Loaded, messages: Sequence[api.Message], options: api.GenerateOptions
    ) -> AsyncIterator[tuple[Run, int]]:
        """A run with its prompt's tokens; it is cancelled once it is left."""
        use = await loaded.servings.take()
        try:
            run, prompt_tokens = self._begun(loaded, use, messages, options)
            loaded.runs.add(run)
            try:
                yield run, prompt_tokens
            finally:
                try:
                    await run.end()
                finally:
                    loaded.runs.discard(run)
                    self._steps_of_the_past += run.steps
        finally:
            use.release()

    def _begun(
        self, loaded: _Loaded, use: Use[Serving], messages: Sequence[api.Message], options: api.GenerateOptions
    ) -> tuple[Run, int]:
        serving = use.served
        llm, guidance, adapter = serving.llm, guidance_for(options), serving.adapter(options.adapter)
        prompt = llm.prompt(messages_with_tools(messages, options))
        room = answer_room(len(prompt), context_tokens=loaded.stats.context_tokens)
        asked = replace(options, stop=()) if options.tools else options  # inside a call one would leave half of it
        most = min(options.max_tokens or room, room)
        output = llm.ask(prompt, asked, guidance, max_tokens=most, adapter=adapter)
        run = Run(output, llm.text_of, wants_logprobs=options.logprobs, when_over=use.release)
        return run, len(prompt)

    async def unload(self) -> None:
        """Cancels what runs, then frees the model in a thread."""
        loaded, self._loaded = self._loaded, None
        if loaded is None:
            return
        await asyncio.gather(*(run.end() for run in loaded.runs), return_exceptions=True)  # streams raise their own
        await loaded.servings.end()

    async def _opened(self, plan: Plan) -> Serving:
        return await asyncio.get_running_loop().run_in_executor(self._loader, Serving, plan)

    async def _close(self, serving: Serving) -> None:
        await asyncio.get_running_loop().run_in_executor(self._loader, serving.close)
        self._steps_of_the_past += serving.counted.steps

    def progress(self) -> int:
        """Steps that streams have heard, and steps that the engine counts, which read prompts as well."""
        loaded = self._loaded
        serving = loaded.servings.current if loaded else None
        counted = serving.counted.steps if serving else 0
        return self._steps_of_the_past + counted + sum(run.steps for run in (loaded.runs if loaded else ()))

    def stats(self) -> api.EngineStats:
        """As loaded, with the adapters of now."""
        loaded = self._loaded
        if loaded is None:
            return _stats()
        serving = loaded.servings.current
        return replace(loaded.stats, adapters=digests(serving.plan.adapters) if serving else ())

    def _reason(self, loaded: _Loaded, run: Run, answer: AnswerReading) -> api.FinishReason:
        if answer.stopped:
            return api.FinishReason.STOP
        if run.reason is None and self._loaded is loaded:
            raise api.EngineFailedError("TensorRT-LLM ended a generation without a reason.")
        return run.reason or api.FinishReason.CANCELLED


def _close_opened(opening: Future[Serving]) -> None:
    if opening.exception() is None:
        opening.result().close()


def _stats(**loaded: Any) -> api.EngineStats:
    version = metadata.version(DISTRIBUTION)
    return api.EngineStats(engine="trtllm", engine_version=version, capabilities=_CAPABILITIES, **loaded)


def _plan(options: api.LoadOptions) -> Plan:
    return plan_load(options, free_bytes=free_device_bytes())
