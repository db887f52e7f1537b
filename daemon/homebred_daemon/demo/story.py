"""The story, chapter by chapter: measure the specialists, join a fleet, decide, answer, escalate, tell, decide again.

Every part is real but the cloud: the model, the worker, the daemon process, its socket and its ledger. Nothing is typed
in: fitness is measured on the spot, and the figures at the end are those of this run.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.progress import Progress, TaskID

from homebred_daemon.adapters.store.ledger import SqliteLedger
from homebred_daemon.demo.content import MEASURED_ROWS, ROWS, SceneTask, escalated_tasks, scene_tasks
from homebred_daemon.demo.fleet import Fleet
from homebred_daemon.demo.hardship import Hardship
from homebred_daemon.demo.measuring import Measured, fill, measure_all
from homebred_daemon.demo.screen import Screen
from homebred_daemon.demo.stage import RunningDaemon, Stage
from homebred_daemon.demo.stand_in_cloud import StandInCloud
from homebred_daemon.errors import HomebredError
from homebred_daemon.services.replaying import replay
from homebred_protocol.client import Answer, Decision, Outcome, Task

MEGABYTE = 1_000_000
AT_THE_FACTORY = "factory-"
STAND_IN = (
    "No cloud is called: a server on this machine stands in for it, which speaks its protocol and keeps what it is "
    "sent. It is no model: it repeats what it was asked."
)
NEEDS_A_GPU = (
    "Nothing here used a GPU. TensorRT-LLM and larger specialists need one; on a machine like this the embedded "
    "135M model on the processor is what runs."
)


@dataclass(slots=True)
class Figures:
    """What this run measured."""

    started_s: float = field(default_factory=time.monotonic)
    fitness: list[dict[str, Any]] = field(default_factory=list)
    tasks: list[dict[str, Any]] = field(default_factory=list)
    ready_s: list[float] = field(default_factory=list)
    daemon_mb: float = 0.0
    worker_mb: float = 0.0
    escalations: list[dict[str, Any]] = field(default_factory=list)
    """What was sent to the cloud's stand-in, and what was shown."""
    hardship: dict[str, Any] = field(default_factory=dict)
    """What people, applications and a power cut left behind."""
    fleet: dict[str, Any] = field(default_factory=dict)
    """What the fleet knew in the end."""
    releases: dict[str, Any] = field(default_factory=dict)
    """What became of three releases."""
    replay: dict[str, int] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """All of it as JSON values."""
        generated = [task for task in self.tasks if task["first_token_ms"] is not None]
        return {
            "seconds": round(time.monotonic() - self.started_s, 1),
            "rows_shown": sorted({task["row"] for task in self.tasks}),
            "tasks": len(self.tasks),
            "median_first_token_ms": _median([task["first_token_ms"] for task in generated]),
            "median_total_ms": _median([task["total_ms"] for task in generated]),
            "daemon_ready_s": _median(self.ready_s),
            "daemon_mb": self.daemon_mb,
            "worker_mb": self.worker_mb,
            **{name: value for name, value in self.hardship.items() if name != "interrupted_route"},
            **self.fleet,
            **self.releases,
            "replay": self.replay,
        }


