from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import aclosing
from dataclasses import replace

import pytest
from tests.support.fake_workers import STATS, Fleet
from tests.support.manual_clock import ManualClock, run_with
from tests.support.metrics_reader import counted
from tests.support.worker_pools import ask, asked, model, pool_of, prompt, settled, until

from homebred_daemon.inbound.caretaking import WorkerState
from homebred_daemon.services.engines import MAX_WAITING
from homebred_daemon.services.loading import BESIDE_WEIGHTS_BYTES
from homebred_daemon.services.tallying import Tally
from homebred_engines import api


async def test_a_model_is_loaded_at_its_first_use_and_once_only() -> None:
    fleet = Fleet.free()
    async with pool_of(fleet) as pool:
        assert not pool.is_loaded(model("m"))
        assert [await ask(pool, "m", "r1"), await ask(pool, "m", "r2")] == ["01", "01"]
        assert pool.is_loaded(model("m"))
        assert fleet.told == ["echo starts", "m loads", "m answers r1", "m ends r1", "m answers r2", "m ends r2"]


async def test_a_model_is_loaded_with_its_own_context_and_what_the_others_leave_of_the_memory() -> None:
    fleet = Fleet.free()
    async with pool_of(fleet, max_models=2) as pool:
        first = replace(model("first"), weights_bytes=100_000_000, kv_bytes_per_token=1000)
        assert [event async for event in pool.generate(first, prompt())]
        await ask(pool, "m")
    taken = BESIDE_WEIGHTS_BYTES + 100_000_000 + 2 * 512 * 1000
    assert [load.memory_budget_bytes for load in fleet.loads] == [1 << 30, (1 << 30) - taken]
    assert fleet.loads[1] == api.LoadOptions(
        model_path="m",
        model_digest="sha256:m",
        context_tokens=512,
        slots=2,
        threads=3,
        memory_budget_bytes=(1 << 30) - taken,
    )


async def test_a_model_that_can_never_fit_is_refused_before_a_worker_is_started() -> None:
    fleet = Fleet.free()
    async with pool_of(fleet) as pool:
        large = replace(model("large"), weights_bytes=2 << 30)
        with pytest.raises(api.ModelRefusedError, match="all models together may take 1074 MB"):
            await anext(pool.generate(large, prompt()))
        condition = pool.condition(large)
        assert condition.note.startswith("it cannot be loaded: It needs about 2307 MB")
        assert not condition.is_parked
        assert pool.condition(model("m")).note == ""
    assert fleet.told == []


def test_a_model_that_nobody_uses_any_more_leaves_after_its_time() -> None:
    fleet, clock = Fleet.free(), ManualClock()

    async def kept_alive() -> None:
        async with pool_of(fleet, clock=clock, keep_alive_s=60) as pool:
            await ask(pool, "m")
            clock.pass_s(30)
            await ask(pool, "m")
            await _slept_until(clock, 59)
            assert fleet.serving() == ["m"]
            await _slept_until(clock, 61)
            assert fleet.serving() == []

    run_with(clock, kept_alive())


def test_a_model_whose_askers_left_while_it_was_loaded_leaves_after_its_time_too() -> None:
    fleet, clock = Fleet.free(), ManualClock()
    fleet.loading.clear()

    async def kept_alive() -> None:
        async with pool_of(fleet, clock=clock, keep_alive_s=60) as pool, asyncio.TaskGroup() as group:
            asking = group.create_task(ask(pool, "m"))
            await until(lambda: "m loads" in fleet.told)
            asking.cancel()
            fleet.loading.set()
            await until(lambda: pool.is_loaded(model("m")))
            await _slept_until(clock, 61)
            assert fleet.serving() == []

    run_with(clock, kept_alive())


def test_a_model_that_is_pinned_no_more_leaves_after_its_time() -> None:
    fleet, clock = Fleet.free(), ManualClock()

    async def kept_alive() -> None:
        async with pool_of(fleet, clock=clock, keep_alive_s=60) as pool:
            pool.pin(frozenset({model("m")}))
            await ask(pool, "m")
            await _slept_until(clock, 61)
            assert fleet.serving() == ["m"]
            pool.pin(frozenset())
            await _slept_until(clock, 61)
            assert fleet.serving() == []

    run_with(clock, kept_alive())


