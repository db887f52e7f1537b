"""The guest of a worker pool: it is there only while nobody else is, and callers never wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from tests.support.fake_workers import Fleet
from tests.support.worker_pools import adapter, ask, model, pool_of, prompt, settled, until

from homebred_daemon.errors import EngineUnavailableError
from homebred_daemon.ports.engines import ServedModel
from homebred_daemon.services.engines import WorkerPool
from homebred_daemon.services.guest import FAILURES_TO_TELL, BrokenOffError
from homebred_engines import api

NEWCOMER = model("new")


async def asked(pool: WorkerPool, request_id: str = "shadow", wanted: ServedModel = NEWCOMER) -> str:
    """What the guest says."""
    async with pool.guest.visit(wanted, None):
        events = [event async for event in pool.guest.generate(wanted, prompt(request_id))]
    return "".join(event.text for event in events if isinstance(event, api.Delta))


async def ending(pool: WorkerPool) -> str | BaseException:
    """What the guest says, or what it is broken off by."""
    try:
        return await asked(pool)
    except (BrokenOffError, EngineUnavailableError, api.EngineError) as error:
        return error


@asynccontextmanager
async def speaking(fleet: Fleet, pool: WorkerPool) -> AsyncIterator[asyncio.Task[str | BaseException]]:
    """A guest in the middle of an answer."""
    fleet.speaking.clear()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(ending(pool))
        await until(lambda: "new answers " in fleet.told)
        yield task


async def test_it_answers_in_a_worker_of_its_own_that_stays_for_the_next_time() -> None:
    fleet = Fleet.free()
    async with pool_of(fleet) as pool:
        await ask(pool, "serving")
        assert [await asked(pool), await asked(pool)] == ["01", "01"]
        assert sorted(fleet.serving()) == ["new", "serving"]
        assert fleet.told.count("new loads") == 1
        assert [load.slots for load in fleet.loads] == [2, 1]
        assert [line for line in fleet.told if "starts" in line] == ["echo starts", "echo starts and gives way"]
        assert not pool.is_loaded(NEWCOMER), "the pool itself does not serve it"
        await pool.guest.leave()
        assert fleet.serving() == ["serving"]
        await pool.guest.leave()


async def test_a_caller_breaks_it_off_before_its_own_answer_begins_and_waits_for_nothing() -> None:
    fleet = Fleet.free()
    async with pool_of(fleet) as pool:
        await ask(pool, "serving")
        async with asyncio.TaskGroup() as callers, speaking(fleet, pool) as guest:
            caller = callers.create_task(ask(pool, "serving", "caller"))
            await until(lambda: "serving answers caller" in fleet.told)
            await settled()
            assert isinstance(guest.result(), BrokenOffError)
            assert "new stops" not in fleet.told, "its process stays: nobody waits for its end"
            fleet.speaking.set()
            assert await caller == "01"
    assert fleet.told.count("new ends ") == 1


@pytest.mark.parametrize("comes", ["embed", "load"])
async def test_whoever_uses_an_engine_breaks_it_off(comes: str) -> None:
    fleet = Fleet.free()
    async with pool_of(fleet) as pool:
        await ask(pool, "serving")
        async with speaking(fleet, pool) as guest:
            if comes == "embed":
                await pool.embed(model("serving"), ["x"], fairness_key="")
            else:
                await pool.load(model("serving"))
            assert isinstance(await guest, BrokenOffError)
            fleet.speaking.set()


async def test_while_somebody_is_served_it_does_not_begin() -> None:
    fleet = Fleet.free()
    async with pool_of(fleet) as pool:
        fleet.speaking.clear()
        async with asyncio.TaskGroup() as group:
            caller = group.create_task(ask(pool, "serving"))
            await until(lambda: "serving answers r" in fleet.told)
            assert isinstance(await ending(pool), BrokenOffError)
            assert fleet.serving() == ["serving"]
            fleet.speaking.set()
            await caller


async def test_before_a_model_is_loaded_the_guests_process_is_gone() -> None:
    fleet = Fleet.free()
    async with pool_of(fleet, max_models=3) as pool:
        await ask(pool, "serving")
        await asked(pool)
        await ask(pool, "other")
        assert fleet.told.index("new stops") < fleet.told.index("other loads")
        assert sorted(fleet.serving()) == ["other", "serving"]
        assert await asked(pool) == "01"


async def test_a_caller_who_needs_a_model_ends_the_guests_load() -> None:
    fleet = Fleet.free()
    async with pool_of(fleet) as pool:
        await ask(pool, "serving")
        fleet.loading.clear()
        async with asyncio.TaskGroup() as group:
            guest = group.create_task(ending(pool))
            await until(lambda: "new loads" in fleet.told)
            caller = group.create_task(ask(pool, "other"))
            await until(lambda: "other loads" in fleet.told)
            assert isinstance(await guest, BrokenOffError)
            assert fleet.told.index("new stops") < fleet.told.index("other loads")
            fleet.loading.set()
            assert await caller == "01"


def sized(name: str, megabytes: int) -> ServedModel:
    return replace(model(name), weights_bytes=megabytes * 1_000_000, kv_bytes_per_token=1)


async def test_it_takes_no_memory_that_a_loaded_model_may_need() -> None:
    fleet = Fleet.free()
    async with pool_of(fleet, max_models=3) as pool:  # of 1 GiB
        large = sized("large", 500)
        _ = [event async for event in pool.generate(large, prompt())]
        with pytest.raises(BrokenOffError):
            await asked(pool, wanted=sized("new", 500))
        assert fleet.serving() == ["large"]
        small = sized("new", 50)
        assert await asked(pool, wanted=small) == "01"
        assert fleet.loads[-1].memory_budget_bytes == (1 << 30) - pool._room.need(large, ()).ram


async def test_while_a_model_that_leaves_still_holds_its_memory_it_does_not_begin() -> None:
    fleet = Fleet.free()
    async with pool_of(fleet) as pool, asyncio.TaskGroup() as group:
        await ask(pool, "old")
        fleet.stopping.clear()
        group.create_task(pool.unload(model("old")))
        await settled()
        assert isinstance(await ending(pool), BrokenOffError)
        fleet.stopping.set()
        await settled()
        assert await asked(pool) == "01"


async def test_it_counts_as_one_of_the_models_that_may_be_loaded() -> None:
    fleet = Fleet.free()
    async with pool_of(fleet, max_models=1) as pool:
        await ask(pool, "serving")
        assert isinstance(await ending(pool), BrokenOffError)


async def test_what_the_engine_finds_no_room_for_is_broken_off_and_an_engine_that_does_not_run_is_told() -> None:
    fleet = Fleet.free()
    async with pool_of(fleet) as pool:
        fleet.refuses = frozenset({"new"})
        assert isinstance(await ending(pool), BrokenOffError)
    async with pool_of(fleet) as pool:
        fleet.refuses, fleet.fails_to_load = frozenset(), frozenset({"new"})
        told = [await ending(pool) for _ in range(FAILURES_TO_TELL)]
        assert [type(each) for each in told] == [BrokenOffError, BrokenOffError, EngineUnavailableError]
        assert fleet.serving() == []
        assert pool.failures == 0, "it is held against no model of the pool's"
        assert not pool.out_of_service()


async def test_a_worker_that_died_is_started_anew_and_another_model_takes_its_place() -> None:
    fleet = Fleet.free()
    async with pool_of(fleet) as pool:
        fleet.dies_after = 1
        assert isinstance(await ending(pool), api.EngineFailedError)
        fleet.dies_after = None
        assert await asked(pool) == "01"
        assert await asked(pool, wanted=model("newer")) == "01"
        assert fleet.serving() == ["newer"]


async def test_it_answers_on_its_adapter_or_says_that_that_is_not_taken() -> None:
    fleet = Fleet.free()
    async with pool_of(fleet) as pool:
        async with pool.guest.visit(NEWCOMER, adapter("a")):
            events = [event async for event in pool.guest.generate(NEWCOMER, prompt("s", adapter("a")))]
        assert len(events) == 3
        await pool.guest.leave()
        fleet.refused_adapters = frozenset({"a"})
        with pytest.raises(EngineUnavailableError, match="adapter"):
            async with pool.guest.visit(NEWCOMER, adapter("a")):
                pass


async def test_whom_nobody_visits_says_nothing_and_it_makes_no_vectors() -> None:
    async with pool_of(Fleet.free()) as pool:
        with pytest.raises(api.ModelNotLoadedError):
            _ = [event async for event in pool.guest.generate(NEWCOMER, prompt())]
        with pytest.raises(api.UnsupportedOptionError):
            await pool.guest.embed(NEWCOMER, ["x"], fairness_key="")
        assert pool.guest.out_of_service() == frozenset()


@pytest.mark.parametrize("when", ["answering", "idle"])
async def test_with_the_pool_it_ends(when: str) -> None:
    fleet = Fleet.free()
    async with asyncio.TaskGroup() as group:
        async with pool_of(fleet) as pool:
            if when == "answering":
                fleet.speaking.clear()
                group.create_task(ending(pool))
                await until(lambda: "new answers " in fleet.told)
            else:
                await asked(pool)
        assert fleet.serving() == []


async def test_a_visitor_who_is_cancelled_or_fails_is_told_so_and_the_next_one_is_let_in() -> None:
    fleet = Fleet.free()
    async with pool_of(fleet) as pool:
        async with speaking(fleet, pool) as guest:
            guest.cancel()
            await asyncio.wait([guest])
        assert guest.cancelled()
        with pytest.raises(TimeoutError):
            async with pool.guest.visit(NEWCOMER, None):
                raise TimeoutError
        fleet.speaking.set()
        assert await asked(pool) == "01"


@pytest.mark.parametrize("turns", range(12))
async def test_at_whatever_moment_a_caller_comes_it_is_served_and_the_guest_is_whole_or_broken_off(turns: int) -> None:
    fleet = Fleet.free()
    async with pool_of(fleet) as pool:
        await ask(pool, "serving")
        async with asyncio.TaskGroup() as group:
            guest = group.create_task(ending(pool))
            for _ in range(turns):
                await asyncio.sleep(0)
            assert await ask(pool, "serving", "caller") == "01"
        assert isinstance(guest.result(), BrokenOffError) or guest.result() == "01"
        await settled()
        starts = [line for line in fleet.told if line == "new loads"]
        assert len(fleet.serving()) <= 2
        assert len(starts) <= 1
