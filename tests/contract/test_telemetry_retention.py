"""What the controller deletes of telemetry: the oldest first, a little at a time, and the books still balance."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest
from sqlalchemy import Table, delete, func, insert, select
from tests.support import telemetry_messages as made
from tests.support.databases import KINDS
from tests.support.fleet_rows import add_hour
from tests.support.retained import FakeRetained
from tests.support.telemetry_messages import NOW_S, batch, boot, route, routes, sent

from homebred_fleet.adapters.store import retained
from homebred_fleet.adapters.store.accounts import Account, accounts
from homebred_fleet.adapters.store.database import Database
from homebred_fleet.adapters.store.intake import StoreIntake
from homebred_fleet.adapters.store.retained import RetainedEvents, RetainedHours, RetainedStarts
from homebred_fleet.adapters.store.tables import (
    boots,
    controller_gaps,
    devices,
    gap_events,
    health_events,
    route_events,
    watermarks,
)
from homebred_fleet.ports.intake import Fate
from homebred_fleet.ports.retained import Retained
from homebred_protocol.v1 import fleet_pb2 as wire

HOUR_S = 3600
A, B = "clinic-1", "factory-1"
Filled = Callable[[dict[str, Sequence[int]]], Retained]
"""Puts a row into each hour of each device."""


@pytest.fixture
def devices_of(database: Database) -> Database:
    with database.writing() as connection:
        row = {"site": "a", "labels": {}, "state": "enrolled", "enrolled_at_s": 1}
        connection.execute(insert(devices), [{**row, "id": name} for name in (A, B)])
    return database


def events_in(database: Database, rows: dict[str, Sequence[int]]) -> Retained:
    intake = StoreIntake(database)
    for device, hours in rows.items():
        for seq, hour in enumerate(hours, start=1):
            (outcome,) = intake.take([routes(device, seq, seq, after_seq=seq - 1)], now_s=hour * HOUR_S)
            assert outcome.fate is Fate.STORED
    return RetainedEvents(database)


def hours_in(database: Database, rows: dict[str, Sequence[int]]) -> Retained:
    with database.writing() as connection:
        for device, hours in rows.items():
            number = connection.execute(select(devices.c.number).where(devices.c.id == device)).scalar_one()
            for hour in hours:
                add_hour(connection, number, hour, routes=1)
    return RetainedHours(database)


@pytest.fixture(params=["fake", *(f"{what}-{kind}" for what in ("events", "hours") for kind in KINDS)])
def filled(request: pytest.FixtureRequest, migrated: Callable[[str], str]) -> Iterator[Filled]:
    if request.param == "fake":
        yield lambda rows: FakeRetained({device: [hour * HOUR_S for hour in hours] for device, hours in rows.items()})
        return
    what, kind = request.param.split("-")
    server = request.getfixturevalue("postgresql") if kind == "postgresql" else None
    url = migrated(kind)
    database = Database(url)
    with database.writing() as connection:
        row = {"site": "a", "labels": {}, "state": "enrolled", "enrolled_at_s": 1}
        connection.execute(insert(devices), [{**row, "id": name} for name in (A, B)])
    yield lambda rows: {"events": events_in, "hours": hours_in}[what](database, rows)
    database.close()
    if server is not None:
        server.drop_database(url)


class TestEveryKind:
    def test_an_empty_one_has_nothing_to_forget(self, filled: Filled) -> None:
        kept = filled({})
        assert (kept.held(), kept.oldest_s(), kept.forget_before(A, 10**10), kept.forget_oldest(A, 9)) == (
            {},
            {},
            0,
            0,
        )

    def test_it_says_how_much_it_holds_of_whom_and_since_when(self, filled: Filled) -> None:
        kept = filled({A: range(500_001, 500_006), B: [500_003]})
        assert (kept.held(), kept.oldest_s()) == ({A: 5, B: 1}, {A: 500_001 * HOUR_S, B: 500_003 * HOUR_S})

    def test_what_is_from_before_a_moment_goes_until_none_is_left(self, filled: Filled) -> None:
        kept = filled({A: range(500_001, 500_010), B: [500_000]})
        gone = []
        while count := kept.forget_before(A, 500_008 * HOUR_S):
            gone.append(count)
        assert sum(gone) == 7
        assert (kept.held(), kept.oldest_s()[A]) == ({A: 2, B: 1}, 500_008 * HOUR_S)

    def test_the_oldest_go_and_no_more_than_asked(self, filled: Filled) -> None:
        kept = filled({A: range(500_001, 500_010), B: [500_000]})
        assert kept.forget_oldest(A, 2) == 2
        assert (kept.held(), kept.oldest_s()[A]) == ({A: 7, B: 1}, 500_003 * HOUR_S)

    def test_of_a_stranger_there_is_nothing(self, filled: Filled) -> None:
        kept = filled({A: [500_001]})
        assert (kept.forget_oldest("nobody", 5), kept.forget_before("nobody", 10**10)) == (0, 0)


def count(database: Database, table: Table) -> int:
    with database.reading() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def books(database: Database) -> Account:
    with database.reading() as connection:
        (account,) = accounts(connection)
    return account


def test_events_of_all_streams_go_in_the_order_in_which_they_were_made(devices_of: Database) -> None:
    intake = StoreIntake(devices_of)
    intake.take([sent(A, batch([made.health(seq) for seq in (1, 4, 7)], stream=wire.STREAM_HEALTH))], now_s=NOW_S)
    intake.take([sent(A, batch([route(seq) for seq in (2, 3, 5, 6)]))], now_s=NOW_S)
    assert RetainedEvents(devices_of).forget_oldest(A, 4) == 4
    with devices_of.reading() as connection:
        left = [connection.execute(select(table.c.seq)).scalars().all() for table in (health_events, route_events)]
    assert left == [[7], [5, 6]]


def test_an_older_boot_goes_before_a_newer_one_and_a_long_one_in_steps(
    devices_of: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retained, "STEP", 4)
    intake = StoreIntake(devices_of)
    for name in ("first", "second"):
        intake.take([routes(A, 1, 6, boot_id=boot(name))], now_s=NOW_S)
    kept = RetainedEvents(devices_of)
    assert [kept.forget_oldest(A, 9) for _ in range(5)] == [4, 2, 4, 2, 0]


def test_what_was_forgotten_is_told_in_the_books_and_taken_as_known_where_it_comes_again(devices_of: Database) -> None:
    intake = StoreIntake(devices_of)
    intake.take([routes(A, 1, 6)], now_s=NOW_S)
    RetainedEvents(devices_of).forget_oldest(A, 5)
    assert books(devices_of) == Account(device=A, rows=6, forgotten=5, lost_on_device=0, lost_here=0)
    (again,) = intake.take([routes(A, 1, 6)], now_s=NOW_S)
    (floor,) = intake.take([made.floor(A, 6, 6)], now_s=NOW_S)
    assert (again.fate, floor.fate, count(devices_of, route_events)) == (Fate.DUPLICATE, Fate.DUPLICATE, 1)
    intake.take([routes(A, 7, 8, after_seq=6)], now_s=NOW_S)
    assert RetainedEvents(devices_of).held() == {A: 3}


def with_losses(database: Database) -> Account:
    """A device with rows, with losses that it counted, and with a refused batch that both sides count."""
    intake = StoreIntake(database)
    refused = batch([route(6), route(7)], after_seq=4)
    refused.events = b"broken"
    own = made.gap(8, events=2)
    own.gap.boot_id, own.gap.first_seq, own.gap.last_seq = boot(), 6, 7
    own.gap.reason = wire.GAP_REASON_REFUSED
    gaps = [sent(A, batch([made.gap(5)], stream=wire.STREAM_GAP))]
    gaps.append(sent(A, batch([own], stream=wire.STREAM_GAP, after_seq=5)))
    intake.take([routes(A, 1, 4), sent(A, refused), *gaps], now_s=NOW_S)
    return books(database)


def test_losses_stay_counted_when_the_gaps_that_told_them_are_gone(devices_of: Database) -> None:
    before = with_losses(devices_of)
    assert (before.rows, before.lost_on_device, before.lost_here) == (6, 5, 2)
    kept = RetainedEvents(devices_of)
    while kept.forget_before(A, NOW_S + 1):
        pass
    assert count(devices_of, gap_events) == 0
    assert books(devices_of) == replace(before, forgotten=6)


def test_losses_stay_counted_when_the_start_is_gone_of_which_they_are(devices_of: Database) -> None:
    before = with_losses(devices_of)
    StoreIntake(devices_of).take([routes(A, 1, 3, boot_id=boot("second"))], now_s=NOW_S)
    starts = RetainedStarts(devices_of)
    assert (starts.held(), starts.forget_oldest(A, 1), starts.held()) == ({A: 2}, 1, {A: 1})
    assert [count(devices_of, table) for table in (boots, watermarks, controller_gaps, gap_events)] == [1, 1, 0, 0]
    assert books(devices_of) == replace(before, rows=9, forgotten=6)
    assert starts.forget_oldest(A, 5) == 1
    assert books(devices_of) == replace(before, rows=9, forgotten=9)
    assert (starts.forget_oldest(A, 5), RetainedEvents(devices_of).held()) == (0, {})


def test_a_later_gap_about_a_start_that_is_gone_counts_nothing_twice(devices_of: Database) -> None:
    intake = StoreIntake(devices_of)
    refused = batch([route(1), route(2)])
    refused.events = b"broken"
    intake.take([sent(A, refused)], now_s=NOW_S)
    own = made.gap(1, events=2)
    own.gap.boot_id, own.gap.reason = boot(), wire.GAP_REASON_REFUSED
    intake.take([sent(A, batch([own], stream=wire.STREAM_GAP, boot_id=boot("second")))], now_s=NOW_S)
    before = books(devices_of)
    assert (before.rows, before.lost_on_device, before.lost_here) == (1, 0, 2)
    RetainedStarts(devices_of).forget_oldest(A, 1)
    assert books(devices_of) == before


def test_losses_beyond_every_bound_make_no_sum_that_fails(devices_of: Database) -> None:
    intake, kept = StoreIntake(devices_of), RetainedEvents(devices_of)
    for seq in range(1, 5):
        lie = made.gap(seq)
        lie.gap.events = lie.gap.last_seq = 2**40
        intake.take([sent(A, batch([lie], stream=wire.STREAM_GAP, after_seq=seq - 1))], now_s=NOW_S)
        assert kept.forget_oldest(A, 1) == 1
    assert books(devices_of).lost_on_device == 2**42


def test_rows_that_an_admin_deleted_by_hand_hold_up_nothing(devices_of: Database) -> None:
    intake, kept = StoreIntake(devices_of), RetainedEvents(devices_of)
    for name in ("first", "second"):
        intake.take([routes(A, 1, 6, boot_id=boot(name))], now_s=NOW_S)
    with devices_of.writing() as connection:
        connection.execute(delete(route_events).where(route_events.c.boot == 1))
    assert kept.oldest_s() == {A: 0}
    gone = [kept.forget_before(A, NOW_S) for _ in range(2)]
    assert (gone, kept.held(), kept.oldest_s()) == ([6, 0], {A: 6}, {A: NOW_S})


def test_a_device_that_sends_nonsense_fills_no_table(devices_of: Database) -> None:
    intake = StoreIntake(devices_of)
    broken = batch([route(1)])
    for seq in range(1, 200):
        broken = batch([route(seq)], after_seq=seq - 1)
        broken.events = b"broken"
        (outcome,) = intake.take([sent(A, broken)], now_s=NOW_S)
        assert (outcome.fate, outcome.events) == (Fate.REFUSED, 1)
    assert count(devices_of, controller_gaps) <= 33
    assert books(devices_of).lost_here == 199
    (again,) = intake.take([sent(A, broken)], now_s=NOW_S)
    assert (again.fate, again.ack.refused_up_to_seq if again.ack else None) == (Fate.DUPLICATE, 199)


def test_an_hour_goes_whole(devices_of: Database) -> None:
    with devices_of.writing() as connection:
        for place in range(5):
            add_hour(connection, 1, 500_000, routes=1, workflow=f"w{place}")
        add_hour(connection, 1, 500_001, routes=1)
    assert RetainedHours(devices_of).forget_oldest(A, 2) == 5
