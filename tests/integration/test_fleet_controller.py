"""A whole controller over a real broker: what a device tells is in the database, what it is to be like reaches it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from sqlalchemy import func, select
from tests.support import telemetry_messages as telling
from tests.support.broker import now_s as unix_s
from tests.support.controller import Controller, Device
from tests.support.mqtt_client import Client, clients
from tests.support.signing_controller import signing_controller

from homebred_fleet.adapters.store import desired, stops
from homebred_fleet.adapters.store.intake import StoreIntake
from homebred_fleet.adapters.store.tables import boots, devices, presence, route_events
from homebred_fleet.ports.intake import Arrival
from homebred_fleet.ports.intents import DocumentRef
from homebred_protocol.topics import STOP, DeviceTopic, Down, Up
from homebred_protocol.v1 import fleet_pb2 as wire

NOW_S = 1_800_000_000


@pytest.fixture(scope="module")
def controller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controller]:
    with signing_controller(tmp_path_factory.mktemp("fleet")) as running:
        yield running.controller


def rows(controller: Controller, device: Device) -> int:
    """How many route events of a device there are."""
    counted = select(func.count()).select_from(route_events.join(boots).join(devices)).where(devices.c.id == device.id)
    return int(asked(controller, counted))


def connections(controller: Controller) -> int:
    """How often the controller has connected to its broker."""
    return [one["event"] for one in controller.log].count("broker_connected")


def asked(controller: Controller, query: Any) -> Any:
    database = controller.database()
    try:
        with database.reading() as connection:
            return connection.execute(query).scalar_one_or_none()
    finally:
        database.close()


def eventually(condition: Callable[[], bool], *, within_s: float = 15.0) -> None:
    """Waits until it is so."""
    deadline_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline_s, "it did not come to that"
        time.sleep(0.05)


def connected(client: Client, device: Device) -> None:
    own = [DeviceTopic(device.id, kind).text for kind in (Down.DESIRED, Down.ACK)]
    client.connected(clean_start=False, session_expiry_s=3600)
    client.subscribe(STOP, *own)


def acknowledged(client: Client, device: Device, *, within_s: float = 15.0) -> int:
    """Up to where the controller says that it has a stream."""
    arrived = client.arrived(DeviceTopic(device.id, Down.ACK).text, within_s=within_s)
    return int(wire.TelemetryAck.FromString(arrived.payload).up_to_seq)


def tell(client: Client, device: Device, batch: Arrival, *, up_to_seq: int) -> None:
    """Says it again and again, as a device does, until the controller has it: it may not have subscribed yet."""
    deadline_s = time.monotonic() + 30.0
    while True:
        client.publish(batch.topic, batch.payload)
        with suppress(AssertionError):
            while acknowledged(client, device, within_s=2.0) != up_to_seq:  # an earlier answer, come once more
                pass
            return
        assert time.monotonic() < deadline_s, "nobody heard it"


def test_what_is_acknowledged_outlives_crashes_of_controller_and_broker_and_is_stored_once(
    controller: Controller,
) -> None:
    device = controller.enrol()
    first, second = telling.routes(device.id, 1, 20), telling.routes(device.id, 21, 30, after_seq=20)
    with clients(controller.broker.port) as make:
        client = make(device.id, device.credentials)
        connected(client, device)
        tell(client, device, first, up_to_seq=20)
        controller.kill()
        client.publish(second.topic, second.payload)  # nobody is there to hear it
        controller.start()
        tell(client, device, first, up_to_seq=20)
        tell(client, device, second, up_to_seq=30)
        before = connections(controller)
        controller.broker.kill()
        controller.broker.start()
        client.ended()
        connected(client, device)
        eventually(lambda: connections(controller) > before)
        tell(client, device, second, up_to_seq=30)
    assert rows(controller, device) == 30


def test_desired_state_and_stop_reach_a_device_and_are_said_again_by_a_broker_that_lost_them(
    controller: Controller,
) -> None:
    device = controller.enrol()
    database = controller.database()
    with database.writing() as connection:
        number = connection.execute(select(devices.c.number).where(devices.c.id == device.id)).scalar_one()
        policy = DocumentRef(digest="sha256:" + "a" * 64, length=12)
        desired.assign(connection, device_numbers=[number], by="test", now_s=NOW_S, policy=policy)
        stops.order(connection, stopped=True, reason_code="drill", by="test", now_s=NOW_S)
    database.close()
    topic = DeviceTopic(device.id, Down.DESIRED).text
    with clients(controller.broker.port) as make:
        client = make(device.id, device.credentials)
        connected(client, device)
        stop = wire.StopOrder.FromString(client.arrived(STOP, within_s=30).payload)
        assert (stop.epoch, stop.stopped) == (1, True)
        told = wire.Desired.FromString(client.arrived(topic, within_s=30).payload)
        assert (told.version, told.policy.digest, told.policy.length) == (1, policy.digest, policy.length)
        controller.broker.kill()
        for kept in (controller.folder.broker / "data").glob("*.db"):
            kept.unlink()
        controller.broker.start()
        client.ended()
        connected(client, device)
        assert wire.StopOrder.FromString(client.arrived(STOP, within_s=30).payload).epoch == 1
        assert wire.Desired.FromString(client.arrived(topic, within_s=30).payload).policy.digest == policy.digest


def test_a_device_is_seen_online_and_offline(controller: Controller) -> None:
    device = controller.enrol()
    with clients(controller.broker.port) as make:
        client = make(device.id, device.credentials)
        connected(client, device)
        for is_online in (True, False):
            message = telling.state(device.id, online=is_online)
            client.publish(DeviceTopic(device.id, Up.STATE).text, message.payload, retain=True)
            eventually(partial(sees, controller, device, is_online))


def sees(controller: Controller, device: Device, is_online: object) -> bool:
    online = select(presence.c.online).select_from(presence.join(devices)).where(devices.c.id == device.id)
    return asked(controller, online) is is_online


def test_what_is_too_old_is_deleted_from_the_start_on(controller: Controller) -> None:
    device = controller.enrol()
    controller.stop()
    database, now_s = controller.database(), unix_s()
    taken = [telling.routes(device.id, 1, 4), telling.routes(device.id, 5, 6, after_seq=4)]
    for arrival, days in zip(taken, (91, 89), strict=True):
        StoreIntake(database).take([arrival], now_s=now_s - days * 86_400)
    database.close()
    controller.start()
    eventually(lambda: rows(controller, device) == 2)
    eventually(lambda: any(one["event"] == "old_forgotten" and one["count"] == 4 for one in controller.log))
