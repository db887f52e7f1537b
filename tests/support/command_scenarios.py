"""Commands being kept, carried out and told, and what must hold of their file after any fault."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from homebred_daemon.adapters.store.commands import SqliteCommandStore
from homebred_daemon.core.commands import Command, CommandResult, State, moved

NAME = "commands.sqlite"
NOW_S = 1_790_000_000
NUMBERS = (1, 2, 3, 4)


def _command(number: int) -> Command:
    return Command(id=f"{number:032x}", op="ping", deadline_s=NOW_S + 60)


def _keep(store: SqliteCommandStore, number: int) -> CommandResult:
    command = _command(number)
    result = CommandResult(id=command.id, op=command.op, state=State.ACCEPTED, at_s=NOW_S)
    assert store.add(command, result)
    return result


def act(root: Path, tell: Callable[[str], None]) -> None:
    """Each is kept, ended and told of; the file is opened anew in between."""
    for numbers in (NUMBERS[:2], NUMBERS[2:]):
        store = SqliteCommandStore(root / NAME)
        for number in numbers:
            result = _keep(store, number)
            tell(f"kept {number}")
            store.change(moved(result, State.DONE, now_s=NOW_S, answer={"version": "1"}))
            tell(f"done {number}")
            store.told(result.id, 2)
            tell(f"told {number}")
        store.close()


def check(root: Path, told: Sequence[str]) -> None:
    """Whatever was acknowledged is there, results are whole, and what was told is not untold; then it goes on."""
    with closing(SqliteCommandStore(root / NAME)) as store:
        waiting = {int(one.result.id, 16) for one in store.untold()}
        for number in NUMBERS:
            found = store.find(_command(number).id)
            assert found is not None or f"kept {number}" not in told
            if found is not None:
                assert (found.state is State.DONE) == (found.answer == {"version": "1"})
                assert found.state is State.DONE or f"done {number}" not in told
            assert number not in waiting or f"told {number}" not in told
        _keep(store, 99)
    with closing(SqliteCommandStore(root / NAME)) as store:
        assert store.find(_command(99).id) is not None
