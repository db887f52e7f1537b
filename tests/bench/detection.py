"""Measures a decision with detection on texts of 1,000 characters, in CPU time, with patterns and a gazetteer."""

from __future__ import annotations

import time
from collections.abc import Mapping
from statistics import mean, median
from typing import Any

from tests.bench.decisions import NOW, WORKFLOW, bench_policy, bench_registry
from tests.bench.figures import Aim, Bench, Conditions, Found, median_percentile
from tests.bench.texts import make_known, make_texts

from homebred_daemon.adapters.detectors.gazetteer import Gazetteer, Known
from homebred_daemon.adapters.detectors.patterns import default_detector
from homebred_daemon.adapters.detectors.tiers import Tiers
from homebred_daemon.core.context import minimum_context
from homebred_daemon.core.link import Link
from homebred_daemon.core.spelling import keys
from homebred_daemon.services.deciding import Decider
from homebred_engines.api import Message
from homebred_protocol.documents.task import Task, read_task

CHARACTERS = 1000
KNOWN = 50_000
LOCAL = "route.detect_1kB"
ESCALATING = "route.detect_1kB_escalating"
TASKS: Mapping[str, Mapping[str, Any]] = {
    LOCAL: {"workflow": WORKFLOW, "data_classes": ["public"]},
    # No specialist suits it, so an escalation is considered and its residual risk measured.
    ESCALATING: {"workflow": WORKFLOW, "data_classes": ["public"], "allows_escalation": True, "requires": ["vision"]},
}


def _detect(conditions: Conditions) -> Mapping[str, Found]:
    known = Gazetteer(
        (Known(keys=keys(text), data_class="patient") for text in make_known(KNOWN, seed=1)), "sha256:" + "0" * 64
    )
    detector = Tiers([default_detector(), known])
    decider = Decider(policy=bench_policy(), registry=bench_registry(4), detector=detector)
    texts = make_texts(600, characters=CHARACTERS, seed=1)
    tasks = {name: read_task({"task_id": "t", "text": "x", **entry}) for name, entry in TASKS.items()}
    first_ms = _cpu_ms(decider, tasks[LOCAL], texts[0])
    for text in texts:  # patterns are compiled when a text first calls for them
        _cpu_ms(decider, tasks[LOCAL], text)
    taken_ms: dict[str, list[list[float]]] = {name: [] for name in tasks}
    rounds = conditions.rounds(7, 3)
    for _ in range(rounds):
        for name, task in tasks.items():
            taken_ms[name].append([_cpu_ms(decider, task, text) for text in texts])
    spans = [len(decider.detector.detect(text)) for text in texts]
    how = (
        f"CPU time of Decider.decide; median over {rounds} rounds of {len(texts)} texts of {CHARACTERS} characters,"
        f" {mean(spans):.1f} spans each, {sum(count == 0 for count in spans)} without any; the first text of a process"
        f" took {first_ms:.1f} ms; gazetteer of {KNOWN:,} entries, {known.bytes_taken / 1e6:.1f} MB"
    )
    return {
        f"{name}_p99": Found(
            value=median_percentile(rounds_ms, 99),
            note=f"p50 {median(map(median, rounds_ms)):.2f} ms; {how}",
        )
        for name, rounds_ms in taken_ms.items()
    }


def _cpu_ms(decider: Decider, task: Task, text: str) -> float:
    started_s = time.thread_time()
    decider.measure(
        *decider.consider(task, text, link=Link.UP, now=NOW),
        lambda: minimum_context([Message(role="user", content=text)]),
    )
    return (time.thread_time() - started_s) * 1000


DETECT = Bench(
    name="route.detect_1kB",
    aims=(Aim(name=f"{LOCAL}_p99", unit="ms", target=2.0), Aim(name=f"{ESCALATING}_p99", unit="ms")),
    run=_detect,
)
