"""Files by the digest of their bytes: put in whole or not at all, checked, taken out; and what copies and digests them.

It does not know who needs a file, and locks nothing: the model store does both.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from homebred_daemon.adapters.blob_names import ALGORITHM, PREFIX, NamedByDigest, Progress
from homebred_daemon.adapters.durable_files import LEFTOVER_PREFIX, flush_file, flush_folder, make_folder
from homebred_daemon.errors import RequestError

CHUNK_BYTES = 4 * 1024 * 1024
_FICLONE = 0x40049409  # ioctl_ficlonerange(2)
_READ_ONLY = 0o444


class FileBlobs(NamedByDigest):
    """A folder whose files are named by their digests."""

    def size(self, digest: str) -> int | None:
        """A file's size in bytes; None: absent."""
        try:
            return self.path(digest).stat().st_size
        except FileNotFoundError:
            return None

    def is_intact(self, digest: str, progress: Progress) -> bool:
        """Whether a file is there and every byte of it as it was put in."""
        return self.size(digest) is not None and digest_of_file(self.path(digest), "verifying", progress) == digest

    def add(self, source: Path, digest: str, progress: Progress) -> None:
        """Takes a copy of a file, durably; one that is there is replaced.

        The copy shares the disk's blocks where the file system can, but never the inode as a hard link would: whoever
        may write to the source must not be able to change the copy.

        Raises:
            RequestError: the file no longer has that digest.
        """
        make_folder(self._folder)
        with source.open("rb") as origin, _new_file(self._folder) as copy:
            found = fill_copy(origin, copy, progress)
            if found == digest:
                Path(copy.name).rename(self.path(digest))
        if found != digest:
            raise changed_meanwhile(source)
        flush_folder(self._folder)

    def adopt(self, source: Path, digest: str) -> None:
        """Takes a file itself, durably and without a copy, under a second name; one that is there is replaced.

        For files that nobody but this product writes, and whose digest was just found. Raises OSError: it is on another
        file system, or on one without links.
        """
        make_folder(self._folder)
        aside = self._folder / f"{LEFTOVER_PREFIX}{self.path(digest).name}"
        aside.unlink(missing_ok=True)
        link_flushed(source, aside)
        aside.rename(self.path(digest))
        aside.unlink(missing_ok=True)  # it was there already: a rename onto itself does nothing (rename(2))
        flush_folder(self._folder)

    def remove(self, digest: str) -> None:
        """Takes a file out; whoever has it open keeps it until closing it."""
        self.path(digest).unlink(missing_ok=True)

    def remove_leftovers(self) -> None:
        """Removes what a killed `add` left; the caller knows that none is running."""
        for path in self._paths():
            if path.name.startswith(LEFTOVER_PREFIX):
                path.unlink(missing_ok=True)


@contextmanager
def _new_file(folder: Path) -> Iterator[IO[bytes]]:
    """A file aside, removed at the end unless it was given another name."""
    with tempfile.NamedTemporaryFile(prefix=LEFTOVER_PREFIX, dir=folder, delete=False) as file:
        try:
            yield file
        finally:
            Path(file.name).unlink(missing_ok=True)


def digest_of_file(path: Path, step: str, progress: Progress) -> str:
    """`sha256:` and the digest of a file's bytes in hexadecimal."""
    with path.open("rb") as file:
        return digest_of_open_file(file, step, progress)


def fill_copy(origin: IO[bytes], copy: IO[bytes], progress: Progress) -> str:
    """Fills an empty file, read-only from then on and flushed to the disk; the digest of what it holds."""
    digest = _copied(origin, copy, progress)
    os.fchmod(copy.fileno(), _READ_ONLY)
    flush_file(copy)
    return digest


def link_flushed(source: Path, name: Path) -> None:
    """Gives a file, read-only from then on and flushed to the disk, another name. Raises OSError."""
    with source.open("rb") as file:
        os.fchmod(file.fileno(), _READ_ONLY)
        os.fsync(file.fileno())
    name.hardlink_to(source)


def changed_meanwhile(source: Path) -> RequestError:
    """What to say where a copy is not what was read before."""
    return RequestError(
        f"{source} changed while it was being added", hint="wait until nothing writes to it, then add it again"
    )


def _copied(origin: IO[bytes], copy: IO[bytes], progress: Progress) -> str:
    try:
        fcntl.ioctl(copy.fileno(), _FICLONE, origin.fileno())
    except OSError:  # another file system, or one without shared blocks
        return digest_of_open_file(origin, "copying", progress, write=copy.write)
    return digest_of_open_file(copy, "copying", progress)


def digest_of_open_file(
    file: IO[bytes], step: str, progress: Progress, write: Callable[[bytes], object] = lambda _: None
) -> str:
    """As `digest_of_file`, of what is left to read; `write` gets every byte of it."""
    digest = hashlib.new(ALGORITHM)
    total_bytes, done_bytes = os.fstat(file.fileno()).st_size, 0
    progress(step, done_bytes, total_bytes)
    while chunk := file.read(CHUNK_BYTES):
        digest.update(chunk)
        write(chunk)
        done_bytes += len(chunk)
        progress(step, done_bytes, max(total_bytes, done_bytes))
    return PREFIX + digest.hexdigest()
