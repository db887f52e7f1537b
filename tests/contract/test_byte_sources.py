"""One suite for whoever gives the bytes of releases: the fake, a server with ranges, blocks over MQTT."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.byte_source_stages import STAGES, Stage, over_broker
from tests.support.made_files import made

from homebred_daemon.core.transfer import FRAME_BYTES, WantedFile
from homebred_daemon.errors import SourceAwayError, SourceRefusesError

ONE = made(FRAME_BYTES + 100_003)
END = ONE.file.length


@pytest.fixture(params=[*STAGES, "broker"])
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stage]:
    if request.param == "broker":
        async with over_broker(tmp_path, ONE) as made_ready:
            yield made_ready
    else:
        with STAGES[request.param](tmp_path, ONE) as made_ready:
            yield made_ready


async def read(stage: Stage, begin: int, end: int, *, slice_bytes: int = 1 << 20, file: WantedFile = ONE.file) -> bytes:
    """All that a stream gives, until it has ended or broke."""
    body, room = b"", memoryview(bytearray(slice_bytes))
    async with stage.source.open(file, begin, end) as stream:
        while len(body) < end - begin:
            try:
                came = await stream.read_into(room[: end - begin - len(body)])
            except SourceAwayError:
                return body
            if not came:
                return body
            body += room[:came]
    return body


@pytest.mark.parametrize(
    ("begin", "end"), [(0, END), (0, 1), (END - 1, END), (77, 200_000), (FRAME_BYTES, FRAME_BYTES + 9)]
)
@pytest.mark.parametrize("slice_bytes", [1 << 20, 10_007])
async def test_any_range_is_given_as_it_is(stage: Stage, begin: int, end: int, slice_bytes: int) -> None:
    assert await read(stage, begin, end, slice_bytes=slice_bytes) == ONE.body[begin:end]


async def test_a_stream_that_was_left_early_leaves_the_next_alone(stage: Stage) -> None:
    for _ in range(5):
        async with stage.source.open(ONE.file, 0, ONE.file.length) as stream:
            room = memoryview(bytearray(1000))
            assert await stream.read_into(room) == 1000
    assert await read(stage, 5, 50_000) == ONE.body[5:50_000]


async def test_a_file_that_it_does_not_have_is_refused(stage: Stage) -> None:
    with pytest.raises(SourceRefusesError) as refused:
        await read(stage, 0, 10, file=replace(ONE.file, digest="sha256:" + "0" * 64))
    assert refused.value.hint


async def test_what_came_before_a_break_was_right_and_the_rest_can_be_asked_for(stage: Stage) -> None:
    stage.cut_after(150_000)
    came = await read(stage, 0, ONE.file.length, slice_bytes=65_536)
    assert 0 < len(came) <= 150_000
    assert came == ONE.body[: len(came)]
    stage.cut_after(ONE.file.length)
    assert await read(stage, len(came), ONE.file.length) == ONE.body[len(came) :]


async def test_a_cancelled_read_writes_nothing_any_more(stage: Stage) -> None:
    stage.fall_silent()
    room = bytearray(100_000)
    async with stage.source.open(ONE.file, 0, ONE.file.length) as stream:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await stream.read_into(memoryview(room))
        before = bytes(room)
        await asyncio.sleep(0.05)
        assert bytes(room) == before


async def test_it_has_a_name_for_people(stage: Stage) -> None:
    assert stage.source.name
