"""What deleted rows had counted, kept as sums: the books still balance when the rows are gone (I3)."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, Table, func, select, text

from homebred_fleet.adapters.store.accounts import counts
from homebred_fleet.adapters.store.rows import total, upsert
from homebred_fleet.adapters.store.tables import (
    boots,
    bygone_events,
    bygone_gaps,
    controller_gaps,
    gap_events,
    watermarks,
)

MAX_SUM = 2**62
"""A device may claim losses without end; no sum of them fails."""
_ADD_EVENTS = text(upsert(bygone_events, adds=("events",)))
_SET_GAPS = text(upsert(bygone_gaps, sets=("events", "last_at_s")))


def keep_events(connection: Connection, boot: int) -> None:
    """Of a boot whose watermarks are about to be deleted."""
    statement = select(boots.c.device, watermarks.c.stream, watermarks.c.events).join_from(boots, watermarks)
    rows = connection.execute(statement.where(boots.c.number == boot)).mappings().all()
    if rows:
        connection.execute(_ADD_EVENTS, [dict(row) for row in rows])


def keep_gaps_of_device(connection: Connection, *meant: ColumnElement[bool]) -> None:
    """Of rows of `gap_events` that are about to be deleted, those that count."""
    _add_gaps(connection, gap_events, gap_events.c.received_at_s, *meant, counts())


def keep_gaps_of_controller(connection: Connection, boot: int) -> None:
    """Of a boot whose `controller_gaps` are about to be deleted."""
    _add_gaps(connection, controller_gaps, controller_gaps.c.noted_at_s, controller_gaps.c.boot == boot)


def _add_gaps(connection: Connection, table: Table, at_s: ColumnElement[int], *meant: ColumnElement[bool]) -> None:
    is_of_device = table is gap_events
    keys = (boots.c.device, table.c.stream, table.c.reason)
    sums = (total(table.c.events).label("events"), func.max(at_s).label("last_at_s"))
    gone = select(*keys, *sums).join_from(boots, table, table.c.boot == boots.c.number).where(*meant).group_by(*keys)
    for row in connection.execute(gone).all():
        known = select(bygone_gaps.c.events).where(
            bygone_gaps.c.device == row.device,
            bygone_gaps.c.stream == row.stream,
            bygone_gaps.c.reason == row.reason,
            bygone_gaps.c.is_of_device == is_of_device,
        )
        before = connection.execute(known).scalar_one_or_none() or 0
        connection.execute(
            _SET_GAPS,
            {
                "device": row.device,
                "stream": row.stream,
                "reason": row.reason,
                "is_of_device": is_of_device,
                "events": min(before + int(row.events), MAX_SUM),
                "last_at_s": row.last_at_s,
            },
        )
