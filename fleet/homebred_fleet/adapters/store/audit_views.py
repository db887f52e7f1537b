"""The audit, read by people. Appending and checking it is audit.py's."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select

from homebred_fleet.adapters.store.tables import audit


def newest(connection: Connection, *, before: int | None, limit: int) -> list[dict[str, Any]]:
    """Rows before a number, the newest first; without one from the end."""
    asked = select(audit).order_by(audit.c.number.desc()).limit(limit)
    if before is not None:
        asked = asked.where(audit.c.number < before)
    return [dict(row) for row in connection.execute(asked).mappings()]


def end(connection: Connection) -> dict[str, Any]:
    """Number and digest of the last row; 0 and nothing where there is none."""
    asked = select(audit.c.number, audit.c.digest).order_by(audit.c.number.desc()).limit(1)
    row = connection.execute(asked).one_or_none()
    return {"rows_end": 0, "digest": ""} if row is None else {"rows_end": row.number, "digest": row.digest}
