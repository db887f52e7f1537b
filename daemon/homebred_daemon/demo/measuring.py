"""Fills the stage's store and measures every specialist on its golden sets with the real engine."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from homebred_daemon.adapters.engine_launcher import ProcessLauncher
from homebred_daemon.adapters.model_store import ModelStore
from homebred_daemon.adapters.specialist_folder import read_golden_file
from homebred_daemon.adapters.system_clock import SystemClock
from homebred_daemon.core.fitness import reaches_floor, wilson_limits
from homebred_daemon.core.measurements import Measurement
from homebred_daemon.core.shelf import StoredSpecialist
from homebred_daemon.demo.content import POLICY, copy_specialist, specialist_folders
from homebred_daemon.document_files import policy_document
from homebred_daemon.errors import HomebredError
from homebred_daemon.services.evaluating import Bench, Evaluation, RowResult, measure
from homebred_protocol.documents.golden import GoldenSet
from homebred_protocol.documents.policy import Policy
from homebred_protocol.documents.registry import Fitness

CONTEXT_TOKENS = 2048
QUEUE_LIMIT = 64
MOST_AT_ONCE = 4
"""Workers, each of which holds the model once more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One specialist on one workflow, as it came out."""

    specialist_id: str
    workflow: str
    evaluation: Evaluation
    lower_limit: float
    """Wilson lower limit of the fitness, one-sided 95 %."""
    floor: float
    """What the demo's policy asks of the workflow."""
    at_floor: bool


def fill(store: ModelStore, model_file: Path, copies: Path, rows: int) -> None:
    """Adds the base model and every specialist of the demo, with so many rows of its golden sets; 0: all.

    Raises:
        RequestError, StateError: one cannot be added.
    """
    store.add(model_file)
    for folder in specialist_folders():
        copy_specialist(folder, copies / folder.name, rows)
        store.add(copies / folder.name)


async def measure_all(store: ModelStore, runtime_dir: Path, on_row: Callable[[str, int], None]) -> list[Measured]:
    """Asks every golden row of every specialist; `on_row` hears of each, with the rows that its specialist has.

    Specialists are measured beside each other, each in a worker of its own with one thread: one for each processor.

    Raises:
        HomebredError: the engine failed.
    """
    launcher = ProcessLauncher(interpreter=Path(sys.executable), runtime_dir=runtime_dir, queue_limit=QUEUE_LIMIT)
    bench = Bench(launcher=launcher, clock=SystemClock(), context_tokens=CONTEXT_TOKENS, threads=1)
    asked = {stored.manifest.id: (stored, _golden_sets(store, stored)) for stored in store.contents().specialists}
    asked = {name: (stored, golden_sets) for name, (stored, golden_sets) in asked.items() if golden_sets}
    measured: dict[str, Mapping[str, tuple[Evaluation, Measurement]]] = {}

    async def measure_in_turn(names: Iterator[str]) -> None:
        for name in names:
            stored, golden_sets = asked[name]
            rows = sum(len(golden.rows) for golden in golden_sets.values())
            measured[name] = await measure(stored, golden_sets, bench, on_row=_heard(on_row, name, rows))

    names = iter(asked)  # one iterator for all: each takes the next specialist when it is free
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(MOST_AT_ONCE, len(os.sched_getaffinity(0)))):
                group.create_task(measure_in_turn(names))
    except* HomebredError as failures:
        failure = failures.exceptions[0]
    else:
        return list(_kept(store, {name: measured[name] for name in asked}))
    raise failure


def _kept(
    store: ModelStore, measured: Mapping[str, Mapping[str, tuple[Evaluation, Measurement]]]
) -> Iterator[Measured]:
    policy = policy_document(POLICY).required()
    for name, found in measured.items():
        store.record_fitness(name, {workflow: kept for workflow, (_, kept) in found.items()})
        yield from (_judged(name, workflow, evaluation, policy) for workflow, (evaluation, _) in found.items())


def _heard(on_row: Callable[[str, int], None], name: str, rows: int) -> Callable[[RowResult], None]:
    return lambda _: on_row(name, rows)


def _golden_sets(store: ModelStore, stored: StoredSpecialist) -> dict[str, GoldenSet]:
    manifest = stored.manifest
    return {
        workflow: read_golden_file(store.golden_path(manifest.id, workflow), manifest, workflow)
        for workflow, served in manifest.workflows.items()
        if served.golden
    }


def _judged(specialist_id: str, workflow: str, evaluation: Evaluation, policy: Policy) -> Measured:
    fitness = Fitness(fitness=evaluation.fitness, samples=evaluation.samples)
    floor = policy.floor(workflow)
    return Measured(
        specialist_id=specialist_id,
        workflow=workflow,
        evaluation=evaluation,
        lower_limit=wilson_limits(fitness.fitness, fitness.samples)[0],
        floor=floor,
        at_floor=reaches_floor(fitness, floor),
    )
