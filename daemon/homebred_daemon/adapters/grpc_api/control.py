"""The Control service over the daemon's caretaker."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import grpc
from typing_extensions import override

from homebred_daemon.adapters.grpc_api.failures import abort
from homebred_daemon.adapters.grpc_api.reviews import ReviewFace, ReviewRpcs
from homebred_daemon.errors import HomebredError
from homebred_daemon.inbound.caretaking import Caretaker, DaemonState, ReviewsState, SpecialistState, WorkerState
from homebred_protocol.v1 import control_pb2 as wire
from homebred_protocol.v1 import control_pb2_grpc

KILOBYTE = 1024


class ControlServicer(ReviewRpcs, control_pb2_grpc.ControlServicer):
    """`homebred.v1.Control`."""

    def __init__(self, caretaker: Caretaker, reviews: ReviewFace) -> None:
        super().__init__(reviews)
        self._caretaker = caretaker

    @override
    async def GetStatus(
        self,
        request: wire.GetStatusRequest,
        context: grpc.aio.ServicerContext[wire.GetStatusRequest, wire.GetStatusResponse],
    ) -> wire.GetStatusResponse:
        """The state of every part."""
        try:
            return _state(await self._caretaker.state())
        except HomebredError as error:
            await abort(context, error)

    @override
    async def ReloadModels(
        self,
        request: wire.ReloadModelsRequest,
        context: grpc.aio.ServicerContext[wire.ReloadModelsRequest, wire.ReloadModelsResponse],
    ) -> wire.ReloadModelsResponse:
        """Takes up what has changed in the model store."""
        try:
            state = await self._caretaker.reload_models()
        except HomebredError as error:
            await abort(context, error)
        return wire.ReloadModelsResponse(registry_digest=state.registry_digest, specialists=len(state.specialists))


def _state(state: DaemonState) -> wire.GetStatusResponse:
    response = wire.GetStatusResponse(
        version=version("homebred"),
        policy_digest=state.policy_digest,
        ceiling_digest=state.ceiling_digest,
        registry_digest=state.registry_digest,
        link=state.link,
        specialists=[_specialist(one) for one in state.specialists],
        workers=[_worker(one) for one in state.workers],
        streams=state.streams,
        outcomes=state.outcomes,
        resident_bytes=_resident_bytes(),
        reviews=_reviews(state.reviews),
    )
    response.started_at_utc.FromDatetime(state.started_at_utc)
    return response


def _specialist(specialist: SpecialistState) -> wire.SpecialistStatus:
    return wire.SpecialistStatus(
        id=specialist.id,
        engine=specialist.engine,
        base_digest=specialist.base_digest,
        available=specialist.available,
        loaded=specialist.loaded,
        note=specialist.note,
    )


def _reviews(reviews: ReviewsState) -> wire.ReviewStatus:
    message = wire.ReviewStatus(
        waiting=reviews.waiting,
        claimed=reviews.claimed,
        capacity=reviews.capacity,
        answered=reviews.answered,
        declined=reviews.declined,
        expired=reviews.expired,
    )
    if reviews.oldest_filed_at_utc is not None:
        message.oldest_filed_at_utc.FromDatetime(reviews.oldest_filed_at_utc)
    return message


def _worker(worker: WorkerState) -> wire.WorkerStatus:
    stats = worker.stats
    if stats is None:
        return wire.WorkerStatus(process_id=worker.pid)
    return wire.WorkerStatus(
        engine=stats.engine.engine,
        engine_version=stats.engine.engine_version,
        model_digest=stats.engine.model_digest,
        process_id=worker.pid,
        running=stats.running,
        queued=stats.queued,
        slots=stats.engine.slots,
        threads=stats.engine.threads,
        resident_bytes=stats.resident_bytes,
        generated_tokens=stats.generated_tokens,
    )


def _resident_bytes() -> int:
    """Memory of this process that is in RAM (proc(5), VmRSS)."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * KILOBYTE for line in lines if line.startswith("VmRSS:"))
