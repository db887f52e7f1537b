"""Calls the daemon from asyncio: the same names and values as `blocking`.

One event loop a process: grpc's asyncio side shares its state between the loops of a process.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import grpc

from homebred_protocol.client import translating
from homebred_protocol.client.connecting import OPTIONS, PATIENCE_S, TIMEOUT_S, socket_path, target
from homebred_protocol.client.errors import CallError, DeadlineError
from homebred_protocol.client.failures import failure
from homebred_protocol.client.retrying import OUTCOME_GRACE_S, Repeat, Tries
from homebred_protocol.client.reviewing import Polls
from homebred_protocol.client.values import Answer, DryRun, Embeddings, Event, Review, Task, Verdict
from homebred_protocol.v1 import inference_pb2, inference_pb2_grpc

if TYPE_CHECKING:
    from typing_extensions import Self

    from homebred_protocol.v1.inference_pb2_grpc import InferenceAsyncStub

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")


class AsyncConnection:
    """One connection and the calls on it, made again where that is right."""

    def __init__(self, socket: Path | str | None, *, patience_s: float) -> None:
        self.socket = socket_path(socket)
        self._target = target(self.socket)
        self._patience_s = patience_s
        self._channel: grpc.aio.Channel | None = None
        self._closed = False

    @property
    def channel(self) -> grpc.aio.Channel:
        """Made at the first call: it belongs to the loop that runs then."""
        if self._closed:
            raise RuntimeError("this client is closed")
        if self._channel is None:
            self._channel = grpc.aio.insecure_channel(self._target, options=OPTIONS)
        return self._channel

    async def close(self) -> None:
        """Cancels what is in flight."""
        self._closed = True
        if self._channel is not None:
            await self._channel.close()

    async def call(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[_Request, _Response],
        request: _Request,
        repeat: Repeat,
        timeout_s: float | None,
    ) -> _Response:
        """One answer to one request.

        Raises:
            CallError: the last try's.
        """
        tries = self.tries(repeat, timeout_s)
        while True:
            try:
                return await method(request, timeout=tries.left_s(time.monotonic()))
            except grpc.aio.AioRpcError as error:
                failed = self.failure(error)
            await self.wait(tries, failed)

    def tries(self, repeat: Repeat, deadline_s: float | None) -> Tries:
        """The tries of a call that begins now."""
        return Tries(repeat, patience_s=self._patience_s, deadline_s=deadline_s, now_s=time.monotonic())

    async def wait(self, tries: Tries, failed: CallError, *, heard: bool = False) -> None:
        """Until the next try.

        Raises:
            CallError: there is none.
        """
        luck = random.random()  # noqa: S311  # spreads callers, keeps no secret
        wait_s = tries.wait_s(failed, heard=heard, now_s=time.monotonic(), luck=luck)
        if wait_s is None:
            raise failed
        await asyncio.sleep(wait_s)
        if self._closed:
            raise failed

    def failure(self, error: grpc.aio.AioRpcError) -> CallError:
        """What a call that grpc ended means."""
        return failure(error.code().name, error.details(), error.trailing_metadata(), self.socket)


class AsyncClient:
    """What an application needs: `async with AsyncClient() as client: print((await client.ask("two teas")).text)`."""

    def __init__(
        self, socket: Path | str | None = None, *, patience_s: float = PATIENCE_S, timeout_s: float = TIMEOUT_S
    ) -> None:
        """Connects at the first call.

        Args:
            socket: The daemon's; None: $HOMEBRED_SOCKET, else the installed daemon's.
            patience_s: How long a call that may be made again is, from its first failure; 0: never.
            timeout_s: Bound of every call but `ask` and `stream`, all its tries together.
        """
        self._connection = AsyncConnection(socket, patience_s=patience_s)
        self._timeout_s = timeout_s

    async def __aenter__(self) -> Self:
        """The client itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Closes it."""
        await self.close()

    async def close(self) -> None:
        """Closes the connection; calls in flight are cancelled."""
        await self._connection.close()

    async def ask(self, task: Task | str, *, idempotent: bool = False) -> Answer:
        """The whole answer. A task that went to a person has one, too: see `Answer.needs_review`.

        Args:
            task: What is asked.
            idempotent: Doing it twice does no harm: where the daemon goes away during the call, it is asked again.

        Raises:
            CallError: the task ended as an error, or the call did.
        """
        repeat = Repeat.ANEW if idempotent else Repeat.UNTAKEN
        async with self._stream(task, repeat) as stream:
            return await stream.answer()

    def stream(self, task: Task | str) -> AsyncStream:
        """The answer's events as they come; the task is sent when the first is asked for."""
        return self._stream(task, Repeat.UNTAKEN)

    async def route(self, task: Task | str) -> DryRun:
        """Where the task would go, why, and what would leave: a dry run, without a record."""
        request = inference_pb2.RouteRequest(task=translating.task_message(_task(task)))
        response = await self._connection.call(self._inference.Route, request, Repeat.HARMLESS, self._timeout_s)
        return translating.dry_run(response)

    async def embed(self, texts: Sequence[str], *, workflow: str = "", deadline_s: float | None = None) -> Embeddings:
        """The texts as vectors, made by a specialist of this device; nothing is decided or recorded.

        Raises:
            RequestError: no specialist makes any for this workflow, or a text is too long.
        """
        request = inference_pb2.EmbedRequest(texts=texts, workflow=workflow, deadline_s=deadline_s)
        timeout_s = self._timeout_s if deadline_s is None else deadline_s + OUTCOME_GRACE_S
        response = await self._connection.call(self._inference.Embed, request, Repeat.HARMLESS, timeout_s)
        return translating.embeddings(response)

    async def get_review(self, route_id: str, *, wait_s: float = 0.0) -> Review:
        """How a task of one's own stands that went to a person; the daemon may wait so long for its end.

        Raises:
            NotFoundError: it is somebody else's, or its record is no longer kept.
        """
        request = inference_pb2.GetReviewRequest(route_id=route_id, wait_s=wait_s)
        timeout_s = self._timeout_s + wait_s
        return translating.review(
            await self._connection.call(self._inference.GetReview, request, Repeat.HARMLESS, timeout_s)
        )

    async def wait_for_review(self, route_id: str, *, timeout_s: float) -> Review:
        """The review once it has `ended`, or as it stands when the time is up; the daemon may restart meanwhile.

        Raises:
            NotFoundError: as `get_review` does.
        """
        polls = Polls(timeout_s, time.monotonic())
        while True:
            review = await self.get_review(route_id, wait_s=polls.wait_s(time.monotonic()))
            pause_s = polls.pause_s(review, time.monotonic())
            if pause_s is None:
                return review
            await asyncio.sleep(pause_s)

    async def feedback(self, route_id: str, verdict: Verdict, *, corrected_output: str = "") -> None:
        """Tells how good an answer was; with CORRECTED also what it should have been. A route's last feedback holds."""
        request = translating.feedback_message(route_id, verdict, corrected_output)
        await self._connection.call(self._inference.Feedback, request, Repeat.HARMLESS, self._timeout_s)

    def _stream(self, task: Task | str, repeat: Repeat) -> AsyncStream:
        return AsyncStream(self._connection, translating.request_message(_task(task)), repeat)

    @property
    def _inference(self) -> InferenceAsyncStub:
        return inference_pb2_grpc.InferenceStub(self._connection.channel)


