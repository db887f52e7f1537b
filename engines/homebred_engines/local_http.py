"""Just enough of HTTP/1.1 (RFC 9112) to ask a server on this device and hear its answer as it comes.

One request a connection: closing it is how a generation is cancelled. No TLS, proxies, redirects or cookies; no name is
resolved.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from homebred_engines.api import EngineFailedError
from homebred_engines.openai_server_file import Address

MAX_HEAD_BYTES = 64 * 1024
MAX_BODY_BYTES = 4 * 1024 * 1024
_CONNECT_TIMEOUT_S = 5.0
_PIECE_BYTES = 64 * 1024
_STATUS_LINE = re.compile(r"HTTP/1\.[01] (\d{3})(?: |\Z)")


@dataclass(slots=True, kw_only=True)
class Response:
    """An answer whose body has yet to come."""

    status: int
    fields: dict[str, str]
    """By name in lower case."""
    reader: asyncio.StreamReader

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """The body as it arrives. Raises EngineFailedError where it breaks off."""
        try:
            if "chunked" in self.fields.get("transfer-encoding", "").lower():
                while size := int((await self.reader.readline()).partition(b";")[0], 16):
                    yield await self.reader.readexactly(size)
                    await self.reader.readexactly(2)
            elif "content-length" in self.fields:
                left = int(self.fields["content-length"])
                while left:
                    size = min(left, _PIECE_BYTES)
                    yield await self.reader.readexactly(size)
                    left -= size
            else:
                while piece := await self.reader.read(_PIECE_BYTES):
                    yield piece
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError):
            raise EngineFailedError("The server broke off in the middle of an answer.") from None

    async def body(self) -> bytes:
        """All of it. Raises EngineFailedError where it is too long."""
        held = bytearray()
        async for piece in self.pieces():
            held += piece
            if len(held) > MAX_BODY_BYTES:
                raise EngineFailedError(f"The server's answer is longer than {MAX_BODY_BYTES} bytes.")
        return bytes(held)


class Connections:
    """Those that are open to one server: closed together, at once, whoever waits for what."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._open: set[asyncio.WriteTransport] = set()
        self._is_closed = False

    def close(self) -> None:
        """Ends them all; one that is opened afterwards ends at once too."""
        self._is_closed = True
        for transport in self._open:
            transport.abort()

    @asynccontextmanager
    async def ask(self, path: str, document: object = None) -> AsyncIterator[Response]:
        """GETs a path, or POSTs a JSON document to it; leaving closes the connection.

        Raises EngineFailedError where there is no server, or none that speaks HTTP.
        """
        reader, writer = await _connected(self._address)
        self._open.add(writer.transport)
        try:
            if self._is_closed:
                writer.transport.abort()
            writer.write(_request(path, document))
            await writer.drain()
            yield await _head(reader)
        except OSError as error:
            why = error.strerror or "it hung up"
            raise EngineFailedError(f"The server at {self._address.written()} is gone: {why}.") from None
        finally:
            self._open.discard(writer.transport)
            writer.transport.abort()


def _request(path: str, document: object) -> bytes:
    body = b"" if document is None else json.dumps(document).encode()
    method = "GET" if document is None else "POST"
    head = [f"{method} {path} HTTP/1.1", "Host: localhost", "Accept: */*", "Connection: close"]
    if body:
        head += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*head, "", ""]).encode() + body


async def _connected(address: Address) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    try:
        if address.socket_path:
            opening = asyncio.open_unix_connection(address.socket_path, limit=MAX_HEAD_BYTES)
        else:
            opening = asyncio.open_connection(address.host, address.port, limit=MAX_HEAD_BYTES)
        return await asyncio.wait_for(opening, _CONNECT_TIMEOUT_S)
    except (OSError, asyncio.TimeoutError) as error:
        why = getattr(error, "strerror", None) or f"no answer within {_CONNECT_TIMEOUT_S:g} s"
        raise EngineFailedError(
            f"There is no server at {address.written()}: {why}.",
            hint="Start it, or correct the address in the model's file.",
        ) from None


async def _head(reader: asyncio.StreamReader) -> Response:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status_line, *lines = head.split("\r\n")[:-2]
        status = _STATUS_LINE.match(status_line)
        fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    except (EOFError, asyncio.LimitOverrunError):
        status, fields = None, {}
    if status is None:
        raise EngineFailedError("What answers there speaks no HTTP, or hung up.")
    return Response(status=int(status[1]), fields=fields, reader=reader)
