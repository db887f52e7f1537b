"""Reads the messages of one gRPC call for somebody who may be cancelled at any time. It interprets none.

When a read is cancelled on its way, grpc.aio (1.85) never frees what it was to bring: some kilobytes each time, for as
long as the process lives. So one task reads, which nobody cancels, and whoever wants the messages waits for that task.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from typing import Any, Final, Generic, TypeVar, cast

import grpc

MAX_WAITING: Final = 4
"""Messages that are read before they are wanted: more would hide from the sender that nobody wants them."""

Message = TypeVar("Message")


class MessageReader(Generic[Message]):
    """The messages of one streaming call."""

    def __init__(self, call: grpc.aio.UnaryStreamCall[Any, Message]) -> None:
        self._call = call
        self._waiting: deque[Message] = deque()
        self._more = asyncio.Event()
        self._fewer = asyncio.Event()
        self._is_over = False
        """Nobody wants any more."""

    async def messages(self) -> AsyncGenerator[Message, None]:
        """Every message in turn, once; closing it early cancels the call.

        Raises:
            grpc.aio.AioRpcError: the call failed.
            asyncio.CancelledError: the call was cancelled, as by closing its channel.
        """
        reading = asyncio.create_task(self._read())  # noqa: TID251  # it may outlive this by a moment
        reading.add_done_callback(_heard_of)
        try:
            while True:
                while self._waiting:
                    message = self._waiting.popleft()
                    self._fewer.set()
                    yield message
                if reading.done():
                    reading.result()
                    return
                self._more.clear()
                await self._more.wait()
        finally:
            self._is_over = True
            self._fewer.set()
            self._call.cancel()

    async def _read(self) -> None:
        try:
            while not self._is_over:
                if len(self._waiting) >= MAX_WAITING:
                    self._fewer.clear()
                    await self._fewer.wait()
                    continue
                message = await self._call.read()
                if message is grpc.aio.EOF:
                    return
                self._waiting.append(cast("Message", message))
                self._more.set()
        finally:
            self._more.set()


def _heard_of(reading: asyncio.Task[None]) -> None:
    """A failure after nobody wants messages any more is nobody's business."""
    if not reading.cancelled():
        reading.exception()
