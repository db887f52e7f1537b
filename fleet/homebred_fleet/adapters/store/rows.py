"""Many rows at once, past SQLAlchemy's per-row work: the statement of each table, once, for the driver's own loop."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Table

Row = tuple[Any, ...]


def insert_rows(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Inserts tuples in the order of the table's columns."""
    if rows:
        connection.exec_driver_sql(
            _statement(table.name, len(table.columns), connection.dialect.paramstyle), list(rows)
        )


@cache
def _statement(table: str, columns: int, paramstyle: str) -> str:
    mark = "?" if paramstyle == "qmark" else "%s"
    return f"INSERT INTO {table} VALUES ({', '.join([mark] * columns)})"  # noqa: S608  # names of our own tables


def upsert(table: Table, *, adds: Sequence[str] = (), sets: Sequence[str] = ()) -> str:
    """The statement that inserts a row, or changes the one with its key: columns added to, and columns replaced."""
    names = [column.name for column in table.columns]
    keys = ", ".join(column.name for column in table.primary_key.columns)
    changes = [f"{name} = {table.name}.{name} + excluded.{name}" for name in adds]
    changes += [f"{name} = excluded.{name}" for name in sets]
    return (
        f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({', '.join(f':{name}' for name in names)}) "  # noqa: S608
        f"ON CONFLICT ({keys}) DO UPDATE SET {', '.join(changes)}"
    )
