"""Where a release is put together: aside, on the disk before it gets its name, so that it is there whole or not at all.

    FOLDER/manifest.json              what is signed
    FOLDER/blobs/sha256/<hex>         each file by its digest, once

The bytes are copied: a link to the author's file would change with it. What a kill left is removed by the next one that
puts something into the same place. It knows no manifest.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from homebred_fleet.adapters.durable_files import LEFTOVER_PREFIX, flush_folder, make_folder
from homebred_fleet.errors import RequestError, StateError
from homebred_protocol.documents.release_values import FRAME_BYTES

MANIFEST: Final = "manifest.json"
BLOBS: Final = "blobs/sha256"
READ_ONLY: Final = 0o444
OWNERS: Final = 0o700
"""Golden sets hold what patients said: whoever else may read a release, its owner decides."""
RESERVE_BYTES: Final = 64 * 1024 * 1024
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_TRIES: Final = 10
_PREFIX: Final = f"{LEFTOVER_PREFIX}release-"

Progress = Callable[[int], None]
"""Hears how many more bytes are done."""


def unheard(_more_bytes: int) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """What a file held while it was copied."""

    length: int
    digest: str
    """`sha256:` of all of it."""
    frames: tuple[str, ...]
    """SHA-256 of each FRAME_BYTES, in hexadecimal."""


class Stage:
    """A release that is being put together."""

    def __init__(self, folder: Path, progress: Progress) -> None:
        self._folder = folder
        self._progress = progress
        self._blobs = folder / BLOBS
        for made in (self._blobs.parent, self._blobs):
            made.mkdir(mode=OWNERS)
            made.chmod(OWNERS)

    def take(self, source: IO[bytes], place: Path) -> Copied:
        """Copies an open file from where it stands to its end, in bounded memory.

        Raises:
            RequestError: it cannot be read, or has not the length any more that it had.
        """
        length = os.fstat(source.fileno()).st_size
        descriptor, name = tempfile.mkstemp(prefix=LEFTOVER_PREFIX, dir=self._blobs)
        with os.fdopen(descriptor, "wb", buffering=0) as copy:
            copied = _copied(source, copy, place, length, self._progress)
            os.fchmod(descriptor, READ_ONLY)
            os.fsync(descriptor)
        Path(name).rename(self._blobs / copied.digest.removeprefix("sha256:"))
        return copied

    def finish(self, manifest: bytes) -> None:
        """Adds the manifest, and returns once the disk has all of it."""
        with (self._folder / MANIFEST).open("xb") as file:
            file.write(manifest)
            file.flush()
            os.fchmod(file.fileno(), READ_ONLY)
            os.fsync(file.fileno())
        for folder in (self._blobs, self._blobs.parent, self._folder):
            flush_folder(folder)


@contextmanager
def staged(target: Path, room_bytes: int, progress: Progress = unheard) -> Iterator[Stage]:
    """A stage that becomes the target at the end, unless something is raised.

    Args:
        target: a folder that is not there, or empty.
        room_bytes: what is going to be put into it.
        progress: hears of bytes as they are copied.

    Raises:
        RequestError: there is something.
        StateError: the disk is full, or the place cannot be written.
    """
    target = target.absolute()
    try:
        if target.is_symlink() or (target.exists() and (not target.is_dir() or any(target.iterdir()))):
            raise RequestError(f"{target} is there already", hint="a release never changes: name another folder")
        make_folder(target.parent)
        _refuse_without_room(target.parent, room_bytes)
        with _locked_folder(target.parent) as new:
            stage = Stage(new, progress)
            yield stage
            new.rename(target)
            flush_folder(target.parent)
    except OSError as error:
        what = f"{target} cannot be written: {error.strerror}"
        raise StateError(what, hint="make room there, or name another place; half a release is never left") from error


def _refuse_without_room(folder: Path, room_bytes: int) -> None:
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < room_bytes + RESERVE_BYTES:
        raise StateError(
            f"{folder} has {free_bytes:,} bytes free, and the release takes {room_bytes:,}",
            hint=f"make room for it and {RESERVE_BYTES:,} bytes more, or name another disk",
        )


@contextmanager
def _locked_folder(parent: Path) -> Iterator[Path]:
    """A folder aside, which no other process takes for a leftover; it is removed unless it was given a name."""
    _remove_leftovers(parent)
    for _ in range(_TRIES):
        new = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        lock = _locked(new)
        if lock is None:  # another build took it for a leftover before it was locked
            continue
        try:
            new.chmod(OWNERS)
            yield new
        finally:
            shutil.rmtree(new, ignore_errors=True)
            os.close(lock)
        return
    raise StateError(f"{parent} lets nobody keep a folder in it", hint="see what removes folders there")


def _locked(folder: Path) -> int | None:
    """The descriptor that holds a folder's lock; None: the folder is gone."""
    try:
        descriptor = os.open(folder, _FOLDER)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if folder.stat().st_ino == os.fstat(descriptor).st_ino:
            return descriptor
    except FileNotFoundError:
        pass
    os.close(descriptor)
    return None


def _remove_leftovers(parent: Path) -> None:
    for left in parent.glob(f"{_PREFIX}*"):
        # Where somebody is at work in it, or it is somebody else's, it stays.
        with suppress(OSError), _closing(os.open(left, _FOLDER)) as descriptor:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left)


@contextmanager
def _closing(descriptor: int) -> Iterator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def changed_meanwhile(place: Path) -> RequestError:
    """What to say where what is copied is not what was looked at."""
    what = f"{place} changed while the release was being built"
    return RequestError(what, hint="wait until nothing writes to it, then build again")


def _copied(source: IO[bytes], copy: IO[bytes], place: Path, expected: int, progress: Progress) -> Copied:
    whole, frames, length = hashlib.sha256(), [], 0
    with ThreadPoolExecutor(max_workers=1) as beside:  # two digests of each byte are what takes the time
        while length <= expected and (frame := _frame(source, place)):
            hashed = beside.submit(whole.update, frame)
            frames.append(hashlib.sha256(frame).hexdigest())
            left = memoryview(frame)
            while left:
                left = left[copy.write(left) :]
            length += len(frame)
            hashed.result()
            progress(len(frame))
    if length != expected:
        raise changed_meanwhile(place)
    return Copied(length=length, digest=f"sha256:{whole.hexdigest()}", frames=tuple(frames))


def _frame(source: IO[bytes], place: Path) -> bytes:
    """The next FRAME_BYTES; fewer at the end alone."""
    pieces, left = [], FRAME_BYTES
    try:
        while left and (piece := source.read(left)):
            pieces.append(piece)
            left -= len(piece)
    except OSError as error:
        raise RequestError(f"{place} cannot be read: {error.strerror}", hint="look at its disk") from error
    return b"".join(pieces)
