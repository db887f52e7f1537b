"""What is known of devices: pages of them by filter, one of them whole, and their labels.

It reads what others wrote: identities are made by identities.py, telemetry by telemetry.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, func, select, update

from homebred_fleet.adapters.store.device_conditions import CERTIFICATE_ENDS, WITH_STATES, condition
from homebred_fleet.adapters.store.tables import desired, devices, presence, reported
from homebred_fleet.core.device_filters import DesiredFacts, DeviceFacts
from homebred_fleet.core.filters import Tree

MAX_PAGE: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class DevicePage:
    """Some devices, by id."""

    devices: tuple[DeviceFacts, ...]
    after: str | None
    """Where the next page begins; None: there is none."""


def _facts() -> Select[Any]:
    return select(
        devices.c.id,
        devices.c.site,
        devices.c.state,
        devices.c.labels,
        presence.c.online,
        presence.c.heard_at_s,
        reported.c.software_version,
        reported.c.policy_digest,
        desired.c.version,
        reported.c.desired_version,
        reported.c.standing,
        CERTIFICATE_ENDS.label("certificate_ends_at_s"),
    ).select_from(WITH_STATES)


def page(connection: Connection, tree: Tree, *, now_s: int, after: str = "", limit: int = 100) -> DevicePage:
    """The devices of a filter after one, at most `limit` of them."""
    limit = min(max(limit, 1), MAX_PAGE)
    found = connection.execute(
        _facts().where(devices.c.id > after, condition(tree, now_s)).order_by(devices.c.id).limit(limit + 1)
    ).all()
    shown = tuple(_read(row) for row in found[:limit])
    return DevicePage(devices=shown, after=shown[-1].id if len(found) > limit else None)


def count(connection: Connection, tree: Tree, *, now_s: int) -> int:
    """How many devices a filter means."""
    asked = select(func.count()).select_from(WITH_STATES).where(condition(tree, now_s))
    return connection.execute(asked).scalar_one()


def numbers(connection: Connection, tree: Tree, *, now_s: int) -> Sequence[tuple[int, str, str]]:
    """Number, id and site of each device that a filter means, by id."""
    asked = select(devices.c.number, devices.c.id, devices.c.site).select_from(WITH_STATES)
    rows = connection.execute(asked.where(condition(tree, now_s)).order_by(devices.c.id)).all()
    return [(row.number, row.id, row.site) for row in rows]


def number_of(connection: Connection, device: str) -> int | None:
    """The number of a device; None: there is none of this id."""
    return connection.execute(select(devices.c.number).where(devices.c.id == device)).scalar_one_or_none()


def facts_of(connection: Connection, device: str) -> DeviceFacts | None:
    """One device; None: there is none of this id."""
    row = connection.execute(_facts().where(devices.c.id == device)).one_or_none()
    return None if row is None else _read(row)


def set_labels(connection: Connection, device: str, changes: Mapping[str, str | None]) -> dict[str, str] | None:
    """Sets some labels and removes others (None); returns all that it has then. None: there is no such device.

    It runs inside a writer's transaction: nobody else changes the labels between.
    """
    had = connection.execute(select(devices.c.labels).where(devices.c.id == device)).scalar_one_or_none()
    if had is None:
        return None
    merged = {**had, **changes}
    labels = {key: value for key, value in merged.items() if value is not None}
    connection.execute(update(devices).where(devices.c.id == device).values(labels=labels))
    return labels


def _read(row: Row[Any]) -> DeviceFacts:
    return DeviceFacts(
        id=row.id,
        site=row.site,
        state=row.state,
        labels=row.labels,
        online=bool(row.online),
        heard_at_s=row.heard_at_s,
        software_version=row.software_version or "",
        policy_digest=row.policy_digest or "",
        desired=DesiredFacts(
            version=row.version, reported_version=row.desired_version, standing=row.standing or "applied"
        ),
        certificate_ends_at_s=row.certificate_ends_at_s,
    )
