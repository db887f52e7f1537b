"""Runs the application over HTTPS until it is cancelled. It handles no signals: whoever owns the process does.

A client certificate is asked for and not required: who enrols has none yet. One that is shown must be in order, issued
by this fleet and within its time, or the handshake fails.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from typing_extensions import override

from homebred_fleet.adapters.fleet_folder import KeyPair
from homebred_fleet.adapters.http_api.connection import PeerAwareProtocol
from homebred_fleet.errors import ConfigurationError

BACKLOG = 512
KEEP_ALIVE_S = 30
UNREAD_S = 120
"""After this time without a byte taken by its peer, a connection is another's again (tcp(7), TCP_USER_TIMEOUT)."""
GRACE_S = 5
"""Time that running requests get when the controller is told to stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """Where and as whom it serves."""

    address: str
    port: int
    identity: KeyPair
    authorities: Path
    max_connections: int


class HttpsServer:
    """One server."""

    def __init__(self, app: FastAPI, listening: Listening) -> None:
        """Binds its port at once.

        Raises:
            ConfigurationError: it is taken, or key and certificate cannot be used.
        """
        self._listening = listening
        self.context = _context(listening)
        self._socket = _bound(listening)
        config = uvicorn.Config(
            app,
            http=PeerAwareProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=listening.max_connections,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=GRACE_S,
            backlog=BACKLOG,
            h11_max_incomplete_event_size=32_768,
            ssl_context_factory=lambda _config, _default: self.context,
        )
        self._server = _Server(config)

    @property
    def address(self) -> str:
        """Host and port that it listens on."""
        host, port = self._socket.getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def run(self) -> None:
        """Serves until `stop`."""
        await self._server.serve(sockets=[self._socket])

    async def ready(self) -> None:
        """Returns once it takes connections."""
        while not self._server.started:  # noqa: ASYNC110  # uvicorn has no event for it
            await asyncio.sleep(0.01)

    def stop(self) -> None:
        """Takes no more requests; those that run get some time."""
        self._server.should_exit = True

    def renew_identity(self) -> None:
        """Shows the certificate that lies there now to whoever connects from now on."""
        self.context.load_cert_chain(self._listening.identity.certificate, self._listening.identity.key)


class _Server(uvicorn.Server):
    """uvicorn's, without its hold on the process's signals."""

    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _context(listening: Listening) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_OPTIONAL
    try:
        context.load_cert_chain(listening.identity.certificate, listening.identity.key)
        context.load_verify_locations(listening.authorities)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"{listening.identity.certificate} and its key cannot be used: {error.strerror}",
            hint="run `homebred-fleet init` on the folder: it makes what is missing",
        ) from error
    return context


def _bound(listening: Listening) -> socket.socket:
    family = socket.AF_INET6 if ":" in listening.address else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_S * 1000)
        bound.bind((listening.address, listening.port))
    except OSError as error:
        bound.close()
        raise ConfigurationError(
            f"{listening.address}:{listening.port} cannot be listened on: {error.strerror}",
            hint="end whatever listens there, or set http.listen and http.port",
        ) from error
    return bound
