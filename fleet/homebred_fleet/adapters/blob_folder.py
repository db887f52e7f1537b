"""Bytes by their digest, in a folder: whole after a kill or a power cut, or not there. Documents, and releases' files.

It knows neither what they mean nor for whom they are: the table `documents` does of documents. Nothing goes unless
somebody says what is needed.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import tempfile
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final

from homebred_fleet.ports.documents import Documents
from homebred_protocol.digests import digest_of

_DIGEST: Final = re.compile(r"sha256:([0-9a-f]{64})")
_LEFTOVER_PREFIX: Final = ".new-"
_PIECE_BYTES: Final = 1024 * 1024


class BlobFolder:
    """One folder; it is made where it is not there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        _make(folder)
        for leftover in folder.glob(f"{_LEFTOVER_PREFIX}*"):  # of a kill, before this process began to write
            leftover.unlink(missing_ok=True)

    def keep(self, body: bytes) -> str:
        """Keeps some bytes, and returns their digest once the disk has them.

        Raises:
            OSError: the disk is full, or the folder may not be written.
        """
        digest = digest_of(body)
        path = self._place(digest)
        if path is None:
            raise AssertionError("a digest of our own is none")
        if not self._holds(path, digest):
            self._put([body], digest)
        return digest

    def keep_file(self, source: Path) -> str:
        """Keeps a file's bytes, however many, and returns their digest once the disk has them.

        Raises:
            OSError: the file cannot be read, the disk is full, or the folder may not be written.
            ValueError: the file changed while it was read.
        """
        digest = _digest_of_file(source)
        path = self.path_of(digest)
        if path is None or _digest_of_file(path) != digest:
            with source.open("rb") as file:
                self._put(iter(lambda: file.read(_PIECE_BYTES), b""), digest)
        return digest

    def adopt(self, part: Path, digest: str) -> bool:
        """Has a file of the same file system be a blob, once all of it was read; False: it has another digest.

        Raises:
            OSError: it cannot be read or moved.
        """
        path = self._place(digest)
        if path is None or not part.is_file() or _digest_of_file(part) != digest:
            return False
        with part.open("rb") as file:
            os.fsync(file.fileno())
        _make(path.parent)
        part.rename(path)
        _flush(path.parent)
        _flush(self.folder)
        return True

    def holds(self, digest: str) -> bool:
        """Whether a blob is there and every byte of it is right: one that is damaged goes, and may come again.

        Raises:
            OSError: it may not be read or removed.
        """
        path = self.path_of(digest)
        if path is None:
            return False
        try:
            if _digest_of_file(path) == digest:
                return True
        except OSError as error:
            if error.errno != errno.EIO:
                raise
        path.unlink()
        _flush(path.parent)
        return False

    def remove_all_but(self, needed: Collection[str], *, older_than_s: float) -> None:
        """Removes what nobody needs, and nobody has written since that time (Unix seconds).

        Raises:
            OSError: the folder may not be written.
        """
        names = {self.name_of(digest) for digest in needed}
        for path in self.folder.glob("??/*"):
            if path.name not in names and path.stat().st_mtime < older_than_s:
                path.unlink(missing_ok=True)

    def name_of(self, digest: str) -> str | None:
        """What a blob's file is called; None: it is no digest."""
        found = _DIGEST.fullmatch(digest)
        return None if found is None else found[1]

    def path_of(self, digest: str) -> Path | None:
        """The file with these bytes; None: there is none, or it is no digest."""
        path = self._place(digest)
        return path if path is not None and path.is_file() else None

    def read(self, digest: str) -> bytes | None:
        """The bytes, checked against their digest; None: they are not here, or no longer what they were."""
        path = self.path_of(digest)
        if path is None:
            return None
        body = path.read_bytes()
        return body if digest_of(body) == digest else None

    def _put(self, pieces: Iterable[bytes], digest: str) -> None:
        path, found = self._place(digest), hashlib.sha256()
        if path is None:
            raise AssertionError("a digest of our own is none")
        _make(path.parent)
        descriptor, name = tempfile.mkstemp(prefix=_LEFTOVER_PREFIX, dir=self.folder)
        new = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                for piece in pieces:
                    found.update(piece)
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            _require(f"sha256:{found.hexdigest()}", digest)
            new.rename(path)
        except BaseException:
            new.unlink(missing_ok=True)
            raise
        _flush(path.parent)

    def _place(self, digest: str) -> Path | None:
        """A name from outside becomes a path here alone."""
        name = self.name_of(digest)
        return None if name is None else self.folder / name[:2] / name

    def _holds(self, path: Path, digest: str) -> bool:
        return path.is_file() and self.read(digest) is not None


class ForEverySite:
    """Fulfils `ports.documents.Documents` where what a folder holds is any enrolled device's: the files of releases."""

    def __init__(self, blobs: BlobFolder) -> None:
        self._blobs = blobs

    def for_site(self, digest: str, site: str) -> Path | None:  # noqa: ARG002  # whichever it is
        """As the port says."""
        return self._blobs.path_of(digest)


class FirstOf:
    """Fulfils `ports.documents.Documents`: what the first of several has, each by its own rule of whose it is."""

    def __init__(self, *others: Documents) -> None:
        self._others = others

    def for_site(self, digest: str, site: str) -> Path | None:
        """As the port says."""
        found = (other.for_site(digest, site) for other in self._others)
        return next((path for path in found if path is not None), None)


def _require(found: str, digest: str) -> None:
    if found != digest:
        raise ValueError("a file changed while it was read: wait until nothing writes to it")


def _digest_of_file(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def _make(folder: Path) -> None:
    if not folder.is_dir():
        _make(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        _flush(folder.parent)


def _flush(folder: Path) -> None:
    """Waits until the disk has the folder's names."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
