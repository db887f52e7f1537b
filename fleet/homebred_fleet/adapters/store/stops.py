"""The fleet's stop orders: each a new epoch, the highest holds (I8); over a given connection."""

from __future__ import annotations

from sqlalchemy import Connection, func, insert, select, update

from homebred_fleet.adapters.store.tables import reported, stop_orders
from homebred_fleet.ports.intents import Stop


def order(connection: Connection, *, stopped: bool, reason_code: str, by: str, now_s: int) -> int:
    """Stops the fleet or lets it go on; the epoch, above all that any device has seen."""
    given = connection.execute(select(func.max(stop_orders.c.epoch))).scalar_one_or_none() or 0
    epoch = max(given, _highest_seen(connection)) + 1
    values = {"epoch": epoch, "stopped": stopped, "reason_code": reason_code, "issued_at_s": now_s, "issued_by": by}
    connection.execute(insert(stop_orders).values(values))
    return epoch


def _highest_seen(connection: Connection) -> int:
    """Of a controller that was restored from a copy, devices may have heard more than it knows of."""
    return connection.execute(select(func.max(reported.c.stop_epoch))).scalar_one_or_none() or 0


def in_force(connection: Connection) -> Stop | None:
    """The newest order; None: there never was one."""
    row = connection.execute(select(stop_orders).order_by(stop_orders.c.epoch.desc()).limit(1)).one_or_none()
    if row is None:
        return None
    return Stop(
        epoch=row.epoch,
        stopped=row.stopped,
        reason_code=row.reason_code,
        issued_at_s=row.issued_at_s,
        is_published=row.published_at_s is not None,
    )


def mark_published(connection: Connection, epoch: int, *, now_s: int) -> None:
    """Notes that the broker has taken an order."""
    connection.execute(
        update(stop_orders)
        .where(stop_orders.c.epoch == epoch, stop_orders.c.published_at_s.is_(None))
        .values(published_at_s=now_s)
    )
