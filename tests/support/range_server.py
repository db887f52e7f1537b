"""A static server with ranges on loopback, plain or over TLS, which misbehaves as a test says."""

from __future__ import annotations

import re
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from typing_extensions import override

_RANGE = re.compile(r"bytes=(\d+)-(\d+)")


@dataclass
class Script:
    """What it does; changed while it runs."""

    bodies: Mapping[str, bytes] = field(default_factory=dict)
    """By path."""
    ignores_ranges: bool = False
    shifts_by: int = 0
    """The range that it sends begins so much later than asked."""
    total: str = ""
    """What it says that a file's length is."""
    content_range: str | None = None
    coding: str = ""
    lengthens_by: int = 0
    """What it announces beyond what it sends."""
    status: int = 0
    """Instead of all else."""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    """Bytes of a body, after which the connection ends."""
    stalls_after: int | None = None
    """Bytes of a body, after which nothing more comes."""
    tells_length: bool = True
    seen: list[Mapping[str, str]] = field(default_factory=list)
    """Headers of each request, lower case, and its `path`."""
    released: threading.Event = field(default_factory=threading.Event)
    given: int = 0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    script: Script

    def do_GET(self) -> None:  # http.server's
        script = self.script
        script.seen.append({"path": self.path, **{name.lower(): value for name, value in self.headers.items()}})
        with suppress(OSError):
            if script.status:
                self._begin(script.status, {"Content-Length": "0", **script.headers})
            elif (body := script.bodies.get(self.path)) is None:
                self._begin(404, {"Content-Length": "0"})
            else:
                self._give(body)

    def _give(self, whole: bytes) -> None:
        script, body = self.script, memoryview(whole)
        asked = _RANGE.fullmatch(self.headers.get("Range", ""))
        headers = {"ETag": '"not-a-digest"', **script.headers}
        status = 200
        if asked is not None and not script.ignores_ranges:
            first, last = int(asked[1]) + script.shifts_by, min(int(asked[2]) + script.shifts_by, len(body) - 1)
            status, total, body = 206, script.total or str(len(body)), body[first : last + 1]
            headers["Content-Range"] = script.content_range or f"bytes {first}-{last}/{total}"
        if script.coding:
            headers["Content-Encoding"] = script.coding
        if script.tells_length:
            headers["Content-Length"] = str(len(body) + script.lengthens_by)
        else:
            headers["Connection"] = "close"
        self._begin(status, headers)
        for limit in (script.cut_after, script.stalls_after):
            body = body if limit is None else body[:limit]
        self.wfile.write(body)
        self.wfile.flush()
        script.given += len(body)
        if script.stalls_after is not None:
            script.released.wait(30)
        self.close_connection = True

    def _begin(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    @override
    def log_message(self, format: str, *arguments: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    @override
    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is what many tests are about."""


@contextmanager
def range_server(script: Script, context: ssl.SSLContext | None = None) -> Iterator[str]:
    """Its address, without a slash at the end."""
    handler = type("Handler", (_Handler,), {"script": script})
    server = _Server(("127.0.0.1", 0), handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"{'https' if context else 'http'}://127.0.0.1:{server.server_address[1]}"
    finally:
        script.released.set()
        server.shutdown()
        server.server_close()
        thread.join(5)
