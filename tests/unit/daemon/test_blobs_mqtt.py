"""Blocks over the fleet's link: few at once, taken in order whatever order they come in, and large files refused."""

from __future__ import annotations

import asyncio
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.made_files import made
from tests.support.manual_clock import ManualClock, run_with
from tests.support.memory_block_line import MemoryBlockLine

from homebred_daemon.adapters.blobs_mqtt import BLOCK_BYTES, BLOCK_WITHIN_S, MOST_BYTES, WINDOW, MqttBlobs
from homebred_daemon.errors import SourceAwayError, SourceRefusesError, SourceWrongError

ONE = made(50 * BLOCK_BYTES + 77)


def line(*, seed: int = 5) -> MemoryBlockLine:
    return MemoryBlockLine({ONE.file.digest: ONE.body}, random=Random(seed))


async def read(line: MemoryBlockLine, begin: int, end: int, slice_bytes: int = 300_000) -> bytes:
    body, room = b"", memoryview(bytearray(slice_bytes))
    async with MqttBlobs(line).open(ONE.file, begin, end) as stream:
        while came := await stream.read_into(room):
            body += room[:came]
    return body


@given(
    st.integers(0, 2**32), st.integers(0, ONE.file.length - 1), st.integers(1, ONE.file.length), st.integers(1, 10**6)
)
@settings(max_examples=40)
def test_whatever_order_blocks_come_in_they_are_taken_in_theirs(seed: int, begin: int, length: int, room: int) -> None:
    asked, end = line(seed=seed), min(begin + length, ONE.file.length)
    assert asyncio.run(read(asked, begin, end, max(room, 5000))) == ONE.body[begin:end]
    assert asked.most_waiting <= WINDOW
    assert max(asked.lengths) <= BLOCK_BYTES
    assert sum(asked.lengths) == end - begin, "no byte is asked for twice"
    assert asked.waiting == 0


async def test_a_stream_that_is_left_waits_for_nothing_and_asks_no_further() -> None:
    asked = line()
    async with MqttBlobs(asked).open(ONE.file, 0, ONE.file.length) as stream:
        await stream.read_into(memoryview(bytearray(10)))
    assert asked.waiting == 0
    assert len(asked.lengths) == WINDOW


async def test_an_error_of_whoever_reads_leaves_as_it_is() -> None:
    async def reading() -> None:
        async with MqttBlobs(line()).open(ONE.file, 0, ONE.file.length) as stream:
            await stream.read_into(memoryview(bytearray(10)))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await reading()


async def test_what_came_before_a_lost_block_is_given_first() -> None:
    asked = line()
    asked.gives_up_to = 3 * BLOCK_BYTES
    room = memoryview(bytearray(ONE.file.length))
    async with MqttBlobs(asked).open(ONE.file, 0, ONE.file.length) as stream:
        assert await stream.read_into(room) == 3 * BLOCK_BYTES
        assert room[: 3 * BLOCK_BYTES] == ONE.body[: 3 * BLOCK_BYTES]
        with pytest.raises(SourceAwayError, match="the link was lost"):
            await stream.read_into(room)


async def test_a_block_of_another_length_is_wrong() -> None:
    asked = line()
    asked.shortens_by = 1
    with pytest.raises(SourceWrongError, match="has 16383 bytes instead of 16384"):
        await read(asked, 0, ONE.file.length)


def test_a_block_that_never_comes_is_not_waited_for_for_ever() -> None:
    clock, asked = ManualClock(), line()
    asked.is_silent = True

    async def reading() -> None:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(read(asked, 0, 10))
            for _ in range(20):
                await asyncio.sleep(0)
            clock.pass_s(BLOCK_WITHIN_S + 1)
            with pytest.raises(SourceAwayError, match="did not come over the broker"):
                await task

    with pytest.RaisesGroup(SourceAwayError):
        run_with(clock, reading())
    assert asked.waiting == 0


async def test_a_large_file_is_refused_unless_a_site_allows_it() -> None:
    large = made(0).file
    file = type(large)(path="model.gguf", length=MOST_BYTES + 1, digest=large.digest, frames=())
    with pytest.raises(SourceRefusesError, match="over the broker 50000000 are allowed") as refused:
        async with MqttBlobs(line()).open(file, 0, 1):
            pass
    assert "allow more" in refused.value.hint
    async with MqttBlobs(line(), most_bytes=10**12).open(file, 0, 1):
        pass
