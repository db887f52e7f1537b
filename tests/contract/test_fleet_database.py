"""The controller's database on SQLite and on a real PostgreSQL: its tables, its transactions, its refusals."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine, func, insert, inspect, select, text

from homebred_fleet.adapters.store.database import Database
from homebred_fleet.adapters.store.tables import cohorts, metadata
from homebred_fleet.errors import ConfigurationError, NewerStoreError, StoreBusyError, StoreError


def cohort(name: str) -> dict[str, object]:
    return {"name": name, "selector": "site==a", "created_at_s": 1}


def count(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(cohorts)).scalar_one()


def fail_after(connection: Connection) -> None:
    connection.execute(insert(cohorts), [cohort("undone")])
    raise ZeroDivisionError


def test_the_migrations_make_what_the_tables_say(database: Database) -> None:
    with database.reading() as connection:
        quoting_is_kept = connection.dialect.name != "sqlite"  # its defaults are compared in the next test
        options = {"compare_type": True, "compare_server_default": quoting_is_kept}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []


def test_the_migrations_make_every_constraint_and_table_option_that_the_tables_have(tmp_path: Path) -> None:
    migrated, made = Database(f"sqlite:///{tmp_path}/migrated.db"), create_engine(f"sqlite:///{tmp_path}/made.db")
    migrated.upgrade()
    metadata.create_all(made)
    statement = text("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name != 'alembic_version'")
    with migrated.reading() as one, made.connect() as other:
        assert {normal(sql) for sql in one.scalars(statement)} == {normal(sql) for sql in other.scalars(statement)}
    migrated.close()
    made.dispose()


def normal(sql: str) -> tuple[str, ...]:
    """A statement without its order of lines: constraints may stand in any."""
    return tuple(sorted(line.strip(" ,\t") for line in sql.splitlines()))


def test_an_upgrade_of_what_is_up_to_date_changes_nothing(database: Database) -> None:
    stood_at = database.revision()
    with database.writing() as connection:
        connection.execute(insert(cohorts), [cohort("kept")])
    database.upgrade()
    assert database.revision() == stood_at != ""
    with database.reading() as connection:
        assert count(connection) == 1


def test_a_database_of_a_newer_version_is_refused_and_left_alone(database: Database) -> None:
    with database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'later'"))
    with pytest.raises(NewerStoreError, match="later") as refused:
        database.upgrade()
    assert "install that version" in refused.value.hint
    assert database.revision() == "later"


def test_racing_upgrades_of_an_empty_database_make_it_once(database_url: str) -> None:
    failures: list[BaseException] = []

    def upgrade() -> None:
        racing = Database(database_url)
        try:
            racing.upgrade()
        except StoreError as error:
            failures.append(error)
        finally:
            racing.close()

    threads = [threading.Thread(target=upgrade) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert failures == []
    opened = Database(database_url)
    with opened.reading() as connection:
        assert set(metadata.tables) <= set(inspect(connection).get_table_names())
    opened.close()


def test_what_a_transaction_wrote_is_undone_where_it_fails(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.writing() as connection:
        fail_after(connection)
    with database.reading() as connection:
        assert count(connection) == 0


def test_nothing_can_be_written_where_one_reads(database: Database) -> None:
    with pytest.raises(StoreError), database.reading() as connection:
        connection.execute(insert(cohorts), [cohort("never")])
    with database.writing() as connection:
        connection.execute(insert(cohorts), [cohort("now")])
        assert count(connection) == 1


def test_a_reader_keeps_its_view_while_another_writes(database: Database) -> None:
    with database.reading() as before:
        assert count(before) == 0
        with database.writing() as connection:
            connection.execute(insert(cohorts), [cohort("new")])
        assert count(before) == 0
    with database.reading() as after:
        assert count(after) == 1


def test_writers_on_many_threads_take_their_turns_and_lose_nothing(database: Database) -> None:
    def write(number: int) -> None:
        for step in range(10):
            with database.writing() as connection:
                connection.execute(insert(cohorts), [cohort(f"{number}-{step}")])

    threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    with database.reading() as connection:
        assert count(connection) == 60


def test_what_is_refused_is_told_without_the_values_that_were_to_be_written(database: Database) -> None:
    with database.writing() as connection:
        connection.execute(insert(cohorts), [cohort("twice")])
    with pytest.raises(StoreError) as refused, database.writing() as connection:
        connection.execute(insert(cohorts), [cohort("twice") | {"selector": "label.secret==canary"}])
    assert not isinstance(refused.value, StoreBusyError)
    assert "canary" not in refused.value.message


def test_a_database_on_the_disk_is_its_owners_alone_and_safe_from_power_cuts(tmp_path: Path) -> None:
    opened = Database(f"sqlite:///{tmp_path}/fleet.db")
    opened.upgrade()
    assert stat.S_IMODE((tmp_path / "fleet.db").stat().st_mode) == 0o600
    with opened.reading() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"
        assert connection.execute(text("PRAGMA synchronous")).scalar_one() == 2
        assert connection.execute(text("PRAGMA foreign_keys")).scalar_one() == 1
    opened.close()


@pytest.mark.parametrize("url", ["", "fleet.db", "mysql://host/fleet", "postgresql+asyncpg://host/fleet"])
def test_an_address_of_no_known_database_is_refused_with_what_to_write(url: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Database(url)
    assert "sqlite:////path/fleet.db" in refused.value.hint


@pytest.mark.parametrize("url", ["sqlite:////nowhere/at/all/fleet.db", "postgresql://postgres@/x?host=/nowhere"])
def test_a_database_that_is_away_says_so(url: str) -> None:
    away = Database(url)
    with pytest.raises(StoreError) as refused:
        away.upgrade()
    assert "Traceback" not in refused.value.message
    away.close()
