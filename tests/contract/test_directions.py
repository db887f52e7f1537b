"""What is assigned to devices and what was signed for them: in memory, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import insert, select
from tests.support.databases import KINDS
from tests.support.directions import FakeDirections, words

from homebred_fleet.adapters.store import assignments, stops
from homebred_fleet.adapters.store.assignments import StoreDirections
from homebred_fleet.adapters.store.database import Database
from homebred_fleet.adapters.store.tables import devices
from homebred_fleet.core.director import Standing
from homebred_fleet.ports.directing import Directions
from homebred_fleet.ports.director import DeviceMetadata
from homebred_protocol.targets import Kind, Target

NOW_S = 1_800_000_000
A, B = "clinic-1", "clinic-2"


def with_devices(database: Database) -> Database:
    with database.writing() as connection:
        row = {"site": "clinic", "labels": {}, "state": "enrolled", "enrolled_at_s": 1}
        connection.execute(insert(devices), [{**row, "id": name} for name in (A, B)])
    return database


@pytest.fixture(params=["fake", *KINDS])
def directions(request: pytest.FixtureRequest, migrated: Callable[[str], str]) -> Iterator[Directions]:
    if request.param == "fake":
        yield FakeDirections()
        return
    server = request.getfixturevalue("postgresql") if request.param == "postgresql" else None
    url = migrated(request.param)
    database = with_devices(Database(url))
    yield StoreDirections(database)
    database.close()
    if server is not None:
        server.drop_database(url)


def direction(version: int, word: str = "") -> DeviceMetadata:
    standing = Standing(version=version, content="sha256:" + "0" * 64, issued_at_s=NOW_S, expires_at_s=NOW_S + 9)
    return words(standing, word)


class TestWhatWasSigned:
    def test_at_first_there_is_nothing(self, directions: Directions) -> None:
        assert (directions.last(A), tuple(directions.intent(A).targets)) == (None, ())

    def test_the_newest_is_kept_for_each_device(self, directions: Directions) -> None:
        assert directions.keep(A, direction(5))
        assert directions.keep(B, direction(9))
        assert directions.keep(A, direction(6))
        assert (directions.last(A), directions.last(B)) == (direction(6), direction(9))

    def test_nothing_takes_the_place_of_what_is_as_new(self, directions: Directions) -> None:
        directions.keep(A, direction(5, "first"))
        assert not directions.keep(A, direction(5, "second"))
        assert not directions.keep(A, direction(4))
        assert directions.last(A) == direction(5, "first")


def release(number: int, name: str = "intake") -> Target:
    return Target(kind=Kind.RELEASE, group="qa", name=name, number=number)


class Assigning:
    def __init__(self, database: Database) -> None:
        self.database = with_devices(database)

    def assign(self, target: Target, *names: str) -> list[str]:
        with self.database.writing() as connection:
            return list(assignments.assign(connection, self.numbers(*names), target, by="ada", now_s=NOW_S))

    def withdraw(self, line: str, *names: str) -> int:
        with self.database.writing() as connection:
            return len(assignments.withdraw(connection, self.numbers(*names), line))

    def numbers(self, *names: str) -> list[int]:
        with self.database.reading() as connection:
            return list(connection.execute(select(devices.c.number).where(devices.c.id.in_(names))).scalars())

    def wanted(self, device: str) -> list[str]:
        return [target.path for target in StoreDirections(self.database).intent(device).targets]


@pytest.fixture
def assigning(database: Database) -> Assigning:
    return Assigning(database)


def test_a_newer_target_takes_the_place_of_an_older_one_of_its_line(assigning: Assigning) -> None:
    assert assigning.assign(release(7), A, B) == assigning.assign(release(8), A) == []
    assigning.assign(release(1, "triage"), A)
    assert assigning.wanted(A) == ["models/qa/intake/8.json", "models/qa/triage/1.json"]
    assert assigning.wanted(B) == ["models/qa/intake/7.json"]
    assert (assigning.withdraw("models/qa/intake", A, B), assigning.wanted(B)) == (2, [])


def policy(number: int, name: str = "main", kind: Kind = Kind.POLICY) -> Target:
    return Target(kind=kind, group="clinic", name=name, number=number)


def test_a_device_has_one_policy_and_one_gazetteer_of_whatever_line(assigning: Assigning) -> None:
    for target in (policy(7), policy(3, "names", Kind.GAZETTEER), release(1)):
        assigning.assign(target, A, B)
    assert assigning.assign(policy(2, "night"), A) == []
    assert assigning.wanted(A) == [
        "gazetteers/clinic/names/3.toml",
        "models/qa/intake/1.json",
        "policies/clinic/night/2.toml",
    ]
    assert "policies/clinic/main/7.toml" in assigning.wanted(B)
    with assigning.database.writing() as connection:
        assert len(assignments.withdraw_kind(connection, assigning.numbers(A, B), Kind.POLICY)) == 2
    assert assigning.wanted(B) == ["gazetteers/clinic/names/3.toml", "models/qa/intake/1.json"]


def test_what_is_refused_replaces_no_other_line(assigning: Assigning) -> None:
    assigning.assign(policy(7), A)
    assigning.assign(policy(2, "night"), B)
    assert assigning.assign(policy(6), A, B) == [A]
    assert assigning.wanted(B) == ["policies/clinic/night/2.toml"]


def test_of_which_kind_a_line_is() -> None:
    lines = ["policies/clinic/main", "gazetteers/x/y", "models/qa/intake", "policiesx/a", ""]
    assert [assignments.kind_of(line) for line in lines] == [Kind.POLICY, Kind.GAZETTEER, Kind.RELEASE, None, None]


def test_a_number_never_falls_for_anybody_of_whom_it_is_asked(assigning: Assigning) -> None:
    assigning.assign(release(8), A)
    assert assigning.assign(release(7), A, B) == [A]
    assert (assigning.wanted(A), assigning.wanted(B)) == (["models/qa/intake/8.json"], [])


def test_a_stop_is_told_with_its_epoch(assigning: Assigning) -> None:
    for stopped in (True, False):
        with assigning.database.writing() as connection:
            epoch = stops.order(connection, stopped=stopped, reason_code="recall", by="ada", now_s=NOW_S)
        intent = StoreDirections(assigning.database).intent(A)
        assert (intent.stop_epoch, intent.stopped) == (epoch, stopped)
