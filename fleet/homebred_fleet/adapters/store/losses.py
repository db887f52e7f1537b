"""What the controller counted as lost of boots' streams: refused, or lost with a database that was replaced (I3).

A row says which seqs it is about. Of a stream whose batches are refused one after the other, the older rows become one:
a device that sends nonsense fills no disk (I9).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, select, update

from homebred_fleet.adapters.store.rows import total
from homebred_fleet.adapters.store.tables import controller_gaps
from homebred_protocol.v1 import fleet_pb2 as wire

MAX_ROWS = 32
"""Of a boot's stream and a reason; then the older half becomes one row."""


@dataclass(slots=True)
class Losses:
    """Those known, and those of one transaction, which `flush` writes."""

    connection: Connection
    now_s: int
    _new: list[dict[str, int]] = field(default_factory=list)

    def count(self, boot: int, stream: int, seqs: tuple[int, int], *, events: int, reason: int) -> None:
        """Counts the events after the first of `seqs`, up to the second."""
        after_seq, last_seq = seqs
        self._new.append(
            {
                "boot": boot,
                "stream": stream,
                "after_seq": after_seq,
                "last_seq": last_seq,
                "events": events,
                "reason": reason,
                "noted_at_s": self.now_s,
            }
        )

    def events(self, boot: int, stream: int) -> int:
        """All that were counted of a stream."""
        statement = select(func.coalesce(total(controller_gaps.c.events), 0)).where(_is_of(boot, stream))
        return int(self.connection.execute(statement).scalar_one()) + sum(
            loss["events"] for loss in self._new if (loss["boot"], loss["stream"]) == (boot, stream)
        )

    def last_refused(self, boot: int, stream: int) -> int:
        """The last seq of the last batch that was refused; 0: none was."""
        statement = select(func.coalesce(func.max(controller_gaps.c.last_seq), 0)).where(_is_refused(boot, stream))
        return max(int(self.connection.execute(statement).scalar_one()), *self._refused_now(boot, stream), 0)

    def was_refused(self, boot: int, stream: int, last_seq: int) -> bool:
        """Whether a batch that ends there was refused; not known of those whose rows became one."""
        if last_seq in self._refused_now(boot, stream):
            return True
        statement = select(func.count()).where(_is_refused(boot, stream), controller_gaps.c.last_seq == last_seq)
        return self.connection.execute(statement).scalar_one() > 0

    def flush(self) -> None:
        """Writes everything."""
        if not self._new:
            return
        self.connection.execute(insert(controller_gaps), self._new)
        for boot, stream, reason in sorted({(loss["boot"], loss["stream"], loss["reason"]) for loss in self._new}):
            self._unite(and_(_is_of(boot, stream), controller_gaps.c.reason == reason))

    def _refused_now(self, boot: int, stream: int) -> list[int]:
        wanted = (boot, stream, wire.GAP_REASON_REFUSED)
        return [loss["last_seq"] for loss in self._new if (loss["boot"], loss["stream"], loss["reason"]) == wanted]

    def _unite(self, meant: ColumnElement[bool]) -> None:
        rows = self.connection.execute(select(controller_gaps).where(meant).order_by(controller_gaps.c.last_seq)).all()
        if len(rows) <= MAX_ROWS:
            return
        *older, last = rows[: -MAX_ROWS // 2]
        gone = [row.number for row in older]
        self.connection.execute(delete(controller_gaps).where(controller_gaps.c.number.in_(gone)))
        self.connection.execute(
            update(controller_gaps)
            .where(controller_gaps.c.number == last.number)
            .values(after_seq=rows[0].after_seq, events=last.events + sum(row.events for row in older))
        )


def _is_of(boot: int, stream: int) -> ColumnElement[bool]:
    return and_(controller_gaps.c.boot == boot, controller_gaps.c.stream == stream)


def _is_refused(boot: int, stream: int) -> ColumnElement[bool]:
    return and_(_is_of(boot, stream), controller_gaps.c.reason == wire.GAP_REASON_REFUSED)
