"""Batches of telemetry: their header, then their events as the tables' rows; and acknowledgements.

A row is a tuple in the order of its table's columns: a batch becomes rows without an object per event, since this is
where a controller's time goes. Every value is within what both databases keep, whatever the batch says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from homebred_fleet.adapters.wire.bounds import (
    EARLIEST_S,
    LATEST_S,
    MAX_DIGEST,
    MAX_NAME,
    MAX_SMALL,
    MalformedError,
    bits,
    check_numbers,
    check_small,
    check_texts,
    check_times,
    parsed,
)
from homebred_fleet.core.ingest import Ack, BatchHeader, Floor
from homebred_protocol.compression import CompressionError, decompressed
from homebred_protocol.ids import is_boot_id
from homebred_protocol.schemas import CURRENT, is_readable
from homebred_protocol.v1 import fleet_pb2 as wire

Row = tuple[Any, ...]
MAX_EVENTS_BYTES = 4 * 1024 * 1024
"""Of a batch's events, decompressed."""
MAX_SUMMED = 2**40
"""Tokens, or milliseconds (35 years), of one event: no false figures make a sum that no database keeps."""
MAX_ROUTE_ID = 64
MAX_FINGERPRINT = 64
_MAX_PPM = 1_000_000
_Body = Literal["gap", "receipt", "evidence", "route", "health"]
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
    if header.stream == wire.STREAM_ROUTE and b"\0" in body:  # seldom, and then in no text as a rule
        _check_texts_of_routes(found)
    if len(found) != header.count:
        raise MalformedError("count")
    name, values_of = _BODIES[header.stream]
    rows: list[Row] = []
    seq = header.after_seq
    for event in found:
        if not seq < event.seq <= header.last_seq:
            raise MalformedError("sequence")
        seq, recorded_at_s = event.seq, event.recorded_at_s
        if not EARLIEST_S <= recorded_at_s <= LATEST_S:
            raise MalformedError("time")
        if not event.HasField(name):
            raise MalformedError("kind")
        rows.append((boot, seq, recorded_at_s, received_at_s) + values_of(event))  # noqa: RUF005  # half the time of unpacking
    if seq != header.last_seq:
        raise MalformedError("sequence")
    return rows


def _check_texts_of_routes(events: Iterable[wire.Event]) -> None:
    for event in events:
        body = event.route
        texts = (body.selected_model_or_stack, body.workflow, body.answered_by, body.route_id, body.policy_digest)
        if any("\0" in text for text in texts):
            raise MalformedError("text")


def _route(event: wire.Event) -> Row:
    """Written out in full: most events are of this kind. That no text has a NUL in it is `read_rows`'s to see."""
    body = event.route
    stack, workflow, answered_by = body.selected_model_or_stack, body.workflow, body.answered_by
    route_id, policy_digest, made_s = body.route_id, body.policy_digest, body.route_created_at_utc.seconds
    prompt, completion, total_ms = body.prompt_tokens, body.completion_tokens, body.total_ms
    first_ms: int | None = body.first_token_ms
    if not first_ms and not body.HasField("first_token_ms"):
        first_ms = None
    confidence: int | None = body.confidence_ppm
    if not confidence and not body.HasField("confidence_ppm"):
        confidence = None
    classes, findings = body.classes, body.findings
    runtime, fallback, reason = body.selected_runtime, body.fallback_target, body.reason_code
    status, link = body.status, body.link
    if (prompt | completion | total_ms | (first_ms or 0)) > MAX_SUMMED or not EARLIEST_S <= made_s <= LATEST_S:
        raise MalformedError("number")
    if not 0 <= (runtime | fallback | reason | status | link) <= MAX_SMALL or (confidence or 0) > _MAX_PPM:
        raise MalformedError("number")
    if len(stack) > MAX_NAME or len(workflow) > MAX_NAME or len(answered_by) > MAX_NAME:
        check_texts(MAX_NAME, workflow, answered_by)
        check_texts(10 * MAX_NAME, stack)  # a cascade names several
    if len(route_id) > MAX_ROUTE_ID or len(policy_digest) > MAX_DIGEST:
        raise MalformedError("text-too-long")
    if body.guarded and (stack or route_id or answered_by or policy_digest or body.local_reason or confidence):
        raise MalformedError("guarded-content")
    return (
        runtime,
        stack,
        body.redaction_required,
        body.evidence_required,
        fallback,
        made_s,
        body.guarded,
        reason,
        route_id,
        workflow,
        status,
        answered_by,
        bits(classes) if classes else 0,
        bits(findings) if findings else 0,
        link,
        prompt,
        completion,
        first_ms,
        total_ms,
        confidence,
        policy_digest,
    )


def _evidence(event: wire.Event) -> Row:
    body = event.evidence
    check_times(body.created_at_s)
    check_small(body.kind, body.reason)
    check_numbers(body.occurrences, body.total_ms)
    check_texts(MAX_NAME, body.workflow, body.specialist)
    check_texts(MAX_ROUTE_ID, body.route_id)
    if len(body.fingerprint) > MAX_FINGERPRINT:
        raise MalformedError("fingerprint")
    confidence = body.confidence_ppm if body.HasField("confidence_ppm") else None
    if (confidence or 0) > _MAX_PPM:
        raise MalformedError("number")
    if body.guarded and (body.route_id or body.specialist or body.fingerprint or confidence):
        raise MalformedError("guarded-content")
    return (
        body.guarded,
        body.created_at_s,
        body.kind,
        body.route_id,
        body.workflow,
        body.specialist,
        body.reason,
        bits(body.classes),
        bits(body.findings),
        body.occurrences,
        body.total_ms,
        confidence,
        body.fingerprint,
        body.has_correction,
    )


def _receipt(event: wire.Event) -> Row:
    body = event.receipt
    check_small(body.kind)
    check_numbers(body.version)
    check_texts(128, body.subject)
    check_texts(32, body.result)
    check_texts(64, body.problem_code)
    return (body.kind, body.subject, body.version, body.result, body.problem_code)


def _health(event: wire.Event) -> Row:
    body = event.health
    large = (body.uptime_s, body.resident_bytes, body.free_disk_bytes, body.outbox_events, body.outbox_bytes)
    small = (body.loaded_models, body.worker_failures, body.reviews_waiting)
    check_numbers(*large)
    check_small(*small)
    return (*large, *small)


def _gap(event: wire.Event) -> Row:
    body = event.gap
    check_numbers(body.first_seq, body.last_seq, body.events)
    check_small(body.stream, body.reason)
    if body.boot_id and not is_boot_id(body.boot_id):
        raise MalformedError("boot-id")
    return (body.boot_id, body.stream, body.first_seq, body.last_seq, body.events, body.reason)


_BODIES: Mapping[int, tuple[_Body, Callable[[wire.Event], Row]]] = {
    wire.STREAM_GAP: ("gap", _gap),
    wire.STREAM_RECEIPT: ("receipt", _receipt),
    wire.STREAM_EVIDENCE: ("evidence", _evidence),
    wire.STREAM_ROUTE: ("route", _route),
    wire.STREAM_HEALTH: ("health", _health),
}


def read_floor(payload: bytes, own_schema: int = CURRENT) -> Floor:
    """What a device was acknowledged and keeps no longer. Raises MalformedError."""
    told = parsed(wire.TelemetryFloor, payload)
    if not is_readable(told.schema, own_schema):
        raise MalformedError("schema")
    if told.stream not in _BODIES:
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
    ).SerializeToString()
