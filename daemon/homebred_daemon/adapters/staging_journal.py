"""The journal of a file on its way in: which of its frames were written, and of which the disk itself has said so.

    17 9f86d081884c7d65      frame 17, whose digest begins so, was written; a kill does not take it away
    flushed                  all that stands above is on the disk; a power cut does not take it away
    dropped 17               frame 17 is not here after all

Lines are added and never changed, or a kill could take with them what the disk has long had. A line that is torn, or of
another frame than is wanted now, counts for nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from homebred_daemon.core.transfer import WantedFile

_LINE = re.compile(r"(?P<number>[0-9]{1,7}) (?P<digest>[0-9a-f]{16})")
_FLUSHED = "flushed"
_DROPPED = re.compile(r"dropped (?P<number>[0-9]{1,7})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """What a journal says."""

    flushed: frozenset[int]
    """Frames that are on the disk."""
    written: frozenset[int]
    """Frames that are there unless the power was cut since."""


class StagingJournal:
    """One file's journal. Every method may raise OSError; a line that could not be added leaves no trace."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        body = _read_all(self._descriptor)
        self._end = body.rfind(b"\n") + 1
        if self._end != len(body):  # torn by a kill or a power cut
            os.ftruncate(self._descriptor, self._end)

    def noted(self, file: WantedFile) -> Noted:
        """What it says of a file."""
        return read_noted(_read_all(self._descriptor), file)

    def add_written(self, file: WantedFile, number: int) -> None:
        """The frame's bytes were handed to the kernel."""
        self._add(_line(file, number))

    def add_flushed(self) -> None:
        """The disk has all frames that were added, and from now on this very line."""
        self._add(_FLUSHED)
        os.fdatasync(self._descriptor)

    def add_dropped(self, numbers: AbstractSet[int]) -> None:
        """These frames are not here; from now on the disk knows."""
        for number in sorted(numbers):
            self._add(f"dropped {number}")
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        """Nothing may be called afterwards."""
        os.close(self._descriptor)

    def _add(self, line: str) -> None:
        body = line.encode() + b"\n"
        try:
            written = os.pwrite(self._descriptor, body, self._end)
            if written < len(body):
                os.pwrite(self._descriptor, body[written:], self._end + written)  # says why
            self._end += len(body)
        except OSError:
            os.ftruncate(self._descriptor, self._end)
            raise


def read_noted(body: bytes, file: WantedFile) -> Noted:
    """What a journal's bytes say of a file."""
    flushed: set[int] = set()
    written: set[int] = set()
    for line in body.decode("ascii", errors="replace").split("\n"):
        found = _LINE.fullmatch(line)
        if line == _FLUSHED:
            flushed |= written
            written.clear()
        elif (dropped := _DROPPED.fullmatch(line)) is not None:
            flushed.discard(int(dropped["number"]))
            written.discard(int(dropped["number"]))
        elif found is not None and _is_of(file, int(found["number"]), found["digest"]):
            written.add(int(found["number"]))
    return Noted(flushed=frozenset(flushed), written=frozenset(written - flushed))


def _line(file: WantedFile, number: int) -> str:
    return f"{number} {file.frames[number][:16]}"


def _is_of(file: WantedFile, number: int, digest: str) -> bool:
    return number < len(file.frames) and file.frames[number].startswith(digest)


def _read_all(descriptor: int) -> bytes:
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0)
