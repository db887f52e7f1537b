"""Folders by the digest of what they hold: put in whole or not at all, checked, taken out.

A folder's digest is that of its listing (`homebred_protocol.digests`): sha256, size and path of each file. Names that
begin with a dot (what version control and downloaders leave) and empty folders are no part of it, and are not copied.
Links, and whatever is neither file nor folder, are refused: a digest must not depend on what is elsewhere. It does not
know who needs a folder, and locks nothing: the model store does both.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from homebred_daemon.adapters.blob_files import changed_meanwhile, digest_of_open_file, fill_copy, link_flushed
from homebred_daemon.adapters.blob_names import NamedByDigest, Progress
from homebred_daemon.adapters.durable_files import LEFTOVER_PREFIX, flush_folder, make_folder
from homebred_daemon.errors import RequestError
from homebred_protocol.digests import digest_of_listing

MAX_ENTRIES = 1000
"""Files and folders in one; the largest checkpoints have a few hundred."""
MAX_DEPTH = 8
"""Folders within one another."""
_REMOVED_PREFIX = ".gone-"
_NOTHING_ELSE = "name the folder that holds the model and nothing else"
_READABLE = 0o755  # what root puts in is the daemon's own user to read


Listing = list[tuple[str, str, int]]
"""Of each file the path below the folder with `/`, the digest and the size in bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """A file of a folder."""

    name: str
    """Path below the folder, with `/`."""
    size_bytes: int


class FolderBlobs(NamedByDigest):
    """A folder whose folders are named by their digests."""

    def size(self, digest: str) -> int | None:
        """Bytes of a folder's files; None: absent, or damaged."""
        try:
            return sum(file.size_bytes for file in _files(self.path(digest)))
        except (FileNotFoundError, RequestError):
            return None

    def is_intact(self, digest: str, progress: Progress) -> bool:
        """Whether a folder is there and every byte of it as it was put in."""
        try:
            return digest_of_listing(listing_of_folder(self.path(digest), "verifying", progress)) == digest
        except (FileNotFoundError, RequestError):
            return False

    def add(self, source: Path, digest: str, progress: Progress) -> None:
        """Takes a copy of a folder, durably; one that is there is replaced.

        Raises:
            RequestError: the folder no longer has that digest.
        """
        make_folder(self._folder)
        new = Path(tempfile.mkdtemp(prefix=LEFTOVER_PREFIX, dir=self._folder))
        try:
            if digest_of_listing(_copied(source, new, progress)) != digest:
                raise changed_meanwhile(source)
            self.remove(digest)
            new.rename(self.path(digest))
        finally:
            shutil.rmtree(new, ignore_errors=True)
        flush_folder(self._folder)

    def adopt(self, source: Path, digest: str) -> None:
        """Takes the files of a folder themselves, durably and without a copy; a folder that is there is replaced.

        For folders that nobody but this product writes, and whose digest was just found. Raises OSError: it is on
        another file system, or on one without links.
        """
        make_folder(self._folder)
        new = Path(tempfile.mkdtemp(prefix=LEFTOVER_PREFIX, dir=self._folder))
        try:
            for file in _files(source):
                (new / file.name).parent.mkdir(parents=True, exist_ok=True)
                link_flushed(source / file.name, new / file.name)
            _flush_folders(new)
            self.remove(digest)
            new.rename(self.path(digest))
        finally:
            shutil.rmtree(new, ignore_errors=True)
        flush_folder(self._folder)

    def remove(self, digest: str) -> None:
        """Takes a folder out: after a kill it is there whole or not at all."""
        gone = self._folder / f"{_REMOVED_PREFIX}{self.path(digest).name}"
        if self.path(digest).exists():
            self.path(digest).rename(gone)
            shutil.rmtree(gone)

    def remove_leftovers(self) -> None:
        """Removes what a killed `add` or `remove` left; the caller knows that none is running."""
        for path in self._paths():
            if path.name.startswith((LEFTOVER_PREFIX, _REMOVED_PREFIX)):
                shutil.rmtree(path)


