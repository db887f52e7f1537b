"""Requests and answers of the fleet's link, in memory: blocks come in any order, or not."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

from homebred_daemon.errors import SourceAwayError, SourceRefusesError


@dataclass
class MemoryBlockLine:
    """Fulfils `ports.transfer.BlockLine`."""

    bodies: Mapping[str, bytes] = field(default_factory=dict)
    """By digest."""
    gives_up_to: int | None = None
    """Bytes of a file from its beginning; blocks beyond them are lost."""
    is_silent: bool = False
    shortens_by: int = 0
    random: Random = field(default_factory=lambda: Random(5))
    lengths: list[int] = field(default_factory=list)
    waiting: int = 0
    most_waiting: int = 0

    async def ask(self, digest: str, begin: int, length: int) -> bytes:
        self.lengths.append(length)
        self.waiting += 1
        self.most_waiting = max(self.most_waiting, self.waiting)
        try:
            for _ in range(self.random.randrange(6)):
                await asyncio.sleep(0)
            if self.is_silent:
                await asyncio.Event().wait()
            if digest not in self.bodies:
                raise SourceRefusesError("the controller has no such file")
            if self.gives_up_to is not None and begin + length > self.gives_up_to:
                raise SourceAwayError("the link was lost")
            return self.bodies[digest][begin : begin + length - self.shortens_by]
        finally:
            self.waiting -= 1
