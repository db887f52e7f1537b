from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.fake_workers import Fleet
from tests.support.manual_clock import ManualClock, run_with
from tests.support.worker_pools import adapter, model, pool_of, prompt, settled, until

from homebred_daemon.core.supervision import FAULTS_TO_BREAK
from homebred_daemon.services.adapting import TURN_S, AdapterChange, Adapting
from homebred_daemon.services.engines import WorkerPool
from homebred_daemon.services.loading import LoadedWorker
from homebred_engines import api

M = model("m")


async def said(pool: WorkerPool, name: str = "", request_id: str = "r") -> str | Exception:
    """What the model answers with an adapter, or fails with."""
    asked = prompt(request_id, adapter=adapter(name) if name else None)
    try:
        events = [event async for event in pool.generate(M, asked)]
    except (api.EngineError, OSError) as error:
        return error
    return "".join(event.text for event in events if isinstance(event, api.Delta))


async def test_a_model_is_loaded_with_the_adapters_of_its_specialists() -> None:
    fleet = Fleet.free()
    async with pool_of(fleet) as pool:
        pool.keep_only({M: (adapter("a"), adapter("b"))})
        assert [await said(pool, name) for name in ("a", "b", "")] == ["01"] * 3
    assert [adapter.digest for adapter in fleet.loads[0].adapters] == ["a", "b"]
    assert not any("takes" in line for line in fleet.told)


async def test_an_adapter_that_is_not_served_is_swapped_in_once_for_all_who_ask() -> None:
    fleet = Fleet.free()
    fleet.changing.clear()
    async with pool_of(fleet) as pool, asyncio.TaskGroup() as group:
        await said(pool)
        asking = [group.create_task(said(pool, "a", f"r{number}")) for number in range(16)]
        await until(lambda: "m takes a" in fleet.told)
        fleet.changing.set()
        assert await asyncio.gather(*asking) == ["01"] * 16
    assert fleet.told.count("m takes a") == 1


async def test_the_base_alone_answers_while_adapters_are_swapped() -> None:
    fleet = Fleet.free()
    fleet.changing.clear()
    async with pool_of(fleet) as pool, asyncio.TaskGroup() as group:
        await said(pool)
        waiting = group.create_task(said(pool, "a"))
        await until(lambda: "m takes a" in fleet.told)
        assert await said(pool) == "01"
        assert not waiting.done()
        fleet.changing.set()


async def test_beyond_the_bound_the_longest_unused_adapter_is_left_out() -> None:
    fleet, clock = Fleet.free(), ManualClock()
    async with pool_of(fleet, clock=clock, max_adapters=2) as pool:
        pool.keep_only({M: tuple(map(adapter, "abc"))})
        for name in ("a", "b", "a", "c"):
            clock.pass_s(1)
            assert await said(pool, name) == "01"
    assert [line for line in fleet.told if "takes" in line] == ["m takes a c"]


async def test_an_adapter_in_use_is_never_left_out_and_newcomers_wait_for_one_that_is_free() -> None:
    fleet = Fleet.free()
    async with pool_of(fleet, max_adapters=1) as pool, asyncio.TaskGroup() as group:
        await said(pool, "a")
        fleet.speaking.clear()
        running = group.create_task(said(pool, "a", "r1"))
        await until(lambda: "m answers r1" in fleet.told)
        waiting = group.create_task(said(pool, "b", "r2"))
        await settled()
        assert "m takes b" not in fleet.told
        fleet.speaking.set()
        assert [await running, await waiting] == ["01", "01"]
    assert fleet.told.index("m ends r1") < fleet.told.index("m takes b") < fleet.told.index("m answers r2")


async def test_adapters_of_new_specialists_are_swapped_in_before_anybody_asks() -> None:
    fleet = Fleet.free()
    async with pool_of(fleet) as pool:
        await said(pool)
        pool.keep_only({M: (adapter("a"),)})
        await until(lambda: "m takes a" in fleet.told)
        pool.keep_only({M: ()})
        await until(lambda: "m takes none" in fleet.told)


async def test_a_refused_adapter_keeps_no_other_from_being_served() -> None:
    fleet = Fleet.free()
    fleet.refused_adapters = frozenset({"bad"})
    async with pool_of(fleet) as pool:
        pool.keep_only({M: (adapter("bad"), adapter("good"))})
        assert [await said(pool, "good"), await said(pool)] == ["01", "01"]
        refused = await said(pool, "bad")
        assert isinstance(refused, api.AdapterRefusedError)
        assert refused.adapter == "bad"
        assert pool.condition(M).note == "", "the model itself is well"
        assert pool.condition(M, adapter("bad")).note.startswith("its adapter was refused: It is for another base.")
        assert pool.condition(M, adapter("good")).note == ""
    assert [[each.digest for each in load.adapters] for load in fleet.loads] == [["bad", "good"], ["good"]]


