"""The controller's hub on a real mosquitto over mTLS: telemetry is taken, intent arrives, hostility changes nothing."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import delete, func, insert, select
from tests.support import telemetry_messages as made
from tests.support.broker import HOST, Broker, running_broker
from tests.support.controller_stage import NotedJournal, number_of
from tests.support.hostile_messages import bent, hostile
from tests.support.memory_library import MemoryLibrary
from tests.support.stop_orders import SymbolicSigner
from tests.support.telemetry_messages import routes

from homebred_fleet.adapters.store import desired, stops
from homebred_fleet.adapters.store.database import Database
from homebred_fleet.adapters.store.tables import devices, quarantine, route_events, stop_orders
from homebred_fleet.app.linking import Link, linked
from homebred_fleet.ports.intake import Arrival
from homebred_fleet.ports.intents import DocumentRef
from homebred_protocol.blocks import Block, request_of
from homebred_protocol.mqtt import Arrived, Connected, Delivered, Endpoint, Happening, SessionTerms
from homebred_protocol.mqtt_thread import MqttThread
from homebred_protocol.requests import Request, request_bytes
from homebred_protocol.topics import ROOT, subscriptions_of_device
from homebred_protocol.v1 import fleet_pb2 as wire

PATIENCE_S = 20.0
NAMES = ("clinic-1", "factory-1")


class Device:
    """A device's connection over mTLS."""

    def __init__(self, broker: Broker, name: str) -> None:
        self.name = name
        self.heard: list[Happening] = []
        self.thread = MqttThread(Endpoint(HOST, broker.port, broker.device(name)), self._hear)

    def connect(self, *, clean_start: bool = False) -> None:
        self.thread.connect(SessionTerms(self.name, clean_start, 3600, 60, 100))

    def say(self, arrival: Arrival) -> None:
        is_kept = arrival.topic.endswith(("/state", "/reported"))
        self.thread.publish(arrival.topic, arrival.payload, token=1, retain=is_kept)

    def payloads(self, last: str) -> list[bytes]:
        return [one.payload for one in list(self.heard) if isinstance(one, Arrived) and one.topic.endswith(last)]

    def acks(self) -> list[int]:
        return [wire.TelemetryAck.FromString(payload).up_to_seq for payload in self.payloads("tm-ack")]

    def versions(self) -> list[int]:
        return [wire.Desired.FromString(payload).version for payload in self.payloads("desired")]

    def delivered(self) -> int:
        return sum(isinstance(one, Delivered) for one in list(self.heard))

    def _hear(self, happening: Happening) -> None:
        if isinstance(happening, Connected):
            self.thread.subscribe(subscriptions_of_device(self.name))
        if isinstance(happening, Arrived):
            self.thread.acknowledge(happening.receipt)
        self.heard.append(happening)


class Fleet:
    """A broker, a controller and two devices."""

    def __init__(self, path: Path, broker: Broker) -> None:
        self.broker = broker
        self.database = Database(f"sqlite:///{path}/fleet.db")
        self.database.upgrade()
        self.journal = NotedJournal()
        self.devices = {name: Device(broker, name) for name in NAMES}
        with self.database.writing() as connection:
            rows = [{"id": name, "site": "a", "labels": {}, "state": "enrolled", "enrolled_at_s": 1} for name in NAMES]
            connection.execute(insert(devices), rows)

    @asynccontextmanager
    async def controller(self) -> AsyncIterator[Link]:
        """A running one."""
        endpoint = Endpoint(HOST, self.broker.port, self.broker.controller)
        link = linked(
            self.database,
            MemoryLibrary(),
            self.journal,
            SymbolicSigner(),
            make_connection=lambda hand_over: MqttThread(endpoint, hand_over, name="hub"),
            now_s=lambda: made.NOW_S,
        )
        async with asyncio.TaskGroup() as group:
            running = group.create_task(link.run())
            try:
                await until(lambda: link.reconciling.is_in_step)
                yield link
            finally:
                running.cancel()

    def rows(self) -> int:
        with self.database.reading() as connection:
            return connection.execute(select(func.count()).select_from(route_events)).scalar_one()

    def assign(self, policy: DocumentRef) -> None:
        with self.database.writing() as connection:
            number = number_of(self.database, "clinic-1")
            desired.assign(connection, device_numbers=[number], policy=policy, by="ada", now_s=made.NOW_S)


