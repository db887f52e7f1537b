"""Opens a SQLite file as this product keeps it: private, WAL, migrated, with named queries. It knows no table.

What a file holds stands in a folder of SQL beside this module: `schema.sql`, `queries.sql`, `migrations/`. A migration
runs in one transaction with the version it leads to; `schema.sql` is their sum, held so by a test.
"""

from __future__ import annotations

import os
import re
import sqlite3
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

from homebred_daemon.errors import StateError

_NAMED = re.compile(r"^-- name: (\w+)\n(.*?)(?=^-- name: |\Z)", re.MULTILINE | re.DOTALL)
_OWNER_ALONE = 0o600
BUSY_TIMEOUT_S = 30.0
"""How long a writer waits for another one: a worn flash card may take seconds over one write."""
_BUSY_PAUSE_S = 0.005


@dataclass(frozen=True, slots=True)
class SqlFolder:
    """The SQL of one kind of database."""

    name: str

    def queries(self) -> Mapping[str, str]:
        """The statements of queries.sql by name."""
        return {name: body.strip() for name, body in _NAMED.findall(self._text("queries.sql"))}

    def schema(self) -> str:
        """The tables as they are after every migration, for people to read."""
        return self._text("schema.sql")

    def migrations(self) -> tuple[str, ...]:
        """The migration scripts, oldest first; number n leads to version n."""
        folder = resources.files(__package__) / self.name / "migrations"
        names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
        return tuple(self._text(f"migrations/{name}") for name in names)

    def _text(self, name: str) -> str:
        return (resources.files(__package__) / self.name / name).read_text(encoding="utf-8")


LEDGER = SqlFolder("ledger_sql")
OUTBOX = SqlFolder("outbox_sql")
REVIEW = SqlFolder("review_sql")


def connect(path: Path, sql: SqlFolder, *, synchronous: Literal["NORMAL", "FULL"] = "NORMAL") -> sqlite3.Connection:
    """An open, migrated database that its owner alone can read; autocommit, transactions through `transaction`.

    Args:
        path: the file; made where it is not there.
        sql: what it holds.
        synchronous: NORMAL: a commit survives a crash of the process, not of the power; FULL: of the power too.

    Raises:
        StateError: the file cannot be opened, is not a database, or is of a version that this program does not know.
    """
    with suppress(OSError):  # it is there; or it cannot be made, and SQLite says so
        os.mknod(path, stat.S_IFREG | _OWNER_ALONE)  # not `open`: closing it drops the locks of other threads
    try:
        connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        try:
            _prepare(connection, path, sql, synchronous)
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise StateError(
            f"the database {path} cannot be used: {error}",
            hint="check that its folder exists, is writable and not full; move a damaged file aside to start anew",
        ) from error
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """One write transaction, taken at once so that two writers queue instead of failing midway."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite itself has rolled back where the disk was full
            connection.execute("ROLLBACK")
        raise


def _prepare(connection: sqlite3.Connection, path: Path, sql: SqlFolder, synchronous: str) -> None:
    """Migrates and configures; a database that is refused is left as it is."""
    connection.row_factory = sqlite3.Row
    known = sql.migrations()
    version = _version(connection)
    if version > len(known):
        raise StateError(
            f"the database {path} has version {version}; this program knows versions up to {len(known)}",
            hint="install the newer homebred that wrote it, or give this one another state folder",
        )
    _make_private(path)
    _write_ahead(connection)
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    for number, script in enumerate(known[version:], start=version + 1):
        with transaction(connection):
            if _version(connection) < number:  # another process may have done it while this one waited
                for statement in _statements(script):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number}")
    require_schema(connection, path, sql)


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switches to WAL, and waits for others that do: there SQLite answers SQLITE_BUSY at once, whatever its timeout."""
    ends_s = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= ends_s:
                raise
            time.sleep(_BUSY_PAUSE_S)
        else:
            return


def require_schema(connection: sqlite3.Connection, path: Path, sql: SqlFolder) -> None:
    """Complains of a file whose version is this program's and whose tables are not.

    Raises:
        StateError: another state of this program wrote it.
    """
    with closing(sqlite3.connect(":memory:")) as made:
        for script in sql.migrations():
            made.executescript(script)
        if not _schema(made) <= _schema(connection):
            raise StateError(
                f"the tables of the database {path} are not those that this program makes",
                hint="read it with the homebred that wrote it; move it aside to start anew",
            )


def _schema(connection: sqlite3.Connection) -> set[tuple[str, ...]]:
    return {tuple(row) for row in connection.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL")}


def _make_private(path: Path) -> None:
    """Takes the file and its logs out of others' sight, where they are ours; SQLite makes logs like their file."""
    for each in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        with suppress(FileNotFoundError):
            found = each.stat()
            if found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) & ~_OWNER_ALONE:
                each.chmod(_OWNER_ALONE)


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _statements(script: str) -> Iterator[str]:
    """A script's statements; `executescript` would commit the transaction around them."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
