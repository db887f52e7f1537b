"""What devices should run, target by target, over a given connection; and what the director signed for them last.

A number once assigned to a device never falls (I2): the device's own floor would refuse it, and nobody would know why.
Of policies a device has one line at a time, and of gazetteers: another takes the place of whatever there was.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, delete, func, insert, literal, select, text

from homebred_fleet.adapters.store.database import Database
from homebred_fleet.adapters.store.device_conditions import WITH_STATES, condition
from homebred_fleet.adapters.store.rows import upsert
from homebred_fleet.adapters.store.stops import in_force
from homebred_fleet.adapters.store.tables import assignments, devices, directions
from homebred_fleet.core.director import Standing
from homebred_fleet.core.filters import Tree
from homebred_fleet.ports.directing import Intent
from homebred_fleet.ports.director import DeviceMetadata
from homebred_protocol.targets import Kind, Target, read_target

MAX_ROWS: Final = 1000
_ASSIGN = text(upsert(assignments, sets=("path", "set_at_s", "set_by")))
_KEEP = text(
    upsert(directions, sets=("version", "content", "issued_at_s", "expires_at_s", "targets", "snapshot", "timestamp"))
    + " WHERE directions.version < excluded.version"
)


def assign(
    connection: Connection, device_numbers: Iterable[int], target: Target, *, by: str, now_s: int
) -> Sequence[str]:
    """Has devices run a target, in place of an older one of its line; those that have a newer one: nothing was done.

    A policy or gazetteer takes the place of any other line's, too.
    """
    numbers = sorted(device_numbers)
    newer = [device for device, path in _of_line(connection, numbers, target.line) if _number(path) > target.number]
    if not newer:
        if target.kind.is_for_a_site:
            withdraw_kind(connection, numbers, target.kind)
        rows = [{"device": number, "line": target.line, "path": target.path} for number in numbers]
        connection.execute(_ASSIGN, [row | {"set_at_s": now_s, "set_by": by} for row in rows])
    return newer


def withdraw(connection: Connection, device_numbers: Iterable[int], line: str) -> list[int]:
    """Has devices run nothing of a line; the numbers of those for which that changes anything."""
    return _withdraw(connection, device_numbers, assignments.c.line == line)


def withdraw_kind(connection: Connection, device_numbers: Iterable[int], kind: Kind) -> list[int]:
    """Has devices run nothing of any line of a kind."""
    return _withdraw(connection, device_numbers, assignments.c.line.startswith(f"{kind.value}/", autoescape=True))


def inherit(connection: Connection, old: int, new: int) -> None:
    """What one device should run a new one should, too: its own floors begin with nothing."""
    columns = [column for column in assignments.c if column is not assignments.c.device]
    kept = select(literal(new), *columns).where(assignments.c.device == old)
    connection.execute(insert(assignments).from_select(["device", *(column.name for column in columns)], kept))


def of_device(connection: Connection, device: str) -> list[Target]:
    """What a device should run, by path."""
    statement = select(assignments.c.path).join(devices).where(devices.c.id == device).order_by(assignments.c.path)
    found = (read_target(path) for path in connection.execute(statement).scalars())
    return [target for target in found if target is not None]


def kind_of(line: str) -> Kind | None:
    """What the targets of a line are; None: no line of ours."""
    first, _, _ = line.partition("/")
    return next((kind for kind in Kind if kind.value == first), None)


def counted(connection: Connection, tree: Tree, *, now_s: int) -> list[dict[str, Any]]:
    """Each target with how many of the devices that a filter means should run it, by path."""
    asked = (
        select(assignments.c.path, func.count().label("devices"), func.max(assignments.c.set_at_s).label("set_at_s"))
        .select_from(WITH_STATES.join(assignments, assignments.c.device == devices.c.number))
        .where(condition(tree, now_s))
        .group_by(assignments.c.path)
        .order_by(assignments.c.path)
        .limit(MAX_ROWS)
    )
    return [dict(row) for row in connection.execute(asked).mappings()]


class StoreDirections:
    """`ports.directing.Directions` over the controller's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def intent(self, device: str) -> Intent:
        """What it should run, and whether the fleet is stopped."""
        with self._database.reading() as connection:
            stop = in_force(connection)
            return Intent(
                targets=of_device(connection, device),
                stop_epoch=0 if stop is None else stop.epoch,
                stopped=stop is not None and stop.stopped,
            )

    def last(self, device: str) -> DeviceMetadata | None:
        """What was signed last."""
        statement = select(directions).join(devices).where(devices.c.id == device)
        with self._database.reading() as connection:
            row = connection.execute(statement).one_or_none()
        if row is None:
            return None
        standing = Standing(
            version=row.version, content=row.content, issued_at_s=row.issued_at_s, expires_at_s=row.expires_at_s
        )
        return DeviceMetadata(standing=standing, targets=row.targets, snapshot=row.snapshot, timestamp=row.timestamp)

    def keep(self, device: str, signed: DeviceMetadata) -> bool:
        """Keeps what was signed, where nothing newer is kept."""
        standing = signed.standing
        with self._database.writing() as connection:
            number = connection.execute(select(devices.c.number).where(devices.c.id == device)).scalar_one()
            values = {
                "device": number,
                "version": standing.version,
                "content": standing.content,
                "issued_at_s": standing.issued_at_s,
                "expires_at_s": standing.expires_at_s,
                "targets": signed.targets,
                "snapshot": signed.snapshot,
                "timestamp": signed.timestamp,
            }
            return connection.execute(_KEEP, values).rowcount > 0


def _of_line(connection: Connection, numbers: Sequence[int], line: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for start in range(0, len(numbers), 500):
        statement = (
            select(devices.c.id, assignments.c.path)
            .join(assignments)
            .where(assignments.c.line == line, devices.c.number.in_(numbers[start : start + 500]))
            .order_by(devices.c.id)
        )
        found += [(row.id, row.path) for row in connection.execute(statement)]
    return found


def _withdraw(connection: Connection, device_numbers: Iterable[int], which: ColumnElement[bool]) -> list[int]:
    numbers, changed = sorted(device_numbers), list[int]()
    for start in range(0, len(numbers), 500):
        meant = delete(assignments).where(which, assignments.c.device.in_(numbers[start : start + 500]))
        changed += connection.execute(meant.returning(assignments.c.device)).scalars()
    return sorted(set(changed))


def _number(path: str) -> int:
    target = read_target(path)
    return 0 if target is None else target.number
