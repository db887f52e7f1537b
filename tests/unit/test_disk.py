"""The model of a disk that the power-cut proofs rest on: what it may lose, and what it may not."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from tests.support.disk import PAGE_BYTES, Disk, Held
from tests.support.operation_journal import (
    ROOT_INODE,
    Linked,
    Made,
    Moved,
    Operation,
    OperationJournal,
    Removed,
    Synced,
    Truncated,
    Written,
)

TRIES = 200
FILE, FOLDER, OTHER = 100, 101, 102


@pytest.fixture
def journal(tmp_path: Path) -> OperationJournal:
    (tmp_path / "old").write_bytes(b"before")
    return OperationJournal(tmp_path)


def disk_after(journal: OperationJournal, *operations: Operation) -> Disk:
    disk = Disk(journal)
    for operation in operations:
        disk.put(operation)
    return disk


def possible(disk: Disk) -> list[Held]:
    return [disk.after_losing_some(Random(seed)) for seed in range(TRIES)]


def made(inode: int, name: str, folder: int = ROOT_INODE) -> Made:
    return Made(folder=folder, name=name, inode=inode, is_folder=inode == FOLDER)


def written(data: bytes, offset: int = 0, inode: int = FILE) -> Written:
    return Written(inode=inode, offset=offset, data=data)


def synced(inode: int) -> Synced:
    return Synced(inode=inode, path="")


def test_what_stood_there_before_stays(journal: OperationJournal) -> None:
    assert Disk(journal).after_losing_all().files == {"old": b"before"}


def test_an_unsynced_name_may_be_lost_and_the_bytes_without_it(journal: OperationJournal) -> None:
    disk = disk_after(journal, made(FILE, "new"), written(b"x"), synced(FILE))
    assert disk.after_losing_all().files == {"old": b"before"}
    assert disk.after_losing_nothing().files == {"old": b"before", "new": b"x"}


def test_unsynced_bytes_may_be_lost_and_the_name_stay(journal: OperationJournal) -> None:
    disk = disk_after(journal, made(FILE, "new"), written(b"x"), synced(ROOT_INODE))
    assert disk.after_losing_all().files["new"] == b""


def test_synced_bytes_under_a_synced_name_are_never_lost(journal: OperationJournal) -> None:
    disk = disk_after(journal, made(FILE, "new"), written(b"x"), synced(FILE), synced(ROOT_INODE), written(b"y", 1))
    assert {held.files["new"] for held in possible(disk)} == {b"x", b"xy"}


def test_a_long_write_is_torn_between_pages_and_never_within_one(journal: OperationJournal) -> None:
    body = b"a" * PAGE_BYTES + b"b" * PAGE_BYTES
    disk = disk_after(journal, made(FILE, "new"), synced(ROOT_INODE), written(body))
    lost = bytes(PAGE_BYTES)
    whole, first, second = body, body[:PAGE_BYTES], lost + body[PAGE_BYTES:]
    assert {held.files["new"] for held in possible(disk)} == {b"", whole, first, second}


def test_a_truncation_may_be_lost(journal: OperationJournal) -> None:
    inode = journal.names_before[ROOT_INODE]["old"]
    disk = disk_after(journal, Truncated(inode=inode, size=0))
    assert {held.files["old"] for held in possible(disk)} == {b"before", b""}


def test_a_rename_over_an_old_name_shows_one_of_the_two_files(journal: OperationJournal) -> None:
    move = Moved(folder=ROOT_INODE, name="old", inode=FILE, old_folder=ROOT_INODE, old_name="new")
    disk = disk_after(journal, made(FILE, "new"), written(b"x"), synced(FILE), move)
    seen = {tuple(sorted(held.files.items())) for held in possible(disk)}
    assert seen == {(("old", b"before"),), (("new", b"x"), ("old", b"before")), (("old", b"x"),)}


def test_a_name_may_arrive_without_the_bytes_that_were_written_before_it(journal: OperationJournal) -> None:
    move = Moved(folder=ROOT_INODE, name="old", inode=FILE, old_folder=ROOT_INODE, old_name="new")
    disk = disk_after(journal, made(FILE, "new"), written(b"x"), move, synced(ROOT_INODE))
    assert disk.after_losing_all().files == {"old": b""}


def test_changes_of_one_folder_arrive_in_their_order(journal: OperationJournal) -> None:
    disk = disk_after(journal, made(FILE, "first"), made(OTHER, "second"))
    assert {tuple(sorted(held.files)) for held in possible(disk)} == {
        ("old",),
        ("first", "old"),
        ("first", "old", "second"),
    }


def test_changes_of_two_folders_arrive_in_any_order(journal: OperationJournal) -> None:
    disk = disk_after(journal, made(FOLDER, "folder"), synced(ROOT_INODE), made(FILE, "a", FOLDER), made(OTHER, "b"))
    assert {tuple(sorted(held.files)) for held in possible(disk)} == {
        ("old",),
        ("folder/a", "old"),
        ("b", "old"),
        ("b", "folder/a", "old"),
    }


def test_a_rename_between_folders_arrives_with_what_came_before_it_in_both(journal: OperationJournal) -> None:
    move = Moved(folder=FOLDER, name="moved", inode=FILE, old_folder=ROOT_INODE, old_name="new")
    operations = (made(FOLDER, "folder"), made(FILE, "new"), made(OTHER, "more"), move)
    disk = disk_after(journal, *operations, synced(FOLDER))
    assert set(disk.after_losing_all().files) == {"old", "more", "folder/moved"}


def test_a_removal_may_be_lost_and_a_whole_folder_with_its_name(journal: OperationJournal) -> None:
    inode = journal.names_before[ROOT_INODE]["old"]
    gone = Removed(folder=ROOT_INODE, name="old", inode=inode)
    assert "old" in disk_after(journal, gone).after_losing_all().files
    hidden = disk_after(journal, made(FOLDER, "folder"), made(FILE, "a", FOLDER), synced(FOLDER))
    assert hidden.after_losing_all().files == {"old": b"before"}


def test_a_second_name_of_a_synced_file_is_a_name_like_another(journal: OperationJournal) -> None:
    link = Linked(folder=ROOT_INODE, name="second", inode=FILE)
    disk = disk_after(journal, made(FILE, "first"), written(b"x"), synced(FILE), synced(ROOT_INODE), link)
    assert disk.after_losing_all().files == {"old": b"before", "first": b"x"}
    assert disk.after_losing_nothing().files["second"] == b"x"


def test_the_same_content_has_the_same_digest_wherever_it_came_from(journal: OperationJournal) -> None:
    one = disk_after(journal, made(FILE, "new"), written(b"xy")).after_losing_nothing()
    two = disk_after(journal, made(FILE, "new"), written(b"x"), written(b"y", 1)).after_losing_nothing()
    assert one.digest() == two.digest()
    assert one.digest() != Disk(journal).after_losing_all().digest()
