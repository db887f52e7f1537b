"""One suite for whatever keeps the controller's commands: in SQLite and in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from tests.support.memory_commands import MemoryCommandStore

from homebred_daemon.adapters.store.commands import COMMANDS, SqliteCommandStore, opened_or_anew
from homebred_daemon.core.commands import Command, CommandResult, State, moved
from homebred_daemon.ports.fleet_commands import CommandStore

NOW_S = 1_790_000_000
MAX_KEPT = 4


@pytest.fixture(params=["sqlite", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CommandStore]:
    kind: Literal["sqlite", "memory"] = request.param
    made: CommandStore = (
        SqliteCommandStore(tmp_path / "commands.sqlite", max_kept=MAX_KEPT)
        if kind == "sqlite"
        else MemoryCommandStore(max_kept=MAX_KEPT)
    )
    yield made
    made.close()


def command(number: int, op: str = "log-level", *, deadline_s: int = NOW_S + 60) -> Command:
    return Command(id=f"{number:032x}", op=op, deadline_s=deadline_s, issued_by="anna", parameters={"level": "debug"})


def accepted(what: Command) -> CommandResult:
    return CommandResult(id=what.id, op=what.op, state=State.ACCEPTED, at_s=NOW_S)


def add(store: CommandStore, number: int, *, deadline_s: int = NOW_S + 60) -> CommandResult:
    what = command(number, deadline_s=deadline_s)
    assert store.add(what, accepted(what))
    return accepted(what)


def test_what_was_never_seen_is_not_found(store: CommandStore) -> None:
    assert store.find("0" * 32) is None
    assert store.untold() == []
    assert store.unfinished() == []


def test_a_command_is_kept_with_its_result_and_is_unfinished_and_untold(store: CommandStore) -> None:
    result = add(store, 1)
    assert store.find(result.id) == result
    assert store.unfinished() == [(command(1), result)]
    (untold,) = store.untold()
    assert (untold.result, untold.revision) == (result, 1)


def test_each_result_is_told_once_and_an_older_acknowledgement_does_not_count_for_a_newer_result(
    store: CommandStore,
) -> None:
    first = add(store, 1)
    last = moved(first, State.DONE, now_s=NOW_S + 1, answer={"previous": "info"})
    store.change(last)
    store.told(first.id, 1)
    (untold,) = store.untold()
    assert (untold.result, untold.revision) == (last, 2)
    store.told(first.id, 2)
    assert store.untold() == []
    assert store.unfinished() == []
    assert store.find(first.id) == last


def test_a_result_may_be_told_again_when_the_controller_asks_again(store: CommandStore) -> None:
    first = add(store, 1)
    store.told(first.id, 1)
    store.tell_again(first.id)
    assert [one.result for one in store.untold()] == [first]


def test_an_attachment_is_kept_while_it_waits_and_told_only_once_it_is_let_go(store: CommandStore) -> None:
    waiting = moved(add(store, 1), State.WAITING, now_s=NOW_S, attachment=b"bundle")
    store.change(waiting)
    assert store.unfinished() == [(command(1), waiting)]
    assert [one.result.attachment for one in store.untold()] == [b""]
    store.change(moved(waiting, State.DONE, now_s=NOW_S))
    assert [one.result.attachment for one in store.untold()] == [b"bundle"]


def test_results_are_told_in_the_order_in_which_commands_came(store: CommandStore) -> None:
    results = [add(store, number) for number in (3, 1, 2)]
    assert [one.result for one in store.untold()] == results


def test_room_is_made_of_what_ended_was_told_and_is_past_its_deadline_and_of_nothing_else(store: CommandStore) -> None:
    open_ = add(store, 1, deadline_s=NOW_S - 1)
    untold = moved(add(store, 2, deadline_s=NOW_S - 1), State.DONE, now_s=NOW_S)
    store.change(untold)
    can_come_again = moved(add(store, 3), State.DONE, now_s=NOW_S)
    store.change(can_come_again)
    store.told(can_come_again.id, 2)
    gone = moved(add(store, 4, deadline_s=NOW_S - 1), State.DONE, now_s=NOW_S)
    store.change(gone)
    assert not store.add(command(5), accepted(command(5)))
    assert store.find(command(5).id) is None
    store.told(gone.id, 2)
    assert store.add(command(5), accepted(command(5)))
    assert store.find(gone.id) is None
    assert [store.find(kept.id) for kept in (open_, untold, can_come_again)] == [open_, untold, can_come_again]


def test_what_was_kept_is_there_for_the_next_process(tmp_path: Path) -> None:
    path = tmp_path / "commands.sqlite"
    first = SqliteCommandStore(path)
    result = add(first, 1)
    first.close()
    second = SqliteCommandStore(path)
    assert second.unfinished() == [(command(1), result)]
    second.close()


@pytest.mark.parametrize("body", [b"no database at all" * 500, b""], ids=["damaged", "empty"])
def test_a_file_that_cannot_be_used_is_set_aside_and_one_that_can_is_not(tmp_path: Path, body: bytes) -> None:
    path, noted = tmp_path / "commands.sqlite", []
    path.write_bytes(body)
    store = opened_or_anew(path, lambda: noted.append("set aside"))
    add(store, 1)
    store.close()
    assert noted == (["set aside"] if body else [])
    assert (tmp_path / "commands.sqlite.damaged").exists() == bool(body)
    again = opened_or_anew(path, lambda: noted.append("again"))
    assert again.find(command(1).id) is not None
    again.close()
    assert "again" not in noted


def test_schema_and_migrations_are_the_same() -> None:
    assert COMMANDS.schema() == "".join(COMMANDS.migrations())
