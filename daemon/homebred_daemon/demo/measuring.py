"""Fills the stage's store and measures every specialist on its golden sets with the real engine."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from homebred_daemon.adapters.engine_launcher import ProcessLauncher
from homebred_daemon.adapters.model_store import ModelStore
from homebred_daemon.adapters.specialist_folder import read_golden_file
from homebred_daemon.adapters.system_clock import SystemClock
from homebred_daemon.core.fitness import reaches_floor, wilson_limits
from homebred_daemon.core.shelf import StoredSpecialist
from homebred_daemon.demo.content import POLICY, specialist_folders
from homebred_daemon.document_files import policy_document
from homebred_daemon.services.evaluating import Bench, Evaluation, RowResult, measure
from homebred_protocol.documents.golden import GoldenSet
from homebred_protocol.documents.policy import Policy
from homebred_protocol.documents.registry import Fitness

CONTEXT_TOKENS = 2048
QUEUE_LIMIT = 64


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


def fill(store: ModelStore, model_file: Path) -> None:
    """Adds the base model and every specialist of the demo.

    Raises:
        RequestError, StateError: one cannot be added.
    """
    store.add(model_file)
    for folder in specialist_folders():
        store.add(folder)


async def measure_all(store: ModelStore, runtime_dir: Path, on_row: Callable[[str, int], None]) -> list[Measured]:
    """Asks every golden row of every specialist; `on_row` hears of each, with the rows that its specialist has.

    Raises:
        HomebredError: the engine failed.
    """
    policy = policy_document(POLICY).required()
    launcher = ProcessLauncher(interpreter=Path(sys.executable), runtime_dir=runtime_dir, queue_limit=QUEUE_LIMIT)
    bench = Bench(launcher=launcher, clock=SystemClock(), context_tokens=CONTEXT_TOKENS)
    found = []
    for stored in store.contents().specialists:
        golden_sets = _golden_sets(store, stored)
        if not golden_sets:
            continue
        name, rows = stored.manifest.id, sum(len(golden.rows) for golden in golden_sets.values())
        measured = await measure(stored, golden_sets, bench, on_row=_heard(on_row, name, rows))
        store.record_fitness(name, {workflow: kept for workflow, (_, kept) in measured.items()})
        found += [_judged(name, workflow, evaluation, policy) for workflow, (evaluation, _) in measured.items()]
    return found


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
