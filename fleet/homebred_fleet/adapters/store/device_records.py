"""All that the controller knows about one device: for the rules of `why`, and as one document for `show`.

It reads what others wrote, in one transaction, so that its parts belong together.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, Table, case, func, select

from homebred_fleet.adapters import words
from homebred_fleet.adapters.store import accounts, receipts
from homebred_fleet.adapters.store.devices import facts_of
from homebred_fleet.adapters.store.rows import total
from homebred_fleet.adapters.store.tables import (
    boots,
    certificates,
    commands,
    desired,
    devices,
    presence,
    quarantine,
    reported,
    stop_orders,
    watermarks,
)
from homebred_fleet.adapters.store.telemetry_views import lost_by_reason
from homebred_fleet.core.device_explanation import DeviceRecord, PartFacts, StopFacts
from homebred_fleet.core.device_filters import DeviceFacts

ENDED: Final = ("done", "failed", "refused", "expired")
"""States of a command that has an answer, or will get none."""
NEWEST: Final = 20
"""Boots and commands that are shown."""


def record_of(connection: Connection, device: str, now_s: int) -> DeviceRecord | None:
    """What the rules ask about; None: there is no such device."""
    facts = facts_of(connection, device)
    own = _one(connection, devices, devices.c.id == device)
    if facts is None or own is None:
        return None
    number = own["number"]
    seen = _one(connection, presence, presence.c.device == number)
    body = _reported(connection, number)
    published = _one(connection, desired, desired.c.device == number)
    still_open, overdue = _open_commands(connection, number, now_s)
    kept = accounts.stored()
    stored, forgotten = connection.execute(
        select(total(kept.c.events), total(kept.c.forgotten)).where(kept.c.device == number)
    ).one()
    return DeviceRecord(
        facts=facts,
        enrolled_at_s=own["enrolled_at_s"],
        revoked_at_s=own["revoked_at_s"],
        revoke_reason=own["revoke_reason"],
        replaced_by=own["replaced_by"],
        presence_reason="" if seen is None else seen["reason"],
        presence_changed_at_s=None if seen is None else seen["changed_at_s"],
        boot_number=None if seen is None else seen["boot_number"],
        published_version=0 if published is None else published["published_version"],
        parts=tuple(_part(part) for part in body.get("parts", ())),
        stop=_stop(connection, body),
        stored_events=int(stored or 0),
        forgotten_events=int(forgotten or 0),
        lost_events=lost_by_reason(connection, number),
        quarantined=_quarantined(connection, device),
        open_commands=still_open,
        overdue_commands=overdue,
    )


def whole(connection: Connection, device: str) -> dict[str, Any] | None:
    """Everything as one document; None: there is no such device."""
    facts = facts_of(connection, device)
    own = _one(connection, devices, devices.c.id == device)
    if facts is None or own is None:
        return None
    number = own["number"]
    seen = _one(connection, presence, presence.c.device == number)
    wanted = _one(connection, desired, desired.c.device == number)
    return {
        **facts_json(facts),
        **{name: own[name] for name in ("enrolled_at_s", "revoked_at_s", "revoke_reason", "replaced_by")},
        "certificates": _rows(connection, certificates, certificates.c.device == number, certificates.c.issued_at_s),
        "presence": _shown(seen),
        "assigned": _shown(wanted),
        "reported": _reported(connection, number) or None,
        "boots": _rows(connection, boots, boots.c.device == number, boots.c.number),
        "watermarks": _watermarks(connection, number),
        "lost_events": lost_by_reason(connection, number),
        "quarantined": _quarantined(connection, device),
        "receipts": receipts.newest(connection, device=device, limit=NEWEST),
        "commands": [
            {name: value for name, value in row.items() if name not in {"attachment", "result", "device"}}
            for row in _rows(connection, commands, commands.c.device == number, commands.c.issued_at_s)
        ],
    }


def facts_json(facts: DeviceFacts) -> dict[str, Any]:
    """A device as a list shows it."""
    shown = asdict(facts)
    shown["labels"] = dict(facts.labels)
    standing = facts.desired
    shown["desired"] = standing.word
    return {**shown, "desired_version": standing.version, "reported_version": standing.reported_version}


def _part(part: dict[str, Any]) -> PartFacts:
    """Fields that say nothing may be missing in what protobuf writes."""
    names = ("name", "state", "digest", "problem_code", "problem")
    return PartFacts(**{name: str(part.get(name, "")) for name in names})


def _reported(connection: Connection, number: int) -> dict[str, Any]:
    row = _one(connection, reported, reported.c.device == number)
    return {} if row is None else {**row["body"], "received_at_s": row["received_at_s"]}


def _stop(connection: Connection, body: dict[str, Any]) -> StopFacts:
    newest = connection.execute(select(stop_orders).order_by(stop_orders.c.epoch.desc()).limit(1)).mappings().first()
    return StopFacts(
        epoch=0 if newest is None else newest["epoch"],
        stopped=newest is not None and newest["stopped"],
        reason_code="" if newest is None else newest["reason_code"],
        reported_epoch=int(body.get("stop_epoch", 0)),
        reported_stopped=bool(body.get("stopped", False)),
    )


def _quarantined(connection: Connection, device: str) -> dict[str, int]:
    counted = (
        select(quarantine.c.cause, func.sum(quarantine.c.messages))
        .where(quarantine.c.device == device)
        .group_by(quarantine.c.cause)
    )
    return {cause: int(count) for cause, count in connection.execute(counted)}


def _open_commands(connection: Connection, number: int, now_s: int) -> tuple[int, int]:
    """Those that may still be answered, and those whose deadline passed without."""
    late = case((commands.c.deadline_s <= now_s, 1), else_=0)
    counted = select(func.count(), func.sum(late)).where(
        commands.c.device == number, commands.c.state.not_in(ENDED), commands.c.answered_at_s.is_(None)
    )
    every, overdue = connection.execute(counted).one()
    return int(every) - int(overdue or 0), int(overdue or 0)


def _watermarks(connection: Connection, number: int) -> list[dict[str, Any]]:
    asked = (
        select(boots.c.boot_id, boots.c.boot_number, watermarks)
        .select_from(watermarks.join(boots, boots.c.number == watermarks.c.boot))
        .where(boots.c.device == number)
        .order_by(boots.c.number.desc(), watermarks.c.stream)
        .limit(NEWEST * len(words.STREAMS.known))
    )
    return [
        {**{name: value for name, value in row.items() if name != "boot"}, "stream": words.STREAMS.word(row["stream"])}
        for row in connection.execute(asked).mappings()
    ]


def _one(connection: Connection, table: Table, condition: Any) -> RowMapping | None:
    return connection.execute(select(table).where(condition)).mappings().one_or_none()


def _rows(connection: Connection, table: Table, condition: Any, order: Any) -> list[dict[str, Any]]:
    """The newest ones."""
    asked = select(table).where(condition).order_by(order.desc()).limit(NEWEST)
    return [_shown(row) or {} for row in connection.execute(asked).mappings()]


def _shown(row: RowMapping | None) -> dict[str, Any] | None:
    return None if row is None else {name: value for name, value in row.items() if name not in {"device", "number"}}
