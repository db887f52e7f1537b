"""The Inference service: translates and calls the answerer. It decides nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Any, cast

import grpc
from typing_extensions import override

from homebred_daemon.adapters.grpc_api.listener import Listener
from homebred_daemon.adapters.grpc_api.reviews import AfterwardsRpcs, ReviewFace
from homebred_daemon.adapters.grpc_api.translate import accepted_task, embedded_message, embedding_task, routed_message
from homebred_daemon.core.traces import TraceParent, one_traceparent
from homebred_daemon.errors import UnreadError
from homebred_daemon.inbound.answering import AcceptedTask, Answerer
from homebred_daemon.inbound.embedding import Embedder
from homebred_daemon.inbound.stream_room import StreamRoom
from homebred_protocol.v1 import inference_pb2 as wire


class InferenceServicer(AfterwardsRpcs):
    """`homebred.v1.Inference` over the answering service; what a caller asks afterwards is `AfterwardsRpcs`'."""

    def __init__(
        self,
        answering: Answerer,
        embedder: Embedder,
        reviews: ReviewFace,
        *,
        caller_of: Callable[[grpc.aio.ServicerContext[Any, Any]], tuple[str, ...]],
        default_deadline_s: float,
        room: StreamRoom,
        unread_timeout_s: float,
        new_task_id: Callable[[], str],
        report_unread: Callable[[tuple[str, ...]], None],
    ) -> None:
        super().__init__(reviews)
        self._answering = answering
        self._embedder = embedder
        self._caller_of = caller_of
        self._default_deadline_s = default_deadline_s
        self._room = room
        self._unread_timeout_s = unread_timeout_s
        self._new_task_id = new_task_id
        self._report_unread = report_unread

    @override
    async def Generate(  # type: ignore[override]  # grpc.aio also takes a coroutine that writes; its stubs do not say so
        self, request: wire.GenerateRequest, context: grpc.aio.ServicerContext[wire.GenerateRequest, wire.GenerateEvent]
    ) -> None:
        """Streams decision, deltas and outcome; an outcome that is an error also ends the call as one."""
        listener = Listener(context, self._unread_timeout_s)
        try:
            with self._room.held(), closing(listener):
                accepted = await self._accepted(request, context)
                accepted = replace(accepted, trace_parent=_trace_parent(context))
                await self._answering.answer(accepted, listener.hear, listener.has_heard)
        except UnreadError:
            self._report_unread(self._caller_of(context))
            raise
        if listener.problem is not None:
            raise listener.problem

    @override
    async def Route(
        self, request: wire.RouteRequest, context: grpc.aio.ServicerContext[wire.RouteRequest, wire.RouteResponse]
    ) -> wire.RouteResponse:
        """Decides, and does nothing else."""
        accepted = await self._accepted(wire.GenerateRequest(task=request.task), context)
        return routed_message(await self._answering.route(accepted))

    @override
    async def Embed(
        self, request: wire.EmbedRequest, context: grpc.aio.ServicerContext[wire.EmbedRequest, wire.EmbedResponse]
    ) -> wire.EmbedResponse:
        """Turns texts into vectors."""
        deadline_s = self._remaining_s(context)
        task = embedding_task(request, caller=self._caller_of(context), deadline_s=deadline_s)
        return embedded_message(await self._embedder.embed(task))

    def _remaining_s(self, context: grpc.aio.ServicerContext[Any, Any]) -> float:
        remaining_s = cast("float | None", context.time_remaining())  # None: the caller set no deadline
        return self._default_deadline_s if remaining_s is None else remaining_s

    async def _accepted(
        self, request: wire.GenerateRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AcceptedTask:
        accept = partial(
            accepted_task,
            request,
            caller=self._caller_of(context),
            deadline_s=self._remaining_s(context),
            new_task_id=self._new_task_id,
        )
        return await asyncio.to_thread(accept) if request.task.attachments else accept()  # files take their time


def _trace_parent(context: grpc.aio.ServicerContext[Any, Any]) -> TraceParent | None:
    """What the call's metadata say that it is a part of."""
    metadata = context.invocation_metadata() or ()
    return one_traceparent(text for name, text in metadata if name == "traceparent" and isinstance(text, str))
