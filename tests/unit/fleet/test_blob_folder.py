"""The folder of documents: named by digest, whole or not there, and no name leads out of it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from homebred_fleet.adapters import blob_folder
from homebred_fleet.adapters.blob_folder import BlobFolder, FirstOf, ForEverySite
from homebred_protocol.digests import digest_of

BODY = b"version = 1\n"


def test_what_is_kept_can_be_read_by_its_digest(tmp_path: Path) -> None:
    blobs = BlobFolder(tmp_path / "a" / "blobs")
    assert blobs.keep(BODY) == digest_of(BODY) == blobs.keep(BODY)
    assert blobs.read(digest_of(BODY)) == BODY
    path = blobs.path_of(digest_of(BODY))
    assert path is not None
    assert path.read_bytes() == BODY
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "digest",
    ["", "sha256:", "sha256:../../etc/passwd", "sha256:" + "A" * 64, "sha512:" + "a" * 64, "sha256:" + "a" * 64],
)
def test_what_is_not_there_or_no_digest_is_nothing(tmp_path: Path, digest: str) -> None:
    blobs = BlobFolder(tmp_path)
    assert blobs.path_of(digest) is None
    assert blobs.read(digest) is None


def test_a_damaged_file_is_not_given_out_and_is_mended_by_keeping_it_again(tmp_path: Path) -> None:
    blobs = BlobFolder(tmp_path)
    path = blobs.path_of(blobs.keep(BODY))
    assert path is not None
    path.write_bytes(b"something else")
    assert blobs.read(digest_of(BODY)) is None
    blobs.keep(BODY)
    assert blobs.read(digest_of(BODY)) == BODY


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blobs = BlobFolder(tmp_path)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        blobs.keep(BODY)
    monkeypatch.undo()
    assert list(tmp_path.rglob("*new*")) == []
    assert blobs.path_of(digest_of(BODY)) is None


def test_what_a_kill_left_is_removed_at_the_next_start(tmp_path: Path) -> None:
    (tmp_path / ".new-abc").write_bytes(b"half")
    BlobFolder(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_kept_by_its_digest_however_often_and_a_damaged_one_anew(tmp_path: Path) -> None:
    source, blobs = tmp_path / "model.gguf", BlobFolder(tmp_path / "blobs")
    source.write_bytes(BODY * 100_000)
    digest = blobs.keep_file(source)
    assert digest == digest_of(BODY * 100_000) == blobs.keep_file(source)
    path = blobs.path_of(digest)
    assert path is not None
    path.write_bytes(b"damage")
    assert blobs.keep_file(source) == digest
    assert blobs.read(digest) == BODY * 100_000
    assert not list((tmp_path / "blobs").glob(".new-*"))


def test_what_the_disk_cannot_read_is_damaged_and_may_come_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(_: Path) -> str:
        raise OSError(errno.EIO, "Input/output error")

    def forbidden(_: Path) -> str:
        raise PermissionError(errno.EACCES, "Permission denied")

    blobs = BlobFolder(tmp_path / "blobs")
    digest = blobs.keep(BODY)
    monkeypatch.setattr(blob_folder, "_digest_of_file", forbidden)
    with pytest.raises(PermissionError):
        blobs.holds(digest)
    monkeypatch.setattr(blob_folder, "_digest_of_file", unreadable)
    assert not blobs.holds(digest)
    assert blobs.path_of(digest) is None


def test_a_file_that_changes_while_it_is_read_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, blobs = tmp_path / "model.gguf", BlobFolder(tmp_path / "blobs")
    source.write_bytes(BODY)
    monkeypatch.setattr(blob_folder, "_digest_of_file", lambda path: digest_of(b"what it was"))
    with pytest.raises(ValueError, match="changed while it was read"):
        blobs.keep_file(source)
    assert blobs.path_of(digest_of(b"what it was")) is None


def test_files_of_releases_are_every_sites(tmp_path: Path) -> None:
    blobs = BlobFolder(tmp_path)
    digest = blobs.keep(BODY)
    assert ForEverySite(blobs).for_site(digest, "east") == blobs.path_of(digest)


class OfEast:
    """Fulfils `ports.documents.Documents` for one site."""

    def __init__(self, blobs: BlobFolder) -> None:
        self._blobs = blobs

    def for_site(self, digest: str, site: str) -> Path | None:
        return self._blobs.path_of(digest) if site == "east" else None


def test_what_another_folder_has_is_found_for_whom_it_is(tmp_path: Path) -> None:
    releases, lists = BlobFolder(tmp_path / "releases"), BlobFolder(tmp_path / "lists")
    both = FirstOf(ForEverySite(releases), OfEast(lists))
    file, names = releases.keep(BODY), lists.keep(b"names")
    assert both.for_site(file, "west") == releases.path_of(file)
    assert both.for_site(names, "east") == lists.path_of(names)
    assert both.for_site(names, "west") is None


def test_a_file_is_adopted_for_what_its_digest_says_alone(tmp_path: Path) -> None:
    blobs, part = BlobFolder(tmp_path), tmp_path / ".part"
    assert not blobs.adopt(part, digest_of(BODY))
    part.write_bytes(BODY)
    assert not blobs.adopt(part, digest_of(b"other"))
    assert blobs.adopt(part, digest_of(BODY))
    assert blobs.read(digest_of(BODY)) == BODY
    assert not part.exists()


def test_what_nobody_needs_goes_once_it_is_old(tmp_path: Path) -> None:
    blobs = BlobFolder(tmp_path)
    needed, other = blobs.keep(BODY), blobs.keep(b"other")
    path = blobs.path_of(other)
    assert path is not None
    written_s = path.stat().st_mtime
    blobs.remove_all_but([needed], older_than_s=written_s - 1)
    assert blobs.path_of(other) is not None
    blobs.remove_all_but([needed], older_than_s=written_s + 1)
    assert (blobs.path_of(other), blobs.read(needed)) == (None, BODY)
