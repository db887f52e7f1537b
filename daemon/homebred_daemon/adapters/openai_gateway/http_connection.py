"""One HTTP/1.1 connection: requests read within bounds of size and time, answers written to whoever reads them.

h11 keeps the protocol, this module the bytes and the clock. It knows no path, looks at no token and logs nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import h11

from homebred_daemon.adapters.openai_gateway.failures import TooLargeError, TooSlowError
from homebred_daemon.errors import RequestError, UnreadError

MAX_HEAD_BYTES: Final = 16_384
MAX_WAITING_BYTES: Final = 16_384
"""Of an answer, written and not yet taken by the caller's side, before the engine is held up."""
READ_BYTES: Final = 65_536
IDLE_S: Final = 75.0
"""Between two requests; OpenAI's clients let go of a connection sooner."""
ARRIVAL_S: Final = 10.0
"""For a request's head, for a new connection's first one, and for each piece of a body."""
BODY_S: Final = 60.0
LINGER_S: Final = 2.0
"""For what a caller still sends when its connection ends: TCP would take the last answer away with it."""
HEAD_TOO_LONG: Final = 431
"""RFC 6585 §5: what h11 suggests for a head over its bound."""

Headers = Iterable[tuple[str, str]]


class CallerGoneError(asyncio.CancelledError):
    """The caller has left: whatever is done for it ends as if it were cancelled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request's head."""

    method: str
    path: str
    """Without its query."""
    headers: tuple[tuple[str, str], ...]
    """Names in lower case."""

    def header(self, name: str) -> str | None:
        """The one value of a header; None: it is not there. Raises RequestError where it is there twice."""
        values = [value for known, value in self.headers if known == name]
        if len(values) > 1:
            raise RequestError(f"the request has the header {name} twice", hint="send it once")
        return values[0] if values else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a connection is held to."""

    max_body_bytes: int
    unread_timeout_s: float
    """Longest time a caller may leave its answer unread."""


class Connection:
    """One caller's connection; its requests come one after another."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, bounds: Bounds) -> None:
        self.is_idle = True
        """Whether no request is under way."""
        self.closes = False
        """Whether it ends with the answer to come."""
        self._reader = reader
        self._writer = writer
        self._bounds = bounds
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
        self._unsent = b""
        """The head of an answer."""
        self._patience_s = ARRIVAL_S
        """For the first byte of the next request."""
        self._lost: type[CallerGoneError | UnreadError] | None = None
        """Why nothing more can be written; None: it can."""
        writer.transport.set_write_buffer_limits(high=0)  # `drain` waits for everything

    async def next_request(self) -> Request | None:
        """The next request's head; None: there is none.

        Raises:
            RequestError: it is none, is too long, or takes too long.
        """
        if self._http.our_state is h11.DONE:
            self._http.start_next_cycle()
            self._patience_s = IDLE_S
        self.is_idle = not self._http.trailing_data[0]
        if self.is_idle and not await self._has_begun():
            return None
        self.is_idle = False
        event = await self._next_event()
        if not isinstance(event, h11.Request):
            return None
        return Request(
            method=event.method.decode("ascii"),
            path=event.target.decode("ascii").partition("?")[0],
            headers=tuple((name.decode("ascii"), value.decode("latin-1")) for name, value in event.headers),
        )

    async def body(self) -> bytes:
        """The request's body.

        Raises:
            RequestError: it is too long, or takes too long.
        """
        if self._http.they_are_waiting_for_100_continue:
            self._send(h11.InformationalResponse(status_code=100, headers=[]))
        try:
            async with asyncio.timeout(BODY_S):
                return await self._whole_body()
        except TimeoutError:
            raise TooSlowError(f"the request's body took longer than {BODY_S:g} s") from None

    async def gone(self) -> None:
        """Returns when the caller has left, or sends so much meanwhile that nobody keeps it."""
        with suppress(ConnectionError):
            while data := await self._reader.read(READ_BYTES):
                self._http.receive_data(data)
                if len(self._http.trailing_data[0]) > MAX_HEAD_BYTES:
                    return

    async def respond(self, status: int, headers: Headers, body: bytes) -> None:
        """A whole answer, and waits until it has been taken. Raises what `write` does."""
        self.begin(status, [*headers, ("content-length", str(len(body)))])
        await self.write(body)
        await self.finish()

    def begin(self, status: int, headers: Headers) -> None:
        """The head of an answer; it leaves with the first piece."""
        ending = [("connection", "close")] if self.closes else []
        self._unsent = self._http.send(h11.Response(status_code=status, headers=[*headers, *ending])) or b""

    async def write(self, data: bytes) -> None:
        """A piece of an answer; a few may wait while the caller reads.

        Raises:
            UnreadError: the caller leaves its answer unread for too long, now or before.
            CallerGoneError: it is gone.
        """
        self._send(h11.Data(data=data))
        if self._writer.transport.get_write_buffer_size() > MAX_WAITING_BYTES:
            await self.flushed()

    async def finish(self) -> None:
        """The end of an answer, which has been taken on return. Raises what `write` does."""
        self._send(h11.EndOfMessage())
        await self.flushed()

    async def flushed(self) -> None:
        """Returns once the system has taken everything. Raises what `write` does."""
        transport = self._writer.transport
        while waiting := transport.get_write_buffer_size():
            try:
                async with asyncio.timeout(self._bounds.unread_timeout_s):
                    await self._writer.drain()
            except TimeoutError:
                if transport.get_write_buffer_size() < waiting:
                    continue  # it reads, if slowly
                self._lose(UnreadError)
            except ConnectionError:
                self._lose(CallerGoneError)
            self._refuse_where_lost()

    @property
    def is_unread(self) -> bool:
        """Whether it was given up because its caller did not read."""
        return self._lost is UnreadError

    def begins_anew(self) -> bool:
        """Whether another request may follow."""
        return self._lost is None and self._http.our_state is h11.DONE and self._http.their_state is h11.DONE

    async def leave(self) -> None:
        """Ends the connection from this side, and hears the caller out: the last answer then arrives."""
        if self._lost is not None or self._writer.transport.is_closing():
            return
        with suppress(TimeoutError, ConnectionError):
            self._writer.write_eof()
            async with asyncio.timeout(LINGER_S):
                while await self._reader.read(READ_BYTES):
                    pass

    def close(self) -> None:
        """What has been written may still leave."""
        self._writer.close()

    async def _whole_body(self) -> bytes:
        body = bytearray()
        while isinstance(event := await self._next_event(), h11.Data):
            body += event.data
            if len(body) > self._bounds.max_body_bytes:
                raise TooLargeError(f"the request's body is longer than {self._bounds.max_body_bytes} bytes")
        return bytes(body)

    async def _has_begun(self) -> bool:
        """Waits for the first byte of a request."""
        try:
            async with asyncio.timeout(self._patience_s):
                data = await self._reader.read(READ_BYTES)
        except (TimeoutError, ConnectionError):
            return False
        self._http.receive_data(data)
        return bool(data)

    async def _next_event(self) -> object:
        """What the caller has sent."""
        try:
            async with asyncio.timeout(ARRIVAL_S):
                while (event := self._http.next_event()) is h11.NEED_DATA:
                    self._http.receive_data(await self._reader.read(READ_BYTES))
        except TimeoutError:
            raise TooSlowError(f"{ARRIVAL_S:g} s went by without a part of the request") from None
        except h11.RemoteProtocolError as error:
            too_long = error.error_status_hint == HEAD_TOO_LONG
            raise (TooLargeError if too_long else RequestError)(f"the request is no HTTP/1.1: {error}") from None
        except ConnectionError:
            raise CallerGoneError from None
        return event

    def _send(self, event: h11.Event) -> None:
        self._refuse_where_lost()
        data, self._unsent = self._unsent + (self._http.send(event) or b""), b""
        if data:
            self._writer.write(data)

    def _refuse_where_lost(self) -> None:
        if self._lost is UnreadError:
            raise UnreadError(f"the caller did not read its answer for {self._bounds.unread_timeout_s:g} s")
        if self._lost is not None or self._writer.transport.is_closing():
            raise CallerGoneError

    def _lose(self, why: type[CallerGoneError | UnreadError]) -> None:
        self._lost = why
        self._writer.transport.abort()
