"""Receipts of installs as devices have signed them: each once, whoever brought it, over a given connection.

A receipt counts where its certificate is one that this fleet issued to the very device that it names, and was not taken
back: one that was renewed or has run out since still does, since a receipt may be long on its way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, delete, func, insert, select

from homebred_fleet.adapters.receipt_signatures import ReceiptRefusedError, verified
from homebred_fleet.adapters.store import audit
from homebred_fleet.adapters.store.tables import certificates, devices, install_receipts

BY_BROKER: Final = "mqtt"
BY_FILE: Final = "file"
MOST_OF_A_DEVICE: Final = 10_000
"""Then its oldest go."""
UNKNOWN: Final = "receipt-certificate"
OTHERS: Final = "receipt-device"
TAKEN_BACK: Final = "receipt-revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """What became of the receipts of a file."""

    stored: int
    known: int
    refused: tuple[tuple[int, str], ...]
    """Place in what was brought, from 0, and why."""


def bring(connection: Connection, lines: Sequence[bytes], *, by: str, now_s: int) -> Brought:
    """Keeps receipts that a person brought; one that is refused holds no other up."""
    stored = known = 0
    refused: list[tuple[int, str]] = []
    for place, line in enumerate(lines):
        try:
            is_new = keep(connection, line, came_by=BY_FILE, now_s=now_s)
        except ReceiptRefusedError as error:
            refused.append((place, error.cause))
        else:
            stored, known = stored + is_new, known + (not is_new)
    if stored:
        details = {"stored": stored, "known": known, "refused": len(refused)}
        audit.append(connection, at_s=now_s, actor=by, action="receipt.import", target="", details=details)
    return Brought(stored=stored, known=known, refused=tuple(refused))


def keep(connection: Connection, line: bytes, *, came_by: str, now_s: int, bearer: str = "") -> bool:
    """Keeps a receipt; False: it was here already.

    Args:
        connection: a writer's transaction.
        line: the receipt with its signature.
        came_by: BY_BROKER or BY_FILE.
        now_s: Unix seconds.
        bearer: the device that brought it itself; empty: anybody may have.

    Raises:
        ReceiptRefusedError: nobody can know that a device of this fleet says so.
    """
    found = verified(line)
    receipt = found.receipt
    row = connection.execute(
        select(devices.c.number, devices.c.id, certificates.c.revoked_at_s)
        .join(certificates, certificates.c.device == devices.c.number)
        .where(certificates.c.fingerprint == found.fingerprint)
    ).one_or_none()
    if row is None:
        raise ReceiptRefusedError(UNKNOWN)
    if row.id != receipt.device or (bearer and bearer != row.id):
        raise ReceiptRefusedError(OTHERS)
    if row.revoked_at_s is not None:
        raise ReceiptRefusedError(TAKEN_BACK)
    is_here = select(install_receipts.c.number).where(
        install_receipts.c.device == row.number, install_receipts.c.digest == found.signed.digest
    )
    if connection.execute(is_here).first() is not None:  # a writer's transaction: nobody puts it in between
        return False
    connection.execute(
        insert(install_receipts).values(
            device=row.number,
            digest=found.signed.digest,
            seq=receipt.seq,
            at_s=receipt.at_s,
            specialist=receipt.specialist,
            release_number=receipt.number,
            release_digest=receipt.digest,
            result=receipt.result,
            code=receipt.code,
            facts=dict(receipt.facts),
            built=receipt.built,
            signed=line,
            received_at_s=now_s,
            came_by=came_by,
        )
    )
    _forget_oldest(connection, row.number)
    return True


def newest(
    connection: Connection, *, device: str = "", specialist: str = "", before: int | None = None, limit: int = 100
) -> list[dict[str, Any]]:
    """Receipts of a device, a specialist or all, the last that came first; below the number `before`."""
    kept = install_receipts.c
    shown = [column for column in kept if column.name not in {"device", "signed"}]
    asked = select(devices.c.id.label("device"), *shown)
    asked = asked.select_from(install_receipts.join(devices))
    if device:
        asked = asked.where(devices.c.id == device)
    if specialist:
        asked = asked.where(kept.specialist == specialist)
    if before is not None:
        asked = asked.where(kept.number < before)
    return [dict(row) for row in connection.execute(asked.order_by(kept.number.desc()).limit(limit)).mappings()]


def _forget_oldest(connection: Connection, device: int) -> None:
    kept = install_receipts.c
    count = connection.execute(select(func.count()).where(kept.device == device)).scalar_one()
    if count > MOST_OF_A_DEVICE:
        last = select(kept.number).where(kept.device == device).order_by(kept.number.desc())
        first_kept = connection.execute(last.offset(MOST_OF_A_DEVICE - 1).limit(1)).scalar_one()
        connection.execute(delete(install_receipts).where(kept.device == device, kept.number < first_kept))