class Story:
    """Tells the chapters on one stage."""

    def __init__(self, stage: Stage, screen: Screen, model_file: Path, *, is_full: bool = False) -> None:
        """`is_full`: every golden row is asked, instead of some of each set."""
        self._stage = stage
        self._screen = screen
        self._model_file = model_file
        self._rows = 0 if is_full else MEASURED_ROWS
        self._fleet = Fleet(stage, screen)
        self.figures = Figures()

    def stocked(self) -> None:
        """Puts model and specialists onto the first device, which measures none of them yet."""
        fill(self._stage.clinic.store(), self._model_file, self._stage.folder / "specialists", self._rows)

    def measured(self) -> None:
        """Chapter: the specialists prove themselves on their golden sets."""
        self._screen.chapter("Specialists prove themselves")
        self._screen.say("Fitness is measured now, on this machine, with the real model: no figure is typed in.")
        if self._rows:
            self._screen.say(f"Each is asked {self._rows} rows, spread over its golden set; `--full` asks all of them.")
        store = self._stage.clinic.store()
        runtime = self._stage.folder / "measuring"
        with self._screen.progress() as bars:
            found = asyncio.run(measure_all(store, runtime, _Bars(bars).advance))
        self.figures.fitness = [_fitness_record(one) for one in found]
        self._screen.table(
            "Measured fitness",
            ("specialist", "workflow", "fitness", "rows", "at least", "floor", ""),
            [_fitness_row(one) for one in found],
        )

    def decided(self) -> None:
        """Chapter: every task's route, without an answer."""
        self._screen.chapter("Where each task may go")
        for link, scenes in groupby(scene_tasks(), key=lambda scene: scene.link):
            with self._stage.clinic.daemon(link) as daemon:
                for scene in scenes:
                    self._show_task(scene)
                    self._show_decision(daemon.client.route(_task(scene)))

    @contextmanager
    def in_a_fleet(self) -> Iterator[None]:
        """Chapter: two devices join a fleet; they are in it for as long as the context lasts."""
        self._stage.factory.take_models_of(self._stage.clinic)
        with self._fleet.joined():
            yield

    def answered(self) -> None:
        """Chapter: every task decided and answered by the device that it was asked of; then the link goes away."""
        self._screen.chapter("The daemons answer")
        for link, scenes in groupby(scene_tasks(), key=lambda scene: scene.link):
            if link == "down":
                self._screen.chapter("The cable is pulled")
            with self._stage.clinic.daemon(link) as clinic, self._stage.factory.daemon(link) as factory:
                self._screen.say(f"homebredd is up after {clinic.ready_s:.2f} s; the link is {link}.")
                self.figures.ready_s.append(clinic.ready_s)
                for scene in scenes:
                    self._answer(scene, factory if scene.task["task_id"].startswith(AT_THE_FACTORY) else clinic)
                self._weigh(clinic)

    def told_the_fleet(self) -> None:
        """Chapters: the fleet tells a device its policy, and knows of every task what it may."""
        with self._stage.clinic.daemon("up"), self._stage.factory.daemon("up") as factory:
            self._fleet.steered(factory)
            self._fleet.told(factory)
        self.figures.fleet = self._fleet.record

    def released(self) -> None:
        """Chapters: three releases for the factory's kiosk, and what becomes of each."""
        with self._stage.factory.daemon("up") as factory:
            self.figures.releases = self._fleet.released(factory, base_bytes=self._model_file.stat().st_size)

    def escalated(self) -> None:
        """Chapter: what a cloud model is sent, and what comes home."""
        self._screen.chapter("What leaves, and what comes home")
        self._screen.say(STAND_IN)
        with StandInCloud() as cloud, self._stage.clinic.daemon("up", cloud.base_url) as daemon:
            for scene in escalated_tasks():
                answer = self._answer(scene, daemon)
                sent = json.loads(cloud.received[-1].body)["messages"][-1]["content"]
                self._screen.side_by_side(("sent", sent), ("shown", answer.streamed))
                record = {"task_id": scene.task["task_id"], "sent": sent, "shown": answer.streamed}
                self.figures.escalations.append(record)

    def endured(self, applications: Path | None) -> None:
        """Chapters: a person answers, applications call, the power fails, and nothing is lost."""
        hardship = Hardship(self._screen, self.figures.hardship)
        with self._stage.clinic.daemon("up") as daemon:
            hardship.reviewed(daemon)
            if applications is not None:
                hardship.visited(daemon, applications)
            hardship.killed(daemon)
        with self._stage.clinic.daemon("up") as daemon:
            hardship.survived(daemon)

    def replayed(self) -> None:
        """Chapter: every decision of this run is decided again from the ledger."""
        self._screen.chapter("Every decision again, from the ledger")
        ledger = SqliteLedger(self._stage.clinic.ledger)
        try:
            report = replay(ledger)
        finally:
            ledger.close()
        self.figures.replay = {"decisions": report.decisions, "mismatches": len(report.mismatches)}
        self._screen.say(f"{report.decisions} decisions decided again, {len(report.mismatches)} mismatches.")
        if not report.is_sound:
            raise HomebredError("the ledger does not replay", hint="report this: decisions must be repeatable")

    def ended(self) -> None:
        """The figures of this run."""
        record = self.figures.record()
        rows = [(name.replace("_", " "), str(value)) for name, value in record.items()]
        self._screen.table("Figures of this run", ("what", "measured"), rows)
        self._screen.say(NEEDS_A_GPU)

    def _answer(self, scene: SceneTask, daemon: RunningDaemon) -> Answer:
        self._show_task(scene)
        begun = False
        with daemon.client.stream(_task(scene)) as events:
            for event in events:
                if isinstance(event, Decision):
                    self._show_decision(event)
                elif isinstance(event, str):
                    if not begun:
                        self._screen.begin_answer()
                    begun = True
                    self._screen.piece(event)
            answer = events.answer()
        if begun:
            self._screen.end_answer()
        self._show_outcome(answer.outcome)
        self.figures.tasks.append(_task_record(scene, answer))
        return answer

    def _show_task(self, scene: SceneTask) -> None:
        self._screen.task(f"Row {scene.row} · {ROWS[scene.row]}", scene.story, str(scene.task.get("text", "")))

    def _show_decision(self, decision: Decision) -> None:
        self._screen.fact("decision", f"{decision.reason_code} → {decision.selected_model_or_stack}")
        self._screen.fact("because", decision.local_reason)
        self._screen.fact("labels", ", ".join(decision.classes))

    def _show_outcome(self, outcome: Outcome) -> None:
        words = {
            "answer": f"answered by {outcome.answered_by}",
            "degraded": f"degraded: answered by {outcome.answered_by}, in the cloud's place",
            "review": "a person must answer this",
        }
        findings = f" · {', '.join(outcome.findings)}" if outcome.findings else ""
        first = f" · first token {outcome.first_token_ms:.0f} ms" if outcome.first_token_ms is not None else ""
        self._screen.fact("outcome", f"{words[outcome.status]}{first} · {outcome.total_ms / 1000:.2f} s{findings}")

    def _weigh(self, daemon: RunningDaemon) -> None:
        status = daemon.control.status()
        self.figures.daemon_mb = round(status.resident_bytes / MEGABYTE, 1)
        self.figures.worker_mb = round(sum(one.resident_bytes for one in status.workers) / MEGABYTE, 1)


