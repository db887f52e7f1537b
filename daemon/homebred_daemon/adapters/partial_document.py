"""A document on its way in: what came so far outlives a kill, and nothing has its name before it was verified.

It fetches nothing.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from homebred_daemon.adapters.durable_files import flush_folder, make_folder
from homebred_daemon.errors import FleetError


class PartialDocument:
    """One document by its digest, in a folder. Every method may raise OSError."""

    def __init__(self, into: Path, digest: str, length: int) -> None:
        self._digest = digest
        self._length = length
        self._whole = into / digest.removeprefix("sha256:")
        self._part = part_of(self._whole)

    def held(self) -> int:
        """Bytes of it that came so far; more than it has are none."""
        make_folder(self._part.parent)
        try:
            size = self._part.stat().st_size
        except FileNotFoundError:
            return 0
        if size <= self._length:
            return size
        self._part.unlink()
        return 0

    def restart(self) -> None:
        """Forgets what came so far."""
        self._part.unlink(missing_ok=True)

    def append(self, chunk: bytes) -> None:
        """Keeps what came next. Raises FleetError where it would be longer than it is."""
        with self._part.open("ab") as file:
            if file.tell() + len(chunk) > self._length:
                file.truncate(0)
                raise FleetError(f"the controller sent more than the {self._length} bytes of a document")
            file.write(chunk)

    def finish(self) -> Path:
        """Verifies it, and only then gives it its name.

        Raises:
            FleetError: it is not whole: what came stays; or it is another: then nothing does.
        """
        held = self.held()
        if held < self._length:
            raise FleetError(f"a document of {self._length} bytes ended after {held}", hint="it is tried again")
        with self._part.open("ab") as file:
            os.fsync(file.fileno())
        with self._part.open("rb") as file:
            found = "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
        if found != self._digest:
            self.restart()
            raise FleetError(f"the controller sent {found} for the document {self._digest}", hint="it is fetched anew")
        self._part.rename(self._whole)
        flush_folder(self._whole.parent)
        return self._whole


def part_of(whole: Path) -> Path:
    """Where what came so far of a document waits for the rest."""
    return whole.with_suffix(".part")