def refuse_unfit_folder(folder: Path) -> None:
    """Raises RequestError, OSError where a listing would, without opening what is in it."""
    _files(folder)


def listing_of_folder(folder: Path, step: str, progress: Progress) -> Listing:
    """What a folder holds; every byte of it is read.

    Raises:
        RequestError: it holds something that has no place in a store, or nothing.
        OSError: it cannot be read.
    """
    return _listed(folder, None, step, progress)


def is_left_out(name: str) -> bool:
    """Whether a path below a folder is no part of it."""
    return any(part.startswith(".") for part in name.split("/"))


def _copied(source: Path, target: Path, progress: Progress) -> Listing:
    """Fills an empty folder, flushed to the disk; what it holds."""
    listing = _listed(source, target, "copying", progress)
    _flush_folders(target)
    return listing


def _flush_folders(target: Path) -> None:
    """Makes a folder and those in it readable, and waits until the disk has their names."""
    for folder in (target, *(path for path in target.rglob("*") if path.is_dir())):
        folder.chmod(_READABLE)
        flush_folder(folder)


def _listed(folder: Path, target: Path | None, step: str, progress: Progress) -> Listing:
    """Goes through the files once; copies each where there is a target."""
    files = _files(folder)
    total_bytes, done_bytes = sum(file.size_bytes for file in files), 0
    listing = []
    for file in files:
        advance = _from(progress, done_bytes, total_bytes)
        with _opened(folder / file.name) as origin:
            if target is None:
                digest = digest_of_open_file(origin, step, advance)
            else:
                (target / file.name).parent.mkdir(parents=True, exist_ok=True)
                with (target / file.name).open("x+b") as copy:
                    digest = fill_copy(origin, copy, advance)
        listing.append((file.name, digest, file.size_bytes))
        done_bytes += file.size_bytes
    return listing


def _from(progress: Progress, before_bytes: int, total_bytes: int) -> Progress:
    """For one file of several: counts on from those before it."""
    return lambda step, done_bytes, _: progress(
        step, before_bytes + done_bytes, max(total_bytes, before_bytes + done_bytes)
    )


def _opened(path: Path) -> IO[bytes]:
    """The file itself: whoever puts a link or a pipe in its place meanwhile gets an error."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    return os.fdopen(descriptor, "rb")


def _files(folder: Path) -> list[_File]:
    """In the order of their names. Raises RequestError, OSError."""
    found: list[_File] = []
    for count, (parts, status) in enumerate(_entries(folder, ()), start=1):
        _refuse_unfit(folder, parts, status.st_mode)
        if count > MAX_ENTRIES:
            raise RequestError(f"{folder} holds more than {MAX_ENTRIES} files and folders", hint=_NOTHING_ELSE)
        if stat.S_ISREG(status.st_mode):
            found.append(_File(name="/".join(parts), size_bytes=status.st_size))
    if not found:
        raise RequestError(f"{folder} holds no file", hint="name the folder that holds the model")
    return sorted(found, key=lambda file: file.name)


def _entries(folder: Path, parts: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], os.stat_result]]:
    """All below a folder that is not hidden; each folder before what is in it."""
    with os.scandir(folder.joinpath(*parts)) as entries:
        for entry in entries:
            if not is_left_out(entry.name):
                below, status = (*parts, entry.name), entry.stat(follow_symlinks=False)
                yield below, status
                if stat.S_ISDIR(status.st_mode):
                    yield from _entries(folder, below)


def _refuse_unfit(folder: Path, parts: tuple[str, ...], mode: int) -> None:
    name = "/".join(parts)
    if not name.isprintable():
        raise RequestError(f"{folder} holds a file with the unprintable name {name!r}", hint="give it another name")
    if stat.S_ISLNK(mode):
        raise RequestError(
            f"{folder / name} is a link", hint=f"copy the folder with what its links lead to: cp -rL {folder} COPY"
        )
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise RequestError(f"{folder / name} is neither a file nor a folder", hint="remove it")
    if len(parts) > MAX_DEPTH:
        raise RequestError(f"{folder} holds more than {MAX_DEPTH} folders within one another", hint=_NOTHING_ELSE)
