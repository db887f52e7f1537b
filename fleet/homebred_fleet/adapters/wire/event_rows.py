"""The events of a batch as rows of their stream's table: read event by event, checked column by column.

A row is a tuple in the order of its table's columns, without an object per event, and a bound is held by one look at a
whole column: this is where a controller's time goes. Every value that passes is one that both databases keep.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import lt
from typing import Any, Literal

from homebred_fleet.adapters.wire.bounds import (
    EARLIEST_S,
    LATEST_S,
    MAX_DIGEST,
    MAX_NAME,
    MAX_NUMBER,
    MAX_SMALL,
    MalformedError,
    bits,
)
from homebred_protocol.ids import is_boot_id
from homebred_protocol.limits import MAX_SEQ
from homebred_protocol.v1 import fleet_pb2 as wire

Row = tuple[Any, ...]
Column = Sequence[Any]
MAX_SUMMED = 2**40
"""Tokens, or milliseconds (35 years), of one event: no false figures make a sum that no database keeps."""
MAX_STACK = 10 * MAX_NAME
"""Characters: a cascade names several specialists."""
MAX_ROUTE_ID = 64
MAX_FINGERPRINT = 64
MAX_PPM = 1_000_000
_Kind = Literal["gap", "receipt", "evidence", "health"]


@dataclass(frozen=True, slots=True)
class Numbers:
    """Whole numbers from the least to the most."""

    least: int
    most: int
    cause: str = "number"
    is_optional: bool = False
    """None where nothing was said."""

    def check(self, column: Column) -> None:
        """Raises MalformedError."""
        said = [number for number in column if number is not None] if self.is_optional else column
        if said and not self.least <= min(said) <= max(said) <= self.most:
            raise MalformedError(self.cause)


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts or bytes of at most so many characters."""

    most: int

    def check(self, column: Column) -> None:
        """Raises MalformedError."""
        if max(map(len, column)) > self.most:
            raise MalformedError("text-too-long")

    def check_no_nul(self, column: Column) -> None:
        """PostgreSQL keeps no text with a NUL in it. Raises MalformedError."""
        if any(isinstance(text, str) and "\0" in text for text in column):
            raise MalformedError("text")


@dataclass(frozen=True, slots=True)
class Flags:
    """True or false: the wire knows nothing else."""

    def check(self, column: Column) -> None:
        """Nothing can be wrong."""


Bound = Numbers | Texts | Flags
NUMBER = Numbers(0, MAX_NUMBER)
SMALL = Numbers(0, MAX_SMALL)
SEQ = Numbers(0, MAX_SEQ)
SUMMED = Numbers(0, MAX_SUMMED)
TIME = Numbers(EARLIEST_S, LATEST_S, "time")
MAYBE_SUMMED = Numbers(0, MAX_SUMMED, is_optional=True)
MAYBE_PPM = Numbers(0, MAX_PPM, is_optional=True)
FLAG = Flags()
HEAD: Mapping[str, Bound] = {"boot": NUMBER, "seq": NUMBER, "recorded_at_s": TIME, "received_at_s": TIME}
BOUNDS: Mapping[int, Mapping[str, Bound]] = {
    wire.STREAM_ROUTE: {
        **HEAD,
        "selected_runtime": SMALL,
        "selected_model_or_stack": Texts(MAX_STACK),
        "redaction_required": FLAG,
        "evidence_required": FLAG,
        "fallback_target": SMALL,
        "route_created_at_s": TIME,
        "guarded": FLAG,
        "reason_code": SMALL,
        "route_id": Texts(MAX_ROUTE_ID),
        "workflow": Texts(MAX_NAME),
        "status": SMALL,
        "answered_by": Texts(MAX_NAME),
        "classes": SMALL,
        "findings": SMALL,
        "link": SMALL,
        "prompt_tokens": SUMMED,
        "completion_tokens": SUMMED,
        "first_token_ms": MAYBE_SUMMED,
        "total_ms": SUMMED,
        "confidence_ppm": MAYBE_PPM,
        "policy_digest": Texts(MAX_DIGEST),
    },
    wire.STREAM_EVIDENCE: {
        **HEAD,
        "guarded": FLAG,
        "created_at_s": TIME,
        "kind": SMALL,
        "route_id": Texts(MAX_ROUTE_ID),
        "workflow": Texts(MAX_NAME),
        "specialist": Texts(MAX_NAME),
        "reason_code": SMALL,
        "classes": SMALL,
        "findings": SMALL,
        "occurrences": NUMBER,
        "total_ms": NUMBER,
        "confidence_ppm": MAYBE_PPM,
        "fingerprint": Texts(MAX_FINGERPRINT),
        "has_correction": FLAG,
    },
    wire.STREAM_RECEIPT: {
        **HEAD,
        "kind": SMALL,
        "subject": Texts(128),
        "version": NUMBER,
        "result": Texts(32),
        "problem_code": Texts(64),
    },
    wire.STREAM_HEALTH: {
        **HEAD,
        "uptime_s": NUMBER,
        "resident_bytes": NUMBER,
        "free_disk_bytes": NUMBER,
        "outbox_events": NUMBER,
        "outbox_bytes": NUMBER,
        "loaded_models": SMALL,
        "worker_failures": SMALL,
        "reviews_waiting": SMALL,
    },
    wire.STREAM_GAP: {
        **HEAD,
        "lost_boot_id": Texts(32),
        "stream": SMALL,
        "first_seq": SEQ,
        "last_seq": SEQ,
        "events": SEQ,
        "reason": SMALL,
    },
}
"""Every column of every stream's table, in its order, with what may be in it."""
NOT_WHERE_GUARDED: Mapping[int, tuple[str, ...]] = {
    wire.STREAM_ROUTE: ("selected_model_or_stack", "route_id", "answered_by", "policy_digest", "confidence_ppm"),
    wire.STREAM_EVIDENCE: ("route_id", "specialist", "fingerprint", "confidence_ppm"),
}
"""What must not have left its device of a task that is guarded (I4)."""
_PLACES = {stream: {name: place for place, name in enumerate(columns)} for stream, columns in BOUNDS.items()}


