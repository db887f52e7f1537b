"""How commands stand, for admins. Issuing and answering them is commands.py's."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, select

from homebred_fleet.adapters.store.tables import commands, devices


def _asked() -> Select[Any]:
    shown: list[ColumnElement[Any]] = [one for one in commands.c if one.name not in {"device", "attachment"}]
    has_attachment = commands.c.attachment.is_not(None).label("has_attachment")
    joined = commands.join(devices, devices.c.number == commands.c.device)
    return select(devices.c.id.label("device"), *shown, has_attachment).select_from(joined)


def newest(connection: Connection, *, device: str, limit: int) -> list[dict[str, Any]]:
    """The newest ones, of one device or of all, without their results."""
    asked = _asked().order_by(commands.c.issued_at_s.desc(), commands.c.id).limit(limit)
    if device:
        asked = asked.where(devices.c.id == device)
    rows = connection.execute(asked).mappings()
    return [{name: value for name, value in row.items() if name != "result"} for row in rows]


def one(connection: Connection, identity: str) -> dict[str, Any] | None:
    """One, with its result; None: there is none of this id."""
    row = connection.execute(_asked().where(commands.c.id == identity)).mappings().one_or_none()
    return None if row is None else dict(row)


def attachment(connection: Connection, identity: str) -> bytes | None:
    """What came with its answer; None: nothing did."""
    asked = select(commands.c.attachment).where(commands.c.id == identity)
    found: bytes | None = connection.execute(asked).scalar_one_or_none()
    return found
