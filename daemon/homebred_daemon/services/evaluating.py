"""Measures a specialist on golden sets: asks its engine every row and scores the answers.

It uses an engine worker of its own, so that a running daemon neither disturbs a measurement nor is disturbed by it. It
stores nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from homebred_daemon.core.asking_again import Ask
from homebred_daemon.core.measurements import Measurement
from homebred_daemon.core.prompting import messages_for, options_for
from homebred_daemon.core.scoring import mean, percentile_95, score
from homebred_daemon.core.shelf import StoredSpecialist
from homebred_daemon.errors import EngineUnavailableError, HomebredError, RequestError, StateError
from homebred_daemon.ports.clock import Clock
from homebred_daemon.ports.engines import EngineLauncher, EngineWorker
from homebred_daemon.services.loading import load_within
from homebred_engines import api
from homebred_protocol.documents.golden import GoldenRow, GoldenSet
from homebred_protocol.documents.specialist import SpecialistManifest

DEFAULT_CONCURRENCY = 1
"""Speeds are then those of one stream; on a processor, rows side by side also read the few-shot examples anew each."""
DEFAULT_ROW_DEADLINE_S = 300.0
CONTEXT_EXCEEDED = "context_exceeded"


class GeneratingEngine(Protocol):
    """What of an engine worker an evaluation asks."""

    def generate(
        self, messages: Sequence[api.Message], options: api.GenerateOptions
    ) -> AsyncGenerator[api.Event, None]:
        """Deltas, then one Finished. Raises homebred_engines.api.EngineError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RowResult:
    """What became of one golden row."""

    row: GoldenRow
    answer: str
    """What the specialist said."""
    score: float
    """In [0, 1]."""
    seconds: float
    """From asking to the last token; beside the other rows that ran at the same time."""
    ending: str
    """The engine's finish reason, or `context_exceeded`: the row was too long to be asked, which scores 0."""
    usage: api.Usage
    """What it took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """A specialist's measured fitness on one workflow."""

    workflow: str
    golden_digest: str
    fitness: float
    """Mean score in [0, 1]."""
    samples: int
    """Rows asked."""
    tokens_per_s: float | None
    """Tokens per second of one stream, first token to last, beside the others; None: too few tokens to tell."""
    p95_s: float
    """95th percentile of the rows' seconds, by nearest rank."""
    rows: tuple[RowResult, ...]
    """In the golden set's order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What an evaluation runs on."""

    launcher: EngineLauncher
    clock: Clock
    context_tokens: int
    """Context of one row, where the manifest names none, in tokens."""
    threads: int = 0
    """Compute threads; 0: the engine's default."""
    memory_budget_bytes: int = 0
    """What the model may take; 0: what the machine has."""
    load_timeout_s: float = 120.0
    """From asking for the model to its being ready."""
    concurrency: int = DEFAULT_CONCURRENCY
    """Rows asked at once, each in an engine's slot of its own."""
    row_deadline_s: float = DEFAULT_ROW_DEADLINE_S
    """A row that takes longer ends the evaluation: its engine hangs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A specialist measured on all its golden sets by one worker."""

    measured: dict[str, tuple[Evaluation, Measurement]]
    """By workflow."""
    resident_bytes: int
    """What the worker's process took, once all rows were asked."""


async def measure(
    stored: StoredSpecialist,
    golden_sets: Mapping[str, GoldenSet],
    bench: Bench,
    *,
    on_row: Callable[[RowResult], None] = lambda _: None,
) -> dict[str, tuple[Evaluation, Measurement]]:
    """What was measured, as `tried`."""
    return (await tried(stored, golden_sets, bench, on_row=on_row)).measured


async def tried(
    stored: StoredSpecialist,
    golden_sets: Mapping[str, GoldenSet],
    bench: Bench,
    *,
    on_row: Callable[[RowResult], None] = lambda _: None,
) -> Tried:
    """Loads the specialist's base and adapter into a worker and evaluates it on each workflow's golden set.

    Raises:
        StateError: its base model or adapter is not there, or not as it was.
        RequestError: its engine cannot honour what its manifest asks for, or the model does not fit.
        EngineUnavailableError: the engine failed; nothing was measured.
    """
    if not stored.is_intact:
        raise StateError(
            f"the base model or the adapter of {stored.manifest.id} is missing or damaged", hint="add its files again"
        )
    try:
        worker = await bench.launcher.start(stored.manifest.engine)
        try:
            stats = (await _load(worker, stored, bench)).engine
            measured = {}
            for workflow, golden in golden_sets.items():
                evaluation = await evaluate(
                    stored.manifest,
                    workflow,
                    golden,
                    worker,
                    adapter=stored.adapter_digest,
                    clock=bench.clock,
                    on_row=on_row,
                    concurrency=bench.concurrency,
                    row_deadline_s=bench.row_deadline_s,
                )
                measured[workflow] = (evaluation, measurement_of(evaluation, stored, stats, bench.clock.now()))
            resident_bytes = (await worker.describe()).resident_bytes
        finally:
            await worker.stop()
    except api.EngineError as error:
        raise _meaning(error) from error
    return Tried(measured=measured, resident_bytes=resident_bytes)


def measurement_of(
    evaluation: Evaluation, stored: StoredSpecialist, engine: api.EngineStats, now: datetime
) -> Measurement:
    """The evaluation as it is kept, bound to manifest, base, adapter, golden set and engine."""
    return Measurement(
        fitness=evaluation.fitness,
        samples=evaluation.samples,
        golden_digest=evaluation.golden_digest,
        manifest_digest=stored.manifest.digest,
        base_digest=stored.base_digest,
        adapter_digest=stored.adapter_digest,
        measured_at_utc=now,
        engine=engine.engine,
        engine_version=engine.engine_version,
        tokens_per_s=evaluation.tokens_per_s,
        p95_s=evaluation.p95_s,
    )


