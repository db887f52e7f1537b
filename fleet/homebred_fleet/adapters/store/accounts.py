"""The telemetry's books: for each device how many events are rows, and how many are counted as lost (I3).

What a device recorded = rows + lost on the device + lost here. A batch that was refused is counted by both sides; the
controller's count, made with the watermark, holds, and the device's own gap is taken only where there is none.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, exists, func, or_, select

from homebred_fleet.adapters.store.rows import total
from homebred_fleet.adapters.store.tables import boots, controller_gaps, devices, gap_events, watermarks
from homebred_protocol.v1 import fleet_pb2 as wire


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One device's events."""

    device: str
    rows: int
    """Stored, gaps' own events among them."""
    lost_on_device: int
    """Dropped there and counted in gaps that arrived."""
    lost_here: int
    """Refused, or lost with a database that was replaced by an older copy."""


def accounts(connection: Connection) -> list[Account]:
    """Every device that was ever heard of, by name."""
    rows = (
        select(boots.c.device, total(watermarks.c.events).label("events"))
        .join(watermarks, watermarks.c.boot == boots.c.number)
        .group_by(boots.c.device)
        .subquery()
    )
    here = (
        select(boots.c.device, total(controller_gaps.c.events).label("events"))
        .join(controller_gaps, controller_gaps.c.boot == boots.c.number)
        .group_by(boots.c.device)
        .subquery()
    )
    there = (
        select(boots.c.device, total(gap_events.c.events).label("events"))
        .join(gap_events, gap_events.c.boot == boots.c.number)
        .where(counts())
        .group_by(boots.c.device)
        .subquery()
    )
    statement = (
        select(
            devices.c.id,
            func.coalesce(rows.c.events, 0),
            func.coalesce(there.c.events, 0),
            func.coalesce(here.c.events, 0),
        )
        .join(rows, rows.c.device == devices.c.number)
        .outerjoin(there, there.c.device == devices.c.number)
        .outerjoin(here, here.c.device == devices.c.number)
        .order_by(devices.c.id)
    )
    return [
        Account(device=device, rows=int(stored), lost_on_device=int(dropped), lost_here=int(lost))
        for device, stored, dropped, lost in connection.execute(statement)
    ]


def counts() -> ColumnElement[bool]:
    """Whether a gap of a device, joined with its boot, counts: the controller has not counted the same batch itself.

    A refusal that an older copy of the database knows nothing of is in what the device's floor had counted as lost.
    """
    lost_boot = boots.alias()
    is_counted_here = exists().where(
        and_(
            lost_boot.c.device == boots.c.device,
            lost_boot.c.boot_id == gap_events.c.lost_boot_id,
            controller_gaps.c.boot == lost_boot.c.number,
            controller_gaps.c.stream == gap_events.c.stream,
            controller_gaps.c.reason.in_((wire.GAP_REASON_REFUSED, wire.GAP_REASON_CONTROLLER)),
            controller_gaps.c.after_seq < gap_events.c.last_seq,
            controller_gaps.c.last_seq >= gap_events.c.first_seq,
        )
    )
    return or_(gap_events.c.reason != wire.GAP_REASON_REFUSED, ~is_counted_here)
