"""The folder that is carried, as it is written: on whatever file system a stick has, whole once this has ended.

    README.txt                          for whoever finds it
    trust/image/…, trust/director/…     what is signed (`homebred_protocol.trusted_files`)
    blobs/sha256/<hex>                  the files of releases, each once

Blobs that are there already are read, and fetched only where they are not right; one that was cut short is gone on
with. What another bundle has left here goes, since somebody else's golden sets are nobody's business. A stick is pulled
as soon as a command has ended: everything is on it by then. It fetches nothing itself.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO, Final

from homebred_fleet.errors import RequestError
from homebred_protocol.trusted_files import CARRIED, CARRIED_BLOBS

README: Final = "README.txt"
_OURS: Final = frozenset({README, CARRIED, CARRIED_BLOBS[0]})
_PART: Final = ".part"
_PIECE_BYTES: Final = 1024 * 1024
_NO_FLUSH: Final = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EBADF})
"""What a file system answers that cannot flush folders."""
_SPARE_BYTES: Final = 16 * 1024 * 1024

_LARGER: Final = "format it with exFAT or ext4"

Fetch = Callable[[str, int], Iterable[bytes]]
"""A blob's bytes by its digest, from an offset on. Raises FleetError."""


class BundleFolder:
    """One folder on its way."""

    def __init__(self, folder: Path) -> None:
        """Takes a folder that is not there, is empty, or has an earlier bundle; nothing of that is changed yet.

        Raises:
            RequestError: there is something else in it, or it cannot be written.
        """
        self._folder = folder
        self._blobs = folder.joinpath(*CARRIED_BLOBS)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            strangers = sorted(path.name for path in folder.iterdir() if not _is_ours(path.name))
            if strangers:
                raise RequestError(
                    f"{folder} holds {strangers[0]!r}, which is no part of a bundle",
                    hint="name an empty folder, or one with an earlier bundle",
                )
            if any(path.is_symlink() for path in (folder, folder / CARRIED, self._blobs.parent, self._blobs)):
                raise RequestError(f"{folder} leads over a link", hint="name the folder itself")
        except OSError as error:
            raise _unwritable(folder, error) from error

    def begin(self) -> None:
        """Until it has finished there is no bundle; what was fetched for an earlier one stays. Raises RequestError."""
        try:
            (self._folder / README).unlink(missing_ok=True)
            if (self._folder / CARRIED).exists():
                shutil.rmtree(self._folder / CARRIED)
            self._blobs.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(self._folder, error) from error

    def require_room(self, blobs: Mapping[str, int], signed_bytes: int) -> None:
        """Whether all of it will fit, before anything is fetched. Raises RequestError."""
        self._require_length(max(blobs.values(), default=0))
        free = shutil.disk_usage(self._folder).free
        needed = (
            signed_bytes + _SPARE_BYTES + sum(max(length - self._held(digest), 0) for digest, length in blobs.items())
        )
        if needed > free:
            raise RequestError(
                f"{self._folder} has {free:,} bytes free, and the bundle takes {needed:,} more", hint="make room"
            )

    def _require_length(self, longest: int) -> None:
        """A file system that takes no file so long (FAT: 4 GiB) is told before an hour of copying, not after it."""
        probe = self._blobs / f"probe{_PART}"
        try:
            with probe.open("wb") as file:
                file.seek(longest)  # the kernel allows no place that a file of this file system cannot have
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise _unwritable(self._folder, error) from error
            raise RequestError(
                f"{self._folder}: its file system takes no file of {longest:,} bytes, which the bundle has",
                hint=_LARGER,
            ) from error
        finally:
            probe.unlink(missing_ok=True)

    def forget_all_but(self, digests: Iterable[str]) -> None:
        """Removes blobs that the bundle does not have."""
        kept = {_hex(digest) for digest in digests}
        try:
            for path in self._blobs.iterdir():
                if path.name.removesuffix(_PART) not in kept:
                    path.unlink()
        except OSError as error:
            raise _unwritable(self._folder, error) from error

    def keep_blob(self, digest: str, length: int, fetch: Fetch, progress: Callable[[int], None]) -> None:
        """Has a blob here, every byte of it read; `progress` hears of bytes that are done.

        Raises:
            RequestError: it cannot be written, or is not what its digest says.
            FleetError: it cannot be fetched; what came of it stays.
        """
        place = self._blobs / _hex(digest)
        try:
            if _digest_of(place) == digest:
                progress(length)
                return
            place.unlink(missing_ok=True)
            part = place.with_suffix(_PART)
            for _ in range(2):  # what an earlier try left may be damaged: then once from its beginning
                if self._fetched(part, digest, length, fetch, progress):
                    part.rename(place)
                    return
                part.unlink()
        except OSError as error:
            raise _unwritable(self._folder, error) from error
        raise RequestError(f"the controller gave other bytes than {digest}", hint="see its disk, then try again")

    def _fetched(self, part: Path, digest: str, length: int, fetch: Fetch, progress: Callable[[int], None]) -> bool:
        """Whether it is whole and right."""
        found = hashlib.sha256()
        with part.open("a+b") as file:
            if file.tell() > length:
                file.truncate(0)
            file.seek(0)
            held = 0
            while piece := file.read(_PIECE_BYTES):
                found.update(piece)
                held += len(piece)
            progress(held)
            if held < length:
                for piece in fetch(digest, held):
                    file.write(piece)
                    found.update(piece)
                    held += len(piece)
                    progress(len(piece))
                    if held > length:
                        break
            _flush(file)
        return held == length and f"sha256:{found.hexdigest()}" == digest

    def keep_signed(self, name: str, body: bytes) -> None:
        """A file of the repositories, by its name. Raises RequestError."""
        self._write(self._folder / CARRIED / name, body)

    def finish(self, readme: str) -> None:
        """All of it is on the disk. Raises RequestError."""
        try:
            for path in self._blobs.glob(f"*{_PART}"):
                path.unlink()
            folders = [self._folder, *(path for path in self._folder.rglob("*") if path.is_dir())]
            for folder in reversed(folders):
                _flush_folder(folder)
            self._write(self._folder / README, readme.encode())
            _flush_folder(self._folder)
        except OSError as error:
            raise _unwritable(self._folder, error) from error

    def _write(self, path: Path, body: bytes) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                file.write(body)
                _flush(file)
        except OSError as error:
            raise _unwritable(self._folder, error) from error

    def _held(self, digest: str) -> int:
        for path in (self._blobs / _hex(digest), self._blobs / f"{_hex(digest)}{_PART}"):
            if path.is_file():
                return path.stat().st_size
        return 0


def _is_ours(name: str) -> bool:
    return name in _OURS or name.startswith(".") or name == "System Volume Information"


def _hex(digest: str) -> str:
    return digest.removeprefix("sha256:")


def _digest_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    except FileNotFoundError:
        return ""


def _flush(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FLUSH:
            raise
    finally:
        os.close(descriptor)


def _unwritable(folder: Path, error: OSError) -> RequestError:
    hint = "see that it is there and has room; what is on it already is gone on with"
    if error.errno == errno.EFBIG:
        hint = f"its file system takes no file so large: {_LARGER}"
    return RequestError(f"{folder} cannot be written: {error.strerror}", hint=hint)
