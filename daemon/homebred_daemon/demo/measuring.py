"""Fills the stage's store and measures every specialist on its golden sets, on one engine worker."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from homebred_daemon.adapters.engine_process import EngineProcess
from homebred_daemon.adapters.model_store import ModelStore
from homebred_daemon.adapters.specialist_folder import read_golden_file
from homebred_daemon.adapters.system_clock import SystemClock
from homebred_daemon.adapters.worker_child import WorkerSettings
from homebred_daemon.core.fitness import reaches_floor, wilson_limits
from homebred_daemon.core.measurements import Measurement
from homebred_daemon.core.shelf import StoredSpecialist
from homebred_daemon.demo.content import POLICY, specialist_folders
from homebred_daemon.services.evaluating import Evaluation, evaluate
from homebred_engines import api
from homebred_protocol.documents.policy import Policy, read_policy
from homebred_protocol.documents.registry import Fitness

SLOTS = 4


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


def demo_policy() -> Policy:
    """The policy of the demo's site."""
    return read_policy(tomllib.loads(POLICY.read_text(encoding="utf-8")), "")


def fill(store: ModelStore, model_file: Path) -> None:
    """Adds the base model and every specialist of the demo.

    Raises:
        RequestError, StateError: one cannot be added.
    """
    store.add(model_file)
    for folder in specialist_folders():
        store.add(folder)


async def measure(store: ModelStore, runtime_dir: Path, on_row: Callable[[str, int, int], None]) -> list[Measured]:
    """Asks every golden row of every specialist; `on_row` hears specialist, rows done and rows in all.

    Raises:
        homebred_engines.api.EngineError: the engine failed.
    """
    policy, found = demo_policy(), []
    async with EngineProcess(WorkerSettings(engine="llamacpp", runtime_dir=runtime_dir)) as worker:
        specialists = store.contents().specialists
        stats = await worker.load(_load_options(specialists[0]))  # the demo's specialists share one base model
        for stored in specialists:
            for workflow, served in stored.manifest.workflows.items():
                if not served.golden:
                    continue
                evaluation = await _evaluated(store, stored, workflow, worker, on_row)
                measurement = _measurement(stored, evaluation, stats.engine)
                store.record_fitness(stored.manifest.id, {workflow: measurement})
                found.append(_judged(stored.manifest.id, workflow, evaluation, policy))
    return found


async def _evaluated(
    store: ModelStore,
    stored: StoredSpecialist,
    workflow: str,
    worker: EngineProcess,
    on_row: Callable[[str, int, int], None],
) -> Evaluation:
    golden = read_golden_file(store.golden_path(stored.manifest.id, workflow), stored.manifest, workflow)
    done = 0

    def count(_: object) -> None:
        nonlocal done
        done += 1
        on_row(stored.manifest.id, done, len(golden.rows))

    return await evaluate(
        stored.manifest, workflow, golden, worker, clock=SystemClock(), on_row=count, concurrency=SLOTS
    )


def _load_options(stored: StoredSpecialist) -> api.LoadOptions:
    return api.LoadOptions(
        model_path=str(stored.base_path), model_digest=stored.base_digest, context_tokens=2048, slots=SLOTS
    )


def _measurement(stored: StoredSpecialist, evaluation: Evaluation, engine: api.EngineStats) -> Measurement:
    return Measurement(
        fitness=evaluation.fitness,
        samples=evaluation.samples,
        golden_digest=evaluation.golden_digest,
        manifest_digest=stored.manifest.digest,
        base_digest=stored.base_digest,
        measured_at_utc=SystemClock().now(),
        engine=engine.engine,
        engine_version=engine.engine_version,
        tokens_per_s=evaluation.tokens_per_s,
        p95_s=evaluation.p95_s,
    )


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