async def test_one_that_is_refused_later_is_told_to_those_who_ask_for_it_alone() -> None:
    fleet = Fleet.free()
    fleet.refused_adapters = frozenset({"bad"})
    async with pool_of(fleet) as pool:
        await said(pool)
        outcomes = await asyncio.gather(said(pool, "bad"), said(pool, "good"), said(pool, "bad"))
        assert [type(outcome) for outcome in outcomes] == [api.AdapterRefusedError, str, api.AdapterRefusedError]
    assert fleet.told.count("m takes bad") == 1, "nobody tries again what was refused"


async def test_one_whose_file_has_gone_leaves_though_an_answer_runs_on_it() -> None:
    fleet = Fleet.free()
    async with pool_of(fleet) as pool, asyncio.TaskGroup() as group:
        pool.keep_only({M: (adapter("old"),)})
        await said(pool, "old")
        fleet.speaking.clear()
        running = group.create_task(said(pool, "old", "r1"))
        await until(lambda: "m answers r1" in fleet.told)
        fleet.refused_adapters = frozenset({"old"})
        pool.keep_only({M: (adapter("new"),)})
        await until(lambda: fleet.workers[0].adapters == {"new"})
        fleet.speaking.set()
        assert (await running, await said(pool, "new")) == ("01", "01")


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (api.ModelRefusedError("It needs 9 MB."), "It needs 9 MB"),
        (api.EngineFailedError("It stumbled."), "It stumbled"),
        (OSError("no space"), "OSError while its adapters were changed"),
    ],
    ids=["too large", "engine", "other"],
)
async def test_a_change_that_fails_is_told_and_tried_again_by_the_next_task(failure: Exception, told: str) -> None:
    fleet = Fleet.free()
    async with pool_of(fleet) as pool:
        await said(pool, "old")
        fleet.adapter_failure = failure
        assert told in str(await said(pool, "new"))
        assert await said(pool, "old") == "01", "the old ones serve on"
        fleet.adapter_failure = None
        assert await said(pool, "new") == "01"


async def test_who_leaves_while_an_adapter_is_swapped_in_takes_nothing_along() -> None:
    fleet = Fleet.free()
    fleet.changing.clear()
    async with pool_of(fleet) as pool, asyncio.TaskGroup() as group:
        await said(pool)
        first, second = (group.create_task(said(pool, "a", name)) for name in ("r1", "r2"))
        await until(lambda: "m takes a" in fleet.told)
        first.cancel()
        fleet.changing.set()
        assert await second == "01"


async def test_closing_the_pool_ends_those_who_wait_for_an_adapter() -> None:
    fleet = Fleet.free()
    fleet.changing.clear()
    async with asyncio.TaskGroup() as group:
        async with pool_of(fleet) as pool:
            await said(pool)
            waiting = group.create_task(said(pool, "a"))
            await until(lambda: "m takes a" in fleet.told)
        assert isinstance(await waiting, api.EngineFailedError)


async def test_who_waits_with_a_refused_one_is_served_all_the_same() -> None:
    fleet = Fleet.free()
    async with pool_of(fleet) as pool, asyncio.TaskGroup() as group:
        await said(pool)
        fleet.refused_adapters = frozenset({"bad"})
        fleet.changing.clear()
        pool.keep_only({M: (adapter("bad"), adapter("good"))})
        waiting = group.create_task(said(pool, "good"))
        await until(lambda: "m takes bad good" in fleet.told)
        fleet.changing.set()
        assert await waiting == "01"


async def test_a_refusal_that_names_none_of_them_is_not_tried_over_and_over() -> None:
    fleet = Fleet.free()
    async with pool_of(fleet) as pool:
        await said(pool)
        fleet.adapter_failure = api.AdapterRefusedError("One of them is for another base.")
        assert isinstance(await said(pool, "a"), api.AdapterRefusedError)
        await settled()
        assert fleet.told.count("m takes a") == 1


async def test_a_change_that_fails_counts_once_against_the_model_however_many_waited_for_it() -> None:
    fleet = Fleet.free()
    async with pool_of(fleet) as pool, asyncio.TaskGroup() as group:
        await said(pool)
        fleet.changing.clear()
        fleet.adapter_failure = api.EngineFailedError("It stumbled.")
        waiting = [group.create_task(said(pool, "a", f"r{number}")) for number in range(16)]
        await until(lambda: "m takes a" in fleet.told)
        fleet.changing.set()
        assert all(isinstance(outcome, api.EngineFailedError) for outcome in await asyncio.gather(*waiting))
        await settled()
        assert fleet.workers[0].is_alive


async def test_a_worker_that_fails_at_every_change_is_replaced() -> None:
    fleet = Fleet.free()
    async with pool_of(fleet) as pool:
        await said(pool)
        fleet.adapter_failure = api.EngineFailedError("It stumbled.")
        for _ in range(FAULTS_TO_BREAK):
            assert isinstance(await said(pool, "a"), api.EngineFailedError)
        await until(lambda: not fleet.workers[0].is_alive)


