"""A controller that serves the files of the signed repositories over real HTTPS on loopback, and may misbehave."""

from __future__ import annotations

import enum
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import repeat
from pathlib import Path
from typing import Any

from tests.support.fleet_authority import Authority
from typing_extensions import override

DEVICE_API = "/device/v1/"
LONGEST_S = 10.0
"""Whoever serves slowly ends at last, when nobody listens any more."""


class Fault(enum.Enum):
    """How a file is brought."""

    ENDLESS = "endless"
    SLOW = "slow"
    """A byte every 20 ms."""
    SILENT = "silent"
    BROKEN = "broken"
    """The connection ends, or the broker is away, or it is a folder."""
    ODD = "odd"
    """A redirect, or no page, or a symbolic link."""
    SHORT = "short"
    """Fewer bytes than were announced; over HTTPS alone, like the next."""
    ZIPPED = "zipped"
    ALL_LOST = "all lost"
    """An error of the server's own."""


@contextmanager
def serving(
    files: dict[str, bytes],
    faults: dict[str, Fault],
    authority: Authority,
    folder: Path,
    path_of: Callable[[str], str],
) -> Iterator[str]:
    """The server's URL; files and faults by name, `path_of` says where below the API for devices a name is served."""
    server = _Server(files, faults, authority.server(folder), path_of)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_address[1]}"
    finally:
        server.ends.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(
        self,
        files: dict[str, bytes],
        faults: dict[str, Fault],
        context: ssl.SSLContext,
        path_of: Callable[[str], str],
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files, self.faults, self.path_of, self.ends = files, faults, path_of, threading.Event()
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def name_at(self, path: str) -> str:
        names = {DEVICE_API + self.path_of(name): name for name in {*self.files, *self.faults}}
        return names.get(path, "")

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A device that hangs up is none of a test's concern."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        assert isinstance(self.connection, ssl.SSLSocket)
        name = self.server.name_at(self.path)
        if self.connection.getpeercert(binary_form=True) is None:
            self._answer(401, b"")
            return
        fault, body = self.server.faults.get(name), self.server.files.get(name)
        if fault is not None:
            with suppress(OSError):  # the device has hung up
                self._misbehave(fault, body or b"")
        elif body is None:
            self._answer(404, b'{"error": {"code": "not_found"}}')
        else:
            self._answer(200, body)

    def _misbehave(self, fault: Fault, body: bytes) -> None:
        self.close_connection = True
        length = str(len(body))
        if fault is Fault.BROKEN:
            self.connection.close()
            return
        status, headers, sent = {
            Fault.ENDLESS: (200, {"Transfer-Encoding": "chunked"}, b""),
            Fault.SLOW: (200, {"Content-Length": length}, b""),
            Fault.SILENT: (200, {"Content-Length": length}, b""),
            Fault.ODD: (302, {"Location": self.path + "x", "Content-Length": "0"}, b""),
            Fault.SHORT: (200, {"Content-Length": str(len(body) + 10)}, body),
            Fault.ZIPPED: (200, {"Content-Encoding": "gzip", "Content-Length": length}, body),
            Fault.ALL_LOST: (500, {"Content-Length": "0"}, b""),
        }[fault]
        self._head(status, headers)
        self.wfile.write(sent)
        pieces = {
            Fault.ENDLESS: repeat(b"10000\r\n" + b"x" * 65_536 + b"\r\n"),
            Fault.SLOW: (bytes([byte]) for byte in body),
            Fault.SILENT: repeat(b""),
        }.get(fault, iter(()))
        self._send_on(pieces, pause_s=0.0 if fault is Fault.ENDLESS else 0.02)

    def _send_on(self, pieces: Iterator[bytes], *, pause_s: float) -> None:
        until_s = time.monotonic() + LONGEST_S
        for piece in pieces:
            self.wfile.write(piece)
            if self.server.ends.wait(pause_s) or time.monotonic() > until_s:
                return

    def _answer(self, status: int, body: bytes) -> None:
        self._head(status, {"Content-Length": str(len(body))})
        self.wfile.write(body)

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
