"""Opens files that somebody reads, so that nothing in them or beside them changes; a ledger only if it is one."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from homebred_daemon.adapters.store.database import LEDGER, require_schema
from homebred_daemon.errors import RequestError, StateError

TABLES = frozenset({"documents", "decisions", "outcomes", "gaps"})


def require_ledger(path: Path) -> None:
    """Complains of a file that is no ledger, and leaves it as it is; errors as `connect_read_only`."""
    connect_read_only(path).close()


def connect_read_only(path: Path) -> sqlite3.Connection:
    """An open ledger that cannot be written.

    Raises:
        RequestError: the file is missing, unreadable or not a ledger.
        StateError: an older or newer version of this program wrote it.
    """
    if not path.is_file():
        raise RequestError(f"there is no ledger at {path}", hint="correct the path; nothing was created")
    try:
        connection = opened_read_only(path)
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.Error as error:
        hint = "name a file that `homebred route --ledger` or the daemon wrote, and that you may read"
        raise RequestError(f"{path} cannot be read as a ledger: {error}", hint=hint) from error
    if not tables >= TABLES:
        raise RequestError(f"{path} is a database, but not a ledger", hint="name a file that homebred wrote")
    if version != len(LEDGER.migrations()):
        raise StateError(
            f"the ledger {path} has version {version}; this program reads version {len(LEDGER.migrations())}",
            hint="read it with the homebred that wrote it",
        )
    require_schema(connection, path, LEDGER)
    connection.row_factory = sqlite3.Row
    connection.text_factory = _text
    connection.execute("BEGIN")  # one state of the ledger throughout, whatever is written meanwhile
    return connection


def opened_read_only(path: Path) -> sqlite3.Connection:
    """Read-only. Without a log beside it nobody has it open: then SQLite need not make one, nor be able to."""
    log = path.with_name(path.name + "-wal")
    options = "mode=ro" if log.exists() else "mode=ro&immutable=1"
    return sqlite3.connect(f"{path.absolute().as_uri()}?{options}", uri=True, isolation_level=None)


def _text(value: bytes) -> str:
    """Text as stored; an altered row may hold bytes that are none, and must be found altered, not stop the reading."""
    return value.decode("utf-8", errors="replace")
