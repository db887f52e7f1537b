"""The telemetry of one transaction: watermarks as they were read, rows as they came, all written at its end (I3).

What a batch's fate is, core/ingest.py says; how its bytes are read, adapters/wire. Nothing here is committed: that is
for whoever began the transaction.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy import Connection, insert, select, text, tuple_

from homebred_fleet.adapters.receipt_signatures import ReceiptRefusedError
from homebred_fleet.adapters.store import receipts
from homebred_fleet.adapters.store.losses import Losses
from homebred_fleet.adapters.store.rows import Row, insert_rows, upsert
from homebred_fleet.adapters.store.tables import (
    boots,
    evidence_events,
    gap_events,
    health_events,
    receipt_events,
    route_events,
    watermarks,
)
from homebred_fleet.adapters.wire.bounds import MalformedError
from homebred_fleet.adapters.wire.telemetry import read_rows, signed_receipts
from homebred_fleet.core.ingest import Ack, BatchHeader, Floor, Verdict, events_lost, events_refused, judge
from homebred_fleet.ports.intake import Fate, Outcome
from homebred_protocol.schemas import CURRENT
from homebred_protocol.v1 import fleet_pb2 as wire

TABLES = {
    wire.STREAM_ROUTE: route_events,
    wire.STREAM_EVIDENCE: evidence_events,
    wire.STREAM_RECEIPT: receipt_events,
    wire.STREAM_HEALTH: health_events,
    wire.STREAM_GAP: gap_events,
}
_SUMS = ("routes", "weak", "slow", "total_ms", "completion_tokens")
_HOURS = text(  # in the database's own loop: a batch's rows were written just now
    f"""
    INSERT INTO route_hours (device, hour, workflow, reason_code, status, {", ".join(_SUMS)})
    SELECT CAST(:device AS BIGINT), route_created_at_s / 3600, workflow, reason_code, status, count(*),
        sum(findings >> {wire.ROUTE_FINDING_LOW_CONFIDENCE} & 1), sum(findings >> {wire.ROUTE_FINDING_SLOW} & 1),
        sum(total_ms), sum(completion_tokens)
    FROM route_events WHERE boot = :boot AND seq > :after_seq AND seq <= :last_seq
    GROUP BY 2, workflow, reason_code, status
    ON CONFLICT (device, hour, workflow, reason_code, status)
    DO UPDATE SET {", ".join(f"{name} = route_hours.{name} + excluded.{name}" for name in _SUMS)}
    """  # noqa: S608  # numbers and names of our own
)
_WATERMARKS = text(upsert(watermarks, adds=("events",), sets=("up_to_seq", "changed_at_s")))


@dataclass(frozen=True, slots=True)
class Sender:
    """A device that may speak."""

    number: int
    id: str


@dataclass(slots=True)
class _Mark:
    """A stream's watermark as it will be at the end of the transaction."""

    up_to_seq: int
    new_events: int = 0
    is_changed: bool = False


