"""Batches of telemetry, their header and their events; what a device keeps no longer; acknowledgements."""

from __future__ import annotations

from collections.abc import Mapping

from homebred_fleet.adapters.wire.bounds import MalformedError, parsed
from homebred_fleet.adapters.wire.event_rows import Row, check_rows, rows_of
from homebred_fleet.core.ingest import Ack, BatchHeader, Floor
from homebred_protocol.compression import CompressionError, decompressed
from homebred_protocol.schemas import CURRENT, is_readable
from homebred_protocol.v1 import fleet_pb2 as wire

MAX_EVENTS_BYTES = 4 * 1024 * 1024
"""Of a batch's events, decompressed."""
STREAMS: Mapping[str, int] = {
    "gap": wire.STREAM_GAP,
    "receipt": wire.STREAM_RECEIPT,
    "evidence": wire.STREAM_EVIDENCE,
    "route": wire.STREAM_ROUTE,
    "health": wire.STREAM_HEALTH,
}
"""The number of each stream by its topic's word."""


def read_batch(payload: bytes) -> tuple[BatchHeader, bytes]:
    """A batch's header and its events as they were sent. Raises MalformedError."""
    batch = parsed(wire.TelemetryBatch, payload)
    header = BatchHeader(
        schema=batch.schema,
        boot_id=batch.boot_id,
        boot_number=batch.boot_number,
        stream=batch.stream,
        after_seq=batch.after_seq,
        last_seq=batch.last_seq,
        count=batch.count,
    )
    return header, batch.events


def read_rows(header: BatchHeader, events: bytes, *, boot: int, received_at_s: int) -> list[Row]:
    """The events of a batch as rows of its stream's table. Raises MalformedError."""
    try:
        body = decompressed(events, max_bytes=MAX_EVENTS_BYTES)
    except CompressionError:
        raise MalformedError("compression") from None
    found = parsed(wire.EventList, body).events
    if len(found) != header.count:
        raise MalformedError("count")
    rows = rows_of(header.stream, found, boot=boot, received_at_s=received_at_s)
    has_nul = b"\0" in body  # seldom, and then in a number as a rule
    check_rows(header.stream, rows, after_seq=header.after_seq, last_seq=header.last_seq, has_nul=has_nul)
    return rows


def signed_receipts(events: bytes) -> list[bytes]:
    """The receipts of installs that devices have signed, of a batch that was read already; none is verified."""
    body = decompressed(events, max_bytes=MAX_EVENTS_BYTES)
    found = (event.receipt for event in parsed(wire.EventList, body).events)
    return [one.signed for one in found if one.kind == wire.RECEIPT_KIND_INSTALL and one.signed]


def read_floor(payload: bytes, own_schema: int = CURRENT) -> Floor:
    """What a device was acknowledged and keeps no longer. Raises MalformedError."""
    told = parsed(wire.TelemetryFloor, payload)
    if not is_readable(told.schema, own_schema):
        raise MalformedError("schema")
    if told.stream not in STREAMS.values():
        raise MalformedError("stream")
    return Floor(
        boot_id=told.boot_id,
        boot_number=told.boot_number,
        stream=told.stream,
        acknowledged_seq=told.acknowledged_seq,
        acknowledged_events=told.acknowledged_events,
    )


def ack_bytes(ack: Ack) -> bytes:
    """What a device is told of one of its streams."""
    return wire.TelemetryAck(
        schema=CURRENT,
        boot_id=ack.boot_id,
        stream=wire.Stream.ValueType(ack.stream),
        up_to_seq=ack.up_to_seq,
        refused_up_to_seq=ack.refused_up_to_seq,
        refusal_code=ack.refusal_code,
        was_behind=ack.was_behind,
    ).SerializeToString()