async def test_a_model_that_waits_for_room_is_refused_once_a_pin_takes_the_room_away() -> None:
    fleet = Fleet.free()
    small, large = (
        replace(model(name), weights_bytes=size) for name, size in (("small", 300 << 20), ("large", 700 << 20))
    )
    async with pool_of(fleet, max_models=3) as pool, asyncio.TaskGroup() as group:
        fleet.speaking.clear()
        busy = aclosing(pool.generate(small, prompt()))
        async with busy as events:
            await anext(events)
            waiting = group.create_task(_failure(anext(pool.generate(large, prompt()))))
            await settled()
            assert not waiting.done()
            pool.pin(frozenset({small}))
            await settled()
            assert "Pinned are" in str(await waiting)
            fleet.speaking.set()
            assert await ask(pool, "m") == "01", "nobody waits behind it"


async def _failure(asked: Awaitable[object]) -> Exception | None:
    try:
        await asked
    except api.EngineError as error:
        return error
    return None


async def _slept_until(clock: ManualClock, seconds: float) -> None:
    clock.pass_s(seconds)
    await asyncio.sleep(0)
    await settled()


async def test_sixteen_who_ask_for_the_same_cold_model_wait_for_one_load() -> None:
    fleet = Fleet.free()
    fleet.loading.clear()
    async with pool_of(fleet) as pool, asyncio.TaskGroup() as group:
        asking = [group.create_task(ask(pool, "m", f"r{number}")) for number in range(16)]
        await until(lambda: "m loads" in fleet.told)
        fleet.loading.set()
        assert await asyncio.gather(*asking) == ["01"] * 16
    assert fleet.told.count("m loads") == 1


async def test_a_load_goes_on_without_those_who_asked_for_it() -> None:
    fleet = Fleet.free()
    fleet.loading.clear()
    async with pool_of(fleet) as pool:
        for number in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await ask(pool, "m", f"r{number}")
        await until(lambda: "m loads" in fleet.told)
        fleet.loading.set()
        await until(lambda: pool.is_loaded(model("m")))
        assert await ask(pool, "m") == "01"
    assert fleet.told.count("m loads") == 1


async def test_a_load_that_fails_is_told_to_all_who_wait_and_tried_again_after_a_rest() -> None:
    fleet, clock = Fleet.free(), ManualClock()
    fleet.fails_to_load = frozenset({"m"})
    async with pool_of(fleet, max_models=1, clock=clock) as pool:
        failures = await asyncio.gather(*(asked(pool, "m", f"r{number}") for number in range(16)))
        assert {type(failure) for failure in failures} == {api.EngineFailedError}
        assert (fleet.told, await pool.worker_states()) == (["echo starts", "m loads", "m stops"], ())
        assert "died while it loaded" in pool.condition(model("m")).note
        fleet.fails_to_load = frozenset()
        clock.pass_s(1)
        assert await ask(pool, "m") == "01"
        assert pool.condition(model("m")).note == ""


async def test_a_failure_that_is_no_engines_reaches_the_caller_and_the_pool_goes_on() -> None:
    fleet, clock = Fleet.free(), ManualClock()
    fleet.is_broken = True
    async with pool_of(fleet, clock=clock) as pool:
        assert isinstance(await asked(pool, "m"), OSError)
        fleet.is_broken = False
        clock.pass_s(1)
        assert await ask(pool, "m") == "01"


def test_a_load_that_takes_too_long_is_given_up() -> None:
    fleet, clock = Fleet.free(), ManualClock()

    async def given_up() -> None:
        fleet.loading.clear()
        async with pool_of(fleet, clock=clock) as pool, asyncio.TaskGroup() as group:
            asking = group.create_task(asked(pool, "m"))
            await until(lambda: "m loads" in fleet.told)
            clock.pass_s(61)
            assert "not loaded within 60 s" in str(await asking)
            assert fleet.told[-1] == "m stops"

    run_with(clock, given_up())


