"""The ledger's SQLite file: its schema, what it refuses, its bound, two writers, and that no alteration goes unseen."""

from __future__ import annotations

import os
import re
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests.support.ledger_entries import (
    ENTRY,
    FEEDBACK,
    OUTCOME,
    REGISTRY,
    REGISTRY_BODY,
    entries,
    entry,
    keep_documents,
)

from homebred_daemon.adapters.store.database import LEDGER, OUTBOX, REVIEW, SqlFolder, connect, transaction
from homebred_daemon.adapters.store.ledger import MARKED_EVERY, SqliteLedger
from homebred_daemon.adapters.store.reading import require_ledger
from homebred_daemon.errors import RequestError, StateError
from homebred_daemon.ports.ledger import LedgerCheck, LedgerEntry
from homebred_daemon.services.replaying import ReplayReport, replay
from homebred_protocol.digests import digest_of
from homebred_protocol.documents.registry import read_registry

STORE = Path(__file__).parents[2] / "daemon/homebred_daemon/adapters/store"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


def filled(path: Path) -> None:
    """Three decisions, one with its outcome and feedback, a gap before them, and a policy that nobody has used yet."""
    with closing(SqliteLedger(path, max_decisions=5)) as ledger:
        keep_documents(ledger)
        ledger.record_decisions(entries("a", "b", "c"))
        ledger.record_decisions([ENTRY, *entries("r2", "r3")])
        ledger.record_outcome(OUTCOME)
        ledger.record_feedback(FEEDBACK)
        ledger.unfinished(9)
        ledger.keep_document("policy", digest_of(b"version = 1"), b"version = 1")


def replayed(path: Path) -> ReplayReport:
    with closing(SqliteLedger(path, read_only=True)) as ledger:
        return replay(ledger)


def written_by_hand(path: Path) -> closing[sqlite3.Connection]:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA ignore_check_constraints = ON")
    return closing(connection)


# Schema and migrations


