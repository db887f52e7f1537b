"""`homebred replay`: every decision again, and nothing changed."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.command_line import Ended, homebred
from tests.support.ledger_entries import OUTCOME
from tests.support.routing_files import json_lines, route_arguments, tasks

from homebred_daemon.adapters.store.ledger import SqliteLedger
from homebred_daemon.adapters.store.reading import connect_read_only

DECISIONS = 40
CLEAN = {"decisions": DECISIONS, "mismatches": 0}
"""What there is to tell of decisions that nobody asked to be answered."""
COLUMNS = (
    "route_id",
    "supersedes",
    "selected_runtime",
    "selected_model_or_stack",
    "local_reason",
    "redaction_required",
    "evidence_required",
    "fallback_target",
    "route_created_at_utc",
    "reason_code",
    "classes",
    "policy_digest",
    "trace",
    "inputs",
    "previous_digest",
    "row_digest",
)


@pytest.fixture(scope="module")
def recorded() -> Iterator[Path]:
    """A ledger of DECISIONS decisions under a policy and a ceiling."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ledger, ceiling = folder / "ledger", folder / "ceiling.toml"
        ceiling.write_text("default_floor = 0.7\n")
        arguments = [*route_arguments(folder), "--ledger", ledger, "--ceiling", ceiling]
        assert homebred(*arguments, stdin=json_lines(tasks(DECISIONS))).status == 0
        yield ledger


@pytest.fixture
def ledger(recorded: Path, tmp_path: Path) -> Path:
    """A copy to be spoilt."""
    return Path(shutil.copy(recorded, tmp_path / "ledger"))


def replay(path: Path) -> Ended:
    return homebred("replay", "--ledger", path)


def altered(path: Path, statement: str) -> Ended:
    with closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute(statement).rowcount
    return replay(path)


def test_every_decision_comes_out_again_and_the_file_is_untouched(ledger: Path) -> None:
    before = ledger.read_bytes()
    ended = replay(ledger)
    assert (ended.status, ended.out, ended.err) == (0, f"{json.dumps(CLEAN)}\n", "")
    assert ledger.read_bytes() == before
    assert [path.name for path in ledger.parent.iterdir()] == ["ledger"]


@pytest.mark.parametrize("column", COLUMNS)
def test_one_altered_field_is_found(ledger: Path, column: str) -> None:
    numbers = ("redaction_required", "evidence_required")
    value = f"1 - {column}" if column in numbers else f"{column} || 'x'"
    ended = altered(ledger, f"UPDATE decisions SET {column} = {value} WHERE seq = 7")  # noqa: S608  # a fixed name
    assert ended.status == 1
    (report,) = ended.lines
    assert report["decisions"] == DECISIONS
    assert report["mismatches"] >= 1
    assert 1 <= len(report["first"]) <= 10
    assert "record" in report["first"][0]["fields"]


def test_a_decision_altered_with_its_digest_still_does_not_come_out_again(ledger: Path) -> None:
    ended = altered(ledger, 'UPDATE decisions SET inputs = replace(inputs, \'"link":"up"\', \'"link":"down"\')')
    assert ended.status == 1
    assert len(ended.lines[0]["first"]) == 10


@pytest.mark.parametrize("kind", ["policy", "registry", "ceiling"])
def test_an_altered_document_is_found(ledger: Path, kind: str) -> None:
    ended = altered(ledger, f"UPDATE documents SET body = CAST(body || x'0a' AS BLOB) WHERE kind = '{kind}'")  # noqa: S608  # a fixed name
    assert ended.status == 1
    assert ended.lines[0]["mismatches"] == DECISIONS
    assert ended.lines[0]["first"][0]["fields"] == ["documents"]


def test_a_decision_taken_out_of_the_middle_is_found(ledger: Path) -> None:
    assert altered(ledger, "DELETE FROM decisions WHERE seq = 7").status == 1


def test_a_field_that_is_no_longer_text_is_found(ledger: Path) -> None:
    ended = altered(ledger, "UPDATE decisions SET local_reason = CAST(x'ff' AS TEXT) WHERE seq = 7")
    assert (ended.status, ended.err) == (1, "")


