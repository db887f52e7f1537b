"""The controller's store with a full disk, a crashed database, a killed process: no acknowledged event is lost."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select
from tests.support.bounded_disks import fill, make_room, small_disk
from tests.support.databases import running_postgresql, why_no_postgresql
from tests.support.killed_intake import DEVICE, EVENTS
from tests.support.telemetry_messages import NOW_S, routes

from homebred_fleet.adapters.store.database import Database
from homebred_fleet.adapters.store.intake import StoreIntake
from homebred_fleet.adapters.store.tables import devices, route_events, route_hours, watermarks
from homebred_fleet.errors import StoreBusyError


def enrolled(database: Database) -> StoreIntake:
    database.upgrade()
    with database.writing() as connection:
        row = {"id": DEVICE, "site": "a", "labels": {}, "state": "enrolled", "enrolled_at_s": 1}
        connection.execute(insert(devices).values(row))
    return StoreIntake(database)


def stored(database: Database) -> tuple[int, int, int, int]:
    """Rows, the highest seq, the watermark, and what is rolled up."""
    with database.reading() as connection:
        rows, highest = connection.execute(select(func.count(), func.max(route_events.c.seq))).one()
        mark = connection.execute(select(func.max(watermarks.c.up_to_seq))).scalar_one() or 0
        rolled_up = connection.execute(select(func.sum(route_hours.c.routes))).scalar_one() or 0
    return rows, highest or 0, mark, int(rolled_up)


def take_on(intake: StoreIntake, last: int) -> None:
    for first in range(1, last, 500):
        intake.take([routes(DEVICE, first, first + 499, after_seq=first - 1)], now_s=NOW_S)


def test_a_full_disk_takes_nothing_and_says_so_and_the_same_again_is_taken_once_there_is_room(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", megabytes=8) as disk:
        database = Database(f"sqlite:///{disk}/fleet.db")
        intake = enrolled(database)
        fill(disk)
        with pytest.raises(StoreBusyError) as refused:
            take_on(intake, 20_000)
        assert "nothing is lost" in refused.value.hint
        rows, highest, mark, rolled_up = stored(database)
        assert rows == highest == mark == rolled_up
        make_room(disk)
        (outcome,) = intake.take([routes(DEVICE, mark + 1, mark + 500, after_seq=mark)], now_s=NOW_S)
        assert outcome.events == 500
        assert stored(database) == (mark + 500,) * 4
        database.close()


@pytest.mark.skipif(bool(why_no_postgresql()), reason=why_no_postgresql())
def test_a_postgresql_that_crashes_and_comes_back_has_all_that_was_acknowledged() -> None:
    with running_postgresql() as server:
        database = Database(server.make_database())
        intake = enrolled(database)
        intake.take([routes(DEVICE, 1, 50)], now_s=NOW_S)
        server.stop()
        for _ in range(2):
            with pytest.raises(StoreBusyError):
                intake.take([routes(DEVICE, 51, 100, after_seq=50)], now_s=NOW_S)
        server.resume()
        (outcome,) = intake.take([routes(DEVICE, 51, 100, after_seq=50)], now_s=NOW_S)
        assert outcome.events == 50
        assert stored(database) == (100,) * 4
        database.close()


@pytest.fixture
def chance() -> Iterator[random.Random]:
    seed = random.SystemRandom().randrange(2**32)
    yield random.Random(seed)
    sys.stdout.write(f"seed {seed}\n")


@pytest.mark.thorough("many kills; test_fleet_controller crashes it once in `make test`")
def test_a_controller_that_is_killed_again_and_again_has_every_acknowledged_event_once(
    tmp_path: Path, chance: random.Random, *, thorough: bool
) -> None:
    database = Database(f"sqlite:///{tmp_path}/fleet.db")
    enrolled(database)
    for _ in range(60 if thorough else 6):
        first = stored(database)[2] // EVENTS
        said = killed_after(tmp_path, first, chance.uniform(0.0, 0.3))
        rows, highest, mark, rolled_up = stored(database)
        assert rows == highest == mark == rolled_up
        assert mark >= max(said, default=0)
    assert stored(database)[0] > 0
    database.close()


def killed_after(folder: Path, first: int, seconds: float) -> list[int]:
    """What an intake had acknowledged when it was killed, so long after its first word."""
    command = [sys.executable, "-m", "tests.support.killed_intake", str(folder), str(first)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = [int(process.stdout.readline())]
        time.sleep(seconds)
        process.kill()
        said += [int(line) for line in process.stdout.read().splitlines() if line]
    return said