async def evaluate(
    manifest: SpecialistManifest,
    workflow: str,
    golden: GoldenSet,
    engine: GeneratingEngine,
    *,
    adapter: str = "",
    clock: Clock,
    on_row: Callable[[RowResult], None] = lambda _: None,
    concurrency: int = DEFAULT_CONCURRENCY,
    row_deadline_s: float = DEFAULT_ROW_DEADLINE_S,
) -> Evaluation:
    """Asks every row, `concurrency` at once; `on_row` hears of each as it is done, in no order.

    `adapter` is the digest of the one that the engine serves for it; empty: the base alone is asked.

    Raises:
        homebred_engines.api.EngineError: the engine failed, hung, or cannot honour the manifest; nothing was measured.
        KeyError: the manifest has no such workflow.
    """
    scorer = manifest.workflows[workflow].scorer
    options = options_for(manifest, api.GenerateOptions(adapter=adapter))
    results: dict[int, RowResult] = {}

    async def ask_in_turn(rows: Iterator[GoldenRow]) -> None:
        for row in rows:
            ask = Ask(messages=messages_for(manifest, row.input), options=options)
            result = await _ask(ask, row, scorer, engine, clock=clock, deadline_s=row_deadline_s)
            results[row.line] = result
            on_row(result)

    rows = iter(golden.rows)  # one iterator for all: each takes the next row when it is free
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(ask_in_turn(rows))
    except* api.EngineError as failures:
        failure = failures.exceptions[0]
    else:
        return _summary(workflow, golden, [results[row.line] for row in golden.rows])
    raise failure


async def _load(worker: EngineWorker, stored: StoredSpecialist, bench: Bench) -> api.WorkerStats:
    options = api.LoadOptions(
        model_path=stored.base_path,
        model_digest=stored.base_digest,
        context_tokens=stored.context_tokens(bench.context_tokens),
        slots=bench.concurrency,
        threads=bench.threads,
        memory_budget_bytes=bench.memory_budget_bytes,
        adapters=_adapters(stored),
    )
    return await load_within(bench.load_timeout_s, worker, options)


def _adapters(stored: StoredSpecialist) -> tuple[api.Adapter, ...]:
    return (api.Adapter(digest=stored.adapter_digest, path=stored.adapter_path),) if stored.adapter_digest else ()


async def _ask(
    ask: Ask,
    row: GoldenRow,
    scorer: str,
    engine: GeneratingEngine,
    *,
    clock: Clock,
    deadline_s: float,
) -> RowResult:
    started_s = clock.monotonic_s()
    try:
        async with asyncio.timeout(deadline_s):
            text, finished = await _heard(engine, ask)
    except api.ContextExceededError:
        seconds = clock.monotonic_s() - started_s
        return RowResult(row=row, answer="", score=0.0, seconds=seconds, ending=CONTEXT_EXCEEDED, usage=api.Usage())
    except TimeoutError:
        raise api.EngineFailedError(f"Line {row.line} of the golden set took more than {deadline_s:g} s.") from None
    if finished is None or finished.reason is api.FinishReason.CANCELLED:
        raise api.EngineFailedError(f"Line {row.line} of the golden set was cut off: the model was unloaded.")
    return RowResult(
        row=row,
        answer=text,
        score=score(scorer, text, row.expected),
        seconds=clock.monotonic_s() - started_s,
        ending=finished.reason.value,
        usage=finished.usage,
    )


async def _heard(engine: GeneratingEngine, ask: Ask) -> tuple[str, api.Finished | None]:
    """An answer to its end. What the engine cannot be guided by is told in words; nothing is asked again."""
    parts, finished = [], None
    try:
        async with aclosing(engine.generate(ask.engine_messages(), ask.engine_options())) as events:
            async for event in events:
                if isinstance(event, api.Delta):
                    parts.append(event.text)
                else:
                    finished = event
    except api.UnsupportedOptionError as error:
        if (in_words := ask.without(error.option)) is None:
            raise
        return await _heard(engine, in_words)
    text = "".join(parts)
    return (text if finished is None else ask.read(text, finished).text), finished


def _summary(workflow: str, golden: GoldenSet, results: list[RowResult]) -> Evaluation:
    return Evaluation(
        workflow=workflow,
        golden_digest=golden.digest,
        fitness=mean([result.score for result in results]),
        samples=len(results),
        tokens_per_s=_tokens_per_s([result.usage for result in results]),
        p95_s=percentile_95([result.seconds for result in results]),
        rows=tuple(results),
    )


def _meaning(error: api.EngineError) -> HomebredError:
    refusals = api.ModelRefusedError | api.AdapterRefusedError | api.InvalidRequestError | api.UnsupportedOptionError
    if isinstance(error, refusals):
        return RequestError(f"{error.what} {error.why}", hint=error.hint)
    return EngineUnavailableError(f"{error.what} {error.why}", hint=error.hint)


def _tokens_per_s(usages: list[api.Usage]) -> float | None:
    """Over all rows; an answer's first token belongs to its prompt's time, so one-token answers tell nothing."""
    later_tokens = sum(max(0, usage.completion_tokens - 1) for usage in usages)
    completion_s = sum(usage.completion_s for usage in usages if usage.completion_tokens > 1)
    return later_tokens / completion_s if later_tokens and completion_s > 0 else None
