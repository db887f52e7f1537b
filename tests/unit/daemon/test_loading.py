from __future__ import annotations

import asyncio

import pytest
from tests.support.fake_workers import STATS, Fleet
from tests.support.manual_clock import ManualClock, run_with

from homebred_daemon.services.loading import load_within
from homebred_engines import api

OPTIONS = api.LoadOptions(model_path="m", model_digest="sha256:m")


async def test_a_load_in_time_says_how_the_worker_stands() -> None:
    fleet = Fleet.free()
    assert await load_within(60, await fleet.start("echo"), OPTIONS) == STATS


def test_a_load_that_takes_too_long_is_a_failure_that_says_what_to_do() -> None:
    clock = ManualClock()

    async def loaded() -> None:
        worker = await Fleet().start("echo")
        async with asyncio.TaskGroup() as group:
            loading = group.create_task(failure_of(worker))
            await asyncio.sleep(0)
            clock.pass_s(61)
        assert "not loaded within 60 s" in loading.result().why
        assert "load_timeout_s" in loading.result().hint

    async def failure_of(worker: object) -> api.EngineFailedError:
        with pytest.raises(api.EngineFailedError) as failure:
            await load_within(60, worker, OPTIONS)  # type: ignore[arg-type]  # the fleet's own
        return failure.value

    run_with(clock, loaded())


async def test_a_refusal_is_passed_on() -> None:
    fleet = Fleet.free()
    fleet.refuses = frozenset({"m"})
    with pytest.raises(api.ModelRefusedError):
        await load_within(60, await fleet.start("echo"), OPTIONS)
