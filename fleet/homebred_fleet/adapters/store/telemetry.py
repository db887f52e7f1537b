"""The telemetry of one transaction: watermarks as they were read, rows as they came, all written at its end (I3).

What a batch's fate is, core/ingest.py says; how its bytes are read, adapters/wire. Nothing here is committed: that is
for whoever began the transaction.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy import Connection, func, insert, select, text, tuple_

from homebred_fleet.adapters.store.rows import Row, insert_rows, upsert
from homebred_fleet.adapters.store.tables import (
    boots,
    controller_gaps,
    evidence_events,
    gap_events,
    health_events,
    receipt_events,
    route_events,
    watermarks,
)
from homebred_fleet.adapters.wire.bounds import MalformedError
from homebred_fleet.adapters.wire.telemetry import read_rows
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
    INSERT INTO route_hours (hour, device, workflow, reason_code, status, {", ".join(_SUMS)})
    SELECT route_created_at_s / 3600, CAST(:device AS BIGINT), workflow, reason_code, status, count(*),
        sum(findings >> {wire.ROUTE_FINDING_LOW_CONFIDENCE} & 1), sum(findings >> {wire.ROUTE_FINDING_SLOW} & 1),
        sum(total_ms), sum(completion_tokens)
    FROM route_events WHERE boot = :boot AND seq > :after_seq AND seq <= :last_seq
    GROUP BY 1, workflow, reason_code, status
    ON CONFLICT (hour, device, workflow, reason_code, status)
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
    _gaps: list[dict[str, int]] = field(default_factory=list)
    _routes: list[dict[str, int]] = field(default_factory=list)
    """Batches of routes, to be rolled up once they are rows."""

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
            self._count_gap(boot, floor.stream, (watermark, floor.acknowledged_seq), lost, wire.GAP_REASON_CONTROLLER)
        self._move(boot, floor.stream, floor.acknowledged_seq, new_events=0)
        ack = Ack(device=sender.id, boot_id=floor.boot_id, stream=floor.stream, up_to_seq=floor.acknowledged_seq)
        return Outcome(fate=Fate.STORED, device=sender.id, events=lost, cause="floor", ack=ack)

    def flush(self) -> None:
        """Writes everything."""
        for stream, rows in self._rows.items():
            insert_rows(self.connection, TABLES[wire.Stream.ValueType(stream)], rows)
        if self._gaps:
            self.connection.execute(insert(controller_gaps), self._gaps)
        if self._routes:
            self.connection.execute(_HOURS, self._routes)
        changed = [
            {
                "boot": boot,
                "stream": stream,
                "up_to_seq": mark.up_to_seq,
                "events": mark.new_events,
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
        self._move(boot, header.stream, header.last_seq, new_events=len(rows))
        refused = self._refused_gaps(boot, header)
        ack = _ack(sender, header, header.last_seq, refused=refused, refusal_code="refused-before" if refused else "")
        return Outcome(fate=Fate.STORED, device=sender.id, events=len(rows), ack=ack)

    def _refuse(self, sender: Sender, header: BatchHeader, cause: str) -> Outcome:
        watermark = self._watermark(sender, header.boot_id, header.stream)
        boot = self.boot(sender, header.boot_id, header.boot_number)
        events = events_refused(header, watermark=watermark)
        self._count_gap(boot, header.stream, (watermark, header.last_seq), events, wire.GAP_REASON_REFUSED)
        self._move(boot, header.stream, header.last_seq, new_events=0)
        ack = _ack(sender, header, header.last_seq, refused=header.last_seq, refusal_code=cause)
        return Outcome(fate=Fate.REFUSED, device=sender.id, events=events, cause=cause, ack=ack)

    def _again(self, sender: Sender, header: BatchHeader, watermark: int) -> Outcome:
        """A batch that was refused is refused again: its device must not take it for stored."""
        boot = self._boots[sender.number, header.boot_id]
        refused = header.last_seq if self._was_refused(boot, header) else self._refused_gaps(boot, header)
        ack = _ack(sender, header, watermark, refused=refused, refusal_code="refused-before" if refused else "")
        return Outcome(fate=Fate.DUPLICATE, device=sender.id, ack=ack)

    def _refused_gaps(self, boot: int, header: BatchHeader) -> int:
        """The end of the last batch of gaps that was refused; 0: none was.

        The answer to a later batch would hide a refusal whose own answer was lost, and the device would forget what the
        gaps counted: it must hear of it once more. Other events were counted here.
        """
        if header.stream != wire.STREAM_GAP:
            return 0
        statement = select(func.coalesce(func.max(controller_gaps.c.last_seq), 0)).where(
            controller_gaps.c.boot == boot,
            controller_gaps.c.stream == header.stream,
            controller_gaps.c.reason == wire.GAP_REASON_REFUSED,
        )
        wanted = (boot, header.stream, wire.GAP_REASON_REFUSED)
        now = (gap["last_seq"] for gap in self._gaps if (gap["boot"], gap["stream"], gap["reason"]) == wanted)
        return max(int(self.connection.execute(statement).scalar_one()), *now, 0)

    def _was_refused(self, boot: int, header: BatchHeader) -> bool:
        now = ((gap["boot"], gap["stream"], gap["last_seq"], gap["reason"]) for gap in self._gaps)
        if (boot, header.stream, header.last_seq, wire.GAP_REASON_REFUSED) in now:
            return True
        statement = select(func.count()).where(
            controller_gaps.c.boot == boot,
            controller_gaps.c.stream == header.stream,
            controller_gaps.c.last_seq == header.last_seq,
            controller_gaps.c.reason == wire.GAP_REASON_REFUSED,
        )
        return self.connection.execute(statement).scalar_one() > 0

    def _known_events(self, boot: int, stream: int) -> int:
        """Rows and counted losses of a stream, those of this transaction too."""
        stored = select(watermarks.c.events).where(watermarks.c.boot == boot, watermarks.c.stream == stream)
        counted = select(func.coalesce(func.sum(controller_gaps.c.events), 0)).where(
            controller_gaps.c.boot == boot, controller_gaps.c.stream == stream
        )
        mark = self._marks.get((boot, stream))
        new = (mark.new_events if mark else 0) + sum(
            gap["events"] for gap in self._gaps if (gap["boot"], gap["stream"]) == (boot, stream)
        )
        rows = self.connection.execute(stored).scalar_one_or_none() or 0
        return int(rows + self.connection.execute(counted).scalar_one() + new)

    def _move(self, boot: int, stream: int, up_to_seq: int, *, new_events: int) -> None:
        mark = self._marks.setdefault((boot, stream), _Mark(0))
        mark.up_to_seq, mark.is_changed = up_to_seq, True
        mark.new_events += new_events

    def _count_gap(self, boot: int, stream: int, seqs: tuple[int, int], events: int, reason: int) -> None:
        self._gaps.append(
            {
                "boot": boot,
                "stream": stream,
                "after_seq": seqs[0],
                "last_seq": seqs[1],
                "events": events,
                "reason": reason,
                "noted_at_s": self.now_s,
            }
        )


def _ack(sender: Sender, header: BatchHeader, watermark: int, *, refused: int = 0, refusal_code: str = "") -> Ack:
    return Ack(
        device=sender.id,
        boot_id=header.boot_id,
        stream=header.stream,
        up_to_seq=watermark,
        refused_up_to_seq=refused,
        refusal_code=refusal_code,
    )
