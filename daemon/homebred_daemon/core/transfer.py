"""What of a release's files is wanted, and in which order it is asked for: frames of 4 MiB, each with its own digest.

It fetches, writes and verifies nothing, and does not know where a file comes from.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

FRAME_BYTES = 4 * 1024 * 1024
"""Of each frame but a file's last. What a kill can lose is one of them at most."""
MAX_FILES = 1000
"""In one transfer, as many as a folder in the store may hold."""
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_FRAME = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedFile:
    """One file, as a signed manifest describes it."""

    path: str
    """Its name below the release's folder, for people: the digest names its bytes."""
    length: int
    """Bytes."""
    digest: str
    """`sha256:…` of all its bytes."""
    frames: tuple[str, ...]
    """SHA-256 of each frame in hexadecimal, in order."""

    def frame_length(self, number: int) -> int:
        """Bytes of a frame."""
        return min(FRAME_BYTES, self.length - number * FRAME_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Frames that follow one another, asked for at once."""

    first: int
    end: int
    """The first that is no part of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How full a disk is."""

    free_bytes: int
    """What this user may still write."""
    total_bytes: int


def what_is_wrong(files: Sequence[WantedFile]) -> str:
    """What makes files impossible to transfer, as a sentence; empty: nothing."""
    if len(files) > MAX_FILES:
        return f"there are {len(files)} files, and a transfer takes {MAX_FILES}"
    described: dict[str, WantedFile] = {}
    for file in files:
        if not _DIGEST.fullmatch(file.digest) or not all(map(_FRAME.fullmatch, file.frames)):
            return f"a digest of {file.path} is none"
        if file.length < 0 or len(file.frames) != -(-file.length // FRAME_BYTES):
            return f"{file.path} has {file.length} bytes, and {len(file.frames)} frames are named"
        other = described.setdefault(file.digest, file)
        if (other.length, other.frames) != (file.length, file.frames):
            return f"{other.path} and {file.path} have one digest, and differ"
    return ""


def in_order(files: Iterable[WantedFile]) -> list[WantedFile]:
    """Each content once, the smallest first: what is wrong with a release shows in its small files."""
    by_digest = {file.digest: file for file in files}
    return sorted(by_digest.values(), key=lambda file: (file.length, file.digest))


def next_span(file: WantedFile, held: AbstractSet[int]) -> Span | None:
    """The first frames that are missing, up to the next that is there; None: none is."""
    missing = (number for number in range(len(file.frames)) if number not in held)
    first = next(missing, None)
    if first is None:
        return None
    end = next((number for number in range(first, len(file.frames)) if number in held), len(file.frames))
    return Span(first=first, end=end)


def missing_bytes(file: WantedFile, held: AbstractSet[int]) -> int:
    """What still has to come, and to be written."""
    return sum(file.frame_length(number) for number in range(len(file.frames)) if number not in held)


def short_by(room: Room, wanted_bytes: int, reserve_bytes: int) -> int:
    """Bytes that a disk lacks for what is to be written to leave the reserve free (I9); 0: it has them."""
    return max(0, wanted_bytes + reserve_bytes - room.free_bytes)
