"""Many rows at once, past SQLAlchemy's work for each: in the driver's own loop, or PostgreSQL's COPY."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, func

Row = tuple[Any, ...]
_PART = 2**20
TOGETHER = 36
"""Rows of one statement on SQLite: its driver lets other threads run at each, and then waits for them."""


def insert_rows(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Inserts tuples in the order of the table's columns, by whatever is fastest for many rows."""
    if not rows:
        return
    columns = ", ".join(column.name for column in table.columns)
    if connection.dialect.name == "postgresql":
        cursor: Any = connection.connection.cursor()
        with cursor, cursor.copy(f"COPY {table.name} ({columns}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
    else:
        marks = f"({', '.join('?' * len(table.columns))})"
        into = f"INSERT INTO {table.name} ({columns}) VALUES "  # noqa: S608  # names of our own tables
        whole = len(rows) - len(rows) % TOGETHER
        together = [tuple(chain.from_iterable(rows[at : at + TOGETHER])) for at in range(0, whole, TOGETHER)]
        if together:
            connection.exec_driver_sql(into + ", ".join([marks] * TOGETHER), together)
        if whole < len(rows):
            connection.exec_driver_sql(into + marks, list(rows[whole:]))


def total(column: ColumnElement[int]) -> ColumnElement[int]:
    """A sum that is exact as long as the database's whole numbers reach, and no error beyond.

    SQLite's own sum fails where it overflows, and with it whatever was asked of all devices because of what one said.
    """
    return func.sum(column // _PART) * _PART + func.sum(column % _PART)


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
