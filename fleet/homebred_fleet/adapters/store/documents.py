"""Which lists of gazetteers the controller has: digest and site of each. The bytes lie in the blob folder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, insert, select

from homebred_fleet.adapters.store.tables import documents


def add(connection: Connection, *, digest: str, site: str, length: int, by: str, now_s: int) -> str | None:
    """Notes a list whose bytes are kept; returns the site that one of the same bytes is bound to otherwise.

    The same bytes for the same site are the same list; for another site they are refused, or one site could read what
    another's is by knowing its digest.
    """
    bound_to = connection.execute(select(documents.c.site).where(documents.c.digest == digest)).scalar_one_or_none()
    if bound_to is not None:
        return None if bound_to == site else bound_to
    connection.execute(insert(documents).values(digest=digest, site=site, length=length, added_at_s=now_s, added_by=by))
    return None


def every(connection: Connection) -> Sequence[dict[str, Any]]:
    """All, the newest first."""
    asked = select(documents).order_by(documents.c.added_at_s.desc(), documents.c.digest).limit(1000)
    return [dict(row) for row in connection.execute(asked).mappings()]


def one(connection: Connection, digest: str) -> dict[str, Any] | None:
    """A list by its digest; None: there is none."""
    row = connection.execute(select(documents).where(documents.c.digest == digest)).mappings().one_or_none()
    return None if row is None else dict(row)
