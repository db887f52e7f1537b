"""Lets Prometheus read the figures: `GET /metrics` over HTTP/1.1, one answer a connection, on this device alone.

It listens where it is told to, a Unix socket or a loopback port, and never opens a connection. A page in a browser gets
nothing: a request with an Origin is refused, and on a port one whose Host is not this device (DNS rebinding). Requests
are bounded in bytes, time and number. What the figures are is others' affair.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from homebred_daemon.adapters import loopback
from homebred_daemon.errors import HomebredError

PATH: Final = "/metrics"
MAX_HEAD_BYTES: Final = 8192
MAX_CONNECTIONS: Final = 8
"""More at a time are cut at once."""
REQUEST_S: Final = 5.0
"""Longest time for a request's head, and again for taking the answer."""
_TEXT: Final = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a request gets."""

    status: HTTPStatus
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def encoded(self) -> bytes:
        """Its bytes on the wire."""
        body = (self.body or f"{self.status.phrase}\n").encode()
        headers = {
            "Content-Type": _TEXT,
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Connection": "close",
        } | dict(self.headers)
        lines = (f"HTTP/1.1 {self.status.value} {self.status.phrase}", *(f"{k}: {v}" for k, v in headers.items()))
        return "\r\n".join((*lines, "", "")).encode() + body


class MetricsServer:
    """Serves one listening socket for as long as `running` lasts."""

    def __init__(self, listener: socket.socket, text: Callable[[], Awaitable[str]], *, content_type: str) -> None:
        """`text` is asked for once at a time, however many ask."""
        self._listener = listener
        self._text = text
        self._content_type = content_type
        self._is_local = listener.family == socket.AF_UNIX
        self._writers: set[asyncio.StreamWriter] = set()
        self._one_at_a_time = asyncio.Lock()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """On leaving, every connection is cut."""
        start = asyncio.start_unix_server if self._is_local else asyncio.start_server
        server = await start(self._connected, sock=self._listener, limit=MAX_HEAD_BYTES)
        try:
            yield
        finally:
            server.close()
            for writer in self._writers:
                writer.transport.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._writers) >= MAX_CONNECTIONS:
            writer.transport.abort()
            return
        self._writers.add(writer)
        try:
            answer = await self._answered(reader)
            if answer is not None:
                writer.write(answer.encoded())
                async with asyncio.timeout(REQUEST_S):
                    await writer.drain()
                writer.close()
                async with asyncio.timeout(REQUEST_S):
                    await writer.wait_closed()
        except (OSError, TimeoutError):
            pass  # it left, or does not read: nobody is there to tell
        finally:
            writer.transport.abort()
            self._writers.discard(writer)

    async def _answered(self, reader: asyncio.StreamReader) -> Answer | None:
        """The answer to the one request; None: there was none, or it did not come in time."""
        try:
            async with asyncio.timeout(REQUEST_S):
                head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            return Answer(status=HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        except asyncio.IncompleteReadError:
            return None
        refusal = self._refusal(head)
        return await self._figures() if refusal is None else refusal

    def _refusal(self, head: bytes) -> Answer | None:
        """Why the request gets no figures; None: it does."""
        request, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        match request.split(" "):
            case [method, target, "HTTP/1.1" | "HTTP/1.0"]:
                pass
            case _:
                return Answer(status=HTTPStatus.BAD_REQUEST)
        headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        hosts = [value for name, value in headers if name == "host"]
        if len(hosts) > 1:  # RFC 9112, section 3.2
            return Answer(status=HTTPStatus.BAD_REQUEST)
        is_known = self._is_local or any(_without_port(host) in loopback.NAMES for host in hosts)
        if not is_known or any(name == "origin" for name, _ in headers):
            return Answer(status=HTTPStatus.FORBIDDEN)
        if target.partition("?")[0] != PATH:
            return Answer(status=HTTPStatus.NOT_FOUND)
        if method != "GET":
            return Answer(status=HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": "GET"})
        return None

    async def _figures(self) -> Answer:
        try:
            async with self._one_at_a_time:
                text = await self._text()
        except HomebredError as error:  # its words are ours, and hold no content
            return Answer(status=HTTPStatus.INTERNAL_SERVER_ERROR, body=f"{error.message}\nnext: {error.hint}\n")
        return Answer(status=HTTPStatus.OK, body=text, headers={"Content-Type": self._content_type})


def _without_port(host: str) -> str:
    name, _, port = host.rpartition(":")
    return (name if name and port.isdecimal() else host).lower()
