"""One relayed connection: a client's socket and gRPC's, joined in both directions with back-pressure.

Both ends are attached before either is read. Who the client is, and how many there may be, is the relay's business.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from typing_extensions import override

from homebred_daemon.adapters.grpc_api.stream_windows import CONNECTION, StreamWindows


class _End(asyncio.BufferedProtocol):
    """One end: what it reads goes to the other, as fast as that takes it."""

    def __init__(
        self, relayed: Callable[[bytes], bytes], buffer: bytearray, lost: Callable[[], None], *, eof_ends_all: bool
    ) -> None:
        self.other: _End
        self.transport: asyncio.Transport
        self.is_lost = True
        """Until it is attached, and after it has closed."""
        self.blocked_since_s: float | None = None
        """Since when it takes no more; None: it does."""
        self._relayed = relayed
        self._buffer = buffer
        """Shared by all connections: what is read into it is copied out before anybody else reads."""
        self._lost = lost
        self._eof_ends_all = eof_ends_all

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Attached; not read before the other end is."""
        self.transport = cast("asyncio.Transport", transport)
        # Not at once: before Python 3.11.4 asyncio would begin to read all the same, as its own call to comes later.
        asyncio.get_running_loop().call_soon(self.transport.pause_reading)
        self.is_lost = False

    @override
    def get_buffer(self, sizehint: int) -> bytearray:
        """Where the next bytes go."""
        del sizehint
        return self._buffer

    @override
    def buffer_updated(self, nbytes: int) -> None:
        """Passes them on."""
        self.other.send(self._relayed(bytes(memoryview(self._buffer)[:nbytes])))

    def send(self, data: bytes) -> None:
        """Writes to the socket; on one that is closing there is nobody to hear it."""
        if data and not self.transport.is_closing():
            self.transport.write(data)

    @override
    def pause_writing(self) -> None:
        """It takes no more: the other end waits."""
        self.blocked_since_s = asyncio.get_running_loop().time()
        self.other.transport.pause_reading()

    @override
    def resume_writing(self) -> None:
        """It takes more again."""
        self.blocked_since_s = None
        self.other.transport.resume_reading()

    @override
    def eof_received(self) -> bool:
        """It sends no more; a client may still wait for answers, gRPC has closed its end altogether."""
        if self._eof_ends_all:
            self.other.close()
            self.close()
        elif not self.other.transport.is_closing():
            self.other.transport.write_eof()
        return True

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone, and so is the other once it has sent what it was given; at once where this one broke."""
        self.is_lost = True
        if exc is None:
            self.other.close()
        else:
            self.other.abort()
        self._lost()

    def close(self) -> None:
        """Closes once everything is sent."""
        if not self.is_lost:
            self.transport.close()

    def abort(self) -> None:
        """Closes at once."""
        if not self.is_lost:
            self.transport.abort()


class Connection:
    """A client's connection and its way to gRPC."""

    def __init__(self, buffer: bytearray, closed: Callable[[Connection], None]) -> None:
        self._windows = StreamWindows()
        self._closed = closed
        self.client = _End(self._from_client, buffer, self._lost, eof_ends_all=False)
        self.server = _End(self._from_server, buffer, self._lost, eof_ends_all=True)
        self.client.other, self.server.other = self.server, self.client

    def begin(self) -> None:
        """Relays from now on; both ends are attached."""
        if self.server.is_lost:
            self.client.abort()
            return
        self.server.transport.resume_reading()
        self.client.transport.resume_reading()

    def abort(self) -> None:
        """Closes both ends at once."""
        self.client.abort()
        self.server.abort()

    def end_unread(self, since_s: float) -> bool:
        """Ends what the client has left unread since then; whether that was the whole connection."""
        blocked_since_s = self.client.blocked_since_s
        shut = self._windows.shut_before(since_s)
        if CONNECTION in shut or (blocked_since_s is not None and blocked_since_s <= since_s):
            self.abort()
            return True
        for stream in shut:
            to_client, to_server = self._windows.reset(stream)
            self.client.send(to_client)
            self.server.send(to_server)
        return False

    def _from_client(self, data: bytes) -> bytes:
        self._windows.now_s = asyncio.get_running_loop().time()
        return self._windows.from_client(data)

    def _from_server(self, data: bytes) -> bytes:
        self._windows.now_s = asyncio.get_running_loop().time()
        return self._windows.from_server(data)

    def _lost(self) -> None:
        if self.client.is_lost and self.server.is_lost:
            self._closed(self)
