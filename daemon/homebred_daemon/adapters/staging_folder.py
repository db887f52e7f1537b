"""Files of releases on their way in: what came outlives any kill, and nothing has its name before it was verified.

    <hex>.part     a file's frames, each where it belongs; where one is missing there is nothing, or what is no frame
    <hex>.frames   its journal (`staging_journal`)
    <hex>          the whole file, read-only: for whoever takes it away by giving it another name

It is on the file system of the model store, or nothing could be taken away without a second copy. A frame is verified
before it is written, and the whole by a digest that runs along where frames come in order; only a file that was gone on
with after a kill is read once more at its end. It fetches nothing.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager, suppress
from errno import EDQUOT, EFBIG, EINVAL, ENOSPC, EROFS
from pathlib import Path

from homebred_daemon.adapters.durable_files import flush_folder, make_folder
from homebred_daemon.adapters.staging_journal import StagingJournal, read_noted
from homebred_daemon.core.transfer import FRAME_BYTES, Room, WantedFile
from homebred_daemon.errors import StateError, TransferError, UnwritableError

FRAMES_A_FLUSH = 8
"""A power cut loses no more of them; a kill loses none that was written."""
_PART, _JOURNAL = ".part", ".frames"
_NO_ROOM = frozenset({ENOSPC, EDQUOT, EFBIG, EROFS})
_OWN, _READ_ONLY = 0o600, 0o444
_READ_BYTES = 1024 * 1024
_BLOCK_BYTES = 4096
"""What is written past the kernel's cache is a multiple of it; all frames but a file's last are."""


class StagingFolder:
    """Fulfils `ports.transfer.Staging`; one process at a time."""

    def __init__(self, folder: Path) -> None:
        """Makes the folder where it is not there. Raises StateError."""
        self._folder = folder
        with _in_our_words(folder):
            make_folder(folder)

    def whole(self, file: WantedFile) -> Path | None:
        """As the port says: only what was verified has this name."""
        path = self._place(file)
        with _in_our_words(path):
            return path if path.is_file() and path.stat().st_size == file.length else None

    def held_bytes(self, file: WantedFile) -> int:
        """As the port says."""
        path = self._place(file)
        with _in_our_words(path):
            if self.whole(file) is not None:
                return file.length
            try:
                noted = read_noted(path.with_suffix(_JOURNAL).read_bytes(), file)
            except FileNotFoundError:
                return 0
        return sum(map(file.frame_length, noted.flushed | noted.written))

    def open(self, file: WantedFile) -> StagedFile:
        """As the port says."""
        with _in_our_words(self._place(file)):
            return StagedFile(self._place(file), file)

    def room(self) -> Room:
        """As the port says."""
        with _in_our_words(self._folder):
            disk = os.statvfs(self._folder)
        return Room(free_bytes=disk.f_bavail * disk.f_frsize, total_bytes=disk.f_blocks * disk.f_frsize)

    def forget(self, digests: AbstractSet[str]) -> None:
        """As the port says."""
        gone = {_name(digest) for digest in digests}
        self._forget(lambda name: name in gone)

    def forget_all_but(self, digests: AbstractSet[str]) -> None:
        """As the port says."""
        kept = {_name(digest) for digest in digests}
        self._forget(lambda name: name not in kept)

    def _forget(self, is_meant: Callable[[str], bool]) -> None:
        with _in_our_words(self._folder):
            for path in self._folder.iterdir():
                if is_meant(path.stem):
                    path.unlink(missing_ok=True)
            flush_folder(self._folder)

    def _place(self, file: WantedFile) -> Path:
        return self._folder / _name(file.digest)


def _name(digest: str) -> str:
    return digest.removeprefix("sha256:")


class StagedFile:
    """Fulfils `ports.transfer.PartialFile`."""

    def __init__(self, whole: Path, file: WantedFile) -> None:
        """Raises OSError."""
        self._whole = whole
        self._file = file
        self._journal = StagingJournal(whole.with_suffix(_JOURNAL))
        try:
            self._descriptor = _opened(whole.with_suffix(_PART))
        except OSError:
            self._journal.close()
            raise
        self._direct = _opened_past_the_cache(whole.with_suffix(_PART))
        try:
            flush_folder(whole.parent)  # both names
            self._held = self._found()
        except BaseException:
            self._close()
            raise
        self._running = None if self._held else hashlib.sha256()
        """Of all frames before `_next`, where they came in order and in this process."""
        self._next = 0
        self._unflushed: list[int] = []
        self._is_in_doubt = False
        """A flush failed: the next may succeed without what the first has lost, so that none of it is claimed."""

    @property
    def held(self) -> AbstractSet[int]:
        """As the port says."""
        return self._held

    def keep(self, number: int, body: memoryview) -> bool:
        """As the port says."""
        if hashlib.sha256(body).hexdigest() != self._file.frames[number]:
            return False
        with _in_our_words(self._whole):
            self._write(body, number * FRAME_BYTES)
            self._journal.add_written(self._file, number)
            self._held.add(number)
            self._unflushed.append(number)
            self._run_along(number, body)
            if len(self._unflushed) >= FRAMES_A_FLUSH:
                self._flush()
        return True

    def finish(self) -> Path | None:
        """As the port says."""
        with _in_our_words(self._whole):
            if self._whole_digest() != self._file.digest:
                self._drop_damaged()
                return None
            os.fchmod(self._descriptor, _READ_ONLY)
            self._sync()
            self._unflushed.clear()
            self._whole.with_suffix(_PART).rename(self._whole)
            flush_folder(self._whole.parent)
            self._whole.with_suffix(_JOURNAL).unlink(missing_ok=True)
        return self._whole

    def close(self) -> None:
        """As the port says: what cannot be flushed now is looked at again when it is next opened."""
        with suppress(OSError):
            if self._unflushed and not self._is_in_doubt:
                self._flush()
        self._close()

    def _write(self, body: memoryview, offset: int) -> None:
        """Past the kernel's cache where that can be: the pages of the model that serves are to stay in it."""
        if self._direct is not None and len(body) % _BLOCK_BYTES == 0:
            try:
                _write_all(self._direct, body, offset)
            except OSError as error:
                if error.errno != EINVAL:  # the file system cannot, or not from this place in memory
                    raise
                os.close(self._direct)
                self._direct = None
            else:
                return
        _write_all(self._descriptor, body, offset)

    def _close(self) -> None:
        if self._direct is not None:
            os.close(self._direct)
        self._journal.close()
        os.close(self._descriptor)

    def _found(self) -> set[int]:
        """The frames that are here: those that the disk had, and of the others those that are whole after all."""
        noted = self._journal.noted(self._file)
        size = os.fstat(self._descriptor).st_size
        held = {number for number in noted.flushed if number * FRAME_BYTES + self._file.frame_length(number) <= size}
        held |= {number for number in noted.written if self._is_written_anew(number)}
        if gone := (noted.flushed | noted.written) - held:  # else they would be claimed again once there are others
            self._journal.add_dropped(gone)
        if held - noted.flushed:
            os.fsync(self._descriptor)
            self._journal.add_flushed()
        return held

    def _is_intact(self, number: int) -> bool:
        digest = hashlib.sha256()
        for piece in self._pieces(number * FRAME_BYTES, self._file.frame_length(number)):
            digest.update(piece)
        return digest.hexdigest() == self._file.frames[number]

    def _is_written_anew(self, number: int) -> bool:
        """Whether a frame is here that no flush has confirmed, which is then written once more.

        Where a flush failed, the kernel may take for written what the disk never had.
        """
        body = os.pread(self._descriptor, self._file.frame_length(number), number * FRAME_BYTES)
        if hashlib.sha256(body).hexdigest() != self._file.frames[number]:
            return False
        _write_all(self._descriptor, memoryview(body), number * FRAME_BYTES)
        return True

    def _run_along(self, number: int, body: memoryview) -> None:
        if self._running is None or number != self._next:
            self._running = None
            return
        self._running.update(body)
        self._next += 1

    def _whole_digest(self) -> str:
        """Of all bytes; read again only where they did not come in order."""
        digest = self._running
        if digest is None:
            digest = hashlib.sha256()
            for piece in self._pieces(0, self._file.length):
                digest.update(piece)
        return f"sha256:{digest.hexdigest()}"

    def _drop_damaged(self) -> None:
        """Keeps the frames that are as they should be."""
        damaged = {number for number in range(len(self._file.frames)) if not self._is_intact(number)}
        self._running = None
        self._unflushed.clear()
        self._journal.add_dropped(damaged or set(self._held))
        if not damaged:
            self._held.clear()
            raise TransferError(
                f"every frame of {self._file.path} is as the release says, and the whole is not {self._file.digest}",
                hint="the release contradicts itself: build it again under a new number",
            )
        self._held -= damaged

    def _flush(self) -> None:
        """Has the disk take what was written, then lets the kernel forget what of it went through its cache."""
        self._sync()
        self._journal.add_flushed()
        for number in self._unflushed:
            os.posix_fadvise(self._descriptor, number * FRAME_BYTES, FRAME_BYTES, os.POSIX_FADV_DONTNEED)
        self._unflushed.clear()

    def _sync(self) -> None:
        try:
            os.fsync(self._descriptor)
        except OSError:
            self._is_in_doubt = True
            raise

    def _pieces(self, begin: int, length: int) -> Iterator[bytes]:
        end = begin + length
        while begin < end:
            piece = os.pread(self._descriptor, min(_READ_BYTES, end - begin), begin)
            if not piece:
                return
            yield piece
            begin += len(piece)


def _opened(path: Path) -> int:
    with suppress(FileNotFoundError):
        path.chmod(_OWN)  # a kill just before it got its name has left it read-only
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _OWN)


def _opened_past_the_cache(path: Path) -> int | None:
    """A descriptor for writing whole blocks (open(2), O_DIRECT); None: the file system has none."""
    try:
        return os.open(path, os.O_WRONLY | os.O_DIRECT | os.O_CLOEXEC)
    except OSError:
        return None


def _write_all(descriptor: int, body: memoryview, offset: int) -> None:
    written = 0
    while written < len(body):
        written += os.pwrite(descriptor, body[written:], offset + written)


@contextmanager
def _in_our_words(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise UnwritableError(
                f"there is no room for {path}: {error.strerror}",
                hint="free disk space; what came so far is kept, and the transfer goes on by itself",
            ) from error
        raise StateError(
            f"the release's bytes cannot be kept as {path}: {error.strerror}",
            hint="check the disk, and that the folder belongs to the daemon's user",
        ) from error