class AsyncStream:
    """Decisions, pieces of the answer, then exactly one outcome; one that is an error is followed by the error itself.

    Closing it before its end cancels the task: leave it by `async with`, `close` or its end. Cancelling the task that
    reads it cancels it, too.
    """

    def __init__(self, connection: AsyncConnection, request: inference_pb2.GenerateRequest, repeat: Repeat) -> None:
        """Made by `AsyncClient.stream`."""
        self._connection = connection
        self._request = request
        self._tries = connection.tries(repeat, translating.deadline_s(request))
        self._heard = translating.Heard()
        self._call: Any = None
        self._events: AsyncIterator[inference_pb2.GenerateEvent] | None = None
        self._ended = False

    async def __aenter__(self) -> Self:
        """The stream itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Closes it."""
        await self.close()

    async def close(self) -> None:
        """Cancels what has not ended."""
        self._ended = True
        if self._call is not None:
            self._call.cancel()

    async def answer(self) -> Answer:
        """Reads to the end: the whole answer, what was read before included.

        Raises:
            CallError: the task ended as an error, or the call did.
        """
        async for _ in self:
            pass
        return self._heard.answer()

    def __aiter__(self) -> Self:
        """The stream itself."""
        return self

    async def __anext__(self) -> Event:
        """The next event.

        Raises:
            CallError: the task ended as an error, or the call did.
        """
        while not self._is_over():
            try:
                event = translating.event(await self._begun().__anext__())
            except StopAsyncIteration:
                self._ended = True
                self._heard.answer()  # a stream without its outcome is a failure
                break
            except grpc.aio.AioRpcError as error:
                failed = self._connection.failure(error)
            except asyncio.CancelledError:
                if self._is_over():  # closed meanwhile, which grpc tells in this way
                    break
                await self.close()
                raise
            else:
                if event is None:
                    continue
                self._heard.add(event)
                return event
            if self._is_over():
                break
            await self._again(failed)
        raise StopAsyncIteration

    def _is_over(self) -> bool:
        """Asked again after every wait: it may have been closed meanwhile."""
        return self._ended

    def _begun(self) -> AsyncIterator[inference_pb2.GenerateEvent]:
        """The call of this try; each try is told what is left of the deadline."""
        if self._events is None:
            left_s = self._tries.left_s(time.monotonic())
            timeout_s = None
            if left_s is not None:
                if left_s <= 0:
                    self._ended = True
                    raise DeadlineError
                self._request.task.deadline_s, timeout_s = left_s, left_s + OUTCOME_GRACE_S
            inference: InferenceAsyncStub = inference_pb2_grpc.InferenceStub(self._connection.channel)
            self._call = inference.Generate(self._request, timeout=timeout_s)
            self._events = self._call.__aiter__()
        return self._events

    async def _again(self, failed: CallError) -> None:
        self._call = self._events = None
        try:
            await self._connection.wait(self._tries, failed, heard=self._heard.anything)
        except CallError:
            self._ended = True
            raise
        self._heard = translating.Heard()


def _task(task: Task | str) -> Task:
    return Task(task) if isinstance(task, str) else task
