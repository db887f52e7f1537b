"""The audit's rows, appended in the transaction of what they tell, and checked from the first to the last."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, insert, select

from homebred_fleet.adapters.store.tables import audit
from homebred_fleet.core.audit import START, ChainedEntry, Entry, digest_of, first_broken


def append(
    connection: Connection, *, at_s: int, actor: str, action: str, target: str, details: Mapping[str, object]
) -> int:
    """Adds a row to the chain; its number. The transaction must be a writing one: the chain has one end."""
    entry = Entry(at_s=at_s, actor=actor, action=action, target=target, details=details)
    end = connection.execute(select(audit.c.digest).order_by(audit.c.number.desc()).limit(1)).scalar_one_or_none()
    previous = START if end is None else end
    values = {
        "at_s": at_s,
        "actor": actor,
        "action": action,
        "target": target,
        "details": dict(details),
        "previous": previous,
        "digest": digest_of(previous, entry),
    }
    added = connection.execute(insert(audit).values(values).returning(audit.c.number))
    return int(added.scalar_one())


def check(connection: Connection) -> int | None:
    """The number of the first row that was changed, taken out or put in; None: the chain is whole."""
    statement = select(audit).order_by(audit.c.number).execution_options(yield_per=1_000)
    with connection.execute(statement) as rows:
        return first_broken(
            ChainedEntry(
                number=row.number,
                entry=Entry(at_s=row.at_s, actor=row.actor, action=row.action, target=row.target, details=row.details),
                previous=row.previous,
                digest=row.digest,
            )
            for row in rows
        )
