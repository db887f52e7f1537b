"""Telemetry as the bytes of homebred.v1's messages: batches, gaps and events.

It chooses nothing: what may stand in an event is decided in the cores, how many go into a batch in `core.outbox`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from homebred_daemon.core.outbox import Gap, Loss
from homebred_protocol.compression import compressed
from homebred_protocol.schemas import CURRENT
from homebred_protocol.v1 import fleet_pb2 as wire

_REASONS = {
    Loss.QUOTA: wire.GAP_REASON_QUOTA,
    Loss.DISK: wire.GAP_REASON_DISK,
    Loss.LEDGER: wire.GAP_REASON_LEDGER,
    Loss.REFUSED: wire.GAP_REASON_REFUSED,
    Loss.DAMAGED: wire.GAP_REASON_DAMAGED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbered:
    """An event with its number."""

    seq: int
    body: bytes
    """A serialised homebred.v1.Event without its `seq`."""


def batch_payload(*, boot_id: str, boot_number: int, stream: str, after_seq: int, events: Sequence[Numbered]) -> bytes:
    """A whole TelemetryBatch; `events` is not empty and rises."""
    numbered = wire.EventList()
    for each in events:
        event = numbered.events.add()
        event.MergeFromString(each.body)
        event.seq = each.seq
    return wire.TelemetryBatch(
        schema=CURRENT,
        boot_id=boot_id,
        boot_number=boot_number,
        stream=_stream(stream),
        after_seq=after_seq,
        last_seq=events[-1].seq,
        count=len(events),
        events=compressed(numbered.SerializeToString()),
    ).SerializeToString()


def gap_body(gap: Gap, *, noted_at_s: int) -> bytes:
    """A gap as an Event without its number."""
    told = wire.GapEvent(
        boot_id=gap.boot_id,
        stream=_stream(gap.stream),
        first_seq=gap.first_seq,
        last_seq=gap.last_seq,
        events=gap.events,
        reason=_REASONS[gap.reason],
    )
    return wire.Event(recorded_at_s=noted_at_s, gap=told).SerializeToString()


def _stream(word: str) -> wire.Stream.ValueType:
    return wire.Stream.Value(f"STREAM_{word.upper()}")
