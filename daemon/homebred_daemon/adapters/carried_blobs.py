"""A release's files from a folder that somebody carried here: `ports.transfer.ByteSource` over `blobs/sha256/<hex>`.

The folder may hold anything and be gone at any moment. Names are walked from descriptors and no link is followed; only
a plain file of the right length is read, opened so that a pipe cannot hold this up. Whether its bytes are right, who
asked says: each frame's digest is known. A disk that hangs holds up one thread, and nothing else.
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

from homebred_daemon.core.transfer import WantedFile
from homebred_daemon.errors import SourceAwayError, SourceRefusesError, SourceWrongError
from homebred_daemon.ports.transfer import ByteStream
from homebred_protocol.trusted_files import CARRIED_BLOBS

PIECE_BYTES: Final = 1024 * 1024
"""Read at once, and so what it holds in memory."""
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_PUT_BACK: Final = "put the stick back, or copy the folder anew: what came of it stays"
_ANEW: Final = "copy the folder anew, whole: links are not followed"
Read = Callable[[int, int, int], bytes]
"""`os.pread`."""


class CarriedBlobs:
    """One folder."""

    def __init__(self, folder: Path, *, read: Read = os.pread) -> None:
        """Opens nothing yet; `close` when nothing more is read of it."""
        self._folder = folder
        self._read = read
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="carried")

    @property
    def name(self) -> str:
        """As the port says."""
        return f"the folder {self._folder}"

    def close(self) -> None:
        """Its thread ends once it can; a disk that hangs is not waited for."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    @asynccontextmanager
    async def open(self, file: WantedFile, begin: int, end: int) -> AsyncIterator[ByteStream]:
        """As the port says."""
        try:
            opening = self._thread.submit(_opened, self._folder, file)
        except RuntimeError:
            raise self._closed() from None
        try:
            descriptor = await asyncio.wrap_future(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_late)
            raise
        try:
            yield _Stream(self._on_thread, partial(self._read, descriptor), file, begin, end)
        finally:
            try:
                self._thread.submit(os.close, descriptor)  # after whatever read is still on its way
            except RuntimeError:
                os.close(descriptor)

    async def _on_thread(self, act: Callable[[], bytes]) -> bytes:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, act)
        except RuntimeError:
            raise self._closed() from None

    def _closed(self) -> SourceAwayError:
        return SourceAwayError(f"{self.name} is read no longer", hint=_PUT_BACK)


class _Stream:
    """Fulfils `ports.transfer.ByteStream`."""

    def __init__(
        self,
        on_thread: Callable[[Callable[[], bytes]], Awaitable[bytes]],
        read: Callable[[int, int], bytes],
        file: WantedFile,
        begin: int,
        end: int,
    ) -> None:
        self._on_thread = on_thread
        self._read = read
        self._file = file
        self._at = begin
        self._end = end

    async def read_into(self, room: memoryview) -> int:
        """As the port says: what a cancelled read still brings goes nowhere."""
        filled = 0
        while filled < len(room) and self._at < self._end:
            length = min(PIECE_BYTES, len(room) - filled, self._end - self._at)
            try:
                piece = await self._on_thread(partial(self._read, length, self._at))
            except OSError as error:
                if filled:  # told by the next call
                    break
                why = f"{self._file.path} cannot be read on: {error.strerror}"
                raise SourceAwayError(why, hint=_PUT_BACK) from error
            if not piece:
                break
            room[filled : filled + len(piece)] = piece
            filled, self._at = filled + len(piece), self._at + len(piece)
        return filled


def _close_late(opening: Future[int]) -> None:
    """Nobody waits for this descriptor any more."""
    if not opening.cancelled() and opening.exception() is None:
        os.close(opening.result())


def _opened(folder: Path, file: WantedFile) -> int:
    """The file's descriptor. Raises TransferError."""
    with ExitStack() as folders:

        def opening(path: str | Path, at: int | None) -> int:
            descriptor = os.open(path, _FOLDER, dir_fd=at)
            folders.callback(os.close, descriptor)
            return descriptor

        try:
            at = opening(folder, None)
            for name in CARRIED_BLOBS:
                at = opening(name, at)
        except OSError as error:
            if error.errno in {errno.ELOOP, errno.ENOTDIR}:
                raise SourceRefusesError(f"what should be folders in {folder} is none", hint=_ANEW) from error
            raise SourceAwayError(f"{folder} has no blobs to be read: {error.strerror}", hint=_PUT_BACK) from error
        try:
            descriptor = os.open(file.digest.removeprefix("sha256:"), _FILE, dir_fd=at)
        except OSError as error:
            raise SourceRefusesError(f"{folder} does not give {file.path}: {error.strerror}", hint=_ANEW) from error
    found = os.fstat(descriptor)
    if stat.S_ISREG(found.st_mode) and found.st_size == file.length:
        return descriptor
    os.close(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise SourceRefusesError(f"{file.path} is no plain file in {folder}", hint=_ANEW)
    raise SourceWrongError(f"{file.path} has {found.st_size} bytes in {folder} instead of {file.length}", hint=_ANEW)
