"""A release's files in blocks over the fleet's link, where no other port is open: few at once, taken in their order.

A broker is a poor carrier of bytes: it holds in memory what its subscribers have not taken. So a block is small, few
are on their way at once, and large files are refused unless a site allows them. It publishes nothing itself: that is
the line's to do.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from homebred_daemon.core.transfer import WantedFile
from homebred_daemon.errors import SourceAwayError, SourceRefusesError, SourceWrongError, TransferError
from homebred_daemon.ports.transfer import BlockLine, ByteStream

BLOCK_BYTES: Final = 16 * 1024
"""4 s at 4 kB/s, the least that a transfer puts up with: a look gives up where it waits for 10 s behind one."""
WINDOW: Final = 32
"""Blocks that are wanted and not taken yet: half a mebibyte of memory; the line asks for fewer where it is slow."""
BLOCK_WITHIN_S: Final = 300.0
"""All of the window at 2 kB/s; the line itself gives up sooner on one that does not come."""
MOST_BYTES: Final = 50_000_000
"""Of a file, unless a site allows more."""


class MqttBlobs:
    """Fulfils `ports.transfer.ByteSource`."""

    name = "the fleet's broker"

    def __init__(self, line: BlockLine, *, most_bytes: int = MOST_BYTES) -> None:
        """`most_bytes` bounds the files that are asked for."""
        self._line = line
        self._most_bytes = most_bytes

    @asynccontextmanager
    async def open(self, file: WantedFile, begin: int, end: int) -> AsyncIterator[ByteStream]:
        """As the port says."""
        if file.length > self._most_bytes:
            raise SourceRefusesError(
                f"{file.path} has {file.length} bytes, and over the broker {self._most_bytes} are allowed",
                hint="open the controller's port for the device, or allow more over the broker",
            )
        failure: BaseException | None = None
        async with asyncio.TaskGroup() as group:
            stream = _Blocks(self._line, file, begin, end, group)
            try:
                yield stream
            except BaseException as error:  # noqa: BLE001  # raised below: the group would wrap it
                failure = error
            stream.cancel()
        if failure is not None:
            raise failure


class _Blocks:
    """Fulfils `ports.transfer.ByteStream`."""

    def __init__(self, line: BlockLine, file: WantedFile, begin: int, end: int, group: asyncio.TaskGroup) -> None:
        self._line = line
        self._file = file
        self._next = begin
        self._end = end
        self._group = group
        self._asked: deque[asyncio.Task[bytes | TransferError]] = deque()
        self._current = memoryview(b"")

    async def read_into(self, room: memoryview) -> int:
        """As the port says."""
        filled = 0
        while filled < len(room):
            if not self._current:
                self._ask_ahead()
                if not self._asked:
                    break
                await asyncio.wait([self._asked[0]])
                came = self._asked[0].result()
                if isinstance(came, TransferError):
                    if filled:  # told by the next call
                        break
                    raise came
                self._asked.popleft()
                self._current = memoryview(came)
            taken = min(len(self._current), len(room) - filled)
            room[filled : filled + taken] = self._current[:taken]
            self._current = self._current[taken:]
            filled += taken
        return filled

    def cancel(self) -> None:
        """Waits for no block any more."""
        for task in self._asked:
            task.cancel()

    def _ask_ahead(self) -> None:
        while self._next < self._end and len(self._asked) < WINDOW:
            length = min(BLOCK_BYTES, self._end - self._next)
            self._asked.append(self._group.create_task(self._block(self._next, length)))
            self._next += length

    async def _block(self, begin: int, length: int) -> bytes | TransferError:
        """A block, or why there is none: a task that failed would end its neighbours."""
        try:
            async with asyncio.timeout(BLOCK_WITHIN_S):
                body = await self._line.ask(self._file.digest, begin, length)
        except TimeoutError:
            return SourceAwayError(f"a block of {self._file.path} did not come over the broker")
        except TransferError as error:
            return error
        if len(body) != length:
            return SourceWrongError(f"a block of {self._file.path} has {len(body)} bytes instead of {length}")
        return body
