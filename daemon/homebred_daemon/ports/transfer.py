"""What a transfer needs of the world: where bytes come from, where they wait until they are whole, what is here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from homebred_daemon.core.transfer import Room, WantedFile


class ByteStream(Protocol):
    """Bytes of a file from one place on, in order."""

    async def read_into(self, room: memoryview) -> int:
        """Fills the room as far as bytes come; how far. It is short only where the stream has ended or broke.

        After a cancelled call nothing is written to the room any more, and the stream is of no further use.

        Raises:
            SourceAwayError: nothing more comes, though it should; what came before was returned by earlier calls.
            SourceWrongError: it is not what was asked for.
        """
        ...


class ByteSource(Protocol):
    """Somebody who gives files by their digest."""

    @property
    def name(self) -> str:
        """For people: which one it is, without a secret that its address may hold."""
        ...

    def open(self, file: WantedFile, begin: int, end: int) -> AbstractAsyncContextManager[ByteStream]:
        """The bytes of a file from `begin` up to `end`, which are never equal. It may be entered from one loop alone.

        Raises:
            SourceAwayError: it does not answer.
            SourceRefusesError: it does not give this file.
            SourceWrongError: it offers something else.
        """
        ...


class BlockLine(Protocol):
    """Requests and answers of the fleet's link, for devices that nothing but the broker's port is open to."""

    async def ask(self, digest: str, begin: int, length: int) -> bytes:
        """A few bytes of a file. It may be called many times at once, and be cancelled.

        Raises:
            SourceAwayError: there is no link, or it was lost on its way.
            SourceRefusesError: the controller does not give this file.
            SourceWrongError: what came is no answer.
        """
        ...


class PartialFile(Protocol):
    """A file on its way in. Every method may raise StateError, UnwritableError; one thread at a time."""

    @property
    def held(self) -> AbstractSet[int]:
        """The frames that are here, verified."""
        ...

    def keep(self, number: int, body: memoryview) -> bool:
        """Verifies a frame and writes it; False: it is not the one that its digest names, and is not kept."""
        ...

    def finish(self) -> Path | None:
        """Verifies the whole and gives it its name, read-only and durably; None: frames were found damaged and dropped.

        Raises:
            TransferError: all frames are as they should be, and the whole is not: its manifest contradicts itself.
        """
        ...

    def close(self) -> None:
        """What came so far is on the disk. It never fails."""
        ...


class Staging(Protocol):
    """Where files wait until they are whole. Every method may raise StateError, UnwritableError."""

    def whole(self, file: WantedFile) -> Path | None:
        """Where a file stands that has been finished; None: it has not."""
        ...

    def held_bytes(self, file: WantedFile) -> int:
        """How much of a file earlier tries have kept, as they noted it."""
        ...

    def open(self, file: WantedFile) -> PartialFile:
        """A file with what earlier tries have kept of it; nobody else may have it open."""
        ...

    def room(self) -> Room:
        """Of the disk that it is on."""
        ...

    def forget(self, digests: AbstractSet[str]) -> None:
        """Removes these files, whole or not; harmless where there are none."""
        ...

    def forget_all_but(self, digests: AbstractSet[str]) -> None:
        """Removes every other file, whole or not."""
        ...


class Assembly(Protocol):
    """Folders of releases, each file another name of bytes that are here. Every method may raise StateError."""

    def assemble(self, name: str, files: Mapping[str, Path]) -> Path:
        """A folder with a file at each path; one of that name that is there is made anew."""
        ...

    def remove(self, name: str) -> None:
        """Removes a folder; harmless where there is none."""
        ...

    def remove_all_but(self, names: AbstractSet[str]) -> None:
        """Removes every other folder."""
        ...


class Shelf(Protocol):
    """What is on this device already."""

    def has(self, file: WantedFile) -> bool:
        """Whether a file is there, every byte of it; it takes as long as reading it does. May raise StateError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a transfer is."""

    held_bytes: int
    """Verified and kept, or here before."""
    total_bytes: int
    fetched_bytes: int
    """Read from sources by this process, what came in vain too."""
    waits_for: str
    """What it waits for: `window`, `disk`, `source`; empty: it goes on."""
    wait_s: float
    """How long until it looks again."""
    sentence: str
    """Why it waits, for people; empty: it does not."""


Watch = Callable[[Progress], None]
"""Hears of every step; it must return at once, and never fail."""
