"""Opens a SQLite file as this product keeps it: WAL, migrated, with named queries. It knows no table.

A migration runs in one transaction with the version it leads to; `schema.sql` is their sum, held so by a test.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

from homebred_daemon.errors import StateError

_NAMED = re.compile(r"^-- name: (\w+)\n(.*?)(?=^-- name: |\Z)", re.MULTILINE | re.DOTALL)
BUSY_TIMEOUT_S = 5.0


def named_queries() -> Mapping[str, str]:
    """The statements of queries.sql by name."""
    return {name: body.strip() for name, body in _NAMED.findall(_sql("queries.sql"))}


def migrations() -> tuple[str, ...]:
    """The migration scripts, oldest first; number n leads to version n."""
    folder = resources.files(__package__) / "migrations"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return tuple(_sql(f"migrations/{name}") for name in names)


def connect(path: Path) -> sqlite3.Connection:
    """An open, migrated database; autocommit, transactions through `transaction`.

    Raises:
        StateError: the file cannot be opened, is not a database, or is newer than this program.
    """
    try:
        connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")  # a commit survives a crash of the process, not of the power
        _migrate(connection, path)
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
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    scripts = migrations()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(scripts):
        raise StateError(
            f"the database {path} has version {version}; this program knows versions up to {len(scripts)}",
            hint="install the newer homebred that wrote it, or give this one another state folder",
        )
    for number, script in enumerate(scripts[version:], start=version + 1):
        connection.executescript(f"BEGIN IMMEDIATE; {script}; PRAGMA user_version = {number}; COMMIT;")


def _sql(name: str) -> str:
    return (resources.files(__package__) / name).read_text(encoding="utf-8")
