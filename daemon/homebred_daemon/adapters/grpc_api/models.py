"""The part of the Control service that loads, unloads and pins models."""

from __future__ import annotations

import grpc
from typing_extensions import override

from homebred_daemon.inbound.caretaking import WorkerState
from homebred_daemon.inbound.residency import ModelKeeper
from homebred_protocol.v1 import control_pb2 as wire
from homebred_protocol.v1 import control_pb2_grpc


class ModelsServicer(control_pb2_grpc.ControlServicer):
    """LoadModel, UnloadModel and PinModel; the rest of Control is its subclass's."""

    def __init__(self, models: ModelKeeper) -> None:
        self._models = models

    @override
    async def LoadModel(
        self,
        request: wire.LoadModelRequest,
        context: grpc.aio.ServicerContext[wire.LoadModelRequest, wire.LoadModelResponse],
    ) -> wire.LoadModelResponse:
        """Loads a specialist's model now."""
        return wire.LoadModelResponse(worker=worker_message(await self._models.load_model(request.specialist_id)))

    @override
    async def UnloadModel(
        self,
        request: wire.UnloadModelRequest,
        context: grpc.aio.ServicerContext[wire.UnloadModelRequest, wire.UnloadModelResponse],
    ) -> wire.UnloadModelResponse:
        """Frees a specialist's model once its running answers have ended."""
        return wire.UnloadModelResponse(was_loaded=await self._models.unload_model(request.specialist_id))

    @override
    async def PinModel(
        self,
        request: wire.PinModelRequest,
        context: grpc.aio.ServicerContext[wire.PinModelRequest, wire.PinModelResponse],
    ) -> wire.PinModelResponse:
        """Pins a specialist's model, or unpins it."""
        self._models.pin_model(request.specialist_id, pinned=request.pinned)
        return wire.PinModelResponse()


def worker_message(worker: WorkerState) -> wire.WorkerStatus:
    """One engine worker; one that did not say how it stands has only its process id."""
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
        adapters=stats.engine.adapters,
    )
