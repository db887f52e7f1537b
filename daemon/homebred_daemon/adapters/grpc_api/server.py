"""Builds the gRPC server on the daemon's Unix socket, with health and reflection, and takes it down again.

The socket is open to the daemon's own user alone: whoever can connect is that user, or root.
"""

from __future__ import annotations

import fcntl
import os
import socket
import stat
from pathlib import Path

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from homebred_daemon.errors import StateError
from homebred_protocol.v1 import control_pb2, control_pb2_grpc, inference_pb2, inference_pb2_grpc

INFERENCE = inference_pb2.DESCRIPTOR.services_by_name["Inference"].full_name
CONTROL = control_pb2.DESCRIPTOR.services_by_name["Control"].full_name
SOCKET_UMASK = 0o177
OPERATORS_CALLS = 16
"""Calls beyond the streams, so that status and health answer under load."""


class SocketPath:
    """The right to one socket path: grpcio would silently take the path of a live server."""

    def __init__(self, path: Path) -> None:
        """Takes the path's lock and removes what a killed server left there.

        Raises:
            StateError: another process serves it, or something that is no socket stands there.
        """
        self.path = path
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists():
                self._remove_leftover()
        except BlockingIOError:
            raise StateError(
                f"another daemon serves {path}", hint="stop that one first, or give this one another runtime_dir"
            ) from None
        except OSError as error:
            raise StateError(
                f"the socket {path} cannot be made: {error.strerror}",
                hint="check that its folder exists and belongs to this user, or choose another with --runtime-dir",
            ) from error

    def release(self) -> None:
        """Gives the path back."""
        os.close(self._lock)

    def _remove_leftover(self) -> None:
        if not stat.S_ISSOCK(self.path.lstat().st_mode):
            raise StateError(f"{self.path} is not a socket", hint="move it away, or choose another socket path")
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(self.path)) == 0:
                raise StateError(f"another process serves {self.path}", hint="stop it first")
        self.path.unlink()


class ApiServer:
    """The gRPC server: `start`, then `stop`."""

    def __init__(
        self,
        socket_path: SocketPath,
        *,
        inference: inference_pb2_grpc.InferenceServicer,
        control: control_pb2_grpc.ControlServicer,
        max_message_bytes: int,
        max_streams: int,
    ) -> None:
        self._socket_path = socket_path
        self._health = health.aio.HealthServicer()
        self._server = grpc.aio.server(
            maximum_concurrent_rpcs=max_streams + OPERATORS_CALLS,
            options=[
                ("grpc.max_receive_message_length", max_message_bytes),
                ("grpc.max_send_message_length", max_message_bytes),
                ("grpc.so_reuseport", 0),
            ],
        )
        inference_pb2_grpc.add_InferenceServicer_to_server(inference, self._server)
        control_pb2_grpc.add_ControlServicer_to_server(control, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = (INFERENCE, CONTROL, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)

    async def start(self) -> None:
        """Binds the socket and says SERVING."""
        umask = os.umask(SOCKET_UMASK)
        try:
            self._server.add_insecure_port(f"unix:{self._socket_path.path}")
            await self._server.start()
        finally:
            os.umask(umask)
        for service in ("", INFERENCE, CONTROL):
            await self._health.set(service, health_pb2.HealthCheckResponse.SERVING)

    async def stop(self, grace_s: float) -> None:
        """Takes no more calls, gives running ones `grace_s` seconds, then cancels them."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace_s)
