"""The Control service: the state of every part, and taking up a changed model store."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import grpc
from typing_extensions import override

from homebred_daemon.adapters.grpc_api.failures import abort
from homebred_daemon.errors import HomebredError
from homebred_protocol.v1 import control_pb2 as wire
from homebred_protocol.v1 import control_pb2_grpc

T = TypeVar("T")


class ControlServicer(control_pb2_grpc.ControlServicer):
    """`homebred.v1.Control` over two functions that the daemon lends it."""

    def __init__(
        self,
        *,
        status: Callable[[], Awaitable[wire.GetStatusResponse]],
        reload_models: Callable[[], Awaitable[wire.ReloadModelsResponse]],
    ) -> None:
        self._status = status
        self._reload_models = reload_models

    @override
    async def GetStatus(
        self,
        request: wire.GetStatusRequest,
        context: grpc.aio.ServicerContext[wire.GetStatusRequest, wire.GetStatusResponse],
    ) -> wire.GetStatusResponse:
        """The state of every part."""
        return await self._answered(self._status, context)

    @override
    async def ReloadModels(
        self,
        request: wire.ReloadModelsRequest,
        context: grpc.aio.ServicerContext[wire.ReloadModelsRequest, wire.ReloadModelsResponse],
    ) -> wire.ReloadModelsResponse:
        """Takes up what has changed in the model store."""
        return await self._answered(self._reload_models, context)

    async def _answered(self, call: Callable[[], Awaitable[T]], context: grpc.aio.ServicerContext[Any, Any]) -> T:
        try:
            return await call()
        except HomebredError as error:
            await abort(context, error)
