"""Sends traces as OTLP over HTTP to a collector on this device: a Unix socket, or a port of the loopback.

It can be told no other place, reads no environment and follows no redirect, so nothing leaves the device here (I4). It
is not OpenTelemetry's SDK: that takes its endpoint, proxies and further attributes from the environment, and brings an
HTTP client along. Of OpenTelemetry only the messages are used, in the extra `otel`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as WireSpan
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from homebred_daemon.adapters import loopback
from homebred_daemon.core.traces import TASK, Span, Trace
from homebred_daemon.ports.tracing import TracesNotTakenError

PATH: Final = "/v1/traces"
SENT_WITHIN_S: Final = 2.0
MAX_ANSWER_BYTES: Final = 65_536
SERVICE: Final = "homebred"
_PREFIX: Final = "homebred."
_NANOSECONDS: Final = 1_000_000_000


class OtlpExporter:
    """As `ports.tracing.TraceExporter`; one message a connection."""

    def __init__(self, address: Path | int, *, version: str) -> None:
        self._address = address
        self._version = version

    async def send(self, traces: Sequence[Trace]) -> None:
        """As `TraceExporter.send`."""
        try:
            async with asyncio.timeout(SENT_WITHIN_S):
                status = await self._posted(encoded(traces, version=self._version))
        except (OSError, TimeoutError, ValueError, EOFError, asyncio.LimitOverrunError) as error:
            raise TracesNotTakenError from error
        if not 200 <= status < 300:  # noqa: PLR2004  # HTTP's successes
            raise TracesNotTakenError

    async def _posted(self, body: bytes) -> int:
        """The answer's status."""
        if isinstance(self._address, int):
            reader, writer = await loopback.connected(self._address)
        else:
            reader, writer = await asyncio.open_unix_connection(self._address, limit=MAX_ANSWER_BYTES)
        try:
            head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\n"
            writer.write(f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
            await writer.drain()
            protocol, status, *_ = (await reader.readuntil(b"\r\n")).decode("latin-1").split(" ")
            if not protocol.startswith("HTTP/1."):
                raise ValueError("the collector speaks no HTTP")
            return int(status)
        finally:
            writer.transport.abort()


def encoded(traces: Sequence[Trace], *, version: str) -> bytes:
    """The traces as one message, each with ids of its own."""
    message = ExportTraceServiceRequest()
    of_service = message.resource_spans.add()
    of_service.resource.attributes.extend([_said("service.name", SERVICE), _said("service.version", version)])
    scope = of_service.scope_spans.add()
    scope.scope.name, scope.scope.version = SERVICE, version
    for trace in traces:
        scope.spans.extend(_spans(trace))
    return message.SerializeToString()


def _spans(trace: Trace) -> Iterator[WireSpan]:
    parent = trace.parent
    trace_id = os.urandom(16) if parent is None else bytes.fromhex(parent.trace_id)
    task = _span(trace, trace.task, trace_id, b"" if parent is None else bytes.fromhex(parent.span_id))
    yield task
    for part in trace.parts:
        yield _span(trace, part, trace_id, task.span_id)


def _span(trace: Trace, span: Span, trace_id: bytes, parent_id: bytes) -> WireSpan:
    began_ns = int(trace.begun_at_utc.timestamp() * _NANOSECONDS)

    def at(seconds: float) -> int:
        return began_ns + int((seconds - trace.task.begun_s) * _NANOSECONDS)

    words = {label.name: word for label, word in zip(span.kind.labels, span.words, strict=True)}
    is_error = span.kind is TASK and words["status"] == "error"
    return WireSpan(
        trace_id=trace_id,
        span_id=os.urandom(8),
        parent_span_id=parent_id,
        name=span.kind.name,
        kind=WireSpan.SPAN_KIND_SERVER if span.kind is TASK else WireSpan.SPAN_KIND_INTERNAL,
        start_time_unix_nano=at(span.begun_s),
        end_time_unix_nano=at(span.ended_s),
        attributes=[_said(_PREFIX + name, word) for name, word in words.items()],
        status=Status(code=Status.STATUS_CODE_ERROR) if is_error else None,
    )


def _said(name: str, text: str) -> KeyValue:
    return KeyValue(key=name, value=AnyValue(string_value=text))
