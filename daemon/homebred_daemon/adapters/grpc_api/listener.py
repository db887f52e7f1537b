"""Writes one answer's events to its caller, and gives up on a caller that does not read them.

It cannot end the call: while a write waits for the caller to make room, grpc.aio ends nothing, neither by abort nor by
cancellation. What it can do is stop waiting, so that the engine's slot is free; the relay then resets the stream.
"""

from __future__ import annotations

import asyncio
from typing import Any

import grpc

from homebred_daemon.adapters.grpc_api.failures import CallEndedError
from homebred_daemon.adapters.grpc_api.translate import event_message
from homebred_daemon.errors import HomebredError, UnreadError
from homebred_daemon.inbound.answering import AnswerEvent, Outcome


class Listener:
    """The caller's side of one call; `hear` is the answer's Emit."""

    def __init__(self, context: grpc.aio.ServicerContext[Any, Any], unread_timeout_s: float) -> None:
        self.problem: HomebredError | None = None
        """What the outcome says went wrong: the call then ends with it."""
        self._context = context
        self._unread_timeout_s = unread_timeout_s
        self._one_at_a_time = asyncio.Lock()
        self._is_gone = False
        self._has_ended = False

    async def hear(self, event: AnswerEvent) -> None:
        """Writes an event, once those before it are on their way.

        Raises:
            UnreadError: the caller has left its answer unread for too long, now or before.
            CallEndedError: the call has ended meanwhile.
        """
        if isinstance(event, Outcome) and event.record.status == "error":
            self.problem = event.problem
        if self._is_gone:
            raise self._unread()
        try:
            async with asyncio.timeout(self._unread_timeout_s):
                # Were a write cancelled on its way, as by a deadline, grpc could neither write nor end the call.
                await asyncio.shield(self._write(event))
        except TimeoutError:
            self._is_gone = True
            raise self._unread() from None
        if self._has_ended:
            raise CallEndedError

    async def _write(self, event: AnswerEvent) -> None:
        async with self._one_at_a_time:
            if self._is_gone or self._has_ended:
                return
            try:
                await self._context.write(event_message(event))
            except grpc.aio.InternalError:
                self._has_ended = True  # the caller is gone, or the relay has reset its stream

    def _unread(self) -> UnreadError:
        return UnreadError(f"the caller did not read its answer for {self._unread_timeout_s:g} s")
