"""What a device must not forget of its fleet, in SQLite: each change one transaction that outlives a power cut.

It decides nothing: what is taken is `core.desired_state`'s and `core.stopping`'s. A floor that is kept never falls, not
even where whoever calls is wrong; of stop orders, as long as the same key signs them.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from homebred_daemon.adapters.store.database import SqlFolder, connect, transaction
from homebred_daemon.adapters.store.statements import Statements
from homebred_daemon.core.desired_state import KeptDesired
from homebred_daemon.core.fleet_messages import Desired, Document, PartReport, PartState
from homebred_daemon.core.stopping import Stopping
from homebred_daemon.errors import StateError, UnwritableError

FLEET = SqlFolder("fleet_sql")


class SqliteFleetMemory:
    """Fulfils `ports.fleet.FleetMemory` for one device. Not for two threads at once: its owner serialises calls."""

    def __init__(self, path: Path, device_id: str) -> None:
        """Opens the file. What it holds of a device of another name is forgotten, but what holds on this one."""
        self._path = path
        self._connection = connect(path, FLEET, synchronous="FULL")
        self._sql = Statements(self._connection, FLEET)
        with self._writing():
            row = self._sql.first("desired")
            if row is not None and row["device_id"] != device_id:
                self._sql.run("forget_desired")
                self._sql.run("forget_parts")

    def close(self) -> None:
        """Folds the write-ahead log into the file and closes it."""
        self._connection.close()

    def desired(self) -> KeptDesired:
        """As the port says."""
        with self._reading():
            row, parts = self._sql.first("desired"), self._sql.rows("parts")
        return KeptDesired(
            highest_version=row["version"] if row is not None else 0,
            desired=_desired(row) if row is not None else None,
            parts={part["name"]: _report(part) for part in parts if part["state"]},
            applied={part["name"]: part["applied"] for part in parts if part["applied"]},
        )

    def stopping(self) -> Stopping:
        """As the port says."""
        with self._reading():
            row = self._sql.first("stopping")
        if row is None:
            return Stopping()
        return Stopping(
            epoch=row["epoch"],
            stopped=bool(row["stopped"]),
            reason_code=row["reason_code"],
            issued_at_s=row["issued_at_s"],
            key_id=row["key_id"],
            signature=row["signature"],
        )

    def keep_desired(self, desired: Desired) -> None:
        """As the port says."""
        with self._writing():
            self._sql.run("undecide_parts")
            self._sql.run(
                "keep_desired",
                device_id=desired.device_id,
                version=desired.version,
                issued_at_s=desired.issued_at_s,
                policy_digest=desired.policy.digest,
                policy_length=desired.policy.length,
                gazetteer_digest=desired.gazetteer.digest,
                gazetteer_length=desired.gazetteer.length,
                labels=json.dumps(dict(desired.labels), sort_keys=True),
            )

    def keep_part(self, report: PartReport, applied: str) -> None:
        """As the port says."""
        with self._writing():
            self._sql.run(
                "keep_part",
                name=report.name,
                digest=report.digest,
                state=report.state.value,
                problem_code=report.problem_code,
                problem=report.problem,
                applied=applied,
            )

    def keep_stop(self, stopping: Stopping) -> None:
        """As the port says."""
        with self._writing():
            self._sql.run(
                "keep_stop",
                epoch=stopping.epoch,
                stopped=int(stopping.stopped),
                reason_code=stopping.reason_code,
                issued_at_s=stopping.issued_at_s,
                key_id=stopping.key_id,
                signature=stopping.signature,
            )

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            with transaction(self._connection):
                yield
        except sqlite3.Error as error:
            raise UnwritableError(
                f"what the fleet wants could not be kept in {self._path}: {error}",
                hint="free disk space; it is tried again by itself",
            ) from error

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StateError(
                f"what the fleet wants cannot be read from {self._path}: {error}",
                hint="move the damaged file aside to start anew; what is desired comes again from the controller",
            ) from error


def _desired(row: sqlite3.Row) -> Desired:
    return Desired(
        device_id=row["device_id"],
        version=row["version"],
        issued_at_s=row["issued_at_s"],
        policy=Document(digest=row["policy_digest"], length=row["policy_length"]),
        gazetteer=Document(digest=row["gazetteer_digest"], length=row["gazetteer_length"]),
        labels=json.loads(row["labels"]),
    )


def _report(row: sqlite3.Row) -> PartReport:
    return PartReport(
        name=row["name"],
        digest=row["digest"],
        state=PartState(row["state"]),
        problem_code=row["problem_code"],
        problem=row["problem"],
    )
