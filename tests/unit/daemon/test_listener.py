"""A caller that reads, one that does not, and one that leaves, as the writer of its answer meets them."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import grpc
import pytest
from tests.support.manual_clock import ManualClock, run_with

from homebred_daemon.adapters.grpc_api.listener import Listener
from homebred_daemon.errors import UnreadError

TIMEOUT_S = 30.0


class Caller:
    """The other end of a call: takes what is written while it reads."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.reads = asyncio.Event()
        self.reads.set()
        self.has_left = False

    async def write(self, message: Any) -> None:
        await self.reads.wait()
        if self.has_left:
            raise grpc.aio.InternalError("the batch failed")
        self.heard.append(message.delta)

    def listener(self) -> Listener:
        return Listener(cast("grpc.aio.ServicerContext[Any, Any]", self), TIMEOUT_S)


async def steps() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_a_caller_that_reads_hears_everything_in_order() -> None:
    async def main() -> list[str]:
        caller = Caller()
        listener = caller.listener()
        for word in ("a", "b", "c"):
            await listener.hear(word)
        return caller.heard

    assert run_with(ManualClock(), main()) == ["a", "b", "c"]


def test_a_caller_that_does_not_read_is_given_up_after_the_bound_and_stays_so() -> None:
    clock = ManualClock()

    async def main() -> None:
        caller = Caller()
        listener = caller.listener()
        await listener.hear("a")
        caller.reads.clear()
        async with asyncio.TaskGroup() as tasks:
            hearing = tasks.create_task(_refusal(listener, "b"))
            await steps()
            clock.pass_s(TIMEOUT_S - 0.1)
            await steps()
            assert not hearing.done()
            clock.pass_s(0.2)
        assert "30 s" in hearing.result().message
        await _refusal(listener, "c")
        caller.reads.set()
        await steps()
        assert caller.heard == ["a", "b"]  # what was on its way when it began to read again, and nothing after it

    run_with(clock, main())


async def _refusal(listener: Listener, word: str) -> UnreadError:
    with pytest.raises(UnreadError) as refusal:
        await listener.hear(word)
    return refusal.value


def test_a_slow_caller_is_kept_as_long_as_it_reads_now_and_then() -> None:
    clock = ManualClock()

    async def main() -> list[str]:
        caller = Caller()
        listener = caller.listener()
        for number in range(10):
            caller.reads.clear()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(listener.hear(str(number)))
                await steps()
                clock.pass_s(TIMEOUT_S - 1)
                await steps()
                caller.reads.set()
        return caller.heard

    assert run_with(clock, main()) == [str(number) for number in range(10)]


def test_a_caller_that_leaves_ends_its_task_as_if_it_had_cancelled() -> None:
    async def main() -> None:
        caller = Caller()
        listener = caller.listener()
        caller.has_left = True
        for _ in range(2):
            with pytest.raises(asyncio.CancelledError):
                await listener.hear("a")

    run_with(ManualClock(), main())


def test_a_task_cut_short_in_the_middle_of_a_write_leaves_that_write_alone() -> None:
    async def main() -> list[str]:
        caller = Caller()
        listener = caller.listener()
        caller.reads.clear()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await listener.hear("a")
        caller.reads.set()
        await listener.hear("b")
        return caller.heard

    assert run_with(ManualClock(), main()) == ["a", "b"]
