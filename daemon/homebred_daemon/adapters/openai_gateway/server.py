"""Listens for the gateway's callers, bounds how many there are, and takes leave of them in good order."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Final

from homebred_daemon.adapters import loopback
from homebred_daemon.adapters.openai_gateway.endpoints import refuse
from homebred_daemon.adapters.openai_gateway.http_connection import Bounds, Connection
from homebred_daemon.errors import OverloadedError, StateError, UnreadError

BACKLOG: Final = 128
OTHER_CONNECTIONS: Final = 64
"""Beyond those that stream: models are listed, connections wait for their next request."""
SEND_BUFFER_BYTES: Final = 32_768
"""The system's own would take megabytes, and a caller that does not read would never be noticed."""
RETRY_AFTER_S: Final = 1.0


def loopback_listener(address: str, port: int) -> socket.socket:
    """A socket that only this device's own programs reach.

    Raises:
        StateError: the port is taken, or there is no such address here.
    """
    try:
        return loopback.listener(address, port)
    except OSError as error:
        raise StateError(
            f"the gateway cannot listen at {address} port {port}: {error.strerror}",
            hint="see who does with `ss -ltnp`, or set another gateway.port or gateway.socket",
        ) from error


class GatewayServer:
    """The gateway's socket and its connections: `start`, then `stop`."""

    def __init__(
        self,
        listener: socket.socket,
        serve: Callable[[Connection], Awaitable[None]],
        *,
        bounds: Bounds,
        max_streams: int,
        report_defect: Callable[[BaseException], None],
    ) -> None:
        self._listener = listener
        self._serve = serve
        self._bounds = bounds
        self._max_connections = max_streams + OTHER_CONNECTIONS
        self._report_defect = report_defect
        self._connections: dict[asyncio.Task[None], Connection] = {}
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Lets callers in."""
        listener = self._listener
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)  # its connections inherit it
        if listener.family == socket.AF_UNIX:
            self._server = await asyncio.start_unix_server(self._connected, sock=listener)
        else:
            self._server = await asyncio.start_server(self._connected, sock=listener)

    async def stop(self, grace_s: float) -> None:
        """Takes no more callers, gives answers under way `grace_s` seconds, then cuts them off."""
        if self._server is not None:
            self._server.close()
        for task, connection in self._connections.items():
            connection.closes = True
            if connection.is_idle:
                task.cancel()
        for seconds in (grace_s, None):
            if self._connections:
                await asyncio.wait(self._connections, timeout=seconds)
            for task in self._connections:
                task.cancel()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves one connection, in a task of its own."""
        connection, task = Connection(reader, writer, self._bounds), asyncio.current_task()
        if task is None:
            raise AssertionError("asyncio serves every connection in a task")
        is_surplus = len(self._connections) >= self._max_connections
        self._connections[task] = connection
        try:
            await (_turned_away(connection) if is_surplus else self._serve(connection))
            await connection.leave()
        except (asyncio.CancelledError, UnreadError):
            pass  # the caller has left or does not read, or the daemon ends
        except Exception as error:  # noqa: BLE001  # our own fault; the others' connections go on
            self._report_defect(error)
        finally:
            del self._connections[task]
            connection.close()


async def _turned_away(connection: Connection) -> None:
    connection.closes = True
    await refuse(connection, OverloadedError("too many connections are open", retry_after_s=RETRY_AFTER_S))
