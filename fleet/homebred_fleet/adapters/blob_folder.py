"""Documents by their bytes' digest, in a folder: whole after a kill or a power cut, or not there.

It knows neither what a document means nor for whom it is: the table `documents` does. Nothing is removed.
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import Final

from homebred_protocol.digests import digest_of

_DIGEST: Final = re.compile(r"sha256:([0-9a-f]{64})")
_LEFTOVER_PREFIX: Final = ".new-"


class BlobFolder:
    """One folder; it is made where it is not there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
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
        if self._holds(path, digest):
            return digest
        _make(path.parent)
        descriptor, name = tempfile.mkstemp(prefix=_LEFTOVER_PREFIX, dir=self._folder)
        new = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            new.rename(path)
        except BaseException:
            new.unlink(missing_ok=True)
            raise
        _flush(path.parent)
        return digest

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

    def _place(self, digest: str) -> Path | None:
        """A name from outside becomes a path here alone."""
        found = _DIGEST.fullmatch(digest)
        return None if found is None else self._folder / found[1][:2] / found[1]

    def _holds(self, path: Path, digest: str) -> bool:
        return path.is_file() and self.read(digest) is not None


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
