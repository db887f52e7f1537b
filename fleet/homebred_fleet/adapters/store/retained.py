"""Deletes telemetry a little at a time, the oldest first, and keeps count of what went (I9).

Seqs count over all streams of a boot, so that the lowest ones of a boot are its oldest events, whatever their tables.
What of it is deleted, and when, core/retention.py says.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import ColumnElement, Connection, Select, delete, func, select, update

from homebred_fleet.adapters.store.bygone import keep_events, keep_gaps_of_controller, keep_gaps_of_device
from homebred_fleet.adapters.store.database import Database
from homebred_fleet.adapters.store.rows import total
from homebred_fleet.adapters.store.tables import (
    boots,
    controller_gaps,
    devices,
    gap_events,
    route_hours,
    watermarks,
)
from homebred_fleet.adapters.store.telemetry import TABLES
from homebred_protocol.v1 import fleet_pb2 as wire

STEP = 5_000
"""Seqs, or rows, that one transaction deletes."""
STARTS_AT_ONCE = 100
HOUR_S = 3600
_IS_HELD = watermarks.c.events > watermarks.c.forgotten


class RetainedEvents:
    """`ports.retained.Retained` of events, by when the controller received them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def held(self) -> Mapping[str, int]:
        """Events by device."""
        kept = total(watermarks.c.events - watermarks.c.forgotten)
        joined = devices.join(boots, boots.c.device == devices.c.number).join(watermarks)
        statement = select(devices.c.id, kept.label("events")).select_from(joined).where(_IS_HELD)
        with self._database.reading() as connection:
            return {row.id: int(row.events) for row in connection.execute(statement.group_by(devices.c.id))}

    def oldest_s(self) -> Mapping[str, int]:
        """When the first event of each device's oldest boot came; 0 where somebody else deleted all of that boot's."""
        oldest = _oldest_boots().subquery()
        firsts = (
            select(table.c.received_at_s).where(table.c.boot == oldest.c.boot).order_by(table.c.seq).limit(1)
            for table in TABLES.values()
        )
        statement = select(devices.c.id, *(first.scalar_subquery() for first in firsts)).join_from(
            devices, oldest, oldest.c.device == devices.c.number
        )
        with self._database.reading() as connection:
            found = [
                (row[0], [moment for moment in row[1:] if moment is not None]) for row in connection.execute(statement)
            ]
        return {device: min(moments, default=0) for device, moments in found}

    def forget_before(self, device: str, before_s: int) -> int:
        """Deletes from the oldest boot alone: what came late of it holds the next ones up."""
        return self._forget(device, STEP, before_s)

    def forget_oldest(self, device: str, at_most: int) -> int:
        """Deletes some of the oldest."""
        return self._forget(device, min(at_most, STEP), None)

    def _forget(self, device: str, seqs: int, before_s: int | None) -> int:
        with self._database.writing() as connection:
            found = connection.execute(_oldest_boots().join(devices).where(devices.c.id == device)).one_or_none()
            if found is None:
                return 0
            return _forget_seqs(connection, found.boot, seqs, before_s)


