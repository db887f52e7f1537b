"""Writes one answer's events to its caller, and gives up on a caller that does not read them.

Each call has one writer of its own, a task that nobody cancels: a write cut short on its way could neither be finished
nor ended by grpc. So the answer goes on while a few events wait to be written. Nor can a Listener end the call: while
a write waits for the caller to make room, grpc.aio ends nothing, neither by abort nor by cancellation. What it can do
is stop waiting, so that the engine's slot is free; the relay then resets the stream.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Final

import grpc

from homebred_daemon.adapters.grpc_api.failures import CallEndedError
from homebred_daemon.adapters.grpc_api.translate import event_message
from homebred_daemon.errors import HomebredError, UnreadError
from homebred_daemon.inbound.answering import AnswerEvent, Outcome

MAX_WAITING: Final = 16
"""Events that may wait to be written, so that one slow write does not hold up the engine."""


class Listener:
    """The caller's side of one call until it is closed; `hear` is the answer's Emit, `has_heard` its Heard."""

    def __init__(self, context: grpc.aio.ServicerContext[Any, Any], unread_timeout_s: float) -> None:
        self.problem: HomebredError | None = None
        """What the outcome says went wrong: the call then ends with it."""
        self._context = context
        self._unread_timeout_s = unread_timeout_s
        self._unwritten: deque[AnswerEvent] = deque()
        """The first is on its way."""
        self._more = asyncio.Event()
        self._fewer = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None
        self._is_unread = False
        self._is_over = False
        """Nothing more is to be written."""

    async def hear(self, event: AnswerEvent) -> None:
        """Has an event written after those before it.

        A piece of the answer may wait with a few others; a decision and an Outcome have been written on return.

        Raises:
            UnreadError: the caller has left its answer unread for too long, now or before.
            CallEndedError: the call has ended meanwhile.
        """
        self._refuse_where_over()
        if isinstance(event, Outcome) and event.record.status == "error":
            self.problem = event.problem
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())  # noqa: TID251  # it outlives a call that is not read
        self._unwritten.append(event)
        self._more.set()
        await self._fewer_than(MAX_WAITING + 1 if isinstance(event, str) else 1)

    async def has_heard(self) -> None:
        """Returns once everything that was said has been written. Raises what `hear` does."""
        await self._fewer_than(1)

    def close(self) -> None:
        """What is on its way is left to itself; what waits behind it is not written."""
        self._is_over = True
        self._more.set()
        self._fewer.set()

    async def _fewer_than(self, number: int) -> None:
        while len(self._unwritten) >= number and not self._is_over:
            self._fewer.clear()
            await self._fewer.wait()
        self._refuse_where_over()

    def _refuse_where_over(self) -> None:
        if self._is_unread:
            raise UnreadError(f"the caller did not read its answer for {self._unread_timeout_s:g} s")
        if self._writer is not None and self._writer.done():
            self._writer.result()
        if self._is_over:
            raise CallEndedError

    async def _write(self) -> None:
        """Writes until nothing more is to be written, or can be."""
        try:
            while not self._is_over:
                if not self._unwritten:
                    self._more.clear()
                    await self._more.wait()
                    continue
                unread = asyncio.get_running_loop().call_later(self._unread_timeout_s, self._give_up)
                try:
                    await self._context.write(event_message(self._unwritten[0]))
                finally:
                    unread.cancel()
                self._unwritten.popleft()
                self._fewer.set()
        except grpc.aio.InternalError:
            pass  # the caller is gone, or the relay has reset its stream
        finally:
            self.close()

    def _give_up(self) -> None:
        self._is_unread = True
        self.close()
