"""Bytes that come piece by piece, by their digest, until they are whole: a blob then, or nothing.

    blobs/.part-<hex>       what has come of one so far; it outlives kills, and goes on from its length

A piece is taken where what is there ends, so that two who send the same at once help each other, and whoever broke off
asks how much came. Before the first byte there must be room, with a reserve. The whole is digested before it gets its
name: nothing but what a digest says is ever a blob. What nobody has added to for a week is removed.
"""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from homebred_fleet.adapters.blob_folder import BlobFolder
from homebred_fleet.core.durations import DAY_S
from homebred_fleet.errors import ConflictError, NoRoomError, RequestError, StateError

PIECE_BYTES: Final = 4 * 1024 * 1024
"""Longest that is sent at once."""
PART_LIFE_S: Final = 7 * DAY_S
_PREFIX: Final = ".part-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Came:
    """How much of a blob is there."""

    length: int
    is_whole: bool
    """It is a blob, under its digest."""


class BlobUploads:
    """What comes into one folder; from any thread. Every method may raise StateError."""

    def __init__(self, blobs: BlobFolder, *, max_bytes: int, reserve_bytes: int, now_s: Callable[[], int]) -> None:
        """Takes how long a blob may be, and how much of the disk stays free."""
        self._blobs = blobs
        self._max_bytes = max_bytes
        self._reserve_bytes = reserve_bytes
        self._now_s = now_s
        self._lock = threading.Lock()
        self._checked: set[str] = set()
        """Digests of what is being read to its end at present."""

    def came(self, digest: str) -> Came:
        """How much there is. Raises RequestError: it is no digest."""
        with self._told():
            part = self._part(digest)
            whole = self._blobs.path_of(digest)
            if whole is not None:
                return Came(length=whole.stat().st_size, is_whole=True)
            return Came(length=_length_of(part), is_whole=False)

    def append(self, digest: str, offset: int, piece: bytes, *, length: int) -> None:
        """Takes a piece of a blob that will have so many bytes; only `settle` waits for the disk.

        Raises:
            ConflictError: what is there ends somewhere else; nothing was taken.
            NoRoomError: the disk would have less than its reserve.
            RequestError: it is longer than a blob may be, or than it was said to be.
        """
        if not 0 <= length <= self._max_bytes:
            raise RequestError(f"it has {length:,} bytes, and {self._max_bytes:,} are taken", hint="send less at once")
        with self._told(), self._lock:
            part = self._part(digest)
            held = _length_of(part)
            if self._blobs.path_of(digest) is not None or held != offset or digest in self._checked:
                raise ConflictError(f"{held:,} bytes of it are there", hint="ask how much came, and go on from there")
            if held + len(piece) > length:
                raise RequestError("more came than it is said to have", hint="send the file that was meant")
            if not held:
                self._remove_old()
            self._require_room(length - held)
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.seek(held)
                file.write(piece)

    def settle(self, digest: str) -> Came:
        """Waits until the disk has what came."""
        with self._told():
            part = self._part(digest)
            if part.exists():
                with part.open("rb") as file:
                    os.fsync(file.fileno())
        return self.came(digest)

    def finish(self, digest: str) -> Came:
        """Reads all that came, and has it be a blob. Takes as long as the disk needs to read it.

        Raises:
            ConflictError: somebody else has it read at present.
            RequestError: it has another digest; it is thrown away.
        """
        with self._told(), self._reading(digest):
            part = self._part(digest)
            if self._blobs.path_of(digest) is None and not self._blobs.adopt(part, digest):
                part.unlink(missing_ok=True)
                raise RequestError(
                    f"what came is not {digest}: it is thrown away",
                    hint="send it again, from a file that nothing writes to",
                    code="other_bytes",
                )
        return self.came(digest)

    def check(self, digest: str) -> Came:
        """Reads what is there whole: what its disk has damaged is a blob no longer, and comes again.

        Raises:
            ConflictError: somebody else has it read at present.
        """
        with self._told(), self._reading(digest):
            self._blobs.holds(digest)
        return self.came(digest)

    @contextmanager
    def _reading(self, digest: str) -> Iterator[None]:
        with self._lock:
            if digest in self._checked:
                raise ConflictError("it is being read to its end", hint="ask again in a moment", code="being_read")
            self._checked.add(digest)
        try:
            yield
        finally:
            with self._lock:
                self._checked.discard(digest)

    def _part(self, digest: str) -> Path:
        name = self._blobs.name_of(digest)
        if name is None:
            raise RequestError(f"{digest[:80]!r} is no digest", hint="write sha256: and 64 hexadecimal digits")
        return self._blobs.folder / f"{_PREFIX}{name}"

    def _require_room(self, bytes_to_come: int) -> None:
        free = shutil.disk_usage(self._blobs.folder).free
        if free - bytes_to_come < self._reserve_bytes:
            raise NoRoomError(
                f"{self._blobs.folder} has {free:,} bytes free; {bytes_to_come:,} are to come, "
                f"and {self._reserve_bytes:,} stay free",
                hint="make room on the controller, or set releases.disk_reserve_mb; what came is kept for a week",
            )

    def _remove_old(self) -> None:
        for part in self._blobs.folder.glob(f"{_PREFIX}*"):
            if part.stat().st_mtime < self._now_s() - PART_LIFE_S:
                part.unlink(missing_ok=True)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                raise NoRoomError(f"the disk of {self._blobs.folder} is full", hint="make room, then go on") from error
            raise StateError(f"{self._blobs.folder} cannot be used: {error.strerror}") from error


def _length_of(part: Path) -> int:
    try:
        return part.stat().st_size
    except FileNotFoundError:
        return 0
