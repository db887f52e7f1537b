"""What is told of tasks, and what becomes of it: nothing waits for it, and what is dropped is counted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.support.answering_stage import ESCALATABLE, PRIVATE, PUBLIC, Actor, Stage
from tests.support.manual_clock import STARTED, ManualClock, run_with
from tests.support.metrics_reader import counted
from tests.support.scripted_cloud import ScriptedCloud
from tests.support.scripted_pool import Ends, Hangs, Takes, says

from homebred_daemon.core.traces import DECIDE, GENERATE, MAX_SPANS, Span, Trace, TraceParent
from homebred_daemon.ports.cloud import CloudFinish, CloudUnreachableError
from homebred_daemon.ports.tracing import TracesNotTakenError
from homebred_daemon.services.tallying import Tally
from homebred_daemon.services.tracing import AGAIN_AFTER_S, MAX_TOGETHER, MAX_WAITING, Tracing
from homebred_engines import api

BROKEN = api.EngineFailedError("It broke.")
UNFIT = Actor(fitness=0.7, reference_fitness=0.9, plays=[says("hello")])


@dataclass(slots=True)
class Collector:
    """Takes what it is sent, unless it does not."""

    is_there: bool = True
    sent: list[Trace] = field(default_factory=list)
    messages: int = 0

    async def send(self, traces: Sequence[Trace]) -> None:
        self.messages += 1
        if not self.is_there:
            raise TracesNotTakenError
        self.sent += traces


@dataclass(slots=True)
class Traced:
    """A stage whose tasks are traced."""

    collector: Collector = field(default_factory=Collector)
    tally: Tally = field(default_factory=Tally)

    def answer(self, stage: Stage, task: Mapping[str, Any], **accepted: Any) -> list[str]:
        """The traces of a task, each as its spans."""
        run_with(stage.clock, self._answer(stage, task, **accepted))
        return [line(trace) for trace in self.collector.sent]

    async def _answer(self, stage: Stage, task: Mapping[str, Any], **accepted: Any) -> None:
        tracing = Tracing(self.collector, stage.clock, self.tally)
        stage.traces = tracing
        async with tracing.running():
            await stage.answer(task, **accepted)


def line(trace: Trace) -> str:
    return ", ".join(" ".join((span.kind.name, *span.words)) for span in (trace.task, *trace.parts))


def test_a_local_answer_is_decided_queued_and_generated() -> None:
    traced, stage = Traced(), Stage({"a": Actor(plays=[(Takes(0.5), "hel", Takes(0.25), "lo", Ends())])})
    told = "task answer local margin_met, decide local margin_met, generate echo stop, queue echo"
    assert traced.answer(stage, PUBLIC) == [told]
    (trace,) = traced.collector.sent
    assert trace.begun_at_utc == STARTED
    assert (trace.task.begun_s, trace.task.ended_s) == (0, 0.75)
    (generated,) = [part for part in trace.parts if part.kind is GENERATE]
    assert generated.ended_s - generated.begun_s == 0.75
    assert trace.parent is None


def test_a_failure_before_the_first_token_is_decided_again() -> None:
    stage = Stage({"a": Actor(plays=[(BROKEN,)], fitness=0.95), "b": Actor(plays=[says("hello")])})
    (told,) = Traced().answer(stage, PUBLIC)
    assert told.split(", ")[1:] == [
        *("decide local margin_met", "generate echo failed"),
        *("decide local margin_met", "generate echo stop", "queue echo"),
    ]


def test_a_task_for_a_person_is_reviewed() -> None:
    (told,) = Traced().answer(Stage({}), PRIVATE)
    assert told == "task review no_op no_candidate, decide no_op no_candidate, review"


def test_an_escalation_is_told_with_how_it_ended() -> None:
    (told,) = Traced().answer(Stage({"a": UNFIT}, cloud=ScriptedCloud(("fine", CloudFinish.STOP))), ESCALATABLE)
    assert told == "task answer cloud_escalation margin_short, decide cloud_escalation margin_short, escalate answered"
    (told,) = Traced().answer(Stage({"a": UNFIT}, cloud=ScriptedCloud((CloudUnreachableError(),))), ESCALATABLE)
    assert told.split(", ")[2:] == ["escalate cloud_unreachable", "generate echo stop", "queue echo"]
    assert told.startswith("task degraded")


def test_a_task_that_runs_out_of_time_is_told_with_what_it_was_at() -> None:
    stage = Stage({"a": Actor(plays=[(Hangs(),)])})
    traced = Traced()

    async def late() -> None:
        tracing = Tracing(traced.collector, stage.clock)
        stage.traces = tracing
        async with tracing.running(), asyncio.TaskGroup() as group:
            group.create_task(_answered(stage, deadline_s=1.0))
            await _passing(stage.clock, lambda: bool(stage.outcomes))

    run_with(stage.clock, late())
    (trace,) = traced.collector.sent
    assert line(trace) == "task error local margin_met, decide local margin_met, generate echo failed"


async def _answered(stage: Stage, *, deadline_s: float) -> None:
    await stage.answer(PUBLIC, deadline_s=deadline_s)


async def _passing(clock: ManualClock, happened: Callable[[], bool]) -> None:
    while not happened():
        clock.pass_s(0.1)
        await asyncio.sleep(0)


def test_what_nobody_takes_is_dropped_and_counted() -> None:
    traced = Traced(Collector(is_there=False))
    stage = Stage({"a": Actor(plays=[says("hello")])})
    assert traced.answer(stage, PUBLIC) == []
    assert stage.heard[-1] == "answer by a"
    assert counted(traced.tally, "homebred_traces_total", result="not_taken") == 1


def test_what_there_is_no_room_for_is_dropped_and_counted() -> None:
    clock, tally, collector = ManualClock(), Tally(), Collector()

    async def crowd() -> None:
        tracing = Tracing(collector, clock, tally)
        async with tracing.running():
            for _ in range(MAX_WAITING + 3):
                tracing.begin(None).end("answer")

    run_with(clock, crowd())
    assert (len(collector.sent), collector.messages) == (MAX_WAITING, MAX_WAITING // MAX_TOGETHER)
    assert counted(tally, "homebred_traces_total", result="no_room") == 3
    assert counted(tally, "homebred_traces_total", result="sent") == MAX_WAITING


def test_messages_leave_at_their_pace() -> None:
    clock, collector = ManualClock(), Collector()

    async def steady() -> None:
        tracing = Tracing(collector, clock)
        async with tracing.running():
            for _ in range(20):
                tracing.begin(None).end("answer")
                for _ in range(5):
                    await asyncio.sleep(0)
            assert collector.messages == 1
            clock.pass_s(AGAIN_AFTER_S)
            for _ in range(5):
                await asyncio.sleep(0)
            assert collector.messages == 2
        assert len(collector.sent) == 20

    run_with(clock, steady())


def test_a_task_has_a_bound_of_parts_and_keeps_its_parent() -> None:
    clock, collector = ManualClock(), Collector()
    parent = TraceParent(trace_id="1" * 32, span_id="2" * 16)

    async def long() -> None:
        tracing = Tracing(collector, clock)
        async with tracing.running():
            task = tracing.begin(parent)
            for _ in range(MAX_SPANS + 5):
                span = task.begin(DECIDE)
                span.end("local", "margin_met")
                span.end("local", "margin_met")
            task.end("answer")

    run_with(clock, long())
    (trace,) = collector.sent
    assert len(trace.parts) == MAX_SPANS
    assert trace.parent == parent
    decided = Span(kind=DECIDE, words=("local", "margin_met"), begun_s=0, ended_s=0)
    assert {*trace.parts} == {decided}
