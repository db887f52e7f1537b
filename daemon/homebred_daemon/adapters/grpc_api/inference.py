"""The Inference service: translates, calls the answerer, maps errors. It decides nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, cast

import grpc
from typing_extensions import override

from homebred_daemon.adapters.grpc_api.failures import abort
from homebred_daemon.adapters.grpc_api.listener import Listener
from homebred_daemon.adapters.grpc_api.reviews import AfterwardsRpcs, ReviewFace
from homebred_daemon.adapters.grpc_api.translate import accepted_task, decision_message
from homebred_daemon.errors import HomebredError, OverloadedError, UnreadError, defect, release_frames
from homebred_daemon.inbound.answering import AcceptedTask, Answerer
from homebred_protocol.v1 import inference_pb2 as wire
from homebred_protocol.v1 import inference_pb2_grpc


class InferenceServicer(AfterwardsRpcs, inference_pb2_grpc.InferenceServicer):
    """`homebred.v1.Inference` over the answering service; what a caller asks afterwards is `AfterwardsRpcs`'."""

    def __init__(
        self,
        answering: Answerer,
        reviews: ReviewFace,
        *,
        caller_of: Callable[[grpc.aio.ServicerContext[Any, Any]], tuple[str, ...]],
        default_deadline_s: float,
        max_streams: int,
        unread_timeout_s: float,
        new_task_id: Callable[[], str],
        report_defect: Callable[[BaseException], None],
        report_unread: Callable[[tuple[str, ...]], None],
    ) -> None:
        super().__init__(reviews)
        self._answering = answering
        self._caller_of = caller_of
        self._default_deadline_s = default_deadline_s
        self._max_streams = max_streams
        self._unread_timeout_s = unread_timeout_s
        self._streams = 0
        self._new_task_id = new_task_id
        self._report_defect = report_defect
        self._report_unread = report_unread

    @override
    async def Generate(  # type: ignore[override]  # grpc.aio also takes a coroutine that writes; its stubs do not say so
        self, request: wire.GenerateRequest, context: grpc.aio.ServicerContext[wire.GenerateRequest, wire.GenerateEvent]
    ) -> None:
        """Streams decision, deltas and outcome; an outcome that is an error also ends the call as one."""
        failed: HomebredError | None = None
        listener = Listener(context, self._unread_timeout_s)
        self._streams += 1
        try:
            self._refuse_surplus()
            await self._answering.answer(self._accepted(request, context), listener.hear)
            failed = listener.problem
        except HomebredError as error:
            failed = error
        except Exception as error:  # noqa: BLE001  # our own fault; its words may quote the task
            failed = defect(error)
        finally:
            self._streams -= 1
        try:
            if failed is not None:
                await self._abort(context, failed)
        finally:
            release_frames(failed)
            release_frames(listener.problem)

    @override
    async def Route(
        self, request: wire.RouteRequest, context: grpc.aio.ServicerContext[wire.RouteRequest, wire.RouteResponse]
    ) -> wire.RouteResponse:
        """Decides, and does nothing else."""
        try:
            accepted = self._accepted(wire.GenerateRequest(task=request.task), context)
            return wire.RouteResponse(decision=decision_message(await self._answering.route(accepted)))
        except HomebredError as error:
            await self._abort(context, error)
        except Exception as error:  # noqa: BLE001  # our own fault; its words may quote the task
            await self._abort(context, defect(error))

    def _refuse_surplus(self) -> None:
        if self._streams > self._max_streams:
            raise OverloadedError(f"{self._max_streams} answers are being streamed", retry_after_s=1.0)

    async def _abort(self, context: grpc.aio.ServicerContext[Any, Any], error: HomebredError) -> NoReturn:
        if isinstance(error, UnreadError):
            self._report_unread(self._caller_of(context))
        if type(error) is HomebredError and error.__cause__ is not None:
            self._report_defect(error.__cause__)
        await abort(context, error)

    def _accepted(self, request: wire.GenerateRequest, context: grpc.aio.ServicerContext[Any, Any]) -> AcceptedTask:
        remaining_s = cast("float | None", context.time_remaining())  # None: the caller set no deadline
        return accepted_task(
            request,
            caller=self._caller_of(context),
            deadline_s=self._default_deadline_s if remaining_s is None else remaining_s,
            new_task_id=self._new_task_id,
        )
