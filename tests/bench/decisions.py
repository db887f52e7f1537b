"""Measures the router's decision on prepared inputs, and the ledger's commit apart from it."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from tests.bench.figures import Aim, Bench, Conditions, Found, median_percentile

from homebred_daemon.adapters.store.ledger import SqliteLedger
from homebred_daemon.core.link import Link
from homebred_daemon.core.routing import DecisionInputs, decide
from homebred_daemon.ports.ledger import LedgerEntry
from homebred_daemon.services.recording import Recorder
from homebred_protocol.documents.policy import Policy, read_policy
from homebred_protocol.documents.registry import Registry, read_registry
from homebred_protocol.documents.task import read_task

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
WORKFLOW = "order.normalise"
CLOUD = {"fitness": 0.92, "tokens_per_s": 60, "price_per_1k_tokens": 0.004}
TASKS = (
    {"data_classes": ["public"], "kind": "repeat"},
    {"data_classes": ["patient"], "kind": "repeat", "deadline_s": 20},
    {"data_classes": ["trade_secret"], "kind": "tool_loop", "expected_calls": 8},
    {"data_classes": ["public"], "kind": "drafting", "allows_escalation": True},
    {"kind": "other", "context_tokens": 400},
)
CANDIDATES = (1, 4, 16)
CONCURRENT = (1, 16)


def bench_policy() -> Policy:
    """A policy with a workflow of its own and a measured cloud model, so that drafting has two lanes to weigh."""
    workflows = {WORKFLOW: {"floor": 0.7, "minimum_margin": -0.08, "latency_budget_ms": 1500}}
    return read_policy({"version": 1, "workflows": workflows, "models": {"cloud/default": CLOUD}}, "sha256:policy")


def bench_registry(specialists: int) -> Registry:
    """Specialists for the workflow, alike but for their figures."""
    entries = [
        {
            "id": f"orders-{position}",
            "engine": "llamacpp",
            "size_rank": position,
            "tokens_per_s": 60 - position,
            "p95_s": 2.0,
            "max_context": 2048,
            "workflows": {
                WORKFLOW: {
                    "fitness": 0.9 + position / 1000,
                    "samples": 200,
                    "reference_fitness": 0.88,
                    "reference_samples": 200,
                }
            },
        }
        for position in range(specialists)
    ]
    return read_registry({"specialists": entries}, "sha256:registry")


def prepared(specialists: int, number: int) -> list[DecisionInputs]:
    """Inputs of a known workflow: public, private, tool loop, drafting and unlabelled in turn."""
    policy, registry = bench_policy(), bench_registry(specialists)
    return [
        DecisionInputs(
            task=read_task({"task_id": f"t{n}", "text": "x", "workflow": WORKFLOW, **TASKS[n % len(TASKS)]}),
            registry=registry,
            policy=policy,
            link=Link.UP,
            now=NOW,
            caller=("uid:1000",),
        )
        for n in range(number)
    ]


def _known_workflow(conditions: Conditions) -> Mapping[str, Found]:
    inputs = {specialists: prepared(specialists, 2000) for specialists in CANDIDATES}
    taken_us: dict[int, list[list[float]]] = {specialists: [] for specialists in CANDIDATES}
    rounds = conditions.rounds(9, 3)
    for _ in range(rounds):
        for specialists in CANDIDATES:
            taken_us[specialists].append([_decide_us(one) for one in inputs[specialists]])
    how = f"by number of candidates: wall time of one decide(); median over {rounds} rounds of 2,000 different tasks"
    return {
        f"decision.known_workflow_{specialists}_p{percent}": Found(
            value=median_percentile(taken_us[specialists], percent), note=how
        )
        for specialists in CANDIDATES
        for percent in (50, 99)
    }


def _decide_us(inputs: DecisionInputs) -> float:
    started_ns = time.perf_counter_ns()
    decide(inputs)
    return (time.perf_counter_ns() - started_ns) / 1000


def _ledger_commit(conditions: Conditions) -> Mapping[str, Found]:
    with tempfile.TemporaryDirectory(prefix="hb-") as folder:
        return asyncio.run(_committed(Path(folder) / "ledger.sqlite", conditions))


async def _committed(path: Path, conditions: Conditions) -> Mapping[str, Found]:
    rounds, commits = conditions.rounds(7, 3), 320
    entries = _entries()
    ledger = SqliteLedger(path)
    recorder = Recorder(ledger)
    direct_ms: list[list[float]] = []
    waited_ms: dict[int, list[list[float]]] = {streams: [] for streams in CONCURRENT}
    async with asyncio.TaskGroup() as group:
        writing = group.create_task(recorder.run())
        for _ in range(rounds):
            direct_ms.append([_direct_ms(ledger, next(entries)) for _ in range(commits)])
            for streams in CONCURRENT:
                waited_ms[streams].append(await _recorded_ms(recorder, entries, streams, commits // streams))
        writing.cancel()
    ledger.close()
    how = (
        f"by number waiting at a time: wait for Recorder.decision; median over {rounds} rounds of {commits}; WAL,"
        " synchronous=NORMAL; reference: the ledger called directly, one commit each"
    )
    return {
        f"decision.ledger_commit_{streams}_p{percent}": Found(
            value=median_percentile(waited_ms[streams], percent),
            reference=median_percentile(direct_ms, percent),
            note=how,
        )
        for streams in CONCURRENT
        for percent in (50, 99)
    }


def _entries() -> Iterator[LedgerEntry]:
    inputs = prepared(4, 500)
    decided = [(one, decide(one)) for one in inputs]
    while True:
        for one, decision in decided:
            yield LedgerEntry(route_id=str(uuid4()), inputs=one, decision=decision)


def _direct_ms(ledger: SqliteLedger, entry: LedgerEntry) -> float:
    started_s = time.perf_counter()
    ledger.record_decisions([entry])
    return (time.perf_counter() - started_s) * 1000


async def _recorded_ms(recorder: Recorder, entries: Iterator[LedgerEntry], streams: int, each: int) -> list[float]:
    taken_ms: list[float] = []

    async def one_stream() -> None:
        for _ in range(each):
            entry = next(entries)
            started_s = time.perf_counter()
            await recorder.decision(entry)
            taken_ms.append((time.perf_counter() - started_s) * 1000)

    async with asyncio.TaskGroup() as group:
        for _ in range(streams):
            group.create_task(one_stream())
    return taken_ms


TARGETS_US = {50: 25.0, 99: 250.0}
KNOWN_WORKFLOW = Bench(
    name="decision.known_workflow",
    aims=tuple(
        Aim(
            name=f"decision.known_workflow_{specialists}_p{percent}",
            unit="µs",
            target=TARGETS_US[percent] if specialists == 4 else None,
        )
        for specialists in CANDIDATES
        for percent in (50, 99)
    ),
    run=_known_workflow,
)
LEDGER_COMMIT = Bench(
    name="decision.ledger_commit",
    aims=tuple(
        Aim(name=f"decision.ledger_commit_{streams}_p{percent}", unit="ms")
        for streams in CONCURRENT
        for percent in (50, 99)
    ),
    run=_ledger_commit,
)
