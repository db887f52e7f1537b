"""The Control service: the state of every part, and taking up a changed model store."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import grpc
from typing_extensions import override

from homebred_daemon.adapters.grpc_api.failures import abort
from homebred_daemon.adapters.grpc_api.status import StatusReport
from homebred_daemon.errors import HomebredError
from homebred_protocol.v1 import control_pb2 as wire
from homebred_protocol.v1 import control_pb2_grpc


class ControlServicer(control_pb2_grpc.ControlServicer):
    """`homebred.v1.Control`."""

    def __init__(self, *, report: StatusReport, reload_models: Callable[[], Awaitable[None]]) -> None:
        self._report = report
        self._reload_models = reload_models

    @override
    async def GetStatus(
        self,
        request: wire.GetStatusRequest,
        context: grpc.aio.ServicerContext[wire.GetStatusRequest, wire.GetStatusResponse],
    ) -> wire.GetStatusResponse:
        """The state of every part."""
        try:
            return await self._report.message()
        except HomebredError as error:
            await abort(context, error)

    @override
    async def ReloadModels(
        self,
        request: wire.ReloadModelsRequest,
        context: grpc.aio.ServicerContext[wire.ReloadModelsRequest, wire.ReloadModelsResponse],
    ) -> wire.ReloadModelsResponse:
        """Takes up what has changed in the model store; where that fails, what held still holds."""
        try:
            await self._reload_models()
        except HomebredError as error:
            await abort(context, error)
        standing = self._report.answering.standing
        return wire.ReloadModelsResponse(
            registry_digest=standing.decider.registry.digest, specialists=len(standing.specialists)
        )