class RetainedHours:
    """`ports.retained.Retained` of hours' sums, by the devices' clocks; whole hours go, whatever that makes of rows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def held(self) -> Mapping[str, int]:
        """Sums by device."""
        return self._by_device(func.count())

    def oldest_s(self) -> Mapping[str, int]:
        """The first hour of each device."""
        return {device: hour * HOUR_S for device, hour in self._by_device(func.min(route_hours.c.hour)).items()}

    def forget_before(self, device: str, before_s: int) -> int:
        """Deletes hours that ended before."""
        return self._forget(device, STEP, route_hours.c.hour < before_s // HOUR_S)

    def forget_oldest(self, device: str, at_most: int) -> int:
        """Deletes some of the oldest hours."""
        return self._forget(device, min(at_most, STEP))

    def _by_device(self, figure: ColumnElement[int]) -> Mapping[str, int]:
        statement = select(devices.c.id, figure).join_from(route_hours, devices).group_by(devices.c.id)
        with self._database.reading() as connection:
            return {device: int(number) for device, number in connection.execute(statement)}

    def _forget(self, device: str, rows: int, *conditions: ColumnElement[bool]) -> int:
        number = select(devices.c.number).where(devices.c.id == device).scalar_subquery()
        first = select(route_hours.c.hour).where(route_hours.c.device == number).order_by(route_hours.c.hour)
        last = select(func.max(first.limit(rows).subquery().c.hour)).scalar_subquery()
        statement = delete(route_hours).where(route_hours.c.device == number, route_hours.c.hour <= last, *conditions)
        with self._database.writing() as connection:
            return connection.execute(statement).rowcount


class RetainedStarts:
    """`ports.retained.Starts` over the controller's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def held(self) -> Mapping[str, int]:
        """Starts by device."""
        statement = select(devices.c.id, func.count()).join_from(boots, devices).group_by(devices.c.id)
        with self._database.reading() as connection:
            return {device: int(count) for device, count in connection.execute(statement)}

    def forget_oldest(self, device: str, at_most: int) -> int:
        """Deletes some of the oldest, with all that they hold."""
        oldest = select(boots.c.number).join(devices).where(devices.c.id == device).order_by(boots.c.number)
        with self._database.writing() as connection:
            numbers = connection.execute(oldest.limit(min(at_most, STARTS_AT_ONCE))).scalars().all()
            for number in numbers:
                _forget_boot(connection, number)
        return len(numbers)


def _oldest_boots() -> Select[tuple[int, int]]:
    """Each device's number, and that of its oldest boot that has events."""
    oldest = select(boots.c.device, func.min(boots.c.number).label("boot")).select_from(boots.join(watermarks))
    return oldest.where(_IS_HELD).group_by(boots.c.device)


def _forget_seqs(connection: Connection, boot: int, seqs: int, before_s: int | None) -> int:
    """Deletes what there is among the next so many seqs of a boot."""
    firsts = (
        connection.execute(select(func.min(table.c.seq)).where(table.c.boot == boot)).scalar_one()
        for table in TABLES.values()
    )
    first = min((seq for seq in firsts if seq is not None), default=None)
    if first is None:
        return _make_true(connection, boot)
    return sum(_forget_of(connection, boot, stream, first + seqs, before_s) for stream in TABLES)


def _forget_of(connection: Connection, boot: int, stream: int, below_seq: int, before_s: int | None) -> int:
    table = TABLES[wire.Stream.ValueType(stream)]
    meant = [table.c.boot == boot, table.c.seq < below_seq]
    if before_s is not None:
        meant.append(table.c.received_at_s < before_s)
    if table is gap_events:
        keep_gaps_of_device(connection, *meant)
    gone = connection.execute(delete(table).where(*meant)).rowcount
    if gone:
        connection.execute(
            update(watermarks)
            .where(watermarks.c.boot == boot, watermarks.c.stream == stream)
            .values(forgotten=watermarks.c.forgotten + gone)
        )
    return gone


def _make_true(connection: Connection, boot: int) -> int:
    """Somebody else deleted a boot's rows: they count as forgotten from now on."""
    missing = select(total(watermarks.c.events - watermarks.c.forgotten)).where(watermarks.c.boot == boot)
    count = int(connection.execute(missing).scalar_one() or 0)
    connection.execute(update(watermarks).where(watermarks.c.boot == boot).values(forgotten=watermarks.c.events))
    return count


def _forget_boot(connection: Connection, boot: int) -> None:
    """Deletes a boot with all that it holds; what was counted still is."""
    while _forget_seqs(connection, boot, STEP, None):
        pass
    keep_events(connection, boot)
    keep_gaps_of_controller(connection, boot)
    for table in (watermarks, controller_gaps):
        connection.execute(delete(table).where(table.c.boot == boot))
    connection.execute(delete(boots).where(boots.c.number == boot))
