"""A collector of traces on this device, as OTLP over HTTP has it: keeps what it is sent, or does not take it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

PATIENCE_S = 10.0
TAKEN = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n"


@dataclass(slots=True)
class TraceCollector:
    """What came, and what is answered."""

    answer: bytes = TAKEN
    """Empty: it never answers."""
    bodies: list[bytes] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)

    @property
    def spans(self) -> list[Span]:
        """All of them, in order."""
        messages = [ExportTraceServiceRequest.FromString(body) for body in self.bodies]
        scopes = [scope for message in messages for one in message.resource_spans for scope in one.scope_spans]
        return [span for scope in scopes for span in scope.spans]

    def named(self, name: str, *, at_least: int = 1) -> list[Span]:
        """Spans of a name, once there are so many."""
        until_s = time.monotonic() + PATIENCE_S
        while len(found := [span for span in self.spans if span.name == name]) < at_least:
            assert time.monotonic() < until_s, self.spans
            time.sleep(0.02)
        return found

    @contextmanager
    def listening(self, path: Path | None = None) -> Iterator[int]:
        """At a Unix socket, or at the loopback port that is yielded."""
        with socket.socket(socket.AF_INET if path is None else socket.AF_UNIX) as server:
            server.bind(("127.0.0.1", 0) if path is None else str(path))
            server.listen()
            threading.Thread(target=self._serve, args=(server,), daemon=True).start()
            try:
                yield 0 if path is not None else int(server.getsockname()[1])
            finally:
                server.shutdown(socket.SHUT_RDWR)

    def _serve(self, server: socket.socket) -> None:
        with suppress(OSError):
            while True:
                caller, _ = server.accept()
                threading.Thread(target=self._take, args=(caller,), daemon=True).start()

    def _take(self, caller: socket.socket) -> None:
        with caller, suppress(OSError):
            received = b""
            while b"\r\n\r\n" not in received:
                received += caller.recv(65_536)
            head, _, body = received.partition(b"\r\n\r\n")
            (length,) = [line for line in head.decode().split("\r\n") if line.lower().startswith("content-length: ")]
            while len(body) < int(length.partition(": ")[2]):
                body += caller.recv(65_536)
            self.heads.append(head.decode())
            self.bodies.append(body)
            if self.answer:
                caller.sendall(self.answer)
            else:
                caller.recv(1)  # until it gives up


def words_of(span: Span) -> dict[str, str]:
    """A span's attributes."""
    return {each.key: each.value.string_value for each in span.attributes}
