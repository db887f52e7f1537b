"""The ledger's SQLite file: its schema, what it refuses, its bound, two writers, and that no alteration goes unseen."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.ledger_entries import ENTRY, OUTCOME, entries, entry, keep_documents

from homebred_daemon.adapters.store.database import connect, migrations, named_queries, transaction
from homebred_daemon.adapters.store.ledger import SqliteLedger
from homebred_daemon.adapters.store.reading import require_ledger
from homebred_daemon.errors import RequestError, StateError
from homebred_daemon.services.replaying import ReplayReport, replay

STORE = Path(__file__).parents[2] / "daemon/homebred_daemon/adapters/store"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


def filled(path: Path) -> Path:
    with closing(SqliteLedger(path)) as ledger:
        keep_documents(ledger)
        ledger.record_decisions([ENTRY, *entries("r2", "r3")])
        ledger.record_outcome(OUTCOME)
    return path


def replayed(path: Path) -> ReplayReport:
    with closing(SqliteLedger(path, read_only=True)) as ledger:
        return replay(ledger)


def is_clean(report: ReplayReport) -> bool:
    return not report.mismatches and not report.altered_outcomes


def written_by_hand(path: Path) -> closing[sqlite3.Connection]:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA ignore_check_constraints = ON")
    return closing(connection)


# Schema and migrations


def schema_of(connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
    rows = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name")
    return [tuple(row) for row in rows]


def test_the_schema_file_is_the_sum_of_the_migrations(path: Path) -> None:
    with closing(connect(path)) as migrated, closing(sqlite3.connect(":memory:")) as written:
        written.executescript((STORE / "schema.sql").read_text())
        assert schema_of(migrated) == schema_of(written)
        assert migrated.execute("PRAGMA user_version").fetchone()[0] == len(migrations())


def test_every_named_query_is_described_used_and_understood_by_the_schema(path: Path) -> None:
    source = (STORE / "ledger.py").read_text()
    with closing(connect(path)) as connection:
        for name, statement in named_queries().items():
            assert statement.startswith("-- "), name
            assert f'"{name}"' in source, f"{name} is not used"
            values = dict.fromkeys(re.findall(r":(\w+)", statement))
            connection.execute(f"EXPLAIN {statement}", values)


def test_opening_again_changes_nothing(path: Path) -> None:
    with closing(connect(path)) as first:
        before = schema_of(first)
    with closing(connect(path)) as second:
        assert schema_of(second) == before


def test_many_may_open_a_new_ledger_at_the_same_moment(path: Path) -> None:
    def write(number: int) -> None:
        with closing(SqliteLedger(path)) as ledger:
            ledger.record_decisions(entries(str(number)))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    with closing(SqliteLedger(path, read_only=True)) as ledger:
        assert sorted(one.route_id for one in ledger.decisions() if one.intact) == [str(number) for number in range(8)]


# What is refused


def test_a_newer_database_is_refused_and_left_as_it_is(path: Path) -> None:
    with written_by_hand(path) as connection:
        connection.execute("CREATE TABLE later (x)")
        connection.execute(f"PRAGMA user_version = {len(migrations()) + 1}")
    before = path.read_bytes()
    with pytest.raises(StateError, match=r"version 2; this program knows versions up to 1") as caught:
        SqliteLedger(path)
    assert caught.value.hint.startswith("install the newer homebred")
    with pytest.raises(RequestError, match="not a ledger"):
        SqliteLedger(path, read_only=True)
    assert path.read_bytes() == before


@pytest.mark.parametrize("damage", [b"garbage" * 1000, b"SQLite format 3\x00" + b"\xff" * 5000])
def test_a_damaged_file_is_refused_with_what_to_do(path: Path, damage: bytes) -> None:
    path.write_bytes(damage)
    with pytest.raises(StateError, match="cannot be used") as caught:
        SqliteLedger(path)
    assert "move a damaged file aside" in caught.value.hint
    with pytest.raises(RequestError, match="cannot be read as a ledger"):
        require_ledger(path)
    assert path.read_bytes() == damage


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="unable to open database file"):
        SqliteLedger(tmp_path / "nowhere" / "ledger.sqlite")


def test_a_ledger_damaged_in_the_middle_cannot_be_read_to_its_end_and_says_so(path: Path) -> None:
    with closing(SqliteLedger(path)) as ledger:
        ledger.record_decisions([entry(f"r{number}") for number in range(200)])
    body = bytearray(path.read_bytes())
    for start in range(8 * 4096, len(body), 4096):
        body[start : start + 8] = b"\xff" * 8
    path.write_bytes(body)
    with closing(SqliteLedger(path, read_only=True)) as ledger, pytest.raises(StateError, match="cannot be read"):
        list(ledger.decisions())


def test_a_reader_leaves_no_trace_in_a_ledger_or_beside_it(path: Path) -> None:
    filled(path)
    before = path.read_bytes()
    assert is_clean(replayed(path))
    assert path.read_bytes() == before
    assert [found.name for found in path.parent.iterdir()] == [path.name]


# Writing


def test_a_full_disk_stores_nothing_and_the_ledger_goes_on_once_there_is_room(path: Path) -> None:
    with closing(SqliteLedger(path)) as ledger:
        ledger.record_decisions(entries("before"))
        pages = ledger._connection.execute("PRAGMA page_count").fetchone()[0]
        ledger._connection.execute(f"PRAGMA max_page_count = {pages + 1}")
        with pytest.raises(StateError, match="full") as caught:
            ledger.record_decisions([entry(f"lost{number}") for number in range(50)])
        assert "nothing was stored" in caught.value.hint
        ledger._connection.execute("PRAGMA max_page_count = 100000")
        ledger.record_decisions(entries("after"))
        assert [one.route_id for one in ledger.decisions() if one.intact] == ["before", "after"]


def test_a_commit_that_fails_leaves_no_transaction_open(path: Path) -> None:
    with closing(connect(path)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("CREATE TABLE one (x PRIMARY KEY REFERENCES one (x) DEFERRABLE INITIALLY DEFERRED, y)")
        connection.execute("CREATE TABLE two (x REFERENCES one (x) DEFERRABLE INITIALLY DEFERRED)")
        with pytest.raises(sqlite3.IntegrityError), transaction(connection):
            connection.execute("INSERT INTO two VALUES (1)")  # refused only as it is committed
        with transaction(connection):
            connection.execute("INSERT INTO two VALUES (NULL)")
        assert connection.execute("SELECT count(*) FROM two").fetchone()[0] == 1


def test_two_writers_queue_and_the_chain_holds(path: Path) -> None:
    def write(name: str) -> None:
        with closing(SqliteLedger(path)) as ledger:
            keep_documents(ledger)
            for number in range(20):
                ledger.record_decisions(entries(f"{name}{number}"))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, "ab"))
    report = replayed(path)
    assert (report.decisions, report.mismatches) == (40, ())


def test_at_the_bound_the_oldest_go_as_a_counted_gap_and_the_rest_still_replays(path: Path) -> None:
    with closing(SqliteLedger(path, max_decisions=10)) as ledger:
        keep_documents(ledger)
        for number in range(10):
            ledger.record_decisions([entry(f"r{number}")])
            ledger.record_outcome(replace(OUTCOME, route_id=f"r{number}"))
        assert held(ledger) == (10, 0)
        ledger.record_decisions(entries("r10"))
        assert held(ledger) == (5, 6)
        assert [one.route_id for one in ledger.decisions()] == ["r6", "r7", "r8", "r9", "r10"]
        assert ledger.status_counts() == {"answer": 4}
    assert is_clean(replayed(path))


def test_the_bound_holds_across_short_lives_and_for_batches_beyond_it(path: Path) -> None:
    for number in range(12):
        with closing(SqliteLedger(path, max_decisions=4)) as ledger:
            ledger.record_decisions(entries(f"r{number}"))
            assert held(ledger)[0] <= 4
    with closing(SqliteLedger(path, max_decisions=4)) as ledger:
        keep_documents(ledger)
        ledger.record_decisions([entry(f"s{number}") for number in range(30)])
        count, dropped = held(ledger)
        assert (count <= 4, count + dropped) == (True, 42)
    assert is_clean(replayed(path))


def held(ledger: SqliteLedger) -> tuple[int, int]:
    """Decisions held and decisions counted as dropped."""
    (count,) = ledger._connection.execute("SELECT count(*) FROM decisions").fetchone()
    (dropped,) = ledger._connection.execute("SELECT coalesce(sum(decisions), 0) FROM gaps").fetchone()
    return count, dropped


# Alterations: every column of every table that replay stands on, found generically


def columns() -> Iterator[tuple[str, str, str]]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript((STORE / "schema.sql").read_text())
        for table in ("decisions", "outcomes", "documents"):
            for _, name, kind, *_ in connection.execute(f"PRAGMA table_info({table})"):
                yield table, name, kind


ALTERATIONS = {
    "TEXT": ["{0} || 'x'", "'x' || {0}", "'null'", "''", "CAST(x'ff' AS TEXT)", f"'{'[' * 3000}'"],
    "INTEGER": ["{0} + 1", "{0} + 1000", "-5 - {0}"],
    "REAL": ["{0} + 1e-9", "9e999", "-{0}"],
    "BLOB": ["CAST({0} || x'20' AS BLOB)", "x''", "x'ff'"],
}


@pytest.mark.parametrize(("table", "column", "kind"), list(columns()))
def test_no_column_can_be_altered_unseen(path: Path, table: str, column: str, kind: str) -> None:
    filled(path)
    assert is_clean(replayed(path))
    pristine = path.read_bytes()
    with written_by_hand(path) as connection:
        rows = [row for (row,) in connection.execute(f"SELECT rowid FROM {table}")]  # noqa: S608  # the schema's own names
    seen = 0
    for row in rows:
        for alteration in ALTERATIONS[kind]:
            path.write_bytes(pristine)
            value = alteration.format(column)
            with written_by_hand(path) as connection:
                query = f"UPDATE OR IGNORE {table} SET {column} = {value} WHERE rowid = ? AND {column} IS NOT {value}"  # noqa: S608
                changed = connection.execute(query, (row,)).rowcount
            assert not changed or not is_clean(replayed(path)), f"{value} in row {row}"
            seen += changed
    assert seen >= len(rows)


INPUTS: list[tuple[str, Callable[[str], str]]] = [
    ("a huge figure", lambda inputs: inputs.replace('"residual_risk":null', f'"residual_risk":{10**400}')),
    ("another link", lambda inputs: inputs.replace('"link":"up"', '"link":"sideways"')),
    (
        "a digest that is a number",
        lambda inputs: re.sub(r'"policy_digest":"[^"]*"', f'"policy_digest":{2**70}', inputs),
    ),
    ("a list for a name", lambda inputs: inputs.replace('"workflow":"intake.normalise"', '"workflow":[]')),
    ("no task", lambda inputs: re.sub(r'"task":\{[^}]*\}', '"task":null', inputs)),
    ("bottomless nesting", lambda _: "[" * 100_000),
]


@pytest.mark.parametrize(("alter"), [alter for _, alter in INPUTS], ids=[name for name, _ in INPUTS])
def test_inputs_altered_into_nonsense_are_a_mismatch_and_stop_nothing(path: Path, alter: Callable[[str], str]) -> None:
    filled(path)
    with written_by_hand(path) as connection:
        (inputs,) = connection.execute("SELECT inputs FROM decisions WHERE route_id = 'r2'").fetchone()
        assert alter(inputs) != inputs
        connection.execute("UPDATE decisions SET inputs = ? WHERE route_id = 'r2'", (alter(inputs),))
    report = replayed(path)
    assert report.decisions == 3
    assert [one.route_id for one in report.mismatches] == ["r2"]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM decisions WHERE route_id = 'r2'",
        "UPDATE decisions SET seq = -seq; UPDATE decisions SET seq = 4 + seq",
        "UPDATE outcomes SET route_id = 'r2'",
        "DELETE FROM documents WHERE kind = 'policy'",
    ],
)
def test_rows_taken_out_or_put_elsewhere_are_found(path: Path, statement: str) -> None:
    filled(path)
    with written_by_hand(path) as connection:
        connection.executescript(statement)
    assert not is_clean(replayed(path))
