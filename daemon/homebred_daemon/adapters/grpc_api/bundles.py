"""The part of the Control service where somebody on the site sees bundles of diagnostics and lets them go, or not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc
from typing_extensions import override

from homebred_daemon.errors import NotFoundError
from homebred_daemon.inbound.fleet import Bundle, BundleDesk
from homebred_protocol.v1 import control_pb2 as wire
from homebred_protocol.v1 import control_pb2_grpc


@dataclass(frozen=True, slots=True)
class BundleFace:
    """Where bundles wait, and who asks."""

    desk: BundleDesk | None
    """None: the device is in no fleet."""
    principal_of: Callable[[grpc.aio.ServicerContext[Any, Any]], str]


class BundleRpcs(control_pb2_grpc.ControlServicer):
    """ListBundles, ShowBundle and DecideBundle; the rest of Control is its subclass's."""

    def __init__(self, face: BundleFace) -> None:
        self._bundles = face

    @override
    async def ListBundles(
        self,
        request: wire.ListBundlesRequest,
        context: grpc.aio.ServicerContext[wire.ListBundlesRequest, wire.ListBundlesResponse],
    ) -> wire.ListBundlesResponse:
        """Those that wait; none on a device that is in no fleet."""
        waiting = () if self._bundles.desk is None else await self._bundles.desk.bundles()
        return wire.ListBundlesResponse(bundles=map(_message, waiting))

    @override
    async def ShowBundle(
        self,
        request: wire.ShowBundleRequest,
        context: grpc.aio.ServicerContext[wire.ShowBundleRequest, wire.ShowBundleResponse],
    ) -> wire.ShowBundleResponse:
        """What is in one."""
        shown = await self._desk().show(request.command_id)
        return wire.ShowBundleResponse(bundle=_message(shown.bundle), document=shown.document)

    @override
    async def DecideBundle(
        self,
        request: wire.DecideBundleRequest,
        context: grpc.aio.ServicerContext[wire.DecideBundleRequest, wire.DecideBundleResponse],
    ) -> wire.DecideBundleResponse:
        """Lets one leave, or not."""
        principal = self._bundles.principal_of(context)
        bundle = await self._desk().decide(request.command_id, lets_go=request.lets_go, principal=principal)
        return wire.DecideBundleResponse(bundle=_message(bundle))

    def _desk(self) -> BundleDesk:
        if self._bundles.desk is None:
            raise NotFoundError("this device is in no fleet", hint="enrol it: homebred enroll URL")
        return self._bundles.desk


def _message(bundle: Bundle) -> wire.Bundle:
    message = wire.Bundle(command_id=bundle.command_id, issued_by=bundle.issued_by, size_bytes=bundle.size_bytes)
    message.made_at_utc.FromSeconds(bundle.made_at_s)
    return message