async def test_at_the_bound_the_longest_unused_model_leaves_before_the_newcomer_loads() -> None:
    fleet, clock = Fleet.free(), ManualClock()
    async with pool_of(fleet, clock=clock) as pool:
        for name in ("a", "b", "a", "c"):
            clock.pass_s(1)
            await ask(pool, name)
        assert fleet.serving() == ["a", "c"]
    assert fleet.told.index("b stops") < fleet.told.index("c loads")


async def test_while_all_models_are_busy_a_newcomer_waits_until_one_is_idle() -> None:
    fleet = Fleet.free()
    fleet.speaking.clear()
    async with pool_of(fleet, max_models=1) as pool, asyncio.TaskGroup() as group:
        running = group.create_task(ask(pool, "a"))
        await until(lambda: "a answers r" in fleet.told)
        waiting = group.create_task(ask(pool, "b"))
        await asyncio.sleep(0)
        assert "b loads" not in fleet.told
        fleet.speaking.set()
        assert [await running, await waiting] == ["01", "01"]
        assert fleet.serving() == ["b"]
    assert fleet.told.index("a ends r") < fleet.told.index("a stops") < fleet.told.index("b loads")


async def test_a_model_that_is_still_loading_counts_against_the_bound() -> None:
    fleet = Fleet.free()
    fleet.loading.clear()
    async with pool_of(fleet, max_models=1) as pool, asyncio.TaskGroup() as group:
        group.create_task(ask(pool, "a"))
        await until(lambda: "a loads" in fleet.told)
        group.create_task(ask(pool, "b"))
        await asyncio.sleep(0)
        assert "b loads" not in fleet.told
        fleet.loading.set()
    assert fleet.told.index("a stops") < fleet.told.index("b loads")


async def test_newcomers_have_room_one_after_the_other_in_the_order_they_asked() -> None:
    fleet = Fleet.free()
    async with pool_of(fleet, max_models=1) as pool:
        await asyncio.gather(*(ask(pool, name) for name in ("a", "b", "c", "b", "a")))
    assert [line for line in fleet.told if line.endswith("loads")] == ["a loads", "b loads", "c loads"]


async def test_who_no_longer_waits_for_room_does_not_get_it() -> None:
    fleet = Fleet.free()
    fleet.speaking.clear()
    async with pool_of(fleet, max_models=1) as pool, asyncio.TaskGroup() as group:
        group.create_task(ask(pool, "a"))
        await until(lambda: "a answers r" in fleet.told)
        leaving = group.create_task(ask(pool, "b"))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.wait([leaving])
        group.create_task(ask(pool, "c"))
        fleet.speaking.set()
    assert "b loads" not in fleet.told
    assert "c loads" in fleet.told


async def test_only_so_many_wait_for_room_and_the_next_is_told_to_come_back() -> None:
    fleet = Fleet.free()
    fleet.speaking.clear()
    async with pool_of(fleet, max_models=1) as pool, asyncio.TaskGroup() as group:
        group.create_task(ask(pool, "a"))
        await until(lambda: "a answers r" in fleet.told)
        waiting = [group.create_task(ask(pool, f"m{number % 3}")) for number in range(MAX_WAITING)]
        await asyncio.sleep(0)
        for name in ("m0", "another"):
            with pytest.raises(api.QueueFullError) as refused:
                await ask(pool, name)
            assert refused.value.retry_after_s > 0
        group.create_task(ask(pool, "a"))  # it needs no room
        await until(lambda: fleet.told.count("a answers r") == 2)
        fleet.speaking.set()
        assert await asyncio.gather(*waiting) == ["01"] * MAX_WAITING
    assert sum(line.endswith("loads") for line in fleet.told) == 4


async def test_cascades_that_cross_each_other_both_come_through() -> None:
    fleet = Fleet.free()
    async with pool_of(fleet, max_models=1) as pool:

        async def cascade(*names: str) -> list[str]:
            return [await ask(pool, name) for name in names]

        async with asyncio.timeout(10):
            answers = await asyncio.gather(cascade("a", "b"), cascade("b", "a"))
        assert list(answers) == [["01", "01"], ["01", "01"]]


