"""The folder that is carried, on the file systems that sticks have: FAT32 and exFAT."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract import test_bundle_folder as on_a_disk
from tests.support.made_files import made
from tests.support.sticks import stick

from homebred_daemon.adapters.carried_blobs import CarriedBlobs
from homebred_fleet.adapters.bundle_folder import BundleFolder
from homebred_fleet.errors import RequestError

LONGEST_OF_EXT3 = 17 * 1000**3


@pytest.fixture(params=["FAT32", "exFAT"])
def place(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    with stick(tmp_path, request.param) as mounted:
        yield mounted


def test_a_bundle_is_written_read_and_gone_on_with_as_on_any_disk(place: Path) -> None:
    for number, test in enumerate(
        [
            on_a_disk.test_a_bundle_is_there_whole_once_it_has_finished,
            on_a_disk.test_what_broke_off_is_gone_on_with_and_what_is_there_is_not_fetched,
            on_a_disk.test_what_another_bundle_left_goes_and_nobody_elses_files_do,
        ]
    ):
        folder = place / str(number)
        folder.mkdir()
        test(folder)


async def test_a_device_reads_what_a_bundle_has_there(place: Path) -> None:
    one = made(9_000_000)
    folder = BundleFolder(place / "stick")
    folder.begin()
    folder.require_room({one.file.digest: one.file.length}, 1000)
    folder.keep_blob(one.file.digest, one.file.length, lambda _, begin: [one.body[begin:]], lambda _: None)
    folder.finish("read me")
    room = memoryview(bytearray(one.file.length - 5_000_000))
    source = CarriedBlobs(place / "stick")
    async with source.open(one.file, 5_000_000, one.file.length) as stream:
        filled = 0
        while filled < len(room) and (came := await stream.read_into(room[filled:])):
            filled += came
    assert bytes(room) == one.body[5_000_000:]


def test_a_file_that_its_file_system_does_not_take_is_refused_before_a_byte_is_fetched(tmp_path: Path) -> None:
    """FAT as the kernel has it takes none of 4 GiB; where the kernel has no FAT, ext3 has the same kind of bound."""
    with stick(tmp_path, "ext3") as mounted:
        folder = BundleFolder(mounted / "stick")
        folder.begin()
        with pytest.raises(RequestError, match=r"takes no file of 18,000,000,000 bytes") as caught:
            folder.require_room({"sha256:" + "0" * 64: LONGEST_OF_EXT3 + 1000**3}, 0)
        assert "exFAT" in caught.value.hint
        with pytest.raises(RequestError, match="bytes free"):
            folder.require_room({"sha256:" + "0" * 64: LONGEST_OF_EXT3 - 1000**3}, 0)
        assert not list((mounted / "stick" / "blobs" / "sha256").iterdir())
