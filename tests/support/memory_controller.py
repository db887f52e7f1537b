"""A controller in memory: takes batches by the verdicts of the real one, and knows what it has rows of."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.support.sent_telemetry import batch_of, events_of

from homebred_daemon.core.outbox import RANKS
from homebred_daemon.ports.outbox import CutBatch
from homebred_fleet.core.ingest import BatchHeader, Verdict, judge
from homebred_protocol.v1 import fleet_pb2 as wire


@dataclass(slots=True)
class MemoryController:
    """What one device has told it."""

    watermarks: dict[tuple[str, str], int] = field(default_factory=dict)
    """By boot and stream."""
    rows: dict[tuple[str, int], wire.Event] = field(default_factory=dict)
    """By boot and seq."""
    arrived: list[tuple[str, str, int]] = field(default_factory=list)
    """Boot, stream and seq of every row, in the order stored."""
    verdicts: list[Verdict] = field(default_factory=list)

    def hears(self, batch: CutBatch) -> int:
        """Takes a batch or not; the stream's watermark."""
        head = batch_of(batch.payload)
        key = (head.boot_id, batch.stream)
        header = BatchHeader(
            schema=head.schema,
            boot_id=head.boot_id,
            boot_number=head.boot_number,
            stream=head.stream,
            after_seq=head.after_seq,
            last_seq=head.last_seq,
            count=head.count,
        )
        watermark = self.watermarks.get(key, 0)
        verdict = judge(header, stream_of_topic=RANKS[batch.stream], watermark=watermark).verdict
        self.verdicts.append(verdict)
        if verdict is not Verdict.TAKE:
            return watermark
        for event in events_of(batch.payload):
            assert (head.boot_id, event.seq) not in self.rows, f"{event.seq} of {head.boot_id} came twice"
            self.rows[head.boot_id, event.seq] = event
            self.arrived.append((head.boot_id, batch.stream, event.seq))
        self.watermarks[key] = header.last_seq
        return header.last_seq

    def counted(self) -> int:
        """Events that its gaps count as lost."""
        return sum(event.gap.events for event in self.rows.values())
