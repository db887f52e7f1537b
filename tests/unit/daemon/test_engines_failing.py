"""The worker pool while its workers crash, hang and refuse."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.fake_workers import STATS, Fleet
from tests.support.manual_clock import ManualClock, run_with
from tests.support.metrics_reader import counted
from tests.support.recorded_journal import RecordedJournal
from tests.support.worker_pools import ask, asked, model, pool_of, prompt, settled, until

from homebred_daemon.core.supervision import FAILURES_TO_PARK, FAULTS_TO_BREAK, Health, Phase, backoff_s
from homebred_daemon.ports.engines import ServedModel
from homebred_daemon.services.engines import WorkerPool
from homebred_daemon.services.loading import Room
from homebred_daemon.services.places import STAY_S
from homebred_daemon.services.supervising import ModelParkedError, ModelRestingError
from homebred_daemon.services.tallying import Tally
from homebred_daemon.services.watching import LOOK_EVERY_S
from homebred_engines import api

M = model("m")


async def crash(pool: WorkerPool, fleet: Fleet, name: str = "m") -> None:
    """Has the model loaded, and its worker die with an answer."""
    fleet.dies_after = 1
    for worker in fleet.workers:
        worker.dies_after = 1
    assert isinstance(await asked(pool, name), api.EngineFailedError)
    fleet.dies_after = None
    await settled()


async def test_after_a_crash_requests_fail_at_once_until_the_model_may_be_tried_again() -> None:
    fleet, clock = Fleet.free(), ManualClock()
    async with pool_of(fleet, clock=clock) as pool:
        await crash(pool, fleet)
        refused = await asked(pool, "m")
        assert isinstance(refused, ModelRestingError)
        assert "Unexpectedly it died" in str(refused)
        assert len(fleet.workers) == 1
        assert pool.out_of_service() == {M}
        clock.pass_s(1)
        assert await ask(pool, "m") == "01"
        assert (len(fleet.workers), pool.condition(M).note) == (2, "")


async def test_many_streams_that_die_together_are_one_failure_and_one_restart() -> None:
    fleet, clock = Fleet.free(), ManualClock()
    fleet.speaking.clear()
    async with pool_of(fleet, clock=clock) as pool:
        async with asyncio.TaskGroup() as group:
            asking = [group.create_task(asked(pool, "m", f"r{number}")) for number in range(8)]
            await until(lambda: "m answers r7" in fleet.told)
            fleet.workers[0].dies_after = 1
            fleet.speaking.set()
        assert {type(one.result()) for one in asking} == {api.EngineFailedError}
        assert pool.condition(M).note.startswith("1 failure")
        clock.pass_s(1)
        assert await asyncio.gather(*(ask(pool, "m", f"r{number}") for number in range(8))) == ["01"] * 8
    assert len(fleet.workers) == 2


async def test_a_worker_that_dies_idle_is_noticed_at_once_and_later_requests_start_another() -> None:
    fleet, clock = Fleet.free(), ManualClock()
    async with pool_of(fleet, clock=clock) as pool:
        await ask(pool, "m")
        fleet.workers[0].die()
        await until(lambda: "m stops" in fleet.told)
        assert "Unexpectedly it died" in pool.condition(M).note
        clock.pass_s(60)
        assert await ask(pool, "m") == "01"


async def test_a_model_that_keeps_crashing_is_parked_with_the_reason_and_others_go_on() -> None:
    fleet, clock = Fleet.free(), ManualClock()
    async with pool_of(fleet, clock=clock) as pool:
        for number in range(1, FAILURES_TO_PARK + 1):
            await crash(pool, fleet)
            clock.pass_s(backoff_s(number))
        clock.pass_s(1e6)
        parked = await asked(pool, "m")
        assert isinstance(parked, ModelParkedError)
        assert pool.condition(M).note == "parked after 5 failures: Unexpectedly it died."
        assert (len(fleet.workers), pool.condition(M).is_parked) == (FAILURES_TO_PARK, True)
        assert await ask(pool, "other") == "01"


async def test_a_success_in_between_starts_the_count_anew() -> None:
    fleet, clock = Fleet.free(), ManualClock()
    async with pool_of(fleet, clock=clock) as pool:
        for _ in range(2 * FAILURES_TO_PARK):
            await crash(pool, fleet)
            clock.pass_s(1)
            await ask(pool, "m")
        assert not pool.condition(M).is_parked


async def test_a_refused_model_is_parked_at_once_and_its_changed_file_is_another_model() -> None:
    fleet = Fleet.free()
    fleet.refuses = frozenset({"m"})
    async with pool_of(fleet) as pool:
        failures = await asyncio.gather(*(asked(pool, "m", f"r{number}") for number in range(16)))
        assert {type(failure) for failure in failures} == {api.ModelRefusedError}
        assert isinstance(await asked(pool, "m"), ModelParkedError)
        assert len(fleet.workers) == 1
        fleet.refuses = frozenset()
        changed = replace(M, digest="sha256:changed")
        pool.keep_only({changed: ()})
        assert [event async for event in pool.generate(changed, prompt())]
        assert not pool.condition(M).is_parked, "it is forgotten with its file"


@pytest.mark.parametrize(
    "error",
    [
        api.QueueFullError("Full.", retry_after_s=1),
        api.InvalidRequestError("No."),
        api.ContextExceededError("Too long.", prompt_tokens=9, context_tokens=8),
        api.UnsupportedOptionError("No."),
    ],
    ids=lambda error: error.code,
)
async def test_what_is_wrong_with_a_request_says_nothing_about_the_model(error: api.EngineError) -> None:
    fleet = Fleet.free()
    async with pool_of(fleet) as pool:
        await ask(pool, "m")
        fleet.workers[0].fails_after, fleet.workers[0].fault = 0, error
        for _ in range(2 * FAULTS_TO_BREAK):
            assert await asked(pool, "m") is error
        assert (pool.condition(M).note, len(fleet.workers)) == ("", 1)


async def test_a_generation_that_fails_in_a_living_worker_leaves_it_be_until_it_happens_in_a_row() -> None:
    fleet, clock = Fleet.free(), ManualClock()
    async with pool_of(fleet, clock=clock) as pool:
        await ask(pool, "m")
        (worker,) = fleet.workers
        worker.fails_after = 0
        for _ in range(FAULTS_TO_BREAK - 1):
            await asked(pool, "m")
        assert pool.condition(M).note == "its engine failed: It could not answer a task, and told its caller why."
        assert worker.is_alive
        await asked(pool, "m")
        await until(lambda: not worker.is_alive)
        assert isinstance(await asked(pool, "m"), ModelRestingError)
        clock.pass_s(1)
        assert await ask(pool, "m") == "01"


async def test_a_worker_that_fails_at_every_task_is_counted_as_faulty() -> None:
    fleet, tally = Fleet.free(), Tally()
    async with pool_of(fleet, measures=tally) as pool:
        await ask(pool, "m")
        fleet.workers[0].fails_after = 0
        for _ in range(FAULTS_TO_BREAK):
            await asked(pool, "m")
    causes = {cause: counted(tally, "homebred_worker_failures_total", cause=cause) for cause in ("ended", "faulty")}
    assert causes == {"ended": 0, "faulty": 1}


async def test_what_an_engine_says_of_a_task_is_told_to_its_caller_alone() -> None:
    fleet = Fleet.free()
    async with pool_of(fleet) as pool, asyncio.TaskGroup() as group:
        fleet.speaking.clear()
        other = group.create_task(asked(pool, "m", "other"))
        await until(lambda: "m answers other" in fleet.told)
        (worker,) = fleet.workers
        worker.fails_after, worker.fault = 0, api.EngineFailedError("It cannot cope with Xylophonia.")
        for _ in range(FAULTS_TO_BREAK):
            assert await asked(pool, "m") is worker.fault
            assert pool.condition(M).note
            assert "Xylophonia" not in pool.condition(M).note
        heard = str(await other), str(await asked(pool, "m"))
    assert ["tasks in a row failed" in one for one in heard] == [True, True]
    assert "Xylophonia" not in str(heard)


async def test_a_caller_who_leaves_says_nothing_about_the_model() -> None:
    fleet = Fleet.free()
    async with pool_of(fleet) as pool:
        async with aclosing(pool.generate(M, prompt())) as events:
            await anext(events)
        assert pool.condition(M).note == ""


@pytest.mark.parametrize("kind", ["frozen", "stalled", "broken off by a caller"])
def test_a_hung_worker_is_replaced_and_its_callers_are_told_that_it_hung(kind: str) -> None:
    fleet, clock = Fleet.free(), ManualClock()

    async def hung() -> None:
        async with pool_of(fleet, clock=clock) as pool, asyncio.TaskGroup() as group:
            fleet.speaking.clear()
            running = group.create_task(asked(pool, "m"))
            await until(lambda: "m answers r" in fleet.told)
            (worker,) = fleet.workers
            worker.stats = replace(STATS, running=1, computing=1)
            if kind == "frozen":
                worker.describing.clear()
            if kind == "broken off by a caller":  # the engine is stuck all the same
                running.cancel()
            for _ in range(40):
                await settled()
                clock.pass_s(2)
            assert "m stops" in fleet.told
            note = pool.condition(M).note
            if kind != "broken off by a caller":
                assert "The engine hung." in str(await running)
            assert ("did not answer for 5 s" if kind == "frozen" else "no progress for 60 s") in note
            fleet.speaking.set()
            assert await ask(pool, "m") == "01", "its rest is over by now"

    run_with(clock, hung())


def test_an_idle_worker_is_not_looked_at() -> None:
    fleet, clock = Fleet.free(), ManualClock()

    async def idle() -> None:
        async with pool_of(fleet, clock=clock) as pool:
            await ask(pool, "m")
            await settled()
            clock.pass_s(LOOK_EVERY_S)  # the last look finds it idle
            await settled()
            fleet.workers[0].describing.clear()
            for _ in range(20):
                clock.pass_s(LOOK_EVERY_S)
                await settled()
            assert (pool.is_loaded(M), pool.condition(M).note) == (True, "")

    run_with(clock, idle())


async def test_who_waits_for_room_among_models_in_steady_use_gets_it_after_a_while() -> None:
    fleet, clock = Fleet.free(), ManualClock()
    fleet.speaking.clear()
    async with pool_of(fleet, max_models=1, clock=clock) as pool, asyncio.TaskGroup() as group:
        first = group.create_task(ask(pool, "a", "r1"))
        await until(lambda: "a answers r1" in fleet.told)
        waiting = group.create_task(ask(pool, "b", "r2"))
        await settled()
        second = group.create_task(ask(pool, "a", "r3"))
        await until(lambda: "a answers r3" in fleet.told)
        clock.pass_s(STAY_S)
        late = group.create_task(ask(pool, "a", "r4"))
        await settled()
        assert "a answers r4" not in fleet.told, "it waits for the next turn of its model"
        fleet.speaking.set()
        assert [await one for one in (first, second, waiting, late)] == ["01"] * 4
    loads = [line for line in fleet.told if line.endswith("loads")]
    assert loads == ["a loads", "b loads", "a loads"]
    assert fleet.told.index("b ends r2") < fleet.told.index("a answers r4")


async def test_a_crash_is_also_told_to_those_who_wait_for_the_models_next_turn() -> None:
    fleet, clock = Fleet.free(), ManualClock()
    fleet.speaking.clear()
    async with pool_of(fleet, max_models=1, clock=clock) as pool, asyncio.TaskGroup() as group:
        group.create_task(asked(pool, "a", "r1"))
        await until(lambda: "a answers r1" in fleet.told)
        waiting = group.create_task(ask(pool, "b", "r2"))
        clock.pass_s(STAY_S)
        await settled()
        late = group.create_task(asked(pool, "a", "r3"))
        await settled()
        fleet.workers[0].dies_after = 1
        fleet.speaking.set()
        assert isinstance(await late, api.EngineFailedError)
        assert await waiting == "01"
    assert fleet.told.count("a loads") == 1


DEEDS = ["ask", "die", "fail to load", "get well", "kill", "pass", "operator"]
STEPS = st.lists(st.tuples(st.sampled_from(DEEDS), st.floats(0, 70)), max_size=30)


@settings(max_examples=100, deadline=None)
@given(STEPS)
def test_no_sequence_of_failures_starts_a_worker_within_a_rest_or_two_at_a_time(steps: list[tuple[str, float]]) -> None:
    asyncio.run(played(steps))


async def played(steps: list[tuple[str, float]]) -> None:
    """Callers in groups of four, whose worker does what the steps say; every start is held against what came before."""
    fleet, clock, may_start_at_s = Fleet.free(), ManualClock(), [0.0]

    def on_start() -> None:
        assert clock.elapsed_s >= may_start_at_s[-1], "its rest is not over"
        assert not any(worker.is_alive for worker in fleet.workers), "one worker at a time"

    def on_change(_: ServedModel, health: Health) -> None:
        if health.phase is Phase.HEALTHY:
            may_start_at_s.append(0.0)
        else:
            assert health.retry_at_s == clock.elapsed_s + backoff_s(health.failures)
            may_start_at_s.append(health.retry_at_s if health.phase is Phase.BACKING_OFF else float("inf"))

    fleet.on_start = on_start
    room = Room(max_models=2, slots=2, threads=1, load_timeout_s=60)
    pool = WorkerPool(fleet, clock, room, RecordedJournal(), on_health_change=on_change)
    async with pool.running():
        for step, seconds in steps:
            await done(step, seconds, pool, fleet, clock)
            await settled()


async def done(step: str, seconds: float, pool: WorkerPool, fleet: Fleet, clock: ManualClock) -> None:
    if step == "die":
        fleet.dies_after = 1
    elif step == "fail to load":
        fleet.fails_to_load = frozenset({"m"})
    elif step == "get well":
        fleet.dies_after, fleet.fails_to_load = None, frozenset()
    elif step == "kill":
        for worker in fleet.workers:
            worker.die()
    elif step == "pass":
        clock.pass_s(seconds)
    elif step == "operator":
        with suppress(api.EngineError):
            await pool.load(M)
    else:
        await asyncio.gather(*(asked(pool, "m", f"r{number}") for number in range(4)))
