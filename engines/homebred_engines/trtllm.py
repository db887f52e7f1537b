"""TensorRT-LLM as an engine: a Hugging Face checkpoint on one NVIDIA GPU, in-flight batching over a few slots.

Held to the recorded contract of TensorRT-LLM 1.2.1 (`facts/`); it was NEVER executed on the real package or a GPU.
What it asks of the package stands in `trtllm_library.py`; here are the checks before, the memory, the streams.
"""

from __future__ import annotations

import asyncio
import importlib.util
import sys
import threading
import time
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from homebred_engines import api
from homebred_engines.checkpoint import read_checkpoint
from homebred_engines.guided_schema import refuse_unguidable
from homebred_engines.model_room import answer_room, refuse_oversized, served_context
from homebred_engines.stop_text import Piece, StopText
from homebred_engines.trtllm_cache import cache_room
from homebred_engines.trtllm_library import DISTRIBUTION, MODULE, LlmPlan, LoadedLlm, free_device_bytes
from homebred_engines.trtllm_run import Run

_DEFAULT_SLOTS = 4
_LACKING = (api.Capability.TOOLS, api.Capability.EMBEDDINGS)
_CAPABILITIES = tuple(capability for capability in api.Capability if capability not in _LACKING)
_CHECKED, _ALMOST, _LOADED = 0.05, 0.95, 1.0
_REPORT_EVERY_S = 1.0
_HALF_WAY_S = 30.0
_STATISTICS_EVERY_S = 0.25


@dataclass(slots=True, kw_only=True)
class _Loaded:
    """A model in memory and what runs on it."""

    stats: api.EngineStats
    llm: LoadedLlm
    runs: set[Run] = field(default_factory=set)
    closing: threading.Event = field(default_factory=threading.Event)


class TrtLlmEngine(api.WithoutEmbeddings):
    """Implements `api.Engine`. Raises ImportError where the package is not installed."""

    def __init__(self) -> None:
        if importlib.util.find_spec(MODULE) is None:
            raise ModuleNotFoundError(f"{MODULE} is not installed in {sys.executable}; set engine.python to its own")
        self._loaded: _Loaded | None = None
        self._steps_of_ended_runs = 0
        self.counted_iterations = 0
        """Steps that the library's statistics told of."""
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
            async for progress in _progress_of(opening):
                yield progress
            llm = opening.result()
            yield _LOADED
        except BaseException:
            self._loader.submit(_close_opened, opening)
            raise
        stats = _stats(
            model_digest=options.model_digest, slots=plan.slots, context_tokens=plan.context_tokens, threads=1
        )
        self._loaded = loaded = _Loaded(stats=stats, llm=llm)
        threading.Thread(target=self._count_iterations, args=(loaded,), name="statistics", daemon=True).start()

    async def generate(
        self, messages: Sequence[api.Message], options: api.GenerateOptions
    ) -> AsyncGenerator[api.Event, None]:
        """Streams one chat completion."""
        loaded = self._loaded
        if loaded is None:
            raise api.ModelNotLoadedError("A generation was asked of it.")
        if options.json_schema:
            refuse_unguidable(options.parsed_schema())
        prompt = loaded.llm.prompt(messages)
        room = answer_room(len(prompt), context_tokens=loaded.stats.context_tokens)
        output = loaded.llm.ask(prompt, options, max_tokens=min(options.max_tokens or room, room))
        run = Run(output, loaded.llm.text_of, wants_logprobs=options.logprobs)
        stop = StopText(options.stop)
        loaded.runs.add(run)
        try:
            async with aclosing(_deltas(run, stop)) as deltas:
                async for delta in deltas:
                    yield delta
        finally:
            try:
                await run.end()
            finally:
                loaded.runs.discard(run)
                self._steps_of_ended_runs += run.steps
        if run.failure is not None:
            raise run.failure
        yield api.Finished(reason=self._reason(loaded, run, stop), usage=run.usage(prompt_tokens=len(prompt)))

    async def unload(self) -> None:
        """Cancels what runs, then frees the model in a thread."""
        loaded, self._loaded = self._loaded, None
        if loaded is None:
            return
        loaded.closing.set()
        await asyncio.gather(*(run.end() for run in loaded.runs), return_exceptions=True)  # streams raise their own
        await asyncio.get_running_loop().run_in_executor(self._loader, loaded.llm.close)

    def progress(self) -> int:
        """Steps that streams have heard, and steps that the engine counts, which read prompts as well."""
        running = self._loaded.runs if self._loaded else ()
        return self.counted_iterations + self._steps_of_ended_runs + sum(run.steps for run in running)

    def stats(self) -> api.EngineStats:
        """As loaded."""
        return self._loaded.stats if self._loaded else _stats()

    def _reason(self, loaded: _Loaded, run: Run, stop: StopText) -> api.FinishReason:
        if stop.is_found:
            return api.FinishReason.STOP
        if run.reason is None and self._loaded is loaded:
            raise api.EngineFailedError("TensorRT-LLM ended a generation without a reason.")
        return run.reason or api.FinishReason.CANCELLED

    def _count_iterations(self, loaded: _Loaded) -> None:
        """In a thread of its own, until the model leaves."""
        try:
            while not loaded.closing.wait(_STATISTICS_EVERY_S):
                self.counted_iterations += loaded.llm.iterations(timeout_s=_STATISTICS_EVERY_S)
        except api.EngineError as error:
            sys.stderr.write(f"Steps are no longer counted: {error.why}\n")


async def _progress_of(opening: Future[LoadedLlm]) -> AsyncGenerator[float, None]:
    """Steps that grow ever smaller, until it is done, however that ends."""
    started_at, done = time.monotonic(), asyncio.wrap_future(opening)
    while not done.done():
        await asyncio.wait([done], timeout=_REPORT_EVERY_S)
        elapsed_s = time.monotonic() - started_at
        yield _CHECKED + (_ALMOST - _CHECKED) * elapsed_s / (elapsed_s + _HALF_WAY_S)


def _close_opened(opening: Future[LoadedLlm]) -> None:
    if opening.exception() is None:
        opening.result().close()


def _stats(**loaded: Any) -> api.EngineStats:
    version = metadata.version(DISTRIBUTION)
    return api.EngineStats(engine="trtllm", engine_version=version, capabilities=_CAPABILITIES, **loaded)


def plan_load(options: api.LoadOptions) -> LlmPlan:
    """Checks the checkpoint against options and device. Raises ModelRefusedError, InvalidRequestError."""
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


async def _deltas(run: Run, stop: StopText) -> AsyncGenerator[api.Delta, None]:
    """What waits together leaves together; tokens without text leave with the next text."""
    unsent: list[Piece] = []
    while not stop.is_found and await run.next_pieces():
        while run.pieces:
            unsent += stop.feed(run.pieces.popleft())
        if any(piece.text for piece in unsent):
            yield _delta(unsent)
            unsent = []
    unsent += stop.rest()
    if any(piece.text for piece in unsent):
        yield _delta(unsent)


def _delta(pieces: Sequence[Piece]) -> api.Delta:
    return api.Delta(
        text="".join(piece.text for piece in pieces),
        tokens=sum(piece.tokens for piece in pieces),
        logprobs=tuple(each for piece in pieces for each in piece.logprobs),
    )
