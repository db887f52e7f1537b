"""A caller that reads, one that does not, and one that leaves, as the writer of its answer meets them."""

from __future__ import annotations

import asyncio
from contextlib import closing
from datetime import UTC, datetime
from typing import Any, cast

import grpc
import pytest
from tests.support.manual_clock import ManualClock, run_with

from homebred_daemon.adapters.grpc_api.listener import MAX_WAITING, Listener
from homebred_daemon.errors import UnreadError
from homebred_daemon.inbound.answering import Outcome
from homebred_daemon.ports.ledger import OutcomeRecord

TIMEOUT_S = 30.0


class Caller:
    """The other end of a call: takes what is written while it reads."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.reads = asyncio.Event()
        self.reads.set()
        self.has_left = False
        self.fault: Exception | None = None
        self._only_one = False

    def reads_one(self) -> None:
        self._only_one = True
        self.reads.set()

    async def write(self, message: Any) -> None:
        await self.reads.wait()
        if self._only_one:
            self.reads.clear()
        if self.fault is not None:
            raise self.fault
        if self.has_left:
            raise grpc.aio.InternalError("the batch failed")
        self.heard.append(message.delta)

    def listener(self) -> Listener:
        return Listener(cast("grpc.aio.ServicerContext[Any, Any]", self), TIMEOUT_S)


async def steps() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


WORDS = [str(number) for number in range(MAX_WAITING)]
OUTCOME = Outcome(
    record=OutcomeRecord(route_id="r", recorded_at_utc=datetime(2026, 1, 1, tzinfo=UTC), status="answer", total_ms=1),
    weak=False,
)


async def hear_all(listener: Listener, *words: str) -> None:
    for word in words:
        await listener.hear(word)


def test_a_caller_that_reads_has_heard_everything_in_order_when_the_outcome_has_been_said() -> None:
    async def main() -> list[str]:
        caller = Caller()
        with closing(caller.listener()) as listener:
            await hear_all(listener, *WORDS, "z")
            await listener.hear(OUTCOME)
        return caller.heard

    assert run_with(ManualClock(), main()) == [*WORDS, "z", ""]


def test_as_many_words_as_may_wait_hold_nobody_up_and_one_more_does() -> None:
    async def main() -> None:
        caller = Caller()
        caller.reads.clear()
        with closing(caller.listener()) as listener:
            await hear_all(listener, *WORDS)
            async with asyncio.TaskGroup() as tasks:
                hearing = tasks.create_task(listener.hear("z"))
                await steps()
                assert not hearing.done()
                caller.reads.set()

    run_with(ManualClock(), main())


def test_a_caller_that_does_not_read_is_given_up_after_the_bound_and_stays_so() -> None:
    clock = ManualClock()

    async def main() -> None:
        caller = Caller()
        with closing(caller.listener()) as listener:
            await listener.hear("a")
            await steps()
            caller.reads.clear()
            await hear_all(listener, *WORDS)
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
        assert caller.heard == ["a", "0"]  # what was on its way when it began to read again, and nothing after it

    run_with(clock, main())


async def _refusal(listener: Listener, word: str) -> UnreadError:
    with pytest.raises(UnreadError) as refusal:
        await listener.hear(word)
    return refusal.value


def test_a_slow_engine_hides_no_caller_that_does_not_read() -> None:
    clock = ManualClock()

    async def main() -> None:
        caller = Caller()
        caller.reads.clear()
        with closing(caller.listener()) as listener:
            for word in WORDS[:3]:
                await listener.hear(word)
                await steps()
                clock.pass_s(TIMEOUT_S / 3 + 1)
                await steps()
            await _refusal(listener, "b")

    run_with(clock, main())


def test_everything_said_is_waited_for_on_request() -> None:
    async def main() -> list[str]:
        caller = Caller()
        with closing(caller.listener()) as listener:
            await listener.has_heard()
            await hear_all(listener, *WORDS)
            await listener.has_heard()
            return caller.heard

    assert run_with(ManualClock(), main()) == WORDS


def test_a_slow_caller_is_kept_as_long_as_it_reads_now_and_then() -> None:
    clock = ManualClock()

    async def main() -> list[str]:
        caller = Caller()
        caller.reads.clear()
        with closing(caller.listener()) as listener:
            await hear_all(listener, *WORDS)
            async with asyncio.TaskGroup() as tasks:
                ending = tasks.create_task(listener.hear(OUTCOME))
                while not ending.done():
                    await steps()
                    clock.pass_s(TIMEOUT_S - 1)
                    await steps()
                    caller.reads_one()
                    await steps()
        return caller.heard

    assert run_with(clock, main()) == [*WORDS, ""]


def test_a_caller_that_leaves_ends_its_task_as_if_it_had_cancelled() -> None:
    async def main() -> None:
        caller = Caller()
        caller.has_left = True
        with closing(caller.listener()) as listener:
            await listener.hear("a")
            await steps()
            for _ in range(2):
                with pytest.raises(asyncio.CancelledError):
                    await listener.hear("a")

    run_with(ManualClock(), main())


def test_a_task_cut_short_while_it_waits_leaves_what_is_on_its_way_alone() -> None:
    async def main() -> list[str]:
        caller = Caller()
        caller.reads.clear()
        with closing(caller.listener()) as listener:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await hear_all(listener, *WORDS, "y")
            caller.reads.set()
            await listener.hear(OUTCOME)
        return caller.heard

    assert run_with(ManualClock(), main()) == [*WORDS, "y", ""]


def test_a_write_that_fails_otherwise_is_heard_of_and_not_waited_for() -> None:
    async def main() -> None:
        caller = Caller()
        caller.fault = ValueError("a defect")
        with closing(caller.listener()) as listener, pytest.raises(ValueError, match="a defect"):
            await listener.hear(OUTCOME)

    run_with(ManualClock(), main())


def test_nothing_of_it_is_left_when_the_call_is_over() -> None:
    async def main() -> None:
        with closing(Caller().listener()) as listener:
            await listener.hear("a")
            await steps()
            assert len(asyncio.all_tasks()) == 2
        await steps()
        assert len(asyncio.all_tasks()) == 1

    run_with(ManualClock(), main())
