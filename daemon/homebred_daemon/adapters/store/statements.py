"""Runs the named statements of one kind of database on an open connection. It knows no table and no transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

from homebred_daemon.adapters.store.database import SqlFolder


class Statements:
    """The statements of `queries.sql`, by name. Each may raise sqlite3.Error: whoever calls says what that means."""

    def __init__(self, connection: sqlite3.Connection, sql: SqlFolder) -> None:
        self._connection = connection
        self._queries = sql.queries()

    def run(self, query: str, /, **values: Any) -> None:
        """For what it does."""
        self._connection.execute(self._queries[query], values)

    def each(self, query: str, /, **values: Any) -> Iterator[sqlite3.Row]:
        """Its rows, read as they are asked for."""
        yield from self._connection.execute(self._queries[query], values)

    def rows(self, query: str, /, **values: Any) -> list[sqlite3.Row]:
        """All its rows."""
        return self._connection.execute(self._queries[query], values).fetchall()

    def first(self, query: str, /, **values: Any) -> sqlite3.Row | None:
        """Its first row; None: there is none."""
        return next(iter(self.rows(query, **values)), None)

    def one(self, query: str, /, **values: Any) -> sqlite3.Row:
        """Its only row."""
        (row,) = self.rows(query, **values)
        return row

    def number(self, query: str, /, **values: Any) -> int:
        """What its only row calls `number`."""
        return int(self.one(query, **values)["number"])
