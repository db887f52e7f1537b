"""A source of bytes in memory, under the contract of the real ones, that fails as a test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from homebred_daemon.core.transfer import WantedFile
from homebred_daemon.errors import SourceAwayError, SourceRefusesError, TransferError
from homebred_daemon.ports.transfer import ByteStream


@dataclass
class ScriptedSource:
    """Fulfils `ports.transfer.ByteSource`."""

    bodies: Mapping[str, bytes] = field(default_factory=dict)
    """By digest."""
    name: str = "a source"
    refusals: list[TransferError] = field(default_factory=list)
    """What the next calls of `open` raise."""
    cuts: list[int] = field(default_factory=list)
    """After how many bytes the next streams break off; once there are none, streams end as they should."""
    damages: int = 0
    """So many streams begin with a byte that is another."""
    on_read: Callable[[], object] = lambda: None
    is_silent: bool = False
    asked: list[tuple[str, int, int]] = field(default_factory=list)
    """Path, begin and end of each request."""
    given: int = 0

    @asynccontextmanager
    async def open(self, file: WantedFile, begin: int, end: int) -> AsyncIterator[ByteStream]:
        self.asked.append((file.path, begin, end))
        if self.refusals:
            raise self.refusals.pop(0)
        if file.digest not in self.bodies:
            raise SourceRefusesError(f"{self.name} has no such file")
        body = self.bodies[file.digest][begin:end]
        if self.damages:
            self.damages -= 1
            body = bytes([body[0] ^ 1]) + body[1:]
        yield _Stream(self, memoryview(body), self.cuts.pop(0) if self.cuts else None)


class _Stream:
    def __init__(self, source: ScriptedSource, body: memoryview, cut: int | None) -> None:
        self._source = source
        self._body = body
        self._left = len(body) if cut is None else min(cut, len(body))
        self._is_cut = cut is not None

    async def read_into(self, room: memoryview) -> int:
        self._source.on_read()
        if self._source.is_silent:
            await asyncio.Event().wait()
        read = min(len(room), self._left)
        room[:read] = self._body[:read]
        self._body, self._left = self._body[read:], self._left - read
        self._source.given += read
        if not read and self._is_cut:
            raise SourceAwayError(f"{self._source.name} broke off")
        return read
