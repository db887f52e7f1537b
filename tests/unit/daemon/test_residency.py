from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.support.answering_stage import Actor, Stage
from tests.support.fake_workers import STATS, Fleet
from tests.support.worker_pools import ask, asked, model, pool_of, until

from homebred_daemon.errors import EngineUnavailableError, NotFoundError, OverloadedError, RequestError
from homebred_daemon.inbound.caretaking import WorkerState
from homebred_daemon.services.engines import MAX_WAITING, WorkerPool
from homebred_daemon.services.residency import Residency


@asynccontextmanager
async def house(fleet: Fleet, *names: str, max_models: int = 2) -> AsyncIterator[tuple[Residency, WorkerPool]]:
    """A daemon that serves these specialists, each on a model of its own."""
    stage = Stage({name: Actor() for name in names})
    async with stage.answering() as answering, pool_of(fleet, max_models=max_models) as pool:
        residency = Residency(answering, pool)
        residency.take_up(stage.standing())
        yield residency, pool


async def test_a_model_is_loaded_and_its_worker_described() -> None:
    fleet = Fleet.free()
    async with house(fleet, "m") as (residency, pool):
        state = await residency.load_model("m")
        assert state == WorkerState(pid=fleet.workers[0].pid, stats=STATS)
        assert pool.is_loaded(model("m"))
        assert await residency.load_model("m") == state, "it is loaded once only"


async def test_loading_takes_a_model_out_of_parking() -> None:
    fleet = Fleet.free()
    fleet.refuses = frozenset({"m"})
    async with house(fleet, "m") as (residency, pool):
        await asked(pool, "m")
        assert pool.condition(model("m")).is_parked
        with pytest.raises(EngineUnavailableError, match=r"m cannot be loaded.*picture of a cat"):
            await residency.load_model("m")
        fleet.refuses = frozenset()
        await residency.load_model("m")
        assert await ask(pool, "m") == "01"


async def test_a_load_among_too_many_who_wait_is_told_to_come_back() -> None:
    fleet = Fleet.free()
    fleet.speaking.clear()
    async with house(fleet, "m", max_models=1) as (residency, pool), asyncio.TaskGroup() as group:
        for name in ("busy", *["waiting"] * MAX_WAITING):
            group.create_task(ask(pool, name))
        await until(lambda: "busy answers r" in fleet.told)
        with pytest.raises(OverloadedError):
            await residency.load_model("m")
        fleet.speaking.set()


async def test_an_unloaded_model_is_gone_and_loaded_again_at_its_next_use() -> None:
    fleet = Fleet.free()
    async with house(fleet, "m") as (residency, pool):
        assert not await residency.unload_model("m")
        await ask(pool, "m")
        assert await residency.unload_model("m")
        assert (fleet.told[-1], pool.is_loaded(model("m"))) == ("m stops", False)
        assert await ask(pool, "m") == "01"


async def test_unloading_lets_answers_end_and_who_comes_meanwhile_has_it_loaded_again() -> None:
    fleet = Fleet.free()
    fleet.speaking.clear()
    async with house(fleet, "m") as (residency, pool), asyncio.TaskGroup() as group:
        running = group.create_task(ask(pool, "m", "r1"))
        await until(lambda: "m answers r1" in fleet.told)
        unloading = group.create_task(residency.unload_model("m"))
        await asyncio.sleep(0)
        late = group.create_task(ask(pool, "m", "r2"))
        await asyncio.sleep(0)
        assert not unloading.done()
        fleet.speaking.set()
        assert [await running, await unloading, await late] == ["01", True, "01"]
    told = fleet.told
    assert told.index("m ends r1") < told.index("m stops") < told.index("m answers r2")


async def test_a_model_that_is_just_being_loaded_is_unloaded_after_that() -> None:
    fleet = Fleet.free()
    fleet.loading.clear()
    async with house(fleet, "m") as (residency, _), asyncio.TaskGroup() as group:
        loading = group.create_task(residency.load_model("m"))
        await until(lambda: "m loads" in fleet.told)
        unloading = group.create_task(residency.unload_model("m"))
        await asyncio.sleep(0)
        fleet.loading.set()
        assert await unloading
        await loading


async def test_a_pinned_model_stays_when_others_need_room() -> None:
    fleet = Fleet.free()
    async with house(fleet, "m", "a", "b") as (residency, pool):
        residency.pin_model("m", pinned=True)
        for name in ("m", "a", "b", "a"):
            await ask(pool, name)
        assert pool.is_loaded(model("m"))
        residency.pin_model("m", pinned=False)
        await ask(pool, "b")
        assert not pool.is_loaded(model("m"))


async def test_a_pin_that_would_leave_no_room_for_others_is_refused() -> None:
    async with house(Fleet.free(), "a", "b") as (residency, pool):
        residency.pin_model("a", pinned=True)
        residency.pin_model("a", pinned=True)
        with pytest.raises(RequestError, match=r"b cannot be pinned: of 2 models.*pinned are a") as refused:
            residency.pin_model("b", pinned=True)
        assert refused.value.hint == "raise engine.max_models, or unpin another"
        assert (pool.is_pinned(model("a")), pool.is_pinned(model("b"))) == (True, False)


async def test_where_only_one_model_may_be_loaded_none_can_be_pinned() -> None:
    async with house(Fleet.free(), "a", max_models=1) as (residency, _):
        with pytest.raises(RequestError, match="a cannot be pinned") as refused:
            residency.pin_model("a", pinned=True)
        assert refused.value.hint == "raise engine.max_models"


async def test_a_pin_follows_its_specialist_to_another_file_and_leaves_with_it() -> None:
    async with house(Fleet.free(), "a") as (residency, pool):
        residency.pin_model("a", pinned=True)
        residency.take_up(Stage({"a": Actor(), "b": Actor()}).standing())
        assert pool.is_pinned(model("a"))
        residency.take_up(Stage({"b": Actor()}).standing())
        assert not pool.is_pinned(model("a"))
        residency.pin_model("b", pinned=True)


async def test_a_specialist_that_nobody_serves_is_not_found() -> None:
    async with house(Fleet.free(), "m") as (residency, _):
        with pytest.raises(NotFoundError, match="no specialist 'gone'"):
            await residency.load_model("gone")
        with pytest.raises(NotFoundError):
            await residency.unload_model("gone")
        with pytest.raises(NotFoundError):
            residency.pin_model("gone", pinned=True)
