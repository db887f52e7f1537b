"""TensorRT-LLM as an engine: a Hugging Face checkpoint on one NVIDIA GPU, in-flight batching over a few slots.

Held to the recorded contract of TensorRT-LLM 1.2.1 (`facts/`); it was NEVER executed on the real package or a GPU.
What it asks of the package stands in `trtllm_library.py`; here are the checks before, the memory, the streams.
"""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from homebred_engines import api
from homebred_engines.checkpoint import read_checkpoint
from homebred_engines.model_room import answer_room, refuse_oversized, served_context
from homebred_engines.opening import progress_until
from homebred_engines.run_deltas import read_deltas
from homebred_engines.tool_prompts import AnswerReading, messages_with_tools
from homebred_engines.trtllm_cache import cache_room
from homebred_engines.trtllm_library import DISTRIBUTION, MODULE, LlmPlan, LoadedLlm, free_device_bytes
from homebred_engines.trtllm_run import Run
from homebred_engines.trtllm_steps import StepCount
from homebred_engines.xgrammar_guidance import guidance_for

_DEFAULT_SLOTS = 4
_CAPABILITIES = (
    api.Capability.JSON_SCHEMA,
    api.Capability.LOGPROBS,
    api.Capability.PREFIX_CACHE,
    api.Capability.SEED,
    api.Capability.STOP,
    api.Capability.TOOLS,
)
_CHECKED, _ALMOST, _LOADED = 0.05, 0.95, 1.0


@dataclass(slots=True, kw_only=True)
class _Loaded:
    """A model in memory and what runs on it."""

    stats: api.EngineStats
    llm: LoadedLlm
    counted: StepCount
    runs: set[Run] = field(default_factory=set)

    def close(self) -> None:
        """Frees the model; blocks."""
        self.counted.stop()
        self.llm.close()


class TrtLlmEngine(api.WithoutEmbeddings, api.WithoutAdapters):
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
        plan = await loop.run_in_executor(self._loader, plan_load, options)
        yield _CHECKED
        opening = self._loader.submit(LoadedLlm, plan)
        try:
            async for progress in progress_until(asyncio.wrap_future(opening), first=_CHECKED, last=_ALMOST):
                yield progress
            llm = opening.result()
            yield _LOADED
        except BaseException:
            self._loader.submit(_close_opened, opening)
            raise
        stats = _stats(
            model_digest=options.model_digest, slots=plan.slots, context_tokens=plan.context_tokens, threads=1
        )
        self._loaded = _Loaded(stats=stats, llm=llm, counted=StepCount(llm))

    async def generate(
        self, messages: Sequence[api.Message], options: api.GenerateOptions
    ) -> AsyncGenerator[api.Event, None]:
        """Streams one chat completion; a call of a tool comes whole, with the last event."""
        loaded = self._loaded
        if loaded is None:
            raise api.ModelNotLoadedError("A generation was asked of it.")
        guidance = guidance_for(options)
        prompt = loaded.llm.prompt(messages_with_tools(messages, options))
        room = answer_room(len(prompt), context_tokens=loaded.stats.context_tokens)
        asked = replace(options, stop=()) if options.tools else options  # inside a call one would leave half of it
        output = loaded.llm.ask(prompt, asked, guidance, max_tokens=min(options.max_tokens or room, room))
        run = Run(output, loaded.llm.text_of, wants_logprobs=options.logprobs)
        answer = AnswerReading(options)  # of a stop string the library may send a part
        loaded.runs.add(run)
        try:
            async with aclosing(read_deltas(run, answer)) as deltas:
                async for delta in deltas:
                    yield delta
        finally:
            try:
                await run.end()
            finally:
                loaded.runs.discard(run)
                self._steps_of_the_past += run.steps
        if run.failure is not None:
            raise run.failure
        yield answer.finished(self._reason(loaded, run, answer), run.usage(prompt_tokens=len(prompt)))

    async def unload(self) -> None:
        """Cancels what runs, then frees the model in a thread."""
        loaded, self._loaded = self._loaded, None
        if loaded is None:
            return
        await asyncio.gather(*(run.end() for run in loaded.runs), return_exceptions=True)  # streams raise their own
        await asyncio.get_running_loop().run_in_executor(self._loader, loaded.close)
        self._steps_of_the_past += loaded.counted.steps

    def progress(self) -> int:
        """Steps that streams have heard, and steps that the engine counts, which read prompts as well."""
        loaded = self._loaded
        now = loaded.counted.steps + sum(run.steps for run in loaded.runs) if loaded else 0
        return self._steps_of_the_past + now

    def stats(self) -> api.EngineStats:
        """As loaded."""
        return self._loaded.stats if self._loaded else _stats()

    def _reason(self, loaded: _Loaded, run: Run, answer: AnswerReading) -> api.FinishReason:
        if answer.stopped:
            return api.FinishReason.STOP
        if run.reason is None and self._loaded is loaded:
            raise api.EngineFailedError("TensorRT-LLM ended a generation without a reason.")
        return run.reason or api.FinishReason.CANCELLED


def _close_opened(opening: Future[LoadedLlm]) -> None:
    if opening.exception() is None:
        opening.result().close()


def _stats(**loaded: Any) -> api.EngineStats:
    version = metadata.version(DISTRIBUTION)
    return api.EngineStats(engine="trtllm", engine_version=version, capabilities=_CAPABILITIES, **loaded)


def plan_load(options: api.LoadOptions) -> LlmPlan:
    """Checks the checkpoint against options and device.

    Raises ModelRefusedError, InvalidRequestError, UnsupportedOptionError.
    """
    if options.embeddings:
        raise api.UnsupportedOptionError("trtllm makes no embeddings.", option="embeddings")
    facts = read_checkpoint(Path(options.model_path))
    context_tokens = served_context(options.context_tokens, trained_tokens=facts.context_tokens)
    slots = options.slots or _DEFAULT_SLOTS
    free_bytes = free_device_bytes()
    budget_bytes = min(options.memory_budget_bytes or free_bytes, free_bytes)
    refuse_oversized(facts, context_tokens=context_tokens, slots=slots, memory_budget_bytes=budget_bytes)
    room = cache_room(
        facts, context_tokens=context_tokens, slots=slots, budget_bytes=budget_bytes, free_bytes=free_bytes
    )
    return LlmPlan(model_path=options.model_path, slots=slots, context_tokens=context_tokens, cache=room)