async def test_a_dead_worker_takes_no_room() -> None:
    fleet = Fleet.free()
    async with pool_of(fleet, max_models=1) as pool:
        await ask(pool, "a")
        fleet.workers[0].die()
        await ask(pool, "b")
    assert fleet.told.index("a stops") < fleet.told.index("b loads"), "its process is reaped first"


async def test_a_stop_goes_on_without_the_caller_who_needed_the_room() -> None:
    fleet = Fleet.free()
    async with pool_of(fleet, max_models=1) as pool:
        await ask(pool, "a")
        fleet.stopping.clear()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await ask(pool, "b")
        fleet.stopping.set()
        await until(lambda: "b loads" in fleet.told)
    assert fleet.told.index("a stops") < fleet.told.index("b loads")


async def test_a_worker_that_cannot_be_stopped_is_reported_and_the_pool_goes_on() -> None:
    fleet, reported = Fleet.free(), []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context["message"]))
    async with pool_of(fleet, max_models=1) as pool:
        await ask(pool, "a")
        fleet.workers[0].is_unstoppable = True
        assert await ask(pool, "b") == "01"
    assert reported == ["an engine worker could not be stopped"]


def test_a_worker_that_never_says_how_it_stands_is_retired_as_hung() -> None:
    fleet, clock = Fleet.free(), ManualClock()

    async def retired() -> None:
        async with pool_of(fleet, clock=clock) as pool, asyncio.TaskGroup() as group:
            await ask(pool, "m")
            await ask(pool, "sound")
            frozen, sound = fleet.workers
            frozen.describing.clear()
            asking = group.create_task(pool.worker_states())
            await asyncio.sleep(0)
            clock.pass_s(1.1)
            assert await asking == (
                WorkerState(pid=frozen.pid, stats=None),
                WorkerState(pid=sound.pid, stats=STATS),
            )
            doubting = group.create_task(asked(pool, "m", "r2"))
            await asyncio.sleep(0)
            assert "m answers r2" not in fleet.told, "it waits until the doubt is settled"
            for _ in range(2):
                clock.pass_s(2.5)
                await settled()
            assert "did not answer for 5 s" in str(await doubting)
            clock.pass_s(1)
            assert await ask(pool, "m", "r3") == "01"
            assert fleet.told[-5:] == ["m stops", "echo starts", "m loads", "m answers r3", "m ends r3"]
            assert {state.pid for state in await pool.worker_states()} == {sound.pid, fleet.workers[2].pid}

    run_with(clock, retired())


def test_a_worker_that_is_only_slow_to_say_how_it_stands_is_kept() -> None:
    fleet, clock = Fleet.free(), ManualClock()

    async def kept() -> None:
        async with pool_of(fleet, clock=clock) as pool, asyncio.TaskGroup() as group:
            await ask(pool, "m")
            fleet.workers[0].describing.clear()
            asking = group.create_task(pool.worker_states())
            await asyncio.sleep(0)
            clock.pass_s(1.1)
            assert [state.stats for state in await asking] == [None]
            doubting = group.create_task(ask(pool, "m", "r2"))
            fleet.workers[0].describing.set()
            assert await doubting == "01"
            assert [state.stats for state in await pool.worker_states()] == [STATS]
            assert len(fleet.workers) == 1

    run_with(clock, kept())


async def test_models_that_are_no_longer_wanted_leave_at_once_or_when_their_last_answer_ends() -> None:
    fleet = Fleet.free()
    async with pool_of(fleet) as pool, asyncio.TaskGroup() as group:
        await ask(pool, "idle")
        fleet.speaking.clear()
        running = group.create_task(ask(pool, "busy"))
        await until(lambda: "busy answers r" in fleet.told)
        pool.keep_only({model("other"): ()})
        await until(lambda: "idle stops" in fleet.told)
        fleet.speaking.set()
        assert await running == "01"
        await until(lambda: "busy stops" in fleet.told)


async def test_a_failure_of_a_model_that_left_the_store_is_forgotten() -> None:
    fleet = Fleet.free()
    fleet.refuses = frozenset({"m"})
    async with pool_of(fleet) as pool:
        await asked(pool, "m")
        pool.keep_only({})
        assert pool.condition(model("m")).note == ""