@dataclass(slots=True)
class TelemetryGroup:
    """The batches of one transaction. `load` once, then one batch after the other, then `flush`."""

    connection: Connection
    now_s: int
    own_schema: int = CURRENT
    _boots: dict[tuple[int, str], int] = field(default_factory=dict)
    """Number by device's number and boot's id."""
    _marks: dict[tuple[int, int], _Mark] = field(default_factory=dict)
    """By boot's number and stream."""
    _rows: dict[int, list[Row]] = field(default_factory=dict)
    """By stream."""
    _routes: list[dict[str, int]] = field(default_factory=list)
    """Batches of routes, to be rolled up once they are rows."""
    _losses: Losses = field(init=False)

    def __post_init__(self) -> None:
        """Nothing was lost yet."""
        self._losses = Losses(self.connection, self.now_s)

    def load(self, spoken_of: Iterable[tuple[int, str]]) -> None:
        """Reads what is known of boots, each a device's number and a boot's id."""
        keys = sorted(set(spoken_of))
        for start in range(0, len(keys), 200):
            part = keys[start : start + 200]
            found = self.connection.execute(
                select(boots.c.number, boots.c.device, boots.c.boot_id, watermarks.c.stream, watermarks.c.up_to_seq)
                .outerjoin(watermarks, watermarks.c.boot == boots.c.number)
                .where(tuple_(boots.c.device, boots.c.boot_id).in_(part))
            )
            for row in found:
                self._boots[row.device, row.boot_id] = row.number
                if row.stream is not None:
                    self._marks[row.number, row.stream] = _Mark(row.up_to_seq)

    def knows_boot(self, sender: Sender, boot_id: str) -> bool:
        """Whether anything was ever heard of a boot."""
        return (sender.number, boot_id) in self._boots

    def boot(self, sender: Sender, boot_id: str, boot_number: int) -> int:
        """The number of a boot, a new one where nothing was heard of it."""
        key = (sender.number, boot_id)
        if key not in self._boots:
            added = self.connection.execute(
                insert(boots)
                .values(device=sender.number, boot_id=boot_id, boot_number=boot_number, first_heard_at_s=self.now_s)
                .returning(boots.c.number)
            )
            self._boots[key] = added.scalar_one()
        return self._boots[key]

    def take(self, sender: Sender, stream_of_topic: int, header: BatchHeader, events: bytes) -> Outcome:
        """One batch."""
        watermark = self._watermark(sender, header.boot_id, header.stream)
        judgement = judge(header, stream_of_topic=stream_of_topic, watermark=watermark, own_schema=self.own_schema)
        match judgement.verdict:
            case Verdict.TAKE:
                return self._store(sender, header, events)
            case Verdict.REFUSE:
                return self._refuse(sender, header, judgement.cause)
            case Verdict.DUPLICATE:
                return self._again(sender, header, watermark)
            case Verdict.HOLE:
                ack = _ack(sender, header, watermark)
                return Outcome(fate=Fate.HOLE, device=sender.id, cause=judgement.cause, ack=ack)
            case Verdict.LATER:
                ack = _ack(sender, header, watermark, refusal_code=judgement.cause)
                return Outcome(fate=Fate.LATER, device=sender.id, cause=judgement.cause, ack=ack)
            case Verdict.UNNUMBERED:
                return Outcome(fate=Fate.QUARANTINED, device=sender.id, cause=judgement.cause)

    def raise_to(self, sender: Sender, floor: Floor) -> Outcome:
        """What a device keeps no longer is counted as lost where it is not here: this database is an older copy."""
        key = (sender.number, floor.boot_id)
        watermark = self._watermark(sender, floor.boot_id, floor.stream)
        known = self._known_events(self._boots[key], floor.stream) if key in self._boots else 0
        lost = events_lost(floor, watermark=watermark, known_events=known)
        if lost is None:
            ack = Ack(device=sender.id, boot_id=floor.boot_id, stream=floor.stream, up_to_seq=watermark)
            return Outcome(fate=Fate.DUPLICATE, device=sender.id, ack=ack)
        boot = self.boot(sender, floor.boot_id, floor.boot_number)
        if lost:
            seqs = (watermark, floor.acknowledged_seq)
            self._losses.count(boot, floor.stream, seqs, events=lost, reason=wire.GAP_REASON_CONTROLLER)
        self._move(boot, floor.stream, floor.acknowledged_seq, new_events=0)
        ack = Ack(
            device=sender.id,
            boot_id=floor.boot_id,
            stream=floor.stream,
            up_to_seq=floor.acknowledged_seq,
            was_behind=True,
        )
        return Outcome(fate=Fate.STORED, device=sender.id, events=lost, cause="floor", ack=ack)

    def flush(self) -> None:
        """Writes everything."""
        for stream, rows in self._rows.items():
            insert_rows(self.connection, TABLES[wire.Stream.ValueType(stream)], rows)
        self._losses.flush()
        if self._routes:
            self.connection.execute(_HOURS, self._routes)
        changed = [
            {
                "boot": boot,
                "stream": stream,
                "up_to_seq": mark.up_to_seq,
                "events": mark.new_events,
                "forgotten": 0,
                "changed_at_s": self.now_s,
            }
            for (boot, stream), mark in sorted(self._marks.items())
            if mark.is_changed
        ]
        if changed:
            self.connection.execute(_WATERMARKS, changed)

    def _watermark(self, sender: Sender, boot_id: str, stream: int) -> int:
        boot = self._boots.get((sender.number, boot_id))
        mark = self._marks.get((boot, stream)) if boot is not None else None
        return mark.up_to_seq if mark is not None else 0

    def _store(self, sender: Sender, header: BatchHeader, events: bytes) -> Outcome:
        boot = self.boot(sender, header.boot_id, header.boot_number)
        try:
            rows = read_rows(header, events, boot=boot, received_at_s=self.now_s)
        except MalformedError as error:
            return self._refuse(sender, header, error.cause)
        self._rows.setdefault(header.stream, []).extend(rows)
        if header.stream == wire.STREAM_ROUTE:
            seqs = {"after_seq": header.after_seq, "last_seq": header.last_seq}
            self._routes.append({"device": sender.number, "boot": boot} | seqs)
        unkept = self._keep_receipts(sender, events) if header.stream == wire.STREAM_RECEIPT else ()
        self._move(boot, header.stream, header.last_seq, new_events=len(rows))
        refused = self._refused_gaps(boot, header)
        ack = _ack(sender, header, header.last_seq, refused=refused, refusal_code="refused-before" if refused else "")
        return Outcome(fate=Fate.STORED, device=sender.id, events=len(rows), refused_receipts=unkept, ack=ack)

    def _keep_receipts(self, sender: Sender, events: bytes) -> tuple[str, ...]:
        """Why signed receipts were not kept; their events are, whatever they say."""
        refused: list[str] = []
        for line in signed_receipts(events):
            try:
                receipts.keep(self.connection, line, came_by=receipts.BY_BROKER, now_s=self.now_s, bearer=sender.id)
            except ReceiptRefusedError as error:
                refused.append(error.cause)
        return tuple(refused)

    def _refuse(self, sender: Sender, header: BatchHeader, cause: str) -> Outcome:
        watermark = self._watermark(sender, header.boot_id, header.stream)
        boot = self.boot(sender, header.boot_id, header.boot_number)
        events = events_refused(header, watermark=watermark)
        seqs = (watermark, header.last_seq)
        self._losses.count(boot, header.stream, seqs, events=events, reason=wire.GAP_REASON_REFUSED)
        self._move(boot, header.stream, header.last_seq, new_events=0)
        ack = _ack(sender, header, header.last_seq, refused=header.last_seq, refusal_code=cause)
        return Outcome(fate=Fate.REFUSED, device=sender.id, events=events, cause=cause, ack=ack)

    def _again(self, sender: Sender, header: BatchHeader, watermark: int) -> Outcome:
        """A batch that was refused is refused again: its device must not take it for stored."""
        boot = self._boots[sender.number, header.boot_id]
        was_refused = self._losses.was_refused(boot, header.stream, header.last_seq)
        refused = header.last_seq if was_refused else self._refused_gaps(boot, header)
        ack = _ack(sender, header, watermark, refused=refused, refusal_code="refused-before" if refused else "")
        return Outcome(fate=Fate.DUPLICATE, device=sender.id, ack=ack)

    def _refused_gaps(self, boot: int, header: BatchHeader) -> int:
        """The end of the last batch of gaps that was refused; 0: none was.

        The answer to a later batch would hide a refusal whose own answer was lost, and the device would forget what the
        gaps counted: it must hear of it once more. Other events were counted here.
        """
        return self._losses.last_refused(boot, header.stream) if header.stream == wire.STREAM_GAP else 0

    def _known_events(self, boot: int, stream: int) -> int:
        """Rows and counted losses of a stream, those of this transaction too."""
        stored = select(watermarks.c.events).where(watermarks.c.boot == boot, watermarks.c.stream == stream)
        mark = self._marks.get((boot, stream))
        rows = self.connection.execute(stored).scalar_one_or_none() or 0
        return int(rows) + (mark.new_events if mark else 0) + self._losses.events(boot, stream)

    def _move(self, boot: int, stream: int, up_to_seq: int, *, new_events: int) -> None:
        mark = self._marks.setdefault((boot, stream), _Mark(0))
        mark.up_to_seq, mark.is_changed = up_to_seq, True
        mark.new_events += new_events


def _ack(sender: Sender, header: BatchHeader, watermark: int, *, refused: int = 0, refusal_code: str = "") -> Ack:
    return Ack(
        device=sender.id,
        boot_id=header.boot_id,
        stream=header.stream,
        up_to_seq=watermark,
        refused_up_to_seq=refused,
        refusal_code=refusal_code,
    )
