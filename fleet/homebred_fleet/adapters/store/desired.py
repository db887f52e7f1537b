"""What devices should be like: changed for an administrator, read for the broker, both over a given connection.

Every change of a device's desired state gives it a version above all that the device has seen (core/desired.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, and_, bindparam, func, insert, select, update

from homebred_fleet.adapters.store.tables import desired, devices, reported
from homebred_fleet.core.desired import next_version
from homebred_fleet.ports.intents import DesiredState, DocumentRef

ENROLLED = "enrolled"


def assign(
    connection: Connection,
    *,
    device_numbers: Iterable[int],
    by: str,
    now_s: int,
    policy: DocumentRef | None = None,
    gazetteer: DocumentRef | None = None,
) -> dict[int, int]:
    """Asks devices to take documents; the new version by device number.

    None leaves a part as it is, `OWN` gives it back to the device's own configuration. With both None the version alone
    rises: labels have changed, something else is assigned, or a device has seen a higher one. Only enrolled devices are
    asked.
    """
    changes: dict[str, str | int] = {}
    for part, wanted in (("policy", policy), ("gazetteer", gazetteer)):
        if wanted is not None:
            changes |= {f"{part}_digest": wanted.digest, f"{part}_length": wanted.length}
    versions: dict[int, int] = {}
    new: list[dict[str, int]] = []
    known: list[dict[str, int]] = []
    for number, allotted, highest_reported in _standing(connection, tuple(device_numbers)):
        version = next_version(allotted=allotted or 0, highest_reported=highest_reported or 0)
        (new if allotted is None else known).append({"asked": number, "next": version})
        versions[number] = version
    values: dict[str, Any] = {"version": bindparam("next"), "set_at_s": now_s, "set_by": by, **changes}
    if new:  # all at once by the driver: a writer who takes long holds up every device's telemetry
        connection.execute(insert(desired).values(device=bindparam("asked"), **values), new)
    if known:
        connection.execute(update(desired).where(desired.c.device == bindparam("asked")).values(values), known)
    return versions


def _standing(connection: Connection, numbers: Sequence[int]) -> list[tuple[int, int | None, int | None]]:
    rows: list[tuple[int, int | None, int | None]] = []
    for start in range(0, len(numbers), 500):
        statement = (
            select(devices.c.number, desired.c.version, reported.c.highest_version)
            .outerjoin(desired, desired.c.device == devices.c.number)
            .outerjoin(reported, reported.c.device == devices.c.number)
            .where(devices.c.number.in_(numbers[start : start + 500]), devices.c.state == ENROLLED)
            .order_by(devices.c.number)
        )
        rows += [(row[0], row[1], row[2]) for row in connection.execute(statement)]
    return rows


def versions_in_force(connection: Connection) -> dict[str, int]:
    """Every enrolled device that has a desired state, with its version."""
    statement = select(devices.c.id, desired.c.version).join(desired, desired.c.device == devices.c.number)
    return {row.id: row.version for row in connection.execute(statement.where(devices.c.state == ENROLLED))}


def unpublished(connection: Connection, *, max_devices: int) -> list[str]:
    """Devices whose newest version the broker has not taken yet."""
    statement = (
        select(devices.c.id)
        .join(desired, desired.c.device == devices.c.number)
        .where(devices.c.state == ENROLLED, desired.c.published_version < desired.c.version)
        .order_by(desired.c.set_at_s, devices.c.number)
        .limit(max_devices)
    )
    return list(connection.scalars(statement))


def states_of(connection: Connection, device_ids: Sequence[str]) -> list[DesiredState]:
    """The desired states of some enrolled devices."""
    statement = (
        select(devices.c.id, devices.c.labels, desired)
        .join(desired, desired.c.device == devices.c.number)
        .where(devices.c.state == ENROLLED, devices.c.id.in_(device_ids))
        .order_by(devices.c.number)
    )
    return [
        DesiredState(
            device=row.id,
            version=row.version,
            issued_at_s=row.set_at_s,
            policy=_reference(row.policy_digest, row.policy_length),
            gazetteer=_reference(row.gazetteer_digest, row.gazetteer_length),
            labels=dict(row.labels),
        )
        for row in connection.execute(statement)
    ]


def _reference(digest: str, length: int) -> DocumentRef | None:
    return DocumentRef(digest=digest, length=length) if digest else None


def mark_published(connection: Connection, versions: Mapping[str, int]) -> None:
    """Notes what the broker has taken; never a lower version than before."""
    for device, version in versions.items():
        number = select(devices.c.number).where(devices.c.id == device).scalar_subquery()
        connection.execute(
            update(desired)
            .where(and_(desired.c.device == number, desired.c.published_version < version))
            .values(published_version=version)
        )


def count_unpublished(connection: Connection) -> int:
    """How many devices wait for the broker to take their newest version."""
    statement = select(func.count()).select_from(desired).where(desired.c.published_version < desired.c.version)
    return connection.execute(statement).scalar_one()
