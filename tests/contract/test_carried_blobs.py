"""Sticks that somebody else has written: links, pipes, devices, wrong lengths, and one that is pulled while read."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.made_files import made
from tests.support.other_user import needs_root

from homebred_daemon.adapters.carried_blobs import CarriedBlobs
from homebred_daemon.core.transfer import FRAME_BYTES, WantedFile
from homebred_daemon.errors import SourceAwayError, SourceRefusesError, SourceWrongError, TransferError

ONE = made(FRAME_BYTES + 5)
HEX = ONE.file.digest.removeprefix("sha256:")


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    folder = tmp_path / "stick"
    (folder / "blobs" / "sha256").mkdir(parents=True)
    (folder / "blobs" / "sha256" / HEX).write_bytes(ONE.body)
    return folder


@pytest.fixture
def source(stick: Path) -> Iterator[CarriedBlobs]:
    made_ready = CarriedBlobs(stick)
    yield made_ready
    made_ready.close()


async def read(source: CarriedBlobs, file: WantedFile = ONE.file) -> bytes:
    room = bytearray(file.length)
    async with source.open(file, 0, file.length) as stream:
        return bytes(room[: await stream.read_into(memoryview(room))])


def _link_to_itself_elsewhere(blob: Path) -> None:
    blob.rename(blob.with_suffix(".moved"))
    blob.symlink_to(blob.with_suffix(".moved"))


def _link_to_a_file_of_the_daemons(blob: Path) -> None:
    blob.unlink()
    blob.symlink_to("/etc/hostname")


def _pipe(blob: Path) -> None:
    blob.unlink()
    os.mkfifo(blob)


def _folder(blob: Path) -> None:
    blob.unlink()
    blob.mkdir()


def _absent(blob: Path) -> None:
    blob.unlink()


def _shorter(blob: Path) -> None:
    os.truncate(blob, 1000)


def _longer(blob: Path) -> None:
    os.truncate(blob, 2**40)  # a hole


def _folder_is_a_link(blob: Path) -> None:
    blob.parent.rename(blob.parents[1] / "elsewhere")
    blob.parent.symlink_to("elsewhere")


def _pulled(blob: Path) -> None:
    blob.parents[1].rename(blob.parents[2] / "gone")


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (_link_to_itself_elsewhere, SourceRefusesError),
        (_link_to_a_file_of_the_daemons, SourceRefusesError),
        (_pipe, SourceRefusesError),
        (_folder, SourceRefusesError),
        (_absent, SourceRefusesError),
        (_shorter, SourceWrongError),
        (_longer, SourceWrongError),
        (_folder_is_a_link, SourceRefusesError),
        (_pulled, SourceAwayError),
    ],
)
async def test_what_is_no_plain_file_of_its_length_is_not_read(
    stick: Path, source: CarriedBlobs, spoil: Callable[[Path], None], error: type[TransferError]
) -> None:
    spoil(stick / "blobs" / "sha256" / HEX)
    async with asyncio.timeout(5):
        with pytest.raises(error) as refused:
            await read(source)
    assert refused.value.hint


@needs_root
async def test_a_device_is_not_opened_as_a_file(stick: Path, source: CarriedBlobs) -> None:
    (stick / "blobs" / "sha256" / HEX).unlink()
    os.mknod(stick / "blobs" / "sha256" / HEX, stat.S_IFCHR | 0o600, os.makedev(1, 5))  # /dev/zero
    with pytest.raises(SourceRefusesError, match=r"no plain file|does not give"):
        await read(source)


async def test_a_stick_that_comes_back_is_read_on(stick: Path, source: CarriedBlobs) -> None:
    blobs = stick / "blobs"
    blobs.rename(stick / "pulled")
    with pytest.raises(SourceAwayError):
        await read(source)
    (stick / "pulled").rename(blobs)
    assert await read(source) == ONE.body


async def test_a_file_that_becomes_shorter_while_it_is_read_ends_early(stick: Path, source: CarriedBlobs) -> None:
    room = memoryview(bytearray(FRAME_BYTES))
    async with source.open(ONE.file, 0, ONE.file.length) as stream:
        assert await stream.read_into(room[:1000]) == 1000
        os.truncate(stick / "blobs" / "sha256" / HEX, 5000)
        assert await stream.read_into(room) == 4000
        assert await stream.read_into(room) == 0


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_nothing_stays_open(stick: Path, source: CarriedBlobs) -> None:
    for _ in range(3):
        assert await read(source) == ONE.body
    await read(source)
    before = descriptors()
    for _ in range(20):
        await read(source)
    assert descriptors() <= before + 1


async def test_one_that_is_closed_is_away(source: CarriedBlobs) -> None:
    async with source.open(ONE.file, 0, ONE.file.length) as stream:
        source.close()
        with pytest.raises(SourceAwayError):
            await stream.read_into(memoryview(bytearray(100)))
    with pytest.raises(SourceAwayError):
        await read(source)