async def test_a_stream_closed_half_way_frees_its_model() -> None:
    fleet = Fleet.free()
    async with pool_of(fleet, max_models=1) as pool:
        async with aclosing(pool.generate(model("a"), prompt())) as events:
            await anext(events)
        assert fleet.told[-1] == "a ends r"
        assert await ask(pool, "b") == "01"


async def test_the_same_file_under_another_engine_or_in_another_context_is_another_model() -> None:
    async with pool_of(Fleet.free()) as pool:
        await ask(pool, "m")
        assert not pool.is_loaded(model("m", engine="llamacpp"))
        assert not pool.is_loaded(replace(model("m"), context_tokens=4096))


async def test_closing_waits_until_every_worker_has_ended_those_already_leaving_too() -> None:
    fleet = Fleet.free()
    async with pool_of(fleet, max_models=1) as pool:
        await ask(pool, "a")
        fleet.stopping.clear()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await ask(pool, "b")
        asyncio.get_running_loop().call_later(0, fleet.stopping.set)
    assert "a stops" in fleet.told
    assert fleet.serving() == []


async def test_closing_gives_up_a_load_and_tells_who_waits_for_it() -> None:
    fleet = Fleet.free()
    fleet.loading.clear()
    async with asyncio.TaskGroup() as group, pool_of(fleet, max_models=1) as pool:
        asking = [group.create_task(asked(pool, name)) for name in ("loads", "waits")]
        await until(lambda: "loads loads" in fleet.told)
    assert ["stopping" in str(answer.result()) for answer in asking] == [True, True]
    assert fleet.told == ["echo starts", "loads loads", "loads stops"]
    assert "stopping" in str(await asked(pool, "late"))


async def test_a_pool_that_is_cancelled_ends_its_workers_and_passes_the_cancellation_on() -> None:
    fleet = Fleet.free()

    async def serve() -> None:
        async with pool_of(fleet) as pool:
            await ask(pool, "m")
            await asyncio.Event().wait()

    async with asyncio.TaskGroup() as group:
        serving = group.create_task(serve())
        await until(lambda: "m ends r" in fleet.told)
        serving.cancel()
    assert serving.cancelled()
    assert fleet.told[-1] == "m stops"


async def test_loads_and_what_made_room_for_them_are_counted() -> None:
    tally, clock = Tally(), ManualClock()
    async with pool_of(Fleet.free(), clock=clock, measures=tally) as pool:
        for name in ("a", "b", "c"):
            clock.pass_s(1)
            await ask(pool, name)
        assert await pool.unload(model("c"))
    assert counted(tally, "homebred_model_loads_total", result="loaded") == 3
    assert counted(tally, "homebred_model_load_seconds_count") == 3
    assert counted(tally, "homebred_model_evictions_total") == 1, "what an operator unloads made no room"


def test_a_busy_model_that_closes_for_one_that_waits_is_counted_as_having_made_room() -> None:
    tally, clock, fleet = Tally(), ManualClock(), Fleet.free()

    async def main() -> None:
        async with pool_of(fleet, max_models=1, clock=clock, measures=tally) as pool, asyncio.TaskGroup() as group:
            async with aclosing(pool.generate(model("a"), prompt())) as events:
                await anext(events)
                waiting = group.create_task(ask(pool, "b"))
                await settled()
                clock.pass_s(60)
                late = group.create_task(ask(pool, "a"))
                await settled()
            await asyncio.gather(waiting, late)

    run_with(clock, main())
    assert counted(tally, "homebred_model_evictions_total") == 2, "a for b, and b for a"


async def test_failures_of_workers_and_the_loads_that_follow_them_are_counted() -> None:
    tally, clock, fleet = Tally(), ManualClock(), Fleet.free()
    fleet.refuses = frozenset({"cat"})
    async with pool_of(fleet, clock=clock, measures=tally) as pool:
        await ask(pool, "a")
        fleet.workers[0].die()
        await settled()
        clock.pass_s(2)
        await ask(pool, "a")
        await asked(pool, "cat")
    assert counted(tally, "homebred_worker_failures_total", cause="ended") == 1
    assert counted(tally, "homebred_worker_restarts_total") == 1
    assert counted(tally, "homebred_model_loads_total", result="refusal") == 1
