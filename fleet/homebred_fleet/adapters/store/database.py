"""Opens the controller's database, SQLite or PostgreSQL, and brings its tables up to date. It knows no table.

One writer at a time: SQLite has no more, and on PostgreSQL it makes a group of changes cheap and its order certain. A
writing transaction begins as one (BEGIN IMMEDIATE), so that what it read is still so when it writes. What was committed
is on the disk (synchronous FULL): a device forgets its telemetry on that word.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, NoSuchModuleError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from homebred_fleet.errors import ConfigurationError, NewerStoreError, StoreBusyError, StoreError

BUSY_TIMEOUT_S = 30.0
"""How long a connection waits for another process's write."""
MIGRATIONS = Path(__file__).parent / "migrations"
_OWNER_ALONE = 0o600
_UPGRADE_LOCK = 0x686F6D65
"""PostgreSQL's advisory lock under which one of several controllers migrates."""


class Database:
    """The tables behind two kinds of transactions; from any thread."""

    def __init__(self, url: str) -> None:
        """Connects to nothing yet. Raises ConfigurationError."""
        self._url = _checked(url)
        self.is_sqlite = self._url.get_backend_name() == "sqlite"
        self._engine = _engine(self._url, is_sqlite=self.is_sqlite)
        self._one_writer = threading.Lock()

    @property
    def engine(self) -> Engine:
        """For what neither transaction can do."""
        return self._engine

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent view; nothing can be written. Raises StoreError."""
        with _translated(self._engine), self._engine.connect() as connection:
            yield connection.execution_options(**self._only_reading)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction, committed at its end; an exception undoes it. Raises StoreError."""
        with self._one_writer, _translated(self._engine), self._engine.connect() as connection:
            writer = connection.execution_options(homebred_writing=True)
            with writer.begin():
                yield writer

    def upgrade(self) -> None:
        """Brings the tables to what this version needs; new ones are made.

        Raises:
            NewerStoreError: a newer version of the controller made them.
            StoreError: they cannot be read or written.
        """
        if self.is_sqlite and self._url.database:
            _make_private(Path(self._url.database))
        with self.writing() as connection:
            if not self.is_sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _UPGRADE_LOCK})
            config = _alembic(connection)
            _refuse_newer(connection, config)
            command.upgrade(config, "head")

    def revision(self) -> str:
        """The migration that the tables stand at; empty: there are none."""
        with self.reading() as connection:
            return MigrationContext.configure(connection).get_current_revision() or ""

    def close(self) -> None:
        """Closes every connection."""
        self._engine.dispose()

    @property
    def _only_reading(self) -> dict[str, Any]:
        return {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}


def _checked(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigurationError(
            "database.url is no database's address",
            hint="write sqlite:////path/fleet.db or postgresql://user@host/name",
        ) from None
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in {"sqlite", "postgresql+psycopg"}:
        raise ConfigurationError(
            f"database.url names {parsed.drivername!r}, which is not known",
            hint="write sqlite:////path/fleet.db or postgresql://user@host/name",
        )
    return parsed


def _engine(url: URL, *, is_sqlite: bool) -> Engine:
    if not is_sqlite:
        try:
            return create_engine(url, pool_size=8, max_overflow=8, pool_pre_ping=True)
        except (NoSuchModuleError, ImportError) as error:
            raise ConfigurationError(
                f"PostgreSQL cannot be spoken to: {error}",
                hint="install homebred[postgresql], or use sqlite",
            ) from None
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False})
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "cache_size=-32768",
    f"journal_size_limit={64 * 1024 * 1024}",
)


def _set_up_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions are begun by _begin_sqlite alone
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    is_writing = bool(connection.get_execution_options().get("homebred_writing"))
    connection.exec_driver_sql(f"PRAGMA query_only={'OFF' if is_writing else 'ON'}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writing else "BEGIN")


def _make_private(path: Path) -> None:
    """The database is its owner's alone, from its first byte."""
    try:
        path.touch(mode=_OWNER_ALONE)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}") from None


def _alembic(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _refuse_newer(connection: Connection, config: Config) -> None:
    found = MigrationContext.configure(connection).get_current_revision()
    if found is None:
        return
    try:
        ScriptDirectory.from_config(config).get_revision(found)
    except CommandError:
        raise NewerStoreError(
            f"the database stands at migration {found}, which this version of homebred-fleet does not know"
        ) from None


@contextmanager
def _translated(engine: Engine) -> Iterator[None]:
    """A database that is away, locked or full is told from one that refused what was written."""
    driver: Any = engine.dialect.loaded_dbapi  # its own errors come past SQLAlchemy where rows are copied
    away = (OperationalError, InterfaceError, PoolTimeoutError, driver.OperationalError, driver.InterfaceError)
    try:
        yield
    except away as error:
        raise StoreBusyError(f"the database does not work at present: {_cause(error)}") from error
    except (DBAPIError, driver.Error) as error:
        raise StoreError(f"the database refused: {_cause(error)}") from error


def _cause(error: Exception) -> str:
    """The driver's own words alone: SQLAlchemy's sentence quotes statement and values."""
    inner = getattr(error, "orig", error)
    lines = str(inner).splitlines()
    return lines[0] if lines else type(error).__name__