def test_an_altered_outcome_is_found(ledger: Path) -> None:
    insert = """INSERT INTO outcomes
        SELECT route_id, '2026-11-23T08:00Z', 'answer', 'a', '[]', 'stop', '', 1, 1, 1, NULL, 1.0, NULL, 'sha256:0'
        FROM decisions WHERE seq = 1"""
    ended = altered(ledger, insert)
    assert ended.status == 1
    assert ended.lines == [CLEAN | {"altered_outcomes": 1, "unfinished": DECISIONS - 1}]
    assert list(ended.lines[0])[:2] == ["decisions", "mismatches"]


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("DELETE FROM decisions WHERE seq = 1", {"decisions": DECISIONS - 1, "missing_decisions": 1}),
        ("DELETE FROM decisions", {"decisions": 0, "stray_outcomes": 1}),
        ("UPDATE outcomes SET route_id = 'nobody'", {"altered_outcomes": 1, "stray_outcomes": 1}),
        ("INSERT INTO gaps VALUES (-1, '', '', 0, '')", {"altered_gaps": 1}),
        (
            "INSERT INTO documents VALUES (9, 'policy', 'sha256:0', 0, 'sha256:0', x'00')",
            {"altered_documents": 1},
        ),
    ],
)
def test_what_no_decision_shows_is_found_too(ledger: Path, statement: str, told: dict[str, int]) -> None:
    with closing(SqliteLedger(ledger)) as opened:
        first = next(opened.decisions())
        opened.record_outcome(replace(OUTCOME, route_id=first.route_id))
    ended = altered(ledger, statement)
    assert (ended.status, ended.err) == (1, "")
    assert told.items() <= ended.lines[0].items()
    assert ended.lines[0]["mismatches"] == 0


def test_an_outcome_that_is_gone_leaves_its_decision_unfinished(ledger: Path) -> None:
    with closing(SqliteLedger(ledger)) as opened:
        first = next(opened.decisions())
        opened.record_outcome(replace(OUTCOME, route_id=first.route_id))
    assert replay(ledger).lines == [CLEAN | {"unfinished": DECISIONS - 1}]
    ended = altered(ledger, "DELETE FROM outcomes")
    assert (ended.status, ended.lines) == (0, [CLEAN])


def test_a_ledger_that_is_being_written_is_read_whole(ledger: Path) -> None:
    with closing(sqlite3.connect(ledger)) as writer:
        writer.execute("UPDATE documents SET kind = kind")
        writer.commit()
        assert ledger.with_name("ledger-wal").exists()
        assert replay(ledger).lines == [CLEAN]


def test_a_damaged_file_is_an_error(ledger: Path) -> None:
    content = bytearray(ledger.read_bytes())
    content[4096:] = b"\x00" * (len(content) - 4096)
    ledger.write_bytes(bytes(content))
    ended = replay(ledger)
    assert ended.status in (2, 5)
    assert str(ledger) in ended.err
    assert ended.out == ""


def test_a_missing_ledger_is_refused_and_not_made(tmp_path: Path) -> None:
    ended = replay(tmp_path / "absent")
    assert (ended.status, ended.out) == (2, "")
    assert "there is no ledger at" in ended.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"my notes\n" * 400])
def test_a_file_that_is_no_ledger_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    notes = tmp_path / "notes"
    notes.write_bytes(content)
    ended = replay(notes)
    assert (ended.status, ended.out) == (2, "")
    assert "ledger" in ended.err
    assert notes.read_bytes() == content


def test_another_program_s_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    database = tmp_path / "other.db"
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE decisions (id INTEGER)")
    content = database.read_bytes()
    assert replay(database).status == 2
    assert database.read_bytes() == content


def test_a_folder_is_no_ledger(tmp_path: Path) -> None:
    assert replay(tmp_path).status == 2


@pytest.mark.parametrize("version", [0, 99])
def test_a_ledger_of_another_version_is_refused_with_its_version(ledger: Path, version: int) -> None:
    with closing(sqlite3.connect(ledger)) as connection, connection:
        connection.execute(f"PRAGMA user_version = {version}")
    ended = replay(ledger)
    assert (ended.status, ended.out) == (5, "")
    assert f"version {version}" in ended.err


def test_a_ledger_with_other_tables_under_this_version_is_refused_clearly(ledger: Path) -> None:
    with closing(sqlite3.connect(ledger)) as connection, connection:
        connection.execute("ALTER TABLE gaps DROP COLUMN row_digest")
    ended = replay(ledger)
    assert (ended.status, ended.out) == (5, "")
    assert "are not those that this program makes" in ended.err


def test_an_error_is_json_where_json_was_asked_for(tmp_path: Path) -> None:
    ended = homebred("replay", "--json", "--ledger", tmp_path / "absent")
    assert (ended.status, ended.err) == (2, "")
    assert list(ended.lines[0]["error"]) == ["code", "message", "hint"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can read as somebody who may not write")
def test_a_ledger_in_a_folder_that_may_not_be_written_is_read(recorded: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy = Path(shutil.copy(recorded, folder / "ledger"))
        copy.chmod(0o444)
        folder.chmod(0o555)
        connect_read_only(recorded).close()  # imports, which the other user may not make
        os.seteuid(65534)
        try:
            with closing(connect_read_only(copy)) as connection:
                (count,) = connection.execute("SELECT count(*) FROM decisions").fetchone()
        finally:
            os.seteuid(0)
        assert count == DECISIONS
