"""Stands in for a cloud on this very device: a real HTTP server that speaks the three wire formats. It is no model.

It answers with what it was asked, in pieces that split every token, misbehaves as it is told, and keeps what it was
sent, byte for byte, so that anybody can see what would have left the device.
"""

from __future__ import annotations

import json
import ssl
import threading
from collections import deque
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self, cast

from typing_extensions import override

from homebred_daemon.demo.stand_in_answers import STREAMS, answer_to, pieces_of
from homebred_daemon.demo.stand_in_certificate import write_certificate

CHUNK_BYTES = 61
"""A prime, so that chunks end anywhere: inside a line, inside a character."""
RETRY_AFTER_S = 1


class Fault(StrEnum):
    """How an answer goes wrong."""

    SLOW_START = "slow_start"
    SLOW = "slow"
    RATE_LIMITED = "rate_limited"
    FAILING = "failing"
    REFUSING = "refusing"
    HANGS_UP = "hangs_up"
    CUT = "cut"
    """In the middle of a token."""
    REDIRECT = "redirect"
    PAGE = "page"
    """A portal's page, as if it were the answer."""
    NO_HTTP = "no_http"
    BROKEN_EVENT = "broken_event"
    COMPRESSED = "compressed"
    SILENT = "silent"
    ENDLESS = "endless"


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One request, as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class StandInCloud:
    """`with StandInCloud() as cloud:`; `will` says how it misbehaves, `received` what it was sent."""

    has_tls: bool = False
    """With a certificate of its own that no authority vouches for; `certificate_file` holds it."""
    slow_s: float = 0.005
    received: list[Received] = field(default_factory=list)
    certificate_file: Path | None = None
    faults: deque[Fault] = field(default_factory=deque)
    stopping: threading.Event = field(default_factory=threading.Event)
    _server: ThreadingHTTPServer | None = None
    _cleanup: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        """Starts on a free port of the loopback."""
        self._server = _Server(self)
        if self.has_tls:
            folder = Path(self._cleanup.enter_context(TemporaryDirectory(prefix="stand-in-cloud-")))
            self.certificate_file, key_file = write_certificate(folder)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certificate_file, key_file)
            # The handshake is left to the connection's own thread: a slow one must not hold up the others.
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        self._cleanup.callback(thread.join)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops; answers under way are broken off."""
        self.stopping.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
        self._cleanup.close()

    @property
    def base_url(self) -> str:
        """Where it is, with the version that every provider's URL has."""
        port = self._server.server_address[1] if self._server is not None else 0
        return f"{'https' if self.has_tls else 'http'}://127.0.0.1:{port}/v1"

    def will(self, *faults: Fault) -> None:
        """How the next requests go wrong, one for each; those after them are answered."""
        self.faults.extend(faults)


class _Server(ThreadingHTTPServer):
    def __init__(self, cloud: StandInCloud) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.cloud = cloud

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that hangs up, or that does not like the certificate, is nothing to report."""
        del request, client_address


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Keeps quiet."""

    def do_GET(self) -> None:
        """A probe."""
        self._take()

    def do_POST(self) -> None:
        """A call."""
        self._take()

    def _take(self) -> None:
        cloud = cast("_Server", self.server).cloud
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        cloud.received.append(Received(method=self.command, path=self.path, headers=headers, body=body))
        self.close_connection = True
        fault = cloud.faults.popleft() if cloud.faults else None
        if not self._misbehaves_at_once(cloud, fault):
            if self.command == "POST" and self.path in STREAMS:
                self._stream(cloud, fault, body)
            else:
                self._say(HTTPStatus.NOT_FOUND, "application/json", b'{"error": {"code": "not_found"}}')

    def _misbehaves_at_once(self, cloud: StandInCloud, fault: Fault | None) -> bool:
        match fault:
            case Fault.RATE_LIMITED:
                error = b'{"error": {"type": "rate_limit_error"}}'
                self._say(HTTPStatus.TOO_MANY_REQUESTS, "application/json", error, {"Retry-After": str(RETRY_AFTER_S)})
            case Fault.FAILING:
                self._say(HTTPStatus.INTERNAL_SERVER_ERROR, "application/json", b'{"error": {"type": "server_error"}}')
            case Fault.REFUSING:
                self._say(HTTPStatus.BAD_REQUEST, "application/json", b'{"error": {"type": "invalid_request_error"}}')
            case Fault.REDIRECT:
                self._say(HTTPStatus.FOUND, "text/plain", b"", {"Location": f"{cloud.base_url}/sign-in"})
            case Fault.PAGE:
                self._say(HTTPStatus.OK, "text/html; charset=utf-8", b"<html>Sign in</html>")
            case Fault.COMPRESSED:
                self._say(HTTPStatus.OK, "text/event-stream", b"\x1f\x8b", {"Content-Encoding": "gzip"})
            case Fault.NO_HTTP:
                self.wfile.write(bytes(range(256)))
            case Fault.SILENT:
                cloud.stopping.wait()
            case Fault.HANGS_UP:
                pass
            case _:
                return False
        return True

    def _say(self, status: HTTPStatus, media_type: str, body: bytes, more: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in ({"Content-Type": media_type, "Content-Length": str(len(body))} | dict(more or {})).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, cloud: StandInCloud, fault: Fault | None, body: bytes) -> None:
        asked = json.loads(body)
        events = STREAMS[self.path](pieces_of(answer_to(asked), is_endless=fault is Fault.ENDLESS), asked)
        stream = "".join(events) if fault is not Fault.ENDLESS else ""
        if fault is Fault.BROKEN_EVENT:
            stream = stream.replace("{", "", 1)
        if fault is Fault.SLOW_START:
            cloud.stopping.wait(cloud.slow_s)
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if fault is Fault.ENDLESS:
            for event in events:
                self._chunk(event.encode())
                if cloud.stopping.is_set():
                    return
        data = stream.encode()
        last = data.rindex("⟦".encode()) + 1 if fault is Fault.CUT else len(data)  # inside a character of a token
        for start in range(0, last, CHUNK_BYTES):
            self._chunk(data[start : min(start + CHUNK_BYTES, last)])
            if fault is Fault.SLOW:
                cloud.stopping.wait(cloud.slow_s)
        if fault is not Fault.CUT:
            self.wfile.write(b"0\r\n\r\n")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
