"""TensorRT Edge-LLM as an engine: an engine folder on one Jetson Orin or Thor, requests in batches of one adapter.

Held to the recorded contract of 0.11.0 (`facts/`); it was NEVER executed on a GPU. What it asks of the package stands
in `edgellm_library.py`, who runs when in `edgellm_batches.py`; here are loading, adapters and streams. A request that
comes while a batch runs waits for its end, and while prompts are read there is no progress to tell of.
"""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import metadata
from typing import Any

from homebred_engines import api
from homebred_engines.edgellm_batches import Row
from homebred_engines.edgellm_library import DISTRIBUTION, MODULE, gpu_architecture
from homebred_engines.edgellm_plan import Plan, plan_load, with_adapters
from homebred_engines.edgellm_process import RemoteRow
from homebred_engines.edgellm_run import Run
from homebred_engines.edgellm_sampling import shared_by
from homebred_engines.edgellm_serving import Serving
from homebred_engines.model_room import answer_room
from homebred_engines.opening import progress_until
from homebred_engines.run_deltas import read_deltas
from homebred_engines.swapping import Swap, Use
from homebred_engines.tool_prompts import AnswerReading, messages_with_tools
from homebred_engines.xgrammar_guidance import guidance_for

_WITHOUT_ADAPTERS = (
    api.Capability.JSON_SCHEMA,
    api.Capability.LOGPROBS,
    api.Capability.SEED,
    api.Capability.STOP,
    api.Capability.TOOLS,
)
_CAPABILITIES = (*_WITHOUT_ADAPTERS, api.Capability.ADAPTERS)
_CHECKED, _ALMOST, _LOADED = 0.05, 0.95, 1.0


@dataclass(slots=True, kw_only=True)
class _Loaded:
    """An engine in memory and what runs on it."""

    stats: api.EngineStats
    """Adapters aside, which change."""
    servings: Swap[Serving]
    runs: dict[Run, Serving] = field(default_factory=dict)


