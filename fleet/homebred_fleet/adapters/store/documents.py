"""Which documents the controller has: their digest, kind and site. The bytes lie in the blob folder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, insert, select

from homebred_fleet.adapters.store.tables import desired, devices, documents


def add(connection: Connection, *, digest: str, kind: str, site: str, length: int, by: str, now_s: int) -> str | None:
    """Notes a document whose bytes are kept; returns the site that one of the same bytes is bound to otherwise.

    The same bytes for the same site are the same document; for another site they are refused, or one site could read
    what another's is by knowing its digest.
    """
    had = connection.execute(
        select(documents.c.kind, documents.c.site).where(documents.c.digest == digest)
    ).one_or_none()
    if had is not None:
        return None if (had.kind, had.site) == (kind, site) else (had.site or "every site")
    connection.execute(
        insert(documents).values(digest=digest, kind=kind, site=site, length=length, added_at_s=now_s, added_by=by)
    )
    return None


def every(connection: Connection) -> Sequence[dict[str, Any]]:
    """All, the newest first."""
    asked = select(documents).order_by(documents.c.added_at_s.desc(), documents.c.digest).limit(1000)
    return [dict(row) for row in connection.execute(asked).mappings()]


def one(connection: Connection, digest: str) -> dict[str, Any] | None:
    """A document by its digest; None: there is none."""
    row = connection.execute(select(documents).where(documents.c.digest == digest)).mappings().one_or_none()
    return None if row is None else dict(row)


def assigned_to(connection: Connection, device: str) -> tuple[str, str]:
    """Digests of policy and gazetteer that a device should have; empty: none."""
    asked = (
        select(desired.c.policy_digest, desired.c.gazetteer_digest)
        .select_from(desired.join(devices, devices.c.number == desired.c.device))
        .where(devices.c.id == device)
    )
    row = connection.execute(asked).one_or_none()
    return ("", "") if row is None else (row.policy_digest, row.gazetteer_digest)
