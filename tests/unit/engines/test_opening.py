from __future__ import annotations

import asyncio

import pytest

from homebred_engines.opening import progress_until


@pytest.mark.asyncio
async def test_progress_grows_between_its_bounds_until_it_is_done() -> None:
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(done.set_result, None)
    steps = [step async for step in progress_until(done, first=0.1, last=0.9)]
    assert steps
    assert all(0.1 <= step < 0.9 for step in steps)
    assert [step async for step in progress_until(done, first=0.1, last=0.9)] == []


@pytest.mark.asyncio
async def test_a_failure_ends_it_and_is_left_to_whoever_asks_for_the_result() -> None:
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    done.set_exception(ValueError("it broke"))
    assert [step async for step in progress_until(done, first=0.0, last=1.0)] == []
    with pytest.raises(ValueError, match="it broke"):
        done.result()
