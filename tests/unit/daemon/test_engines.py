from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing

import pytest
from tests.support.fake_workers import Fleet
from tests.support.manual_clock import ManualClock, run_with

from homebred_daemon.ports import Prompt, ServedModel
from homebred_daemon.services.engines import Room, WorkerPool
from homebred_engines import api


def model(name: str, engine: str = "echo") -> ServedModel:
    return ServedModel(engine=engine, path=name, digest=f"sha256:{name}", context_tokens=512)


def prompt(request_id: str = "r") -> Prompt:
    messages = (api.Message(role="user", content="hello"),)
    return Prompt(request_id=request_id, fairness_key="", messages=messages, options=api.GenerateOptions())


def pool_of(fleet: Fleet, max_models: int = 2, clock: ManualClock | None = None) -> WorkerPool:
    room = Room(max_models=max_models, slots=2, threads=3, load_timeout_s=60, memory_budget_bytes=1 << 30)
    return WorkerPool(fleet, clock or ManualClock(), room)


async def ask(pool: WorkerPool, name: str, request_id: str = "r") -> str:
    events = [event async for event in pool.generate(model(name), prompt(request_id))]
    return "".join(event.text for event in events if isinstance(event, api.Delta))


async def until(condition: Callable[[], bool]) -> None:
    """Lets others run until it holds."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came to that")


async def test_a_model_is_loaded_at_its_first_use_and_once_only() -> None:
    fleet = Fleet.free()
    pool = pool_of(fleet)
    assert not pool.is_loaded(model("m"))
    assert [await ask(pool, "m", "r1"), await ask(pool, "m", "r2")] == ["01", "01"]
    assert pool.is_loaded(model("m"))
    assert fleet.told == ["echo starts", "m loads", "m answers r1", "m ends r1", "m answers r2", "m ends r2"]


async def test_a_model_is_loaded_with_its_own_context_and_the_rooms_figures() -> None:
    fleet = Fleet.free()
    await ask(pool_of(fleet), "m")
    assert fleet.loads == [
        api.LoadOptions(
            model_path="m",
            model_digest="sha256:m",
            context_tokens=512,
            slots=2,
            threads=3,
            memory_budget_bytes=1 << 30,
        )
    ]


async def test_many_who_ask_for_the_same_cold_model_wait_for_one_load() -> None:
    fleet = Fleet.free()
    fleet.loading.clear()
    pool = pool_of(fleet)
    async with asyncio.TaskGroup() as group:
        for number in range(5):
            group.create_task(ask(pool, "m", f"r{number}"))
        await until(lambda: "m loads" in fleet.told)
        fleet.loading.set()
    assert fleet.told.count("m loads") == 1


async def test_at_the_bound_the_longest_unused_model_leaves_before_the_newcomer_loads() -> None:
    fleet, clock = Fleet.free(), ManualClock()
    pool = pool_of(fleet, clock=clock)
    for name in ("a", "b", "a", "c"):
        clock.pass_s(1)
        await ask(pool, name)
    assert fleet.serving() == ["a", "c"]
    assert fleet.told.index("b stops") < fleet.told.index("c loads")


async def test_a_busy_model_is_never_unloaded_the_newcomer_is_told_to_come_back() -> None:
    fleet = Fleet.free()
    fleet.speaking.clear()
    pool = pool_of(fleet, max_models=1)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(ask(pool, "a"))
        await until(lambda: "a answers r" in fleet.told)
        with pytest.raises(api.QueueFullError) as caught:
            await ask(pool, "b")
        assert caught.value.retry_after_s > 0
        fleet.speaking.set()
    assert running.result() == "01"
    assert await ask(pool, "b") == "01"
    assert fleet.serving() == ["b"]


async def test_a_model_that_is_still_loading_counts_against_the_bound() -> None:
    fleet = Fleet.free()
    fleet.loading.clear()
    pool = pool_of(fleet, max_models=1)
    async with asyncio.TaskGroup() as group:
        group.create_task(ask(pool, "a"))
        await until(lambda: "a loads" in fleet.told)
        with pytest.raises(api.QueueFullError):
            await ask(pool, "b")
        fleet.loading.set()
    assert "b loads" not in fleet.told


async def test_two_newcomers_do_not_take_the_same_room() -> None:
    fleet = Fleet.free()
    pool = pool_of(fleet, max_models=1)
    await ask(pool, "old")
    results = await asyncio.gather(ask(pool, "a"), ask(pool, "b"), return_exceptions=True)
    assert [type(result) for result in results] == [str, api.QueueFullError]
    assert fleet.serving() == ["a"]


async def test_a_worker_that_died_is_forgotten_and_the_next_request_starts_another() -> None:
    fleet = Fleet.free()
    pool = pool_of(fleet)
    await ask(pool, "m")
    fleet.workers[0].dies_after = 1
    with pytest.raises(api.EngineFailedError, match="It died"):
        await ask(pool, "m")
    assert not pool.is_loaded(model("m"))
    assert "It died" in pool.last_failure(model("m"))
    assert await ask(pool, "m") == "01"
    assert pool.last_failure(model("m")) == ""
    assert [worker.pid for worker in pool.workers()] == [fleet.workers[1].pid]


async def test_a_dead_worker_takes_no_room() -> None:
    fleet = Fleet.free()
    pool = pool_of(fleet, max_models=1)
    await ask(pool, "a")
    fleet.workers[0].is_alive = False
    await ask(pool, "b")
    assert fleet.told.index("a stops") < fleet.told.index("b loads"), "its process is reaped first"


async def test_a_file_that_is_refused_leaves_no_worker_behind_and_says_why() -> None:
    fleet = Fleet.free()
    fleet.refuses = frozenset({"m"})
    pool = pool_of(fleet, max_models=1)
    with pytest.raises(api.ModelRefusedError):
        await ask(pool, "m")
    assert (fleet.told[-1], pool.workers()) == ("m stops", ())
    assert "picture of a cat" in pool.last_failure(model("m"))
    assert await ask(pool, "other") == "01"


def test_a_load_that_takes_too_long_is_given_up() -> None:
    fleet, clock = Fleet.free(), ManualClock()

    async def asked() -> None:
        fleet.loading.clear()
        pool = pool_of(fleet, clock=clock)
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(outcome(ask(pool, "m")))
            await until(lambda: "m loads" in fleet.told)
            clock.pass_s(61)
        assert "not loaded within 60 s" in str(asking.result())
        assert fleet.told[-1] == "m stops"

    run_with(clock, asked())


async def outcome(coroutine: object) -> object:
    """The failure of something, as a value."""
    try:
        return await coroutine  # type: ignore[misc]  # any coroutine will do
    except api.EngineError as error:
        return error


async def test_a_caller_who_leaves_while_the_model_loads_takes_the_load_with_him_and_the_next_begins_anew() -> None:
    fleet = Fleet.free()
    fleet.loading.clear()
    pool = pool_of(fleet, max_models=1)
    async with asyncio.TaskGroup() as group:
        leaving = group.create_task(ask(pool, "m", "r1"))
        staying = group.create_task(ask(pool, "m", "r2"))
        await until(lambda: "m loads" in fleet.told)
        leaving.cancel()
        await until(lambda: fleet.told.count("m loads") == 2)
        fleet.loading.set()
    assert staying.result() == "01"
    assert fleet.serving() == ["m"]


async def test_a_stream_closed_half_way_frees_its_model() -> None:
    fleet = Fleet.free()
    pool = pool_of(fleet, max_models=1)
    async with aclosing(pool.generate(model("a"), prompt())) as events:
        await anext(events)
    assert fleet.told[-1] == "a ends r"
    assert await ask(pool, "b") == "01"


async def test_the_same_file_under_another_engine_is_another_model() -> None:
    fleet = Fleet.free()
    pool = pool_of(fleet)
    await ask(pool, "m")
    assert not pool.is_loaded(model("m", engine="llamacpp"))


async def test_closing_ends_every_worker() -> None:
    fleet = Fleet.free()
    pool = pool_of(fleet)
    await ask(pool, "a")
    await ask(pool, "b")
    await pool.close()
    assert sorted(fleet.told[-2:]) == ["a stops", "b stops"]
    assert (pool.workers(), fleet.serving()) == ((), [])
