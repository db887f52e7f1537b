"""Builds the gRPC server behind its relay, with health and reflection, and takes it down again.

gRPC itself listens on a private socket that nobody else can reach; the public one is the relay's. Who may call what is
`access`'s to say.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from homebred_daemon.adapters.grpc_api.access import AccessInterceptor
from homebred_daemon.adapters.grpc_api.relay import Relay
from homebred_daemon.core.access import AccessRules
from homebred_daemon.errors import StateError
from homebred_protocol.v1 import control_pb2, control_pb2_grpc, inference_pb2, inference_pb2_grpc

INFERENCE = inference_pb2.DESCRIPTOR.services_by_name["Inference"].full_name
CONTROL = control_pb2.DESCRIPTOR.services_by_name["Control"].full_name
CALLS_OF_A_CONNECTION: Final = 256
"""Beyond it, and beyond what all callers may have under way, a client waits before it sends another call."""
UNSEEN_CALLS: Final = 2048
"""Calls that have come and that nobody has looked at yet: from here on grpc drops some of them, and at twice as many
all. It says no more than CANCELLED then; but short of it every call over the limits of `access` is told so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiLimits:
    """What the API bounds."""

    max_message_bytes: int
    """Longest message either way; grpc itself ends a call with a longer one."""
    max_streams: int
    """Answers streamed at once."""


class ApiServer:
    """The gRPC server: `start`, then `stop`."""

    def __init__(
        self,
        relay: Relay,
        private_socket: Path,
        *,
        inference: inference_pb2_grpc.InferenceServicer,
        control: control_pb2_grpc.ControlServicer,
        rules: AccessRules,
        limits: ApiLimits,
        report_defect: Callable[[BaseException], None],
    ) -> None:
        self._relay = relay
        self._private_socket = private_socket
        self._relaying = AsyncExitStack()
        self._health = health.aio.HealthServicer()
        self._server = grpc.aio.server(
            interceptors=[
                AccessInterceptor(relay.peer_of, rules, max_streams=limits.max_streams, report_defect=report_defect)
            ],
            options=[
                ("grpc.max_receive_message_length", limits.max_message_bytes),
                ("grpc.max_send_message_length", limits.max_message_bytes),
                ("grpc.max_concurrent_streams", max(CALLS_OF_A_CONNECTION, 2 * limits.max_streams)),
                ("grpc.http.overload_protection", 0),  # it refuses barely and early; UNSEEN_CALLS bounds what it would
                ("grpc.server.max_pending_requests", UNSEEN_CALLS),
                ("grpc.server.max_pending_requests_hard_limit", 2 * UNSEEN_CALLS),
                ("grpc.so_reuseport", 0),
            ],
        )
        inference_pb2_grpc.add_InferenceServicer_to_server(inference, self._server)
        control_pb2_grpc.add_ControlServicer_to_server(control, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = (INFERENCE, CONTROL, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)

    async def start(self) -> None:
        """Says SERVING, and lets clients in.

        Raises:
            StateError: the private socket cannot be made.
        """
        try:
            self._server.add_insecure_port(f"unix:{self._private_socket}")
            self._private_socket.chmod(0o600)
        except (RuntimeError, OSError) as error:
            raise StateError(
                f"gRPC cannot listen at {self._private_socket}",
                hint="look at its folder, or choose another runtime_dir",
            ) from error
        await self._server.start()
        for service in ("", INFERENCE, CONTROL):
            await self._health.set(service, health_pb2.HealthCheckResponse.SERVING)
        await self._relaying.enter_async_context(self._relay.running())

    def accept_no_more(self) -> None:
        """Takes no more clients; those that are connected are served on."""
        self._relay.accept_no_more()

    async def stop(self, grace_s: float) -> None:
        """Takes no more clients and calls, gives running calls `grace_s` seconds, then cancels them."""
        self._relay.accept_no_more()
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace_s)
        await self._relaying.aclose()
