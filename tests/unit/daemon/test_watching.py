from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from tests.support.fake_workers import STATS, FakeWorker, Fleet
from tests.support.manual_clock import ManualClock, run_with
from tests.support.worker_pools import settled

from homebred_daemon.services.watching import LOOK_EVERY_S, WorkerHungError, describe_or_frozen, hang_of

BUSY = replace(STATS, running=1, computing=1)


def watched(
    act: Callable[[FakeWorker, ManualClock, asyncio.Task[WorkerHungError | None]], Coroutine[Any, Any, None]],
    *,
    is_used: bool = True,
) -> WorkerHungError | None:
    """What the watch of a worker comes to, which stalls after 10 s."""
    clock = ManualClock()

    async def run() -> WorkerHungError | None:
        worker = await Fleet.free().start("echo")
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(hang_of(worker, clock, stall_timeout_s=10, is_used=lambda: is_used))
            await settled()
            await act(worker, clock, watch)
        return watch.result()

    return run_with(clock, run())


async def pass_looks(clock: ManualClock, looks: int) -> None:
    for _ in range(looks):
        clock.pass_s(LOOK_EVERY_S)
        await settled()


def test_a_worker_that_stands_still_while_it_owes_a_step_hangs() -> None:
    async def act(worker: FakeWorker, clock: ManualClock, watch: asyncio.Task[Any]) -> None:
        worker.stats = BUSY
        await pass_looks(clock, 5)
        assert not watch.done(), "it was first seen to stand still at the first look"
        await pass_looks(clock, 1)

    hung = watched(act)
    assert hung is not None
    assert "no progress for 10 s" in str(hung)
    assert "engine.stall_timeout_s" in hung.hint


def test_a_long_prompt_that_is_read_slowly_is_no_hang() -> None:
    async def act(worker: FakeWorker, clock: ManualClock, watch: asyncio.Task[Any]) -> None:
        for step in range(20):
            worker.stats = replace(BUSY, progress=step)
            await pass_looks(clock, 4)  # a batch in 8 s
            assert not watch.done()
        worker.die()
        worker.is_silent = True
        await pass_looks(clock, 1)

    assert watched(act) is None


def test_a_reader_who_does_not_read_makes_no_hang() -> None:
    async def act(worker: FakeWorker, clock: ManualClock, watch: asyncio.Task[Any]) -> None:
        worker.stats = replace(BUSY, computing=0)
        await pass_looks(clock, 50)
        assert not watch.done()
        worker.is_silent = True
        await pass_looks(clock, 1)

    assert watched(act) is None


def test_the_watch_ends_once_the_worker_has_nothing_left_to_do() -> None:
    async def act(worker: FakeWorker, clock: ManualClock, watch: asyncio.Task[Any]) -> None:
        await pass_looks(clock, 1)
        assert watch.done()

    assert watched(act, is_used=False) is None


def test_the_watch_goes_on_without_the_callers_while_the_worker_is_stuck_in_what_they_left() -> None:
    async def act(worker: FakeWorker, clock: ManualClock, watch: asyncio.Task[Any]) -> None:
        worker.stats = BUSY
        await pass_looks(clock, 6)

    assert watched(act, is_used=False) is not None


def test_a_worker_that_does_not_answer_hangs_after_five_seconds() -> None:
    async def act(worker: FakeWorker, clock: ManualClock, watch: asyncio.Task[Any]) -> None:
        worker.describing.clear()
        await pass_looks(clock, 1)
        for _ in range(2):
            assert not watch.done()
            clock.pass_s(2.5)
            await settled()

    assert "did not answer for 5 s" in str(watched(act))


def test_where_this_process_was_held_up_itself_the_worker_gets_a_second_chance() -> None:
    async def act(worker: FakeWorker, clock: ManualClock, watch: asyncio.Task[Any]) -> None:
        worker.describing.clear()
        await pass_looks(clock, 1)
        clock.pass_s(3600)
        await settled()
        worker.describing.set()
        await settled()
        assert not watch.done()
        worker.is_silent = True
        await pass_looks(clock, 1)

    assert watched(act) is None


async def test_a_worker_that_ended_is_no_hang() -> None:
    worker = await Fleet.free().start("echo")
    worker.is_silent = True
    assert await describe_or_frozen(worker) is None
