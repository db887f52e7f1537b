"""A reader of a call's messages is cancelled without cancelling the read that is on its way."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import grpc
import pytest

from homebred_daemon.adapters.message_reader import MAX_WAITING, MessageReader


class Call:
    """A streaming call: says what it is given, then waits."""

    def __init__(self, *said: object) -> None:
        self.said = list(said)
        self.reads = 0
        self.cut_reads = 0
        self.is_cancelled = asyncio.Event()

    async def read(self) -> object:
        self.reads += 1
        if not self.said:
            try:
                await self.is_cancelled.wait()
            except asyncio.CancelledError:
                self.cut_reads += 1
                raise
            raise asyncio.CancelledError
        await asyncio.sleep(0)
        message = self.said.pop(0)
        if isinstance(message, BaseException):
            raise message
        return message

    def cancel(self) -> bool:
        self.is_cancelled.set()
        return True


def reader(call: Any) -> MessageReader[str]:
    return MessageReader(call)


async def steps() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


async def test_every_message_comes_once_and_in_order() -> None:
    words = [str(number) for number in range(3 * MAX_WAITING)]
    call = Call(*words, grpc.aio.EOF)
    assert [message async for message in reader(call).messages()] == words


async def test_what_was_said_before_a_failure_is_heard_and_then_the_failure() -> None:
    messages = reader(Call("a", "b", ValueError("broken"))).messages()
    assert [await anext(messages), await anext(messages)] == ["a", "b"]
    with pytest.raises(ValueError, match="broken"):
        await anext(messages)


async def test_no_more_is_read_than_may_wait() -> None:
    call = Call(*"abcdefghijkl")
    async with aclosing(reader(call).messages()) as messages:
        assert await anext(messages) == "a"
        await steps()
        assert call.reads == 1 + MAX_WAITING


async def test_who_is_cancelled_cancels_the_call_and_not_the_read() -> None:
    call = Call("a")

    async def read_all() -> None:
        async with aclosing(reader(call).messages()) as messages:
            async for _ in messages:
                pass

    async with asyncio.TaskGroup() as group:
        reading = group.create_task(read_all())
        await steps()
        reading.cancel()
    assert call.is_cancelled.is_set()
    await steps()
    assert (call.cut_reads, len(asyncio.all_tasks())) == (0, 1)


async def test_a_call_that_is_cancelled_under_its_reader_says_so() -> None:
    call = Call("a")
    messages = reader(call).messages()
    assert await anext(messages) == "a"
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await anext(messages)


async def test_a_failure_that_nobody_waits_for_is_told_to_nobody() -> None:
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    call = Call("a", "b", ValueError("broken"))
    async with aclosing(reader(call).messages()) as messages:
        await anext(messages)
        await steps()
    await steps()
    del call, messages
    assert told == []