async def until(holds: Callable[[], bool]) -> None:
    """Waits for something that threads and other processes do."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline_s, "it never came to hold"
        await asyncio.sleep(0.01)


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with running_broker(tmp_path / "fleet") as broker:
        made_fleet = Fleet(tmp_path, broker)
        yield made_fleet
        for device in made_fleet.devices.values():
            device.thread.close()
            assert device.thread.join(10)
        made_fleet.database.close()


async def test_telemetry_is_acknowledged_once_it_is_committed_and_a_controller_that_comes_back_goes_on(
    fleet: Fleet,
) -> None:
    device = fleet.devices["clinic-1"]
    device.connect()
    async with fleet.controller():
        device.say(routes("clinic-1", 1, 200))
        await until(lambda: device.acks() == [200])
        assert fleet.rows() == 200
    device.say(routes("clinic-1", 201, 400, after_seq=200))
    async with fleet.controller():
        device.say(routes("clinic-1", 201, 400, after_seq=200))
        device.say(routes("clinic-1", 201, 400, after_seq=200))
        await until(lambda: device.acks() == [200, 400, 400])
        assert fleet.rows() == 400


async def test_a_broker_that_was_killed_and_forgot_is_told_again_what_devices_should_hear(fleet: Fleet) -> None:
    device = fleet.devices["clinic-1"]
    async with fleet.controller() as link:
        fleet.assign(DocumentRef(digest="sha256:" + "a" * 64, length=12))
        with fleet.database.writing() as connection:
            epoch = stops.order(connection, stopped=True, reason_code="drill", by="ada", now_s=made.NOW_S)
        link.reconciling.wake()
        device.connect()
        await until(lambda: device.versions() == [1])
        assert wire.Desired.FromString(device.payloads("desired")[0]).policy.digest
        device.heard.clear()
        fleet.broker.kill()
        fleet.broker.start()
        await until(lambda: link.figures.connections == 2 and link.reconciling.is_in_step)
        device.connect()
        await until(lambda: device.versions() == [1])
        await until(lambda: epoch in [wire.StopOrder.FromString(one).epoch for one in device.payloads("stop")])
        assert link.figures.republished == 1
        device.say(routes("clinic-1", 1, 3))
        await until(lambda: device.acks() == [3])


async def test_a_stop_that_only_the_broker_still_knows_of_stays_in_force(fleet: Fleet) -> None:
    device = fleet.devices["clinic-1"]
    device.connect()
    async with fleet.controller() as link:
        for stopped in (False, True):
            with fleet.database.writing() as connection:
                epoch = stops.order(connection, stopped=stopped, reason_code="drill", by="ada", now_s=made.NOW_S)
            link.reconciling.wake()
            await until(lambda: len(heard_epochs(device)) == epoch)  # noqa: B023  # it is awaited here
    with fleet.database.writing() as connection:
        connection.execute(delete(stop_orders).where(stop_orders.c.epoch == 2))  # an older copy
    async with fleet.controller():
        late = fleet.devices["factory-1"]
        late.connect()
        await until(lambda: bool(late.payloads("/stop")))
    assert [(one.epoch, one.stopped) for one in map(wire.StopOrder.FromString, late.payloads("/stop"))] == [(2, True)]
    assert heard_epochs(device) == [1, 2]
    assert fleet.journal.names.count("stop_taken_over") == 1
    with fleet.database.reading() as connection:
        found = stops.in_force(connection)
    assert found is not None
    assert (found.epoch, found.stopped, found.reason_code) == (2, True, "drill")


def heard_epochs(device: Device) -> list[int]:
    return [wire.StopOrder.FromString(payload).epoch for payload in device.payloads("/stop")]


async def test_whatever_a_hostile_device_sends_on_every_topic_is_counted_and_the_hub_keeps_up(fleet: Fleet) -> None:
    good, bad = fleet.devices["clinic-1"], fleet.devices["factory-1"]
    good.connect()
    bad.connect()
    async with fleet.controller() as link:
        harm = list(hostile("factory-1", seed=1, count=1_500))
        waits = []
        for start in range(0, len(harm), 100):
            for arrival in harm[start : start + 100]:
                bad.say(arrival)
            seq = start // 100 * 5
            sent_s = time.monotonic()
            good.say(routes("clinic-1", seq + 1, seq + 5, after_seq=seq))
            await until(lambda: good.acks()[-1:] == [seq + 5])  # noqa: B023
            waits.append(time.monotonic() - sent_s)
        await until(lambda: bad.delivered() == len(harm))
        await until(lambda: sum(link.figures.messages.values()) >= len(harm) + len(waits))
        with fleet.database.reading() as connection:
            counted = connection.execute(select(func.sum(quarantine.c.messages))).scalar_one()
        assert counted == link.figures.messages["quarantined"] + link.figures.messages["refused"] > 500
        assert max(waits) < 5
        assert not {"store_fails", "message_set_aside", "broker_lost"} & set(fleet.journal.names)


async def test_whatever_a_hostile_device_asks_is_answered_or_dropped_with_a_count_and_the_hub_keeps_up(
    fleet: Fleet,
) -> None:
    good, bad, chance = fleet.devices["clinic-1"], fleet.devices["factory-1"], random.Random(3)
    good.connect()
    bad.connect()
    asked = request_bytes(Request(b"c" * 16, request_of(Block("sha256:" + "a" * 64, 0, 10))))
    async with fleet.controller() as link:
        for number in range(600):
            topic = f"{ROOT}/d/factory-1/rq/{chance.choice(('blocks', 'trust'))}"
            payload = bent(asked, chance) if number % 50 else chance.randbytes(400_000)
            bad.thread.publish(topic, payload, token=1)
        good.say(routes("clinic-1", 1, 5))
        await until(lambda: good.acks() == [5])
        figures = link.figures
        await until(lambda: sum(figures.answers.values()) + sum(figures.requests_dropped.values()) == 600)
        assert figures.requests_dropped["malformed"] >= 12
        assert set(figures.answers) == {"refused"}, "this controller has nothing to give"
        assert "requests_dropped" in fleet.journal.names
        assert not {"answer_defect", "answer_fails", "broker_lost"} & set(fleet.journal.names)
