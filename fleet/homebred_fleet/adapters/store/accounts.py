"""The telemetry's books: for each device how many events are rows, and how many are counted as lost (I3).

What a device recorded = rows + lost on the device + lost here. A batch that was refused is counted by both sides; the
controller's count, made with the watermark, holds, and the device's own gap is taken only where there is none.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import (
    ColumnElement,
    Connection,
    Subquery,
    and_,
    case,
    exists,
    false,
    func,
    or_,
    select,
    true,
    union_all,
)

from homebred_fleet.adapters.store.rows import total
from homebred_fleet.adapters.store.tables import (
    boots,
    bygone_events,
    bygone_gaps,
    controller_gaps,
    devices,
    gap_events,
    watermarks,
)
from homebred_protocol.v1 import fleet_pb2 as wire


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One device's events."""

    device: str
    rows: int
    """Stored, gaps' own events among them."""
    forgotten: int
    """Of them, those that were deleted again: too old, or too many."""
    lost_on_device: int
    """Dropped there and counted in gaps that arrived."""
    lost_here: int
    """Refused, or lost with a database that was replaced by an older copy."""


def accounts(connection: Connection) -> list[Account]:
    """Every device that was ever heard of, by name."""
    kept, lost = stored(), losses()
    rows = (
        select(kept.c.device, total(kept.c.events).label("events"), total(kept.c.forgotten).label("forgotten"))
        .group_by(kept.c.device)
        .subquery()
    )
    gaps = (
        select(
            lost.c.device,
            total(case((lost.c.is_of_device, lost.c.events), else_=0)).label("there"),
            total(case((lost.c.is_of_device, 0), else_=lost.c.events)).label("here"),
        )
        .group_by(lost.c.device)
        .subquery()
    )
    figures = (rows.c.events, rows.c.forgotten, func.coalesce(gaps.c.there, 0), func.coalesce(gaps.c.here, 0))
    statement = (
        select(devices.c.id, *figures)
        .join(rows, rows.c.device == devices.c.number)
        .outerjoin(gaps, gaps.c.device == devices.c.number)
        .order_by(devices.c.id)
    )
    return [
        Account(device=device, rows=int(count), forgotten=int(gone), lost_on_device=int(there), lost_here=int(here))
        for device, count, gone, there, here in connection.execute(statement)
    ]


def stored() -> Subquery:
    """Device by number, how many `events` became rows, how many of them are `forgotten`: in parts to add up."""
    kept = select(boots.c.device, watermarks.c.events, watermarks.c.forgotten).join_from(boots, watermarks)
    bygone = select(bygone_events.c.device, bygone_events.c.events, bygone_events.c.events.label("forgotten"))
    return union_all(kept, bygone).subquery()


def losses() -> Subquery:
    """All that was lost and counted: device by number, `stream`, `reason`, `is_of_device` (else here), `at_s`."""
    there = (
        select(boots.c.device, gap_events.c.stream, gap_events.c.reason, gap_events.c.events)
        .add_columns(true().label("is_of_device"), gap_events.c.received_at_s.label("at_s"))
        .join_from(boots, gap_events, gap_events.c.boot == boots.c.number)
        .where(counts())
    )
    here = (
        select(boots.c.device, controller_gaps.c.stream, controller_gaps.c.reason, controller_gaps.c.events)
        .add_columns(false().label("is_of_device"), controller_gaps.c.noted_at_s.label("at_s"))
        .join_from(boots, controller_gaps, controller_gaps.c.boot == boots.c.number)
    )
    names = ("device", "stream", "reason", "events", "is_of_device")
    bygone = select(*(bygone_gaps.c[name] for name in names), bygone_gaps.c.last_at_s.label("at_s"))
    return union_all(there, here, bygone).subquery()


def counts() -> ColumnElement[bool]:
    """Whether a gap of a device, joined with its boot, counts: the controller has not counted the same batch itself.

    A refusal that an older copy of the database knows nothing of is in what the device's floor had counted as lost; one
    of a boot that is not kept any more was counted before that was deleted.
    """
    lost_boot = boots.alias()
    is_of_lost_boot = and_(lost_boot.c.device == boots.c.device, lost_boot.c.boot_id == gap_events.c.lost_boot_id)
    is_counted_here = exists().where(
        and_(
            is_of_lost_boot,
            controller_gaps.c.boot == lost_boot.c.number,
            controller_gaps.c.stream == gap_events.c.stream,
            controller_gaps.c.reason.in_((wire.GAP_REASON_REFUSED, wire.GAP_REASON_CONTROLLER)),
            controller_gaps.c.after_seq < gap_events.c.last_seq,
            controller_gaps.c.last_seq >= gap_events.c.first_seq,
        )
    )
    is_known = exists().where(is_of_lost_boot)
    return or_(gap_events.c.reason != wire.GAP_REASON_REFUSED, and_(is_known, ~is_counted_here))
