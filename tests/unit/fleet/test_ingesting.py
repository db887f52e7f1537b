"""What devices tell is committed before anybody is told so, whatever the database does; nobody holds up the others."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import func, select
from tests.support.controller_stage import Stage, play
from tests.support.fake_mqtt import Message
from tests.support.telemetry_messages import batch, routes, sent, state

from homebred_fleet.adapters.store.tables import devices, presence, quarantine, route_events
from homebred_fleet.errors import StoreBusyError, StoreError
from homebred_protocol.v1 import fleet_pb2 as wire


def rows(stage: Stage) -> int:
    with stage.database.reading() as connection:
        return connection.execute(select(func.count()).select_from(route_events)).scalar_one()


def causes(stage: Stage) -> set[str]:
    with stage.database.reading() as connection:
        return set(connection.scalars(select(quarantine.c.cause)))


def unacknowledged(stage: Stage) -> int:
    return len(stage.broker.sessions["homebred-fleet"].unacknowledged)


def test_a_device_hears_what_was_committed_and_the_broker_that_it_was_dealt_with(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        await stage.started()
        device = stage.devices["clinic-1"]
        device.connect()
        device.say(routes("clinic-1", 1, 3))
        await stage.until(lambda: device.acks == [3])
        await stage.until(lambda: unacknowledged(stage) == 0)
        assert rows(stage) == 3
        assert (stage.figures.batches_stored, stage.figures.events_stored) == (1, 3)
        assert stage.figures.ack_quantile_s(0.99) > 0

    play(tmp_path, scene)


def test_a_receipt_that_no_device_has_signed_is_logged_and_its_batch_is_taken_all_the_same(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        await stage.started()
        device = stage.devices["clinic-1"]
        device.connect()
        body = wire.ReceiptEvent(kind=wire.RECEIPT_KIND_INSTALL, result="settled", signed=b"made up")
        events = [wire.Event(seq=seq, receipt=body) for seq in (1, 2)]
        device.say(sent("clinic-1", batch(events, stream=wire.STREAM_RECEIPT)))
        await stage.until(lambda: device.acks == [2])
        assert stage.journal.names.count("receipt_refused") == 1
        assert causes(stage) == {"receipt-malformed"}

    play(tmp_path, scene)


def test_nothing_is_acknowledged_while_the_database_is_away_and_everything_once_it_is_back(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        await stage.started()
        device = stage.devices["clinic-1"]
        device.connect()
        stage.intake.failures = [StoreBusyError() for _ in range(4)]
        device.say(routes("clinic-1", 1, 3))
        await stage.until(lambda: len(stage.intake.failures) == 3)
        await stage.settle()
        assert device.acks == []
        assert unacknowledged(stage) == 1
        await stage.later(lambda: device.acks == [3])
        assert rows(stage) == 3
        assert stage.journal.names.count("store_fails") == stage.figures.store_failures == 4

    play(tmp_path, scene)


def test_a_database_that_is_away_holds_the_broker_up_at_the_receive_maximum(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        await stage.started()
        device = stage.devices["clinic-1"]
        device.connect()
        stage.intake.failures = [StoreBusyError() for _ in range(3)]
        for first in range(1, 121):
            device.say(routes("clinic-1", first, first, after_seq=first - 1))
        await stage.settle()
        assert unacknowledged(stage) == 50
        await stage.later(lambda: rows(stage) == 120)
        await stage.until(lambda: len(device.acks) == 120)

    play(tmp_path, scene)


@pytest.mark.parametrize(("error", "cause"), [(StoreError("no"), "store"), (OverflowError("too large"), "defect")])
def test_a_message_that_the_database_refuses_is_set_aside_and_holds_up_nobody(
    tmp_path: Path, error: Exception, cause: str
) -> None:
    async def scene(stage: Stage) -> None:
        await stage.started()
        good, bad = stage.devices["clinic-1"], stage.devices["factory-1"]
        good.connect()
        bad.connect()
        poison = routes("factory-1", 1, 1)
        stage.intake.poison = {poison.payload: error}
        stage.intake.failures = [StoreBusyError()]  # so that all are in one group
        bad.say(state("factory-1"))
        await stage.settle()
        good.say(routes("clinic-1", 1, 2))
        bad.say(poison)
        good.say(routes("clinic-1", 3, 4, after_seq=2))
        await stage.later(lambda: good.acks == [2, 4])
        await stage.until(lambda: unacknowledged(stage) == 0)
        assert bad.acks == []
        assert causes(stage) == {cause}
        assert "message_set_aside" in stage.journal.names

    play(tmp_path, scene)


def test_a_database_that_refuses_even_to_set_aside_counts_as_one_that_is_away(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        await stage.started()
        device = stage.devices["clinic-1"]
        device.connect()
        message = routes("clinic-1", 1, 3)
        stage.intake.poison = {message.payload: StoreError("the database is no database")}
        set_aside, stage.intake.set_aside = stage.intake.set_aside, refuse  # type: ignore[method-assign,assignment]
        device.say(message)
        await stage.until(lambda: stage.figures.store_failures >= 1)
        assert unacknowledged(stage) == 1
        stage.intake.set_aside = set_aside  # type: ignore[method-assign]
        stage.intake.poison = {}
        await stage.later(lambda: device.acks == [3])

    def refuse(*_: object, **__: object) -> None:
        raise StoreError

    play(tmp_path, scene)


def test_after_an_outage_it_hears_again_what_the_broker_keeps_since_its_queue_may_have_run_over(
    tmp_path: Path,
) -> None:
    async def scene(stage: Stage) -> None:
        await stage.started()
        device = stage.devices["clinic-1"]
        device.connect()
        stage.intake.failures = [StoreBusyError() for _ in range(3)]
        device.say(routes("clinic-1", 1, 3))
        await stage.until(lambda: len(stage.intake.failures) == 2)
        unheard = state("clinic-1")
        stage.broker.retained[unheard.topic] = Message(unheard.topic, unheard.payload, retain=True, expires_at_s=None)
        await stage.later(lambda: online(stage) == {"clinic-1"})

    play(tmp_path, scene)


def online(stage: Stage) -> set[str]:
    with stage.database.reading() as connection:
        statement = select(devices.c.id).join(presence, presence.c.device == devices.c.number)
        return set(connection.scalars(statement.where(presence.c.online)))


def test_messages_that_wait_share_a_transaction(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        await stage.started()
        device = stage.devices["clinic-1"]
        device.connect()
        stage.intake.failures = [StoreBusyError()]
        for first in range(1, 41):
            device.say(routes("clinic-1", first, first, after_seq=first - 1))
        await stage.later(lambda: rows(stage) == 40)
        assert len(stage.intake.groups) <= 3

    play(tmp_path, scene)


def test_what_was_not_begun_when_the_connection_ended_is_forgotten_and_comes_again_from_its_device(
    tmp_path: Path,
) -> None:
    async def scene(stage: Stage) -> None:
        await stage.started()
        device = stage.devices["clinic-1"]
        device.connect()
        stage.intake.failures = [StoreBusyError() for _ in range(3)]
        device.say(routes("clinic-1", 1, 3))
        await stage.until(lambda: len(stage.intake.failures) == 2)
        device.say(routes("clinic-1", 4, 6, after_seq=3))
        await stage.settle()
        stage.broker.restart(remembers=False)
        await stage.later(lambda: rows(stage) == 3)
        device.connect()
        for message in (routes("clinic-1", 1, 3), routes("clinic-1", 4, 6, after_seq=3)):
            device.say(message)
        await stage.until(lambda: device.acks[-1:] == [6])
        assert rows(stage) == 6

    play(tmp_path, scene)
