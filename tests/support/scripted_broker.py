"""A broker that answers by a script, packet by packet: what no real one does on demand, and what a hostile one does."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

CONNACK = b"\x20\x03\x00\x00\x00"
Script = Callable[[socket.socket], None]


class ScriptedBroker:
    """Listens on loopback; each connection is given to the script."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._client: socket.socket | None = None

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        if self._client is not None:
            with suppress(OSError):  # it has ended
                self._client.shutdown(socket.SHUT_RD)  # a script that only waits for more has done its part
        self._thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client:
                self._client = client
                client.settimeout(5)
                try:
                    self._script(client)
                except OSError:
                    continue


def read_packet(client: socket.socket) -> tuple[int, bytes]:
    """The first byte of the next packet, and what follows its length (MQTT 5 §2.1)."""
    first = _exactly(client, 1)[0]
    length, shift = 0, 0
    while True:
        byte = _exactly(client, 1)[0]
        length |= (byte & 127) << shift
        shift += 7
        if not byte & 128:
            return first, _exactly(client, length)


def answer(connack: bytes = CONNACK, then: bytes = b"", *, hold: bool = False) -> Script:
    """CONNECT is read, and answered with these bytes."""

    def script(client: socket.socket) -> None:
        read_packet(client)
        client.sendall(connack + then)
        if hold:
            client.recv(1)

    return script


def _exactly(client: socket.socket, count: int) -> bytes:
    got = b""
    while len(got) < count:
        more = client.recv(count - len(got))
        if not more:
            raise ConnectionError("closed")
        got += more
    return got