async def test_one_that_the_worker_no_longer_serves_is_had_served_for_the_next() -> None:
    fleet = Fleet.free()
    async with pool_of(fleet) as pool:
        assert await said(pool, "a") == "01"
        fleet.workers[0].adapters.clear()
        assert isinstance(await said(pool, "a"), api.AdapterNotLoadedError)
        assert await said(pool, "a") == "01"


async def test_one_that_was_refused_is_tried_again_once_it_has_left_the_store_and_come_back() -> None:
    fleet = Fleet.free()
    fleet.refused_adapters = frozenset({"a"})
    async with pool_of(fleet) as pool:
        pool.keep_only({M: (adapter("a"),)})
        assert isinstance(await said(pool, "a"), api.AdapterRefusedError)
        fleet.refused_adapters = frozenset()
        pool.keep_only({M: ()})
        pool.keep_only({M: (adapter("a"),)})
        assert await said(pool, "a") == "01"


async def test_an_operator_has_a_refused_one_tried_again() -> None:
    fleet = Fleet.free()
    async with pool_of(fleet) as pool:
        await said(pool)
        fleet.refused_adapters = frozenset({"a"})
        assert isinstance(await said(pool, "a"), api.AdapterRefusedError)
        fleet.refused_adapters = frozenset()
        await pool.load(M, adapter("a"))
        assert await said(pool, "a") == "01"


async def test_who_waits_for_an_adapter_gets_its_turn_though_others_are_always_in_use() -> None:
    fleet, clock = Fleet.free(), ManualClock()
    async with pool_of(fleet, clock=clock, max_adapters=1) as pool, asyncio.TaskGroup() as group:
        await said(pool, "a")
        fleet.speaking.clear()
        running = group.create_task(said(pool, "a", "r0"))
        await until(lambda: "m answers r0" in fleet.told)
        waiting = group.create_task(said(pool, "b", "b"))
        await settled()
        clock.pass_s(60)
        following = group.create_task(said(pool, "a", "r1"))
        await settled()
        assert "m answers r1" not in fleet.told, "or one after another, it would be in use for ever"
        fleet.speaking.set()
        assert [await running, await waiting, await following] == ["01"] * 3


def test_a_worker_that_is_silent_while_it_swaps_is_not_taken_for_frozen() -> None:
    fleet, clock = Fleet.free(), ManualClock()

    async def swapped() -> None:
        async with pool_of(fleet, clock=clock) as pool, asyncio.TaskGroup() as group:
            await said(pool)
            fleet.changing.clear()
            fleet.workers[0].describing.clear()
            waiting = group.create_task(said(pool, "a"))
            await until(lambda: "m takes a" in fleet.told)
            for _ in range(10):
                clock.pass_s(2)
                await asyncio.sleep(0)
                await settled()
            assert fleet.workers[0].is_alive
            fleet.workers[0].describing.set()
            fleet.changing.set()
            assert await waiting == "01"

    run_with(clock, swapped())


@asynccontextmanager
async def adapting_of(
    fleet: Fleet, *, most: int, changes: list[AdapterChange], limit_s: float = 60, clock: ManualClock | None = None
) -> AsyncIterator[Adapting]:
    worker = await fleet.start("echo")
    async with asyncio.TaskGroup() as group:

        def own(work: Any) -> None:
            group.create_task(work)

        yield Adapting(worker, clock or ManualClock(), most=most, limit_s=limit_s, own=own, on_change=changes.append)


async def test_after_a_change_that_was_given_up_nobody_counts_on_what_was_served_before() -> None:
    fleet, changes = Fleet.free(), list[AdapterChange]()
    async with adapting_of(fleet, most=1, changes=changes, limit_s=0) as adapting:
        adapting.begin(LoadedWorker(worker=fleet.workers[0], adapters=("old",), refused={}))
        fleet.changing.clear()
        with pytest.raises(api.EngineFailedError, match="not changed within 0 s"):
            async with adapting.serving(adapter("new")):
                pass
        fleet.changing.set()  # what was given up comes to its end in the engine
        async with adapting.serving(adapter("old")):
            pass
    assert [line for line in fleet.told if "takes" in line] == [" takes new", " takes old"]


@given(st.integers(1, 3), st.lists(st.sampled_from("abcde"), max_size=20))
def test_whoever_is_let_in_has_its_adapter_served_until_it_leaves(most: int, names: list[str]) -> None:
    async def run() -> None:
        fleet, changes, clock = Fleet.free(), list[AdapterChange](), ManualClock()
        async with adapting_of(fleet, most=most, changes=changes, clock=clock) as adapting:

            async def use(name: str) -> None:
                async with adapting.serving(adapter(name)):
                    for _ in range(5):
                        clock.pass_s(TURN_S / 3)
                        assert name in fleet.workers[0].adapters
                        await asyncio.sleep(0)

            await asyncio.gather(*map(use, names))
        assert len(fleet.workers[0].adapters) <= most
        assert all(change.failure is None for change in changes)

    asyncio.run(run())