class EdgeLlmEngine(api.WithoutEmbeddings):
    """Implements `api.Engine`. Raises ImportError where the package is not installed."""

    def __init__(self) -> None:
        if importlib.util.find_spec(MODULE) is None:
            raise ModuleNotFoundError(f"{MODULE} is not installed in {sys.executable}; set engine.python to its own")
        self._loaded: _Loaded | None = None
        self._given_up: Serving | None = None
        """Of a load that was given up; it may still be opening."""
        self._steps = 0

    async def load(self, options: api.LoadOptions) -> AsyncGenerator[float, None]:
        """Checks folder and adapters, then loads in a thread. A load that is given up is freed when it has finished."""
        yield 0.0
        plan = await asyncio.to_thread(_planned, options)
        yield _CHECKED
        if self._given_up is not None:
            await self._given_up.close()
        serving = self._given_up = Serving(plan, self._count_step)
        try:
            async for progress in progress_until(asyncio.wrap_future(serving.opening), first=_CHECKED, last=_ALMOST):
                yield progress
            serving.opening.result()
            yield _LOADED
        except BaseException:
            serving.release()
            raise
        self._given_up = None
        stats = _stats(
            _CAPABILITIES if plan.bundle.adapter_rank else _WITHOUT_ADAPTERS,
            model_digest=options.model_digest,
            slots=plan.slots,
            context_tokens=plan.context_tokens,
            threads=1,
        )
        self._loaded = _Loaded(stats=stats, servings=Swap(serving, Serving.close))

    async def set_adapters(self, adapters: Sequence[api.Adapter]) -> AsyncGenerator[float, None]:
        """Loads a second runtime beside the first, as the set of one is fixed; where memory holds two."""
        loaded = self._loaded
        if loaded is None:
            raise api.ModelNotLoadedError("Adapters were to be set on it.")
        yield 0.0
        await loaded.servings.settled()
        async with loaded.servings.in_use() as serving:
            old = serving.plan
        new = await asyncio.to_thread(with_adapters, old, adapters)
        yield _CHECKED
        exchange = loaded.servings.exchange(
            partial(self._opened, new),
            again=partial(self._opened, old),
            fits_beside=lambda standing: new.fits_beside(*(serving.plan for serving in standing)),
            first=_CHECKED,
            last=_ALMOST,
        )
        async with aclosing(exchange) as steps:
            async for progress in steps:
                self._count_step()  # what waits for the new one is not stuck
                yield progress
        yield _LOADED

    async def generate(
        self, messages: Sequence[api.Message], options: api.GenerateOptions
    ) -> AsyncGenerator[api.Event, None]:
        """Streams one chat completion; a call of a tool comes whole, with the last event."""
        loaded = self._loaded
        if loaded is None:
            raise api.ModelNotLoadedError("A generation was asked of it.")
        guidance, answer = guidance_for(options), AnswerReading(options)
        asked = replace(options, stop=()) if options.tools else options  # inside a call one would leave half of it
        use = await loaded.servings.take()
        try:
            native = use.served.runtime.row(messages_with_tools(messages, options), asked, guidance)
            async with (
                self._running(loaded, use, native, options) as run,
                aclosing(read_deltas(run, answer)) as deltas,
            ):
                async for delta in deltas:
                    yield delta
        finally:
            use.release()
        if run.failure is not None:
            raise run.failure
        reason = api.FinishReason.STOP if answer.stopped else run.reason
        if reason is None and self._loaded is loaded:
            raise api.EngineFailedError("TensorRT Edge-LLM ended a generation without a reason.")
        yield answer.finished(reason or api.FinishReason.CANCELLED, run.usage())

    @asynccontextmanager
    async def _running(
        self, loaded: _Loaded, use: Use[Serving], native: RemoteRow, options: api.GenerateOptions
    ) -> AsyncIterator[Run]:
        """A run that waits for its batch or is in it, and is cancelled once it is left."""
        serving = use.served
        if options.adapter and options.adapter not in serving.plan.runtime.adapters:
            raise api.AdapterNotLoadedError(f"It is asked for {options.adapter}.")
        prompt_tokens = await asyncio.to_thread(serving.runtime.prompt_tokens, native)
        if self._loaded is not loaded:
            raise api.ModelNotLoadedError("It was unloaded while the request came in.")
        row = _row(serving.plan, options, prompt_tokens)
        run = Run(row, native, count_step=self._count_step, when_over=use.release)
        loaded.runs[run] = serving
        try:
            serving.submit(run)
            yield run
        finally:
            await serving.end(run)
            del loaded.runs[run]

    async def unload(self) -> None:
        """Cancels what runs, then frees the engine in its thread."""
        loaded, self._loaded = self._loaded, None
        if loaded is not None:
            ending = (serving.end(run) for run, serving in loaded.runs.items())
            await asyncio.gather(*ending, return_exceptions=True)  # streams raise their own
            await loaded.servings.end()

    def progress(self) -> int:
        """Chunks heard and batches ended; a prompt that is read makes none."""
        return self._steps

    def stats(self) -> api.EngineStats:
        """As loaded, with the adapters of now."""
        loaded = self._loaded
        if loaded is None:
            return _stats()
        serving = loaded.servings.current
        return replace(loaded.stats, adapters=tuple(sorted(serving.plan.runtime.adapters)) if serving else ())

    def _count_step(self) -> None:
        self._steps += 1

    async def _opened(self, plan: Plan) -> Serving:
        serving = Serving(plan, self._count_step)
        try:
            await asyncio.wrap_future(serving.opening)
        except BaseException:
            serving.release()
            raise
        return serving


def _planned(options: api.LoadOptions) -> Plan:
    return plan_load(options, gpu_architecture=gpu_architecture(), engine_version=metadata.version(DISTRIBUTION))


def _row(plan: Plan, options: api.GenerateOptions, prompt_tokens: int) -> Row:
    """Raises ContextExceededError."""
    room = answer_room(prompt_tokens, context_tokens=plan.context_tokens)
    if prompt_tokens > plan.bundle.prompt_tokens:
        raise api.ContextExceededError(
            f"It has {prompt_tokens} tokens, and the engine was built for prompts of {plan.bundle.prompt_tokens}.",
            prompt_tokens=prompt_tokens,
            context_tokens=plan.bundle.prompt_tokens,
        )
    most = min(options.max_tokens or room, room)
    return Row(shared=shared_by(options), prompt_tokens=prompt_tokens, most_tokens=most)


def _stats(capabilities: tuple[api.Capability, ...] = _CAPABILITIES, **loaded: Any) -> api.EngineStats:
    version = metadata.version(DISTRIBUTION)
    return api.EngineStats(engine="edgellm", engine_version=version, capabilities=capabilities, **loaded)
