"""Cohorts: filters with a name. Who belongs to one is asked anew each time, so that late joiners do.

Whether a selector can be read is checked by whoever sets it, with core/filters.py.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from homebred_fleet.adapters.store.tables import cohorts


def put(connection: Connection, name: str, selector: str, *, now_s: int) -> None:
    """Makes a cohort, or gives one another selector."""
    changed = connection.execute(update(cohorts).where(cohorts.c.name == name).values(selector=selector))
    if changed.rowcount == 0:
        connection.execute(insert(cohorts).values(name=name, selector=selector, created_at_s=now_s))


def remove(connection: Connection, name: str) -> bool:
    """Forgets one; False: there was none."""
    return connection.execute(delete(cohorts).where(cohorts.c.name == name)).rowcount > 0


def selector_of(connection: Connection, name: str) -> str | None:
    """What a cohort asks for; None: there is none of this name."""
    return connection.execute(select(cohorts.c.selector).where(cohorts.c.name == name)).scalar_one_or_none()


def every(connection: Connection) -> list[dict[str, Any]]:
    """All, by name."""
    return [dict(row) for row in connection.execute(select(cohorts).order_by(cohorts.c.name)).mappings()]
