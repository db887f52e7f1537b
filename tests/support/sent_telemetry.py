"""Reads what a device sent of its telemetry, as a controller would."""

from __future__ import annotations

from homebred_daemon.ports.outbox import NewEvent
from homebred_protocol.compression import decompressed
from homebred_protocol.v1 import fleet_pb2 as wire

MOST_BYTES = 4 << 20


def batch_of(payload: bytes) -> wire.TelemetryBatch:
    """The batch in a payload."""
    return wire.TelemetryBatch.FromString(payload)


def events_of(payload: bytes) -> list[wire.Event]:
    """The events in a batch, in order."""
    body = decompressed(batch_of(payload).events, max_bytes=MOST_BYTES)
    return list(wire.EventList.FromString(body).events)


def receipt(subject: str = "s", *, stream: str = "receipt", filler: int = 0) -> NewEvent:
    """An event that is told apart by its subject, on any stream: the outbox does not look inside."""
    told = wire.ReceiptEvent(subject=subject, problem_code="x" * filler)
    return NewEvent(stream=stream, body=wire.Event(receipt=told).SerializeToString())
