"""Malformed, oversized, wrong-version and hostile payloads on every topic, against both databases."""

from __future__ import annotations

import pytest
from sqlalchemy import func, insert, select
from tests.support import telemetry_messages as made
from tests.support.hostile_messages import hostile, real_messages
from tests.support.telemetry_messages import NOW_S

from homebred_fleet.adapters.store.accounts import accounts
from homebred_fleet.adapters.store.database import Database
from homebred_fleet.adapters.store.intake import StoreIntake
from homebred_fleet.adapters.store.quarantine import SAMPLE_BYTES
from homebred_fleet.adapters.store.tables import boots, controller_gaps, devices, quarantine, route_events, watermarks
from homebred_fleet.ports.intake import Fate
from homebred_protocol import topics
from homebred_protocol.topics import WITH_NAME, Up
from homebred_protocol.v1 import fleet_pb2 as wire


def enrol(database: Database, *names: str) -> StoreIntake:
    with database.writing() as connection:
        rows = [{"id": name, "site": "a", "labels": {}, "state": "enrolled", "enrolled_at_s": 1} for name in names]
        connection.execute(insert(devices), rows)
    return StoreIntake(database)


def test_the_real_messages_are_of_every_topic_to_the_controller() -> None:
    found = [topics.read(one.topic) for one in real_messages("clinic-1")]
    assert {topic.kind for topic in found if topic is not None} == set(Up)
    assert {topic.name for topic in found if topic is not None and topic.kind is Up.TELEMETRY} == set(topics.STREAMS)
    assert Up.REQUEST in WITH_NAME


@pytest.mark.parametrize("seed", range(4))
def test_no_message_of_a_hostile_device_raises_or_touches_another_devices_fate(database: Database, seed: int) -> None:
    intake = enrol(database, "bad-1", "good-1")
    fates: dict[str, int] = {}
    good_seq = 0
    harm = list(hostile("bad-1", seed, 400))
    for start in range(0, len(harm), 40):
        group = harm[start : start + 40]
        good = made.routes("good-1", good_seq + 1, good_seq + 3, after_seq=good_seq)
        *outcomes, of_good = intake.take([*group, good], now_s=NOW_S)
        assert of_good.fate is Fate.STORED
        good_seq += 3
        for outcome in outcomes:
            assert outcome.device == "bad-1"
            fates[outcome.fate.value] = fates.get(outcome.fate.value, 0) + 1
    with database.reading() as connection:
        counted = connection.execute(select(func.sum(quarantine.c.messages))).scalar_one()
        names = set(connection.scalars(select(quarantine.c.device)))
        longest = connection.execute(select(func.max(func.length(quarantine.c.sample)))).scalar_one()
        rows = connection.execute(select(func.count()).select_from(route_events)).scalar_one()
    assert counted == fates["quarantined"] + fates["refused"] > 150
    assert names == {"bad-1"}
    assert longest <= SAMPLE_BYTES
    assert rows >= good_seq


def test_no_device_can_spoil_the_books_of_all(database: Database) -> None:
    intake = enrol(database, "bad-1", "good-1")
    claims = [made.floor("bad-1", 2**62, 2**62, stream=stream) for stream in made.WORDS]
    claims += [made.sent("bad-1", made.batch([made.gap(1, events=2**62)], stream=wire.STREAM_GAP))]
    outcomes = intake.take([*claims, made.routes("good-1", 1, 3)], now_s=NOW_S)
    assert [one.fate for one in outcomes] == [Fate.QUARANTINED] * 5 + [Fate.REFUSED, Fate.STORED]
    assert intake.take([made.floor("bad-1", 2**40, 2**40)], now_s=NOW_S)[0].fate is Fate.STORED
    with database.reading() as connection:
        books = accounts(connection)
    assert [(one.device, one.rows, one.lost_on_device, one.lost_here) for one in books] == [
        ("bad-1", 0, 0, 2**40 + 1),
        ("good-1", 3, 0, 0),
    ]


def test_losses_beyond_what_a_database_adds_up_are_no_error(database: Database) -> None:
    enrol(database, "bad-1")
    gap = {"stream": wire.STREAM_ROUTE, "events": 2**62 + 3, "reason": wire.GAP_REASON_CONTROLLER, "noted_at_s": 1}
    with database.writing() as connection:
        boot = {"number": 1, "device": 1, "boot_id": made.boot(), "boot_number": 1, "first_heard_at_s": 1}
        connection.execute(insert(boots).values(boot))
        mark = {"boot": 1, "stream": wire.STREAM_ROUTE, "up_to_seq": 5, "events": 5, "changed_at_s": 1}
        connection.execute(insert(watermarks).values(mark))
        connection.execute(
            insert(controller_gaps), [{"boot": 1, "after_seq": n, "last_seq": n + 1, **gap} for n in range(3)]
        )
        (account,) = accounts(connection)
    assert account.lost_here >= 2**63 - 1