def rows_of(stream: int, events: Iterable[wire.Event], *, boot: int, received_at_s: int) -> list[Row]:
    """Events as rows, not yet checked. Raises MalformedError: one of them is of another kind."""
    if stream == wire.STREAM_ROUTE:
        return _routes(events, boot, received_at_s)
    name, values_of = _FEW[stream]
    rows: list[Row] = []
    for event in events:
        if not event.HasField(name):
            raise MalformedError("kind")
        rows.append((boot, event.seq, event.recorded_at_s, received_at_s, *values_of(event)))
    return rows


def check_rows(stream: int, rows: Sequence[Row], *, after_seq: int, last_seq: int, has_nul: bool) -> None:
    """Whether rows are in their order and within all bounds; `has_nul`: some text may have a NUL in it.

    Raises:
        MalformedError: they are not.
    """
    columns = list(zip(*rows, strict=True))
    seqs = columns[1]
    if seqs[0] <= after_seq or seqs[-1] != last_seq or not all(map(lt, seqs, seqs[1:])):
        raise MalformedError("sequence")
    for column, bound in zip(columns, BOUNDS[stream].values(), strict=True):
        bound.check(column)
        if has_nul and isinstance(bound, Texts):
            bound.check_no_nul(column)
    if stream in NOT_WHERE_GUARDED:
        _check_guarded(stream, rows)


def _check_guarded(stream: int, rows: Iterable[Row]) -> None:
    places = _PLACES[stream]
    guarded = places["guarded"]
    held_back = [places[name] for name in NOT_WHERE_GUARDED[stream]]
    for row in rows:
        if row[guarded] and any(row[place] for place in held_back):
            raise MalformedError("guarded-content")


def _routes(events: Iterable[wire.Event], boot: int, received_at_s: int) -> list[Row]:
    """Most events are of this kind: nothing is asked of one twice, and a field's presence only where it matters."""
    rows: list[Row] = []
    for event in events:
        body = event.route
        made_s = body.route_created_at_utc.seconds
        if not made_s and not event.HasField("route"):
            raise MalformedError("kind")
        first_ms: int | None = body.first_token_ms
        if not first_ms and not body.HasField("first_token_ms"):
            first_ms = None
        confidence: int | None = body.confidence_ppm
        if not confidence and not body.HasField("confidence_ppm"):
            confidence = None
        guarded, classes, findings = body.guarded, body.classes, body.findings
        if guarded and body.local_reason:
            raise MalformedError("guarded-content")
        rows.append(
            (
                boot,
                event.seq,
                event.recorded_at_s,
                received_at_s,
                body.selected_runtime,
                body.selected_model_or_stack,
                body.redaction_required,
                body.evidence_required,
                body.fallback_target,
                made_s,
                guarded,
                body.reason_code,
                body.route_id,
                body.workflow,
                body.status,
                body.answered_by,
                bits(classes) if classes else 0,
                bits(findings) if findings else 0,
                body.link,
                body.prompt_tokens,
                body.completion_tokens,
                first_ms,
                body.total_ms,
                confidence,
                body.policy_digest,
            )
        )
    return rows


def _evidence(event: wire.Event) -> Row:
    body = event.evidence
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
        body.confidence_ppm if body.HasField("confidence_ppm") else None,
        body.fingerprint,
        body.has_correction,
    )


def _receipt(event: wire.Event) -> Row:
    body = event.receipt
    return (body.kind, body.subject, body.version, body.result, body.problem_code)


def _health(event: wire.Event) -> Row:
    body = event.health
    large = (body.uptime_s, body.resident_bytes, body.free_disk_bytes, body.outbox_events, body.outbox_bytes)
    return (*large, body.loaded_models, body.worker_failures, body.reviews_waiting)


def _gap(event: wire.Event) -> Row:
    body = event.gap
    if body.boot_id and not is_boot_id(body.boot_id):
        raise MalformedError("boot-id")
    return (body.boot_id, body.stream, body.first_seq, body.last_seq, body.events, body.reason)


_FEW: Mapping[int, tuple[_Kind, Callable[[wire.Event], Row]]] = {
    wire.STREAM_GAP: ("gap", _gap),
    wire.STREAM_RECEIPT: ("receipt", _receipt),
    wire.STREAM_EVIDENCE: ("evidence", _evidence),
    wire.STREAM_HEALTH: ("health", _health),
}
"""The streams whose events are few."""
