"""Bytes that come piece by piece: where they end they go on, and nothing but what its digest says is ever a blob."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from homebred_fleet.adapters.blob_folder import BlobFolder
from homebred_fleet.adapters.blob_uploads import PART_LIFE_S, BlobUploads
from homebred_fleet.errors import ConflictError, NoRoomError, RequestError, StateError
from homebred_protocol.digests import digest_of

BODY = bytes(range(256)) * 40
DIGEST, LENGTH = digest_of(BODY), len(BODY)


def uploads(folder: Path, *, reserve_bytes: int = 0, now_s: float = 0) -> BlobUploads:
    return BlobUploads(BlobFolder(folder), max_bytes=100_000, reserve_bytes=reserve_bytes, now_s=lambda: int(now_s))


def send(into: BlobUploads, begin: int, end: int) -> None:
    into.append(DIGEST, begin, BODY[begin:end], length=LENGTH)


def test_pieces_become_a_blob_once_all_of_them_came(tmp_path: Path) -> None:
    into = uploads(tmp_path)
    assert (into.came(DIGEST).length, into.came(DIGEST).is_whole) == (0, False)
    send(into, 0, 4000)
    assert into.settle(DIGEST).length == 4000
    send(into, 4000, LENGTH)
    assert not into.settle(DIGEST).is_whole
    assert into.finish(DIGEST).is_whole
    assert into.finish(DIGEST).length == LENGTH
    assert BlobFolder(tmp_path).read(DIGEST) == BODY
    assert not list(tmp_path.glob(".*"))


def test_the_next_process_goes_on_where_the_one_before_was_killed(tmp_path: Path) -> None:
    send(uploads(tmp_path), 0, 5)
    into = uploads(tmp_path)
    assert into.came(DIGEST).length == 5
    send(into, 5, LENGTH)
    assert into.finish(DIGEST).is_whole


@pytest.mark.parametrize("offset", [0, 3, 5, LENGTH])
def test_a_piece_that_does_not_begin_where_the_last_one_ended_is_not_taken(tmp_path: Path, offset: int) -> None:
    into = uploads(tmp_path)
    send(into, 0, 4)
    with pytest.raises(ConflictError, match="4 bytes of it are there"):
        into.append(DIGEST, offset, b"x", length=LENGTH)
    assert into.came(DIGEST).length == 4


def test_what_is_a_blob_already_is_not_sent_again(tmp_path: Path) -> None:
    BlobFolder(tmp_path).keep(BODY)
    into = uploads(tmp_path)
    assert into.came(DIGEST).is_whole
    with pytest.raises(ConflictError):
        send(into, 0, 10)
    assert not list(tmp_path.glob(".*"))


def test_what_the_disk_has_damaged_goes_once_it_is_looked_at_and_comes_again(tmp_path: Path) -> None:
    blobs = BlobFolder(tmp_path)
    blobs.keep(BODY)
    into = uploads(tmp_path)
    assert into.check(DIGEST).is_whole
    path = blobs.path_of(DIGEST)
    assert path is not None
    path.write_bytes(BODY[:-1] + b"?")
    assert into.came(DIGEST).is_whole, "nobody has looked yet"
    assert (into.check(DIGEST).length, into.came(DIGEST).is_whole) == (0, False)
    send(into, 0, LENGTH)
    assert into.finish(DIGEST).is_whole


def test_other_bytes_than_the_digest_says_are_thrown_away(tmp_path: Path) -> None:
    into = uploads(tmp_path)
    into.append(DIGEST, 0, BODY[:-1] + b"x", length=LENGTH)
    with pytest.raises(RequestError, match="thrown away") as refused:
        into.finish(DIGEST)
    assert refused.value.code == "other_bytes"
    assert into.came(DIGEST).length == 0
    assert BlobFolder(tmp_path).path_of(DIGEST) is None


def test_what_did_not_come_whole_is_no_blob(tmp_path: Path) -> None:
    into = uploads(tmp_path)
    with pytest.raises(RequestError):
        into.finish(DIGEST)
    send(into, 0, LENGTH - 1)
    with pytest.raises(RequestError):
        into.finish(DIGEST)


def test_nothing_has_no_bytes_and_may_come_all_the_same(tmp_path: Path) -> None:
    into = uploads(tmp_path)
    into.append(digest_of(b""), 0, b"", length=0)
    assert into.finish(digest_of(b"")).is_whole


def test_more_than_was_said_or_than_may_be_is_not_taken(tmp_path: Path) -> None:
    into = uploads(tmp_path)
    with pytest.raises(RequestError, match="more came"):
        into.append(DIGEST, 0, b"12345", length=4)
    for length in (-1, 100_001):
        with pytest.raises(RequestError, match="are taken"):
            into.append(DIGEST, 0, b"", length=length)


@pytest.mark.parametrize("digest", ["", "sha256:", "sha256:../../x", "sha256:" + "A" * 64, "x" * 500])
def test_what_is_no_digest_names_no_file(tmp_path: Path, digest: str) -> None:
    into = uploads(tmp_path)
    calls: list[Any] = [
        into.came,
        into.settle,
        into.finish,
        lambda wrong: into.append(wrong, 0, b"x", length=1),
    ]
    for call in calls:
        with pytest.raises(RequestError, match="is no digest"):
            call(digest)
    assert list(tmp_path.iterdir()) == []


def test_the_reserve_of_the_disk_stays_free_for_all_that_is_still_to_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    into = uploads(tmp_path, reserve_bytes=1000)
    free = LENGTH + 1000
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    send(into, 0, 100)
    free -= 101
    with pytest.raises(NoRoomError, match="bytes free") as refused:
        send(into, 100, 200)
    assert "disk_reserve_mb" in refused.value.hint
    assert into.came(DIGEST).length == 100


def test_a_full_disk_is_told_as_one_and_what_came_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    into = uploads(tmp_path)
    send(into, 0, 100)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(NoRoomError, match="is full"):
        into.settle(DIGEST)
    monkeypatch.undo()
    assert into.came(DIGEST).length == 100


def test_a_folder_that_cannot_be_used_is_told_as_such(tmp_path: Path) -> None:
    into = uploads(tmp_path)
    (tmp_path / f".part-{DIGEST.removeprefix('sha256:')}").mkdir()
    with pytest.raises(StateError, match="cannot be used"):
        into.settle(DIGEST)


def test_what_nobody_has_added_to_for_a_week_goes_when_something_else_begins_to_come(tmp_path: Path) -> None:
    send(uploads(tmp_path), 0, 100)
    (part,) = tmp_path.glob(".part-*")
    began_s = part.stat().st_mtime
    other = digest_of(b"other")
    uploads(tmp_path, now_s=began_s + PART_LIFE_S - 10).append(other, 0, b"o", length=5)
    assert part.exists()
    (tmp_path / f".part-{other.removeprefix('sha256:')}").unlink()
    uploads(tmp_path, now_s=began_s + PART_LIFE_S + 10).append(other, 0, b"o", length=5)
    assert not part.exists()


def test_while_it_is_read_to_its_end_nobody_else_has_it_read_or_adds_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    into, began, goes_on = uploads(tmp_path), threading.Event(), threading.Event()
    send(into, 0, LENGTH)
    adopt = BlobFolder.adopt

    def slow(self: BlobFolder, part: Path, digest: str) -> bool:
        began.set()
        assert goes_on.wait(10)
        return adopt(self, part, digest)

    monkeypatch.setattr(BlobFolder, "adopt", slow)
    reading = threading.Thread(target=into.finish, args=(DIGEST,))
    reading.start()
    assert began.wait(10)
    with pytest.raises(ConflictError) as refused:
        into.finish(DIGEST)
    assert refused.value.code == "being_read"
    with pytest.raises(ConflictError):
        into.append(DIGEST, LENGTH, b"", length=LENGTH)
    goes_on.set()
    reading.join()
    assert into.came(DIGEST).is_whole
