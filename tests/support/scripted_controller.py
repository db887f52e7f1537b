"""A controller for devices to enrol at: real HTTPS on loopback with EST's paths, and faults that a test asks for."""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.support.fleet_authority import LIFE, Authority, as_est
from typing_extensions import override

from homebred_protocol.digests import digest_of

TOKEN = "hbt_" + "A" * 52
DEVICE, SITE = "clinic-east-1f2e3d4c", "clinic-east"


@dataclass
class Script:
    """What the controller knows and how it misbehaves."""

    tokens: dict[str, str] = field(default_factory=lambda: {TOKEN: ""})
    """Each token with the public key that used it; empty: nobody."""
    refuses: tuple[int, str] | None = None
    """A status and a code for every attempt at a certificate."""
    loses_answers: int = 0
    """Attempts that are carried out and not answered."""
    documents: dict[str, bytes] = field(default_factory=dict)
    knows_ranges: bool = True
    cuts_after: int | None = None
    """Bytes of a document after which the connection breaks, once."""
    sends: bytes | None = None
    """In place of every document."""
    clock_ahead: timedelta = timedelta()
    life: timedelta = LIFE
    begins: datetime | None = None
    broker_host: str = "127.0.0.1"
    device: str = DEVICE
    offers: dict[str, Any] = field(default_factory=dict)
    """Beside the rest of the answer to a device: `image_root`, `director_root`."""
    signed: dict[str, bytes] = field(default_factory=dict)
    """Files below the devices' API, such as `image/metadata/1.root.json`."""
    welcome: dict[str, Any] | None = None
    """In place of the answer to a new device."""
    certificates: list[x509.Certificate] | None = None
    """In place of the authorities."""
    answers_with: list[x509.Certificate] | None = None
    """In place of the device's certificate."""
    seen: list[str] = field(default_factory=list)
    """Method, path and client of every call."""
    credentials: list[str] = field(default_factory=list)
    """What was sent as Authorization."""


@dataclass(frozen=True)
class Controller:
    """A running one."""

    url: str
    script: Script
    authority: Authority


@contextmanager
def controller(folder: Path, script: Script | None = None, authority: Authority | None = None) -> Iterator[Controller]:
    """Serves for as long as the context lasts."""
    script, authority = script or Script(), authority or Authority()
    server = _Server(script, authority, authority.server(folder))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield Controller(f"https://127.0.0.1:{server.server_address[1]}", script, authority)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, script: Script, authority: Authority, context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script, self.authority, self.lock = script, authority, threading.Lock()
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A device that hangs up, or whose certificate is refused, is none of a test's concern."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""

    @override
    def date_time_string(self, timestamp: float | None = None) -> str:
        return format_datetime(datetime.now(UTC) + self.server.script.clock_ahead, usegmt=True)

    def do_GET(self) -> None:
        script = self._seen()
        if self.path == "/.well-known/est/cacerts":
            self._answer(200, as_est(script.certificates or self.server.authority.certificates))
        elif self.path == "/device/v1/enrolment":
            told = script.welcome or {
                "device_id": self._client(),
                "site": SITE,
                "labels": {"role": "kiosk"},
                "broker_host": script.broker_host,
                "broker_port": 8883,
                "server_time_s": int(datetime.now(UTC).timestamp()),
                **script.offers,
            }
            self._answer(200 if self._client() else 401, json.dumps(told).encode())
        elif self.path.startswith("/device/v1/documents/") and self._client():
            self._document(script.documents.get(self.path.rpartition("/")[2]))
        elif (body := script.signed.get(self.path.removeprefix("/device/v1/"))) is not None and self._client():
            self._answer(200, body)
        else:
            self._refuse(404, "not_found")

    def do_POST(self) -> None:
        script = self._seen()
        body = base64.b64decode(self.rfile.read(int(self.headers["Content-Length"])))
        if script.refuses is not None:
            self._refuse(*script.refuses)
        elif self.path == "/.well-known/est/simplereenroll" and self._client():
            self._issue(body, self._client())
        elif self.path == "/.well-known/est/simpleenroll":
            self._enrol(body)
        else:
            self._refuse(401, "certificate_needed")

    def _enrol(self, body: bytes) -> None:
        script = self.server.script
        script.credentials.append(self.headers.get("Authorization", ""))
        token = base64.b64decode(script.credentials[-1].removeprefix("Basic ")).decode().partition(":")[2]
        key = x509.load_der_x509_csr(body).public_key()
        mark = digest_of(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
        with self.server.lock:
            used = script.tokens.get(token)
            if used is None:
                self._refuse(401, "token_unknown")
                return
            if used not in {"", mark}:
                self._refuse(401, "token_used")
                return
            script.tokens[token] = mark
        self._issue(body, script.device)

    def _issue(self, request: bytes, device: str) -> None:
        script, authority = self.server.script, self.server.authority
        if script.loses_answers:
            script.loses_answers -= 1
            self.close_connection = True
            return
        certificate = authority.issue(request, device, life=script.life, begins=script.begins)
        self._answer(200, as_est(script.answers_with or [certificate, authority.issuing.certificate]))

    def _document(self, body: bytes | None) -> None:
        script = self.server.script
        if body is None:
            self._refuse(404, "not_found")
            return
        asked = self.headers.get("Range", "") if script.knows_ranges else ""
        begin = int(asked.removeprefix("bytes=").rstrip("-") or 0)
        if begin >= len(body) and begin:
            self._refuse(416, "bad_range")
            return
        whole = script.sends if script.sends is not None else body
        rest = whole[begin:]
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        cut, script.cuts_after = script.cuts_after, None
        self.wfile.write(rest if cut is None else rest[:cut])
        if cut is not None:
            self.close_connection = True

    def _seen(self) -> Script:
        self.server.script.seen.append(f"{self.command} {self.path} {self._client()}".strip())
        return self.server.script

    def _client(self) -> str:
        assert isinstance(self.connection, ssl.SSLSocket)
        der = self.connection.getpeercert(binary_form=True)
        if der is None:
            return ""
        return str(x509.load_der_x509_certificate(der).subject.rfc4514_string()).removeprefix("CN=")

    def _refuse(self, status: int, code: str) -> None:
        error = {"code": code, "message": f"because of {code}", "hint": "ask"}
        self._answer(status, json.dumps({"error": error}).encode())

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
