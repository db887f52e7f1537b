"""Releases change under running answers."""

from __future__ import annotations

from contextlib import aclosing

from tests.support.fake_workers import Fleet
from tests.support.worker_pools import adapter, ask, model, pool_of, prompt, settled

from homebred_daemon.services.releases.release_serving import ReleaseServing

OLD, NEW = model("old"), model("new")


async def test_a_stream_ends_on_the_release_that_it_began_with_whose_files_are_in_use_until_then() -> None:
    fleet = Fleet.free()
    async with pool_of(fleet) as pool:
        pool.keep_only({OLD: ()})

        async def reload_models() -> None:
            pool.keep_only({NEW: ()})

        serving = ReleaseServing(reload_models, pool)
        async with aclosing(pool.generate(OLD, prompt("r1"))) as events:
            await anext(events)
            await serving.take_up()
            assert await ask(pool, "new", "r2") == "01"
            assert serving.in_use() == {"sha256:old"}
            assert "old" in fleet.serving()
            assert [event async for event in events]
        await settled()
        assert serving.in_use() == frozenset()
        assert fleet.serving() == ["new"]


async def test_an_adapter_is_in_use_while_an_answer_runs_on_it() -> None:
    async with pool_of(Fleet.free()) as pool:
        serving = ReleaseServing(settled, pool)
        async with aclosing(pool.generate(OLD, prompt("r1", adapter("a")))) as events:
            await anext(events)
            assert serving.in_use() == {"sha256:old", "a"}
        assert serving.in_use() == frozenset()
