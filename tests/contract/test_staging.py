"""One suite for where files wait until they are whole: the folder, and the one in memory that other tests use."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.made_files import Made, made
from tests.support.memory_staging import MemoryStaging

from homebred_daemon.adapters.blob_shelf import BlobShelf
from homebred_daemon.adapters.blob_store import Blob, BlobStore, Form
from homebred_daemon.adapters.staging_folder import FRAMES_A_FLUSH, StagingFolder
from homebred_daemon.adapters.staging_journal import StagingJournal, read_noted
from homebred_daemon.core.transfer import FRAME_BYTES
from homebred_daemon.errors import StateError, TransferError
from homebred_daemon.ports.transfer import PartialFile, Staging

LARGE = made(3 * FRAME_BYTES + 17)
SMALL = made(1000, path="specialist.toml")
MakeStaging = Callable[[], Staging]


@pytest.fixture(params=["memory", "folder"])
def staging(request: pytest.FixtureRequest, tmp_path: Path) -> Staging:
    return MemoryStaging() if request.param == "memory" else StagingFolder(tmp_path / "staging")


def frame(one: Made, number: int) -> memoryview:
    return memoryview(one.body)[number * FRAME_BYTES : (number + 1) * FRAME_BYTES]


def keep(part: PartialFile, one: Made, *numbers: int) -> None:
    assert all(part.keep(number, frame(one, number)) for number in numbers)


def bring(staging: Staging, one: Made) -> Path | None:
    part = staging.open(one.file)
    keep(part, one, *range(len(one.file.frames)))
    path = part.finish()
    part.close()
    return path


@pytest.mark.parametrize("length", [0, 1, FRAME_BYTES - 1, FRAME_BYTES, FRAME_BYTES + 1, 2 * FRAME_BYTES])
def test_a_file_whose_frames_came_is_whole(staging: Staging, length: int) -> None:
    one = made(length)
    assert staging.whole(one.file) is None
    path = bring(staging, one)
    assert path is not None
    assert staging.whole(one.file) == path
    assert staging.held_bytes(one.file) == length


def test_frames_may_come_in_any_order(staging: Staging) -> None:
    part = staging.open(LARGE.file)
    keep(part, LARGE, 3, 1, 0, 2)
    assert part.finish() is not None


def test_a_frame_that_is_another_is_not_kept(staging: Staging) -> None:
    part = staging.open(LARGE.file)
    assert not part.keep(0, frame(LARGE, 1))
    assert not part.keep(3, frame(LARGE, 0))
    assert part.held == set()


def test_what_was_kept_is_there_when_it_is_opened_again(staging: Staging) -> None:
    part = staging.open(LARGE.file)
    keep(part, LARGE, 0, 2)
    part.close()
    assert staging.held_bytes(LARGE.file) == 2 * FRAME_BYTES
    again = staging.open(LARGE.file)
    assert again.held == {0, 2}
    keep(again, LARGE, 1, 3)
    assert again.finish() is not None


def test_a_whole_that_its_frames_are_not_is_said_and_forgotten(staging: Staging) -> None:
    file = replace(LARGE.file, digest="sha256:" + "0" * 64)
    part = staging.open(file)
    keep(part, LARGE, 0, 1, 2, 3)
    with pytest.raises(TransferError, match="the whole is not") as caught:
        part.finish()
    part.close()
    assert caught.value.hint
    assert staging.whole(file) is None
    assert staging.open(file).held == set()


def test_all_but_some_is_forgotten(staging: Staging) -> None:
    bring(staging, SMALL)
    part = staging.open(LARGE.file)
    keep(part, LARGE, 0)
    part.close()
    staging.forget_all_but({SMALL.file.digest})
    assert staging.whole(SMALL.file) is not None
    assert staging.held_bytes(LARGE.file) == 0
    staging.forget_all_but(set())
    assert staging.whole(SMALL.file) is None


def test_a_disk_has_room(staging: Staging) -> None:
    room = staging.room()
    assert 0 < room.free_bytes <= room.total_bytes


# --- the folder alone ---------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> StagingFolder:
    return StagingFolder(tmp_path / "staging")


def place(tmp_path: Path, one: Made, ending: str = "") -> Path:
    return tmp_path / "staging" / (one.file.digest.removeprefix("sha256:") + ending)


def test_a_whole_file_is_its_bytes_read_only_and_alone(folder: StagingFolder, tmp_path: Path) -> None:
    path = bring(folder, LARGE)
    assert path == place(tmp_path, LARGE)
    assert path.read_bytes() == LARGE.body
    assert path.stat().st_mode & 0o777 == 0o444
    assert list(path.parent.iterdir()) == [path]


def test_a_kill_just_before_it_gets_its_name_leaves_nothing_that_its_own_user_could_not_open(
    folder: StagingFolder, tmp_path: Path
) -> None:
    part = folder.open(SMALL.file)
    keep(part, SMALL, 0)
    part.close()
    waiting = place(tmp_path, SMALL, ".part")
    waiting.chmod(0o444)
    again = folder.open(SMALL.file)
    assert waiting.stat().st_mode & 0o777 == 0o600
    assert again.finish() == place(tmp_path, SMALL)


def unheard(step: str, done_bytes: int, total_bytes: int) -> None:
    """Progress that nobody watches."""


def test_it_goes_to_the_model_store_by_its_name_alone_and_is_on_the_shelf_then(
    folder: StagingFolder, tmp_path: Path
) -> None:
    blobs = BlobStore(tmp_path / "blobs")
    shelf = BlobShelf(blobs)
    path = bring(folder, LARGE)
    assert path is not None
    inode = path.stat().st_ino
    assert not shelf.has(LARGE.file)
    for _ in range(2):  # a kill after the first may have it done again
        blobs.adopt(path, Blob(Form.FILE, LARGE.file.digest), unheard)
    path.unlink()
    assert blobs.path(Blob(Form.FILE, LARGE.file.digest)).stat().st_ino == inode
    assert folder.whole(LARGE.file) is None
    assert shelf.has(LARGE.file)
    assert not shelf.has(replace(LARGE.file, length=1))


def test_a_damaged_blob_is_not_on_the_shelf(folder: StagingFolder, tmp_path: Path) -> None:
    blobs = BlobStore(tmp_path / "blobs")
    path = bring(folder, SMALL)
    assert path is not None
    blobs.adopt(path, Blob(Form.FILE, SMALL.file.digest), unheard)
    damaged = blobs.path(Blob(Form.FILE, SMALL.file.digest))
    damaged.chmod(0o600)
    damaged.write_bytes(b"x" * SMALL.file.length)
    assert not BlobShelf(blobs).has(SMALL.file)


def test_frames_that_the_disk_damaged_are_dropped_and_the_others_stay(folder: StagingFolder, tmp_path: Path) -> None:
    part = folder.open(LARGE.file)
    keep(part, LARGE, 0, 1, 2, 3)
    part.close()
    with place(tmp_path, LARGE, ".part").open("r+b") as file:
        file.seek(FRAME_BYTES + 3)
        file.write(b"damage")
    again = folder.open(LARGE.file)
    assert again.held == {0, 1, 2, 3}, "the journal is believed, and the whole is read before it gets its name"
    assert again.finish() is None
    assert again.held == {0, 2, 3}
    again.close()
    third = folder.open(LARGE.file)
    assert third.held == {0, 2, 3}
    keep(third, LARGE, 1)
    assert third.finish() is not None


def test_what_the_disk_has_not_confirmed_is_verified_when_it_is_opened_again(
    folder: StagingFolder, tmp_path: Path
) -> None:
    part = folder.open(LARGE.file)
    keep(part, LARGE, 0, 1, 2)
    # no close: a power cut, which has kept the journal and of the frames the first and half of the second
    with place(tmp_path, LARGE, ".part").open("r+b") as file:
        file.truncate(FRAME_BYTES + FRAME_BYTES // 2)
    assert folder.open(LARGE.file).held == {0}


def test_a_power_cut_loses_no_frame_before_the_last_flush(folder: StagingFolder, tmp_path: Path) -> None:
    one = made((FRAMES_A_FLUSH + 1) * FRAME_BYTES)
    part = folder.open(one.file)
    keep(part, one, *range(FRAMES_A_FLUSH + 1))
    noted = read_noted(place(tmp_path, one, ".frames").read_bytes(), one.file)
    assert noted.flushed == frozenset(range(FRAMES_A_FLUSH))
    assert noted.written == {FRAMES_A_FLUSH}


@pytest.mark.parametrize("torn", [b"3 ", b"flush", b"2 0123456789abcdef\n", b"99999999 00\n", b"\xff\xfe\n", b"\n\n"])
def test_a_torn_or_foreign_line_counts_for_nothing_and_spoils_no_other(
    folder: StagingFolder, tmp_path: Path, torn: bytes
) -> None:
    part = folder.open(LARGE.file)
    keep(part, LARGE, 0)
    part.close()
    with place(tmp_path, LARGE, ".frames").open("ab") as journal:
        journal.write(torn)
    again = folder.open(LARGE.file)
    assert again.held == {0}
    keep(again, LARGE, 1)
    again.close()
    assert folder.open(LARGE.file).held == {0, 1}


def test_a_journal_without_its_file_says_nothing(folder: StagingFolder, tmp_path: Path) -> None:
    part = folder.open(LARGE.file)
    keep(part, LARGE, 0, 1)
    part.close()
    place(tmp_path, LARGE, ".part").unlink()
    again = folder.open(LARGE.file)
    assert again.held == set()
    keep(again, LARGE, 1)
    again.close()
    assert folder.open(LARGE.file).held == {1}, "frame 0 is a hole now, whatever the old journal said"


def test_frames_of_another_description_of_the_same_digest_count_for_nothing(folder: StagingFolder) -> None:
    part = folder.open(LARGE.file)
    keep(part, LARGE, 0, 1)
    part.close()
    other = replace(LARGE.file, frames=("0" * 64, *LARGE.file.frames[1:]))
    assert folder.open(other).held == {1}


def test_what_is_flushed_is_not_read_again(folder: StagingFolder, tmp_path: Path) -> None:
    journal = StagingJournal(tmp_path / "staging" / "journal")
    journal.add_written(LARGE.file, 2)
    journal.add_flushed()
    journal.add_written(LARGE.file, 3)
    noted = journal.noted(LARGE.file)
    assert (noted.flushed, noted.written) == (frozenset({2}), frozenset({3}))
    journal.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StateError, match="cannot be kept"):
        StagingFolder(tmp_path / "staging")


def test_a_file_in_the_folders_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "staging").write_text("a file")
    with pytest.raises(StateError, match="staging") as caught:
        StagingFolder(tmp_path / "staging")
    assert caught.value.hint
