"""The fleet's stop orders: each a new epoch, the highest holds (I8); over a given connection."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from homebred_fleet.adapters.store.tables import devices, reported, stop_orders
from homebred_fleet.core.stop_orders import Held, Step, step_after
from homebred_fleet.ports.intents import SignedStop, Stop
from homebred_protocol.limits import MAX_CLAIMED

CONTROLLER = "controller"
"""Who ordered what no administrator did."""
HEARD = "heard"
"""Who ordered what only the broker or a device still knew of."""
RESTORED = "restored"
"""The reason of an order that the controller gives by itself, above two that contradict each other."""
MOST_TOLD = 1_000
"""Reports that are looked through for an order."""


def order(connection: Connection, *, stopped: bool, reason_code: str, by: str, now_s: int) -> int:
    """Stops the fleet or lets it go on; the epoch, above all that any device has seen."""
    given = connection.execute(select(func.max(stop_orders.c.epoch))).scalar_one_or_none() or 0
    epoch = max(given, _highest_seen(connection)) + 1
    values = {"epoch": epoch, "stopped": stopped, "reason_code": reason_code, "issued_at_s": now_s, "issued_by": by}
    connection.execute(insert(stop_orders).values(values))
    return epoch


def _highest_seen(connection: Connection) -> int:
    """Of a controller that was restored from a copy, devices may have heard more than it knows of.

    Devices that are not of the fleet have no say, and one that claims too much is not believed: another one's report
    would have no room above it.
    """
    believed = (
        select(func.max(reported.c.stop_epoch))
        .join(devices, devices.c.number == reported.c.device)
        .where(devices.c.state == "enrolled", reported.c.stop_epoch <= MAX_CLAIMED)
    )
    return connection.execute(believed).scalar_one_or_none() or 0


def follow(connection: Connection, heard: SignedStop, *, now_s: int) -> bool:
    """Takes an order of the director's over where it is newer than all that are known; whether that was so."""
    own = in_force(connection)
    step = step_after(
        None if own is None else Held(epoch=own.epoch, stopped=own.stopped),
        Held(epoch=heard.epoch, stopped=heard.stopped),
        own_is_published=own is not None and own.is_published,
    )
    if step is Step.NOTHING:
        return False
    if own is None or heard.epoch > own.epoch:
        values = {
            "epoch": heard.epoch,
            "stopped": heard.stopped,
            "reason_code": heard.reason_code,
            "issued_at_s": heard.issued_at_s,
            "issued_by": HEARD,
            "published_at_s": now_s,
        }
        connection.execute(insert(stop_orders).values(values))
    if step is not Step.ADOPT:
        stopped = step is Step.STOP_ABOVE or (own is not None and own.stopped)
        order(connection, stopped=stopped, reason_code=RESTORED, by=CONTROLLER, now_s=now_s)
    return True


def told(connection: Connection) -> tuple[SignedStop, ...]:
    """What enrolled devices say that they heed and that is newer than all that are known; nothing is verified."""
    given = connection.execute(select(func.max(stop_orders.c.epoch))).scalar_one_or_none() or 0
    heeding = (
        select(reported.c.body)
        .join(devices, devices.c.number == reported.c.device)
        .where(devices.c.state == "enrolled", reported.c.stop_epoch > given, reported.c.stop_epoch <= MAX_CLAIMED)
        .order_by(reported.c.stop_epoch.desc())
        .limit(MOST_TOLD)
    )
    said = (body.get("stop_order") for body in connection.scalars(heeding))
    return tuple(dict.fromkeys(_order_in(one) for one in said if one))


def _order_in(told: Mapping[str, Any]) -> SignedStop:
    """Of a report, as JSON has it: 64-bit numbers as texts, bytes in Base64."""
    return SignedStop(
        epoch=int(told["epoch"]),
        stopped=told["stopped"],
        reason_code=told["reason_code"],
        issued_at_s=int(told["issued_at_s"]),
        key_id=told["key_id"],
        signature=base64.b64decode(told["signature"]),
    )


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
