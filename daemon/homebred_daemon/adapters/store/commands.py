"""Commands of the fleet's controller in SQLite, by their id: a result that was kept outlives a power cut.

It carries nothing out. What may follow in a command's life is `core.commands`'s.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from homebred_daemon.adapters.store.database import SqlFolder, connect, transaction
from homebred_daemon.core.commands import MAX_KEPT, Command, CommandResult, State, as_told
from homebred_daemon.errors import StateError
from homebred_daemon.ports.fleet_commands import Untold

COMMANDS = SqlFolder("commands_sql")
TOLD_AT_ONCE = 16


class SqliteCommandStore:
    """Fulfils `ports.fleet_commands.CommandStore`. Not safe for two threads at once: its owner serialises calls."""

    def __init__(self, path: Path, *, max_kept: int = MAX_KEPT) -> None:
        self._path = path
        self._max_kept = max_kept
        self._queries = COMMANDS.queries()
        self._connection = connect(path, COMMANDS, synchronous="FULL")

    def close(self) -> None:
        """Folds the write-ahead log into the file and closes it."""
        self._connection.close()

    def find(self, command_id: str) -> CommandResult | None:
        """As the port says."""
        rows = self._rows("find", id=command_id)
        return _result(rows[0]) if rows else None

    def add(self, command: Command, result: CommandResult) -> bool:
        """As the port says."""
        with self._writing():
            (row,) = self._rows("number")
            if row["number"] >= self._max_kept and not self._run("forget", now_s=result.at_s):
                return False
            has_begun = result.state is State.ACCEPTED
            parameters = json.dumps(dict(command.parameters) if has_begun else {})
            self._run(
                "add",
                deadline_s=command.deadline_s,
                issued_by=command.issued_by,
                parameters=parameters,
                **_row(result),
            )
        return True

    def change(self, result: CommandResult) -> None:
        """As the port says."""
        row = _row(result)
        row.pop("op")
        with self._writing():
            self._run("change", **row)

    def tell_again(self, command_id: str) -> None:
        """As the port says."""
        with self._writing():
            self._run("tell_again", id=command_id)

    def untold(self) -> Sequence[Untold]:
        """As the port says; so many as may be on their way at once."""
        rows = self._rows("untold", limit=TOLD_AT_ONCE)
        return [Untold(result=as_told(_result(row)), revision=row["revision"]) for row in rows]

    def told(self, command_id: str, revision: int) -> None:
        """As the port says."""
        with self._writing():
            self._run("told", id=command_id, revision=revision)

    def unfinished(self) -> Sequence[tuple[Command, CommandResult]]:
        """As the port says."""
        return [(_command(row), _result(row)) for row in self._rows("open")]

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            with transaction(self._connection):
                yield
        except sqlite3.Error as error:
            raise StateError(
                f"the fleet's commands in {self._path} could not be written: {error}",
                hint="nothing was stored; check that the disk is not full, and run `homebred doctor`",
            ) from error

    def _run(self, query: str, /, **values: Any) -> int:
        """Rows that it changed."""
        return self._connection.execute(self._queries[query], values).rowcount

    def _rows(self, query: str, /, **values: Any) -> list[sqlite3.Row]:
        try:
            return self._connection.execute(self._queries[query], values).fetchall()
        except sqlite3.Error as error:
            raise StateError(
                f"the fleet's commands in {self._path} cannot be read: {error}",
                hint="stop the daemon and move the file aside: commands that were not told of are then sent again",
            ) from error


def opened_or_anew(path: Path, noted: Callable[[], None]) -> SqliteCommandStore:
    """The store; a file that cannot be used is set aside, since a device that serves matters more than old commands.

    Raises:
        StateError: no new one could be made either.
    """
    try:
        return SqliteCommandStore(path)
    except StateError:
        if not path.exists():
            raise
        for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
            with suppress(FileNotFoundError):
                path.with_name(name).rename(path.with_name(f"{name}.damaged"))
        store = SqliteCommandStore(path)
    noted()
    return store


def _row(result: CommandResult) -> dict[str, Any]:
    return {
        "id": result.id,
        "op": result.op,
        "state": result.state.value,
        "at_s": result.at_s,
        "problem_code": result.problem_code,
        "problem": result.problem,
        "answer": json.dumps(dict(result.answer)),
        "attachment": result.attachment,
    }


def _result(row: sqlite3.Row) -> CommandResult:
    return CommandResult(
        id=row["id"],
        op=row["op"],
        state=State(row["state"]),
        at_s=row["at_s"],
        problem_code=row["problem_code"],
        problem=row["problem"],
        answer=json.loads(row["answer"]),
        attachment=row["attachment"],
    )


def _command(row: sqlite3.Row) -> Command:
    return Command(
        id=row["id"],
        op=row["op"],
        deadline_s=row["deadline_s"],
        issued_by=row["issued_by"],
        parameters=json.loads(row["parameters"]),
    )
