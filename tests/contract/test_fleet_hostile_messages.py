"""Malformed, oversized, wrong-version and hostile payloads on every topic, against both databases."""

from __future__ import annotations

import pytest
from sqlalchemy import func, insert, select
from tests.support import telemetry_messages as made
from tests.support.hostile_messages import hostile, real_messages
from tests.support.telemetry_messages import NOW_S

from homebred_fleet.adapters.store.database import Database
from homebred_fleet.adapters.store.intake import StoreIntake
from homebred_fleet.adapters.store.quarantine import SAMPLE_BYTES
from homebred_fleet.adapters.store.tables import devices, quarantine, route_events
from homebred_fleet.ports.intake import Fate
from homebred_protocol import topics
from homebred_protocol.topics import WITH_NAME, Up


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
