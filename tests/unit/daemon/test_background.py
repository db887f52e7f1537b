"""What runs beside something ends with it, and neither hides the other's failure."""

from __future__ import annotations

import asyncio

import pytest

from homebred_daemon.services.background import beside, task_group


async def test_work_goes_on_beside_the_body_and_ends_with_it() -> None:
    heard: list[str] = []

    async def work() -> None:
        heard.append("begun")
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            heard.append("ended")

    async with beside(work()):
        await asyncio.sleep(0)
        assert heard == ["begun"]
    assert heard == ["begun", "ended"]


@pytest.mark.parametrize("failure", [ValueError, asyncio.CancelledError, KeyboardInterrupt])
async def test_the_bodys_failure_leaves_as_it_is(failure: type[BaseException]) -> None:
    with pytest.raises(failure):
        async with beside(asyncio.Event().wait()):  # type: ignore[arg-type]  # what it returns is never seen
            raise failure
    with pytest.raises(failure):
        async with task_group():
            raise failure


async def test_work_that_fails_ends_the_body() -> None:
    async def work() -> None:
        raise ValueError

    with pytest.raises(BaseExceptionGroup) as failed:
        async with beside(work()):
            await asyncio.Event().wait()
    assert failed.value.subgroup(ValueError) is not None