class _Bars:
    """A progress bar for each specialist."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._known: dict[str, TaskID] = {}

    def advance(self, name: str, total: int) -> None:
        """One more row is done."""
        if name not in self._known:
            self._known[name] = self._bars.add_task(name, total=total)
        self._bars.advance(self._known[name])


def _task(scene: SceneTask) -> Task:
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in scene.task.items()
    }
    return Task(**values)


def _fitness_record(one: Measured) -> dict[str, Any]:
    return {
        "specialist": one.specialist_id,
        "workflow": one.workflow,
        "fitness": one.evaluation.fitness,
        "samples": one.evaluation.samples,
        "lower_limit": round(one.lower_limit, 4),
        "floor": one.floor,
        "at_floor": one.at_floor,
        "tokens_per_s": one.evaluation.tokens_per_s,
        "p95_s": one.evaluation.p95_s,
    }


def _fitness_row(one: Measured) -> tuple[str, ...]:
    verdict = "at its floor" if one.at_floor else "below: to a person"
    measured = one.evaluation
    figures = (f"{measured.fitness:.3f}", str(measured.samples), f"{one.lower_limit:.3f}", f"{one.floor:.2f}")
    return (one.specialist_id, one.workflow, *figures, verdict)


def _task_record(scene: SceneTask, answer: Answer) -> dict[str, Any]:
    decision, outcome = answer.decision, answer.outcome
    return {
        "task_id": scene.task["task_id"],
        "row": scene.row,
        "link": scene.link,
        "reason_code": decision.reason_code,
        "selected_model_or_stack": decision.selected_model_or_stack,
        "classes": list(decision.classes),
        "status": str(outcome.status),
        "findings": list(outcome.findings),
        "answered_by": outcome.answered_by,
        "answer": answer.streamed,
        "first_token_ms": outcome.first_token_ms,
        "total_ms": outcome.total_ms,
    }


def _median(values: list[float]) -> float | None:
    return round(statistics.median(values), 3) if values else None