def schema_of(connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
    rows = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name")
    return [tuple(row) for row in rows]


@pytest.mark.parametrize("sql", [LEDGER, OUTBOX, REVIEW], ids=lambda sql: sql.name)
def test_the_schema_file_is_the_sum_of_the_migrations(path: Path, sql: SqlFolder) -> None:
    with closing(connect(path, sql)) as migrated, closing(sqlite3.connect(":memory:")) as written:
        written.executescript(sql.schema())
        assert schema_of(migrated) == schema_of(written)
        assert migrated.execute("PRAGMA user_version").fetchone()[0] == len(sql.migrations())


@pytest.mark.parametrize(
    ("sql", "modules"),
    [(LEDGER, ["ledger.py", "ledger_feed.py"]), (OUTBOX, ["outbox.py", "outbox_gaps.py"]), (REVIEW, ["review.py"])],
)
def test_every_named_query_is_described_used_and_understood_by_the_schema(
    path: Path, sql: SqlFolder, modules: list[str]
) -> None:
    source = "".join((STORE / module).read_text() for module in modules)
    with closing(connect(path, sql)) as connection:
        for name, statement in sql.queries().items():
            assert statement.startswith("-- "), name
            assert f'"{name}"' in source, f"{name} is not used"
            values = dict.fromkeys(re.findall(r":(\w+)", statement))
            connection.execute(f"EXPLAIN {statement}", values)


def test_a_ledger_of_the_first_version_is_taken_over_with_all_that_it_holds(path: Path) -> None:
    with written_by_hand(path) as connection:
        connection.executescript(LEDGER.migrations()[0])
        connection.execute("PRAGMA user_version = 1")
    with closing(SqliteLedger(path)) as ledger:
        keep_documents(ledger)
        ledger.record_decisions(entries("a"))
        ledger.record_feedback(replace(FEEDBACK, route_id="a"))
        assert ledger.unfinished(9) == ["a"]
    assert replayed(path).is_sound


def test_opening_again_changes_nothing(path: Path) -> None:
    with closing(connect(path, LEDGER)) as first:
        before = schema_of(first)
    with closing(connect(path, LEDGER)) as second:
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
        connection.execute(f"PRAGMA user_version = {len(LEDGER.migrations()) + 1}")
    before = path.read_bytes()
    with pytest.raises(StateError, match=r"version 4; this program knows versions up to 3") as caught:
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
    for start in range(24 * 4096, len(body), 4096):
        body[start : start + 8] = b"\xff" * 8
    path.write_bytes(body)
    with closing(SqliteLedger(path, read_only=True)) as ledger, pytest.raises(StateError, match="cannot be read"):
        list(ledger.decisions())


def test_a_reader_leaves_no_trace_in_a_ledger_or_beside_it(path: Path) -> None:
    filled(path)
    before = path.read_bytes()
    assert replayed(path).is_sound
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
    with closing(connect(path, LEDGER)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("CREATE TABLE one (x PRIMARY KEY REFERENCES one (x) DEFERRABLE INITIALLY DEFERRED, y)")
        connection.execute("CREATE TABLE two (x REFERENCES one (x) DEFERRABLE INITIALLY DEFERRED)")
        with pytest.raises(sqlite3.IntegrityError), transaction(connection):
            connection.execute("INSERT INTO two VALUES (1)")  # refused only as it is committed
        with transaction(connection):
            connection.execute("INSERT INTO two VALUES (NULL)")
        assert connection.execute("SELECT count(*) FROM two").fetchone()[0] == 1


def test_a_new_file_that_another_one_is_just_writing_is_waited_for(path: Path) -> None:
    with ThreadPoolExecutor(1) as pool, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        opened = pool.submit(connect, path, LEDGER)
        time.sleep(0.2)
        assert not opened.done()
        other.execute("COMMIT")
        opened.result(20).close()


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
    assert replayed(path).is_sound


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
    assert replayed(path).is_sound


def held(ledger: SqliteLedger) -> tuple[int, int]:
    """Decisions held and decisions counted as dropped."""
    (count,) = ledger._connection.execute("SELECT count(*) FROM decisions").fetchone()
    (dropped,) = ledger._connection.execute("SELECT coalesce(sum(decisions), 0) FROM gaps").fetchone()
    return count, dropped


def registry(number: int) -> tuple[str, bytes]:
    """Digest and body of a registry that says what the others say."""
    body = REGISTRY_BODY + b" " * number
    return digest_of(body), body


def naming(route_id: str, registry_digest: str) -> LedgerEntry:
    """A decision by one of those registries."""
    named = entry(route_id)
    return replace(named, inputs=replace(named.inputs, registry=read_registry(REGISTRY, registry_digest)))


def registries(path: Path) -> set[str]:
    with closing(connect(path, LEDGER)) as connection:
        return {digest for (digest,) in connection.execute("SELECT digest FROM documents WHERE kind = 'registry'")}


def test_documents_go_with_the_last_decision_that_names_them(path: Path) -> None:
    with closing(SqliteLedger(path, max_decisions=10)) as ledger:
        keep_documents(ledger)
        for number in range(1, 42):
            ledger.keep_document("registry", *registry(number))
            ledger.record_decisions([naming(f"r{number}", registry(number)[0])])
        ledger.keep_document("registry", *registry(42))
        kept = {registry(int(one.route_id[1:]))[0] for one in ledger.decisions()} | {registry(42)[0]}
    assert len(kept) == 5 + 1
    assert registries(path) == kept
    assert replayed(path).is_sound


@pytest.mark.parametrize("seed", range(8))
def test_no_document_goes_while_any_of_two_writers_names_it(path: Path, seed: int) -> None:
    chance = Random(seed)
    with closing(SqliteLedger(path, max_decisions=6)) as one, closing(SqliteLedger(path, max_decisions=6)) as other:
        using = {one: registry(0)[0], other: registry(0)[0]}
        for ledger in using:
            keep_documents(ledger)
        for number in range(60):
            ledger = chance.choice([one, one, one, other])
            if chance.random() < 0.3:
                using[ledger], body = registry(chance.randrange(5))
                ledger.keep_document("registry", using[ledger], body)
            decided = [naming(f"{number}-{batch}", using[ledger]) for batch in range(chance.randint(1, 3))]
            ledger.record_decisions(decided)
            assert all(ledger.document("registry", entry.inputs.registry.digest) for entry in decided)
    assert replayed(path).is_sound


def test_an_outcome_whose_decision_was_dropped_meanwhile_goes_with_it(path: Path) -> None:
    with closing(SqliteLedger(path, max_decisions=4)) as ledger:
        keep_documents(ledger)
        ledger.record_decisions([entry(f"r{number}") for number in range(1, 6)])
        ledger.record_outcome(OUTCOME)
        assert ledger.status_counts() == {}
    assert replayed(path).is_sound


def test_a_reader_sees_one_state_of_a_ledger_whose_bound_is_reached_meanwhile(path: Path) -> None:
    with closing(SqliteLedger(path, max_decisions=5)) as ledger:
        keep_documents(ledger)
        ledger.record_decisions(entries("a", "b", "c"))
        with closing(SqliteLedger(path, read_only=True)) as reader:
            reading = reader.decisions()
            next(reading)
            ledger.record_decisions(entries("d", "e", "f"))
            assert [one.route_id for one in reading] == ["b", "c"]
            assert reader.check() == LedgerCheck(unfinished=3)


def test_feedback_goes_with_its_decision_at_the_bound(path: Path) -> None:
    with closing(SqliteLedger(path, max_decisions=4)) as ledger:
        keep_documents(ledger)
        ledger.record_decisions([ENTRY])
        ledger.record_feedback(FEEDBACK)
        ledger.record_decisions([entry(f"s{number}") for number in range(5)])
        ledger.record_feedback(FEEDBACK)
        assert ledger._number("stray_outcomes") == 0
        assert list(ledger._rows("feedback")) == []
    assert replayed(path).is_sound


# What a crash leaves open


def test_what_is_open_is_looked_for_no_further_back_than_all_was_known_to_be_finished(path: Path) -> None:
    with closing(SqliteLedger(path)) as ledger:
        for number in range(0, 2 * MARKED_EVERY + 200, 100):
            batch = [f"r{each}" for each in range(number, number + 100)]
            ledger.record_decisions(entries(*batch))
            for route_id in batch:
                ledger.record_outcome(replace(OUTCOME, route_id=route_id))
        last = 2 * MARKED_EVERY + 200
        assert last - ledger._finished() <= MARKED_EVERY + 100
        assert ledger.unfinished(9) == []
        assert ledger._finished() == last


def test_a_decision_that_stays_open_is_not_passed_over(path: Path) -> None:
    with closing(SqliteLedger(path)) as ledger:
        ledger.record_decisions(entries("open"))
        for number in range(2 * MARKED_EVERY):
            ledger.record_decisions(entries(f"r{number}"))
            ledger.record_outcome(replace(OUTCOME, route_id=f"r{number}"))
        assert ledger.unfinished(9) == ["open"]


@pytest.mark.parametrize("alteration", ["UPDATE marks SET seq = 99", "DELETE FROM marks"])
def test_a_note_that_is_none_of_ours_hides_nothing_that_is_open(path: Path, alteration: str) -> None:
    with closing(SqliteLedger(path)) as ledger:
        ledger.record_decisions(entries("a"))
        ledger.record_outcome(replace(OUTCOME, route_id="a"))
        assert ledger.unfinished(9) == []
        ledger.record_decisions(entries("b"))
        ledger._connection.execute(alteration)
        assert ledger.unfinished(9) == ["b"]


# Privacy


def modes(path: Path) -> dict[str, int]:
    return {found.name.removeprefix(path.name): stat.S_IMODE(found.stat().st_mode) for found in path.parent.iterdir()}


@pytest.fixture
def no_umask() -> Iterator[None]:
    """As where somebody lets everybody read everything."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("no_umask")
def test_a_new_database_and_its_logs_are_the_owner_s_alone(path: Path) -> None:
    with closing(SqliteLedger(path)):
        assert modes(path) == {"": 0o600, "-wal": 0o600, "-shm": 0o600}


@pytest.mark.usefixtures("no_umask")
def test_a_database_that_others_may_read_is_taken_out_of_their_sight(path: Path) -> None:
    with closing(SqliteLedger(path)):
        for found in path.parent.iterdir():
            found.chmod(0o644)
        with closing(SqliteLedger(path)):
            assert modes(path) == {"": 0o600, "-wal": 0o600, "-shm": 0o600}


# Alterations: every column and row of every table, found generically


NO_EVIDENCE = {"feed", "writers", "sqlite_sequence"}
"""Only the order in which the fleet hears of the rest: whoever alters it has telemetry missing, and no more."""


def tables(connection: sqlite3.Connection) -> list[str]:
    found = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
    return [name for (name,) in found if name not in NO_EVIDENCE]


def row_ids(connection: sqlite3.Connection, table: str) -> list[int]:
    return [row for (row,) in connection.execute(f"SELECT rowid FROM {table}")]  # noqa: S608  # the schema's own names


def columns() -> Iterator[tuple[str, str, str]]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(LEDGER.schema())
        for table in tables(connection):
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
    assert replayed(path).is_sound
    pristine = path.read_bytes()
    with written_by_hand(path) as connection:
        rows = row_ids(connection, table)
    assert rows
    seen = 0
    for row in rows:
        for alteration in ALTERATIONS[kind]:
            path.write_bytes(pristine)
            value = alteration.format(column)
            with written_by_hand(path) as connection:
                query = f"UPDATE OR IGNORE {table} SET {column} = {value} WHERE rowid = ? AND {column} IS NOT {value}"  # noqa: S608
                changed = connection.execute(query, (row,)).rowcount
            assert not changed or not replayed(path).is_sound, f"{value} in row {row}"
            seen += changed
    assert seen >= len(rows)


def test_no_row_can_be_taken_out_unseen_but_the_newest_what_nobody_names_and_what_was_said_of_it(path: Path) -> None:
    filled(path)
    assert replayed(path).check == LedgerCheck(unfinished=2)
    pristine = path.read_bytes()
    with written_by_hand(path) as connection:
        every = [(table, row) for table in tables(connection) for row in row_ids(connection, table)]
    unseen = []
    for table, row in every:
        path.write_bytes(pristine)
        with written_by_hand(path) as connection:
            connection.execute(f"DELETE FROM {table} WHERE rowid = ?", (row,))  # noqa: S608  # the schema's own names
        report = replayed(path)
        if report.is_sound and report.check.unfinished <= 2:
            unseen.append((table, row))
    assert {table for table, _ in every} == {"decisions", "documents", "feedback", "gaps", "marks", "outcomes"}
    assert unseen == [("decisions", 6), ("documents", 4), ("feedback", 1), ("marks", 1)]


def test_a_newest_decision_cannot_be_taken_out_unseen_once_it_has_its_outcome(path: Path) -> None:
    filled(path)
    with closing(SqliteLedger(path)) as ledger:
        ledger.record_outcome(replace(OUTCOME, route_id="r3"))
    with written_by_hand(path) as connection:
        connection.execute("DELETE FROM decisions WHERE route_id = 'r3'")
    assert replayed(path).check.stray_outcomes == 1


def test_a_missing_decision_stays_missing_when_the_bound_goes_over_it(path: Path) -> None:
    with closing(SqliteLedger(path, max_decisions=5)) as ledger:
        keep_documents(ledger)
        ledger.record_decisions(entries("a", "b", "c"))
        with written_by_hand(path) as connection:
            connection.execute("DELETE FROM decisions WHERE route_id = 'b'")
        ledger.record_decisions(entries("d", "e", "f"))
    assert replayed(path).check.missing_decisions == 1


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
        "UPDATE decisions SET seq = -seq; UPDATE decisions SET seq = 10 + seq",
        "UPDATE outcomes SET route_id = 'r2'",
        "DELETE FROM decisions",
        "DELETE FROM decisions WHERE seq = (SELECT min(seq) FROM decisions)",
        "DELETE FROM documents WHERE kind = 'policy'",
    ],
)
def test_rows_taken_out_or_put_elsewhere_are_found(path: Path, statement: str) -> None:
    filled(path)
    with written_by_hand(path) as connection:
        connection.executescript(statement)
    assert not replayed(path).is_sound
