"""A controller's hub on a broker in memory and in virtual time, its database a real SQLite that can be told to fail."""

from __future__ import annotations

import asyncio
import functools
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from sqlalchemy import event, insert, select
from tests.support.fake_mqtt import FakeBroker, FakeConnection
from tests.support.manual_clock import ManualClock, run_with, settled
from tests.support.memory_library import MemoryLibrary
from tests.support.stop_orders import SymbolicSigner
from tests.support.telemetry_messages import NOW_S
from typing_extensions import override

from homebred_fleet.adapters.mqtt_hub import MqttHub
from homebred_fleet.adapters.store.database import Database
from homebred_fleet.adapters.store.intake import StoreIntake
from homebred_fleet.adapters.store.intents import StoreIntents
from homebred_fleet.adapters.store.tables import devices
from homebred_fleet.core.figures import Figures
from homebred_fleet.log_events import Event, Value
from homebred_fleet.ports.intake import Arrival, Outcome
from homebred_fleet.services.answering import Answering
from homebred_fleet.services.hub import HubService, reconciler_hears
from homebred_fleet.services.ingesting import Ingesting
from homebred_fleet.services.reconciling import Reconciling
from homebred_protocol.mqtt import Arrived, Happening, SessionTerms
from homebred_protocol.topics import subscriptions_of_device
from homebred_protocol.v1 import fleet_pb2 as wire

T = TypeVar("T")
PATIENCE_S = 20.0
DEVICES = ("clinic-1", "factory-1")


@dataclass
class FailingIntake:
    """The real intake, which raises what it is told to instead, once per entry."""

    real: StoreIntake
    failures: list[Exception] = field(default_factory=list)
    poison: dict[bytes, Exception] = field(default_factory=dict)
    """Raised wherever a payload is among the messages."""
    groups: list[int] = field(default_factory=list)
    """How many messages each transaction had that came about."""

    def take(self, arrivals: Sequence[Arrival], *, now_s: int) -> Sequence[Outcome]:
        """As `Intake`."""
        if self.failures:
            raise self.failures.pop(0)
        for arrival in arrivals:
            if arrival.payload in self.poison:
                raise self.poison[arrival.payload]
        outcomes = self.real.take(arrivals, now_s=now_s)
        self.groups.append(len(arrivals))
        return outcomes

    def set_aside(self, arrival: Arrival, *, cause: str, now_s: int) -> Outcome:
        """As `Intake`."""
        return self.real.set_aside(arrival, cause=cause, now_s=now_s)


class CountedThreads(ThreadPoolExecutor):
    """A loop's threads, with how many are at work: virtual time must not run away from them."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(4)
        self.busy = 0
        self._resting = asyncio.Event()
        self._loop = loop

    @override
    def submit(self, fn: Callable[..., T], /, *args: object, **kwargs: object) -> Future[T]:
        self.busy += 1
        self._resting.clear()
        future = super().submit(fn, *args, **kwargs)
        future.add_done_callback(lambda _: self._loop.call_soon_threadsafe(self._rest))
        return future

    async def rested(self) -> None:
        """Waits until none is at work."""
        while self.busy:
            await self._resting.wait()

    def _rest(self) -> None:
        self.busy -= 1
        if not self.busy:
            self._resting.set()


class NotedJournal:
    """Fulfils `ports.journal.Journal`."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def note(self, event: Event, **fields: Value) -> None:
        """Notes that something happened; fields that the catalogue does not allow are the caller's defect."""
        assert event.entry(fields).refused == (), (event.name, fields)
        self.names.append(event.name)


class Device:
    """One device's connection."""

    def __init__(self, name: str, broker: FakeBroker) -> None:
        self.name = name
        self.heard: list[Arrived] = []
        self.connection: FakeConnection = broker.connection(self._hear)

    def connect(self, *, clean_start: bool = False) -> None:
        """Connects and subscribes as a device does."""
        self.connection.connect(SessionTerms(self.name, clean_start, 3600, 60, 50))
        self.connection.subscribe(subscriptions_of_device(self.name))

    def say(self, arrival: Arrival) -> None:
        """Publishes a message."""
        is_kept = arrival.topic.endswith(("/state", "/reported"))
        self.connection.publish(arrival.topic, arrival.payload, token=1, retain=is_kept)

    def payloads(self, last: str) -> list[bytes]:
        """What it heard on its topics that begin so, in order."""
        own = f"hb/1/default/d/{self.name}/{last}"
        return [one.payload for one in self.heard if one.topic.startswith(own) or one.topic.endswith(f"default/{last}")]

    @property
    def acks(self) -> list[int]:
        """The watermarks it was told."""
        return [wire.TelemetryAck.FromString(payload).up_to_seq for payload in self.payloads("tm-ack")]

    @property
    def versions(self) -> list[int]:
        """The versions of desired states it was told."""
        return [wire.Desired.FromString(payload).version for payload in self.payloads("desired")]

    @property
    def commands(self) -> list[str]:
        """The ids of commands it was told."""
        return [wire.Command.FromString(payload).id for payload in self.payloads("cmd/")]

    def _hear(self, happening: Happening) -> None:
        if isinstance(happening, Arrived):
            self.heard.append(happening)
            self.connection.acknowledge(happening.receipt)


class Stage:
    """Everything, made on the loop that it runs on."""

    def __init__(self, database: Database, clock: ManualClock) -> None:
        self.clock = clock
        self.threads = CountedThreads(asyncio.get_running_loop())
        asyncio.get_running_loop().set_default_executor(self.threads)
        self.database = database
        self.broker = FakeBroker(eager=True)
        self.intake = FailingIntake(StoreIntake(database))
        self.intents = StoreIntents(database)
        self.journal = NotedJournal()
        self.figures = Figures()
        self.library = MemoryLibrary()
        self.devices = {name: Device(name, self.broker) for name in DEVICES}
        hub = MqttHub(self.broker.connection)
        self.signer = SymbolicSigner()
        self.reconciling = Reconciling(self.intents, hub, self.journal, self.figures, self.signer, now_s=self.now_s)
        self.ingesting = Ingesting(
            self.intake,
            hub,
            self.journal,
            self.figures,
            now_s=self.now_s,
            noticed=reconciler_hears(self.reconciling),
        )
        self.answering = Answering(self.library, hub, self.journal, self.figures)
        self.service = HubService(hub, self.journal, self.figures, random_share=lambda: 0.5, receive_maximum=50)

    def now_s(self) -> int:
        """Unix seconds, of virtual time."""
        return NOW_S + int(self.clock.elapsed_s)

    async def run(self) -> None:
        """The controller."""
        await self.service.run(self.ingesting, self.reconciling, self.answering)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Lets everything run, without a second of virtual time, until it holds."""
        deadline_s = time.monotonic() + PATIENCE_S
        while not holds():
            assert time.monotonic() < deadline_s, "it never came to hold"
            await asyncio.sleep(0)

    async def pass_s(self, seconds: float, *, step_s: float = 0.25) -> None:
        """Lets virtual time pass, in steps that let everything run in between."""
        for _ in range(round(seconds / step_s)):
            self.clock.pass_s(step_s)
            self.broker.pass_s(step_s)
            await self.settle()

    async def later(self, holds: Callable[[], bool], *, step_s: float = 0.5) -> None:
        """Lets virtual time pass until it holds."""
        deadline_s = time.monotonic() + PATIENCE_S
        while not holds():
            assert time.monotonic() < deadline_s, "it never came to hold"
            await self.pass_s(step_s, step_s=step_s)

    async def settle(self) -> None:
        """Lets threads and loop come to rest."""
        await settled()
        while self.threads.busy:  # with what was cancelled
            await self.threads.rested()
            await settled()

    async def started(self) -> None:
        """Waits until the controller is connected and has compared what the broker keeps."""
        await self.until(lambda: self.figures.is_connected)
        await self.later(lambda: self.reconciling.is_in_step)


def play(tmp_path: Path, scene: Callable[[Stage], Awaitable[T]]) -> T:
    """Plays a scene with a running controller and two enrolled devices."""
    database = open_database(tmp_path)
    with database.writing() as connection:
        rows = [{"id": name, "site": "a", "labels": {}, "state": "enrolled", "enrolled_at_s": 1} for name in DEVICES]
        connection.execute(insert(devices), rows)
    clock = ManualClock()

    async def main() -> T:
        stage = Stage(database, clock)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(stage.run())
            try:
                return await scene(stage)
            finally:
                running.cancel()

    try:
        return run_with(clock, main())
    finally:
        database.close()


def open_database(folder: Path) -> Database:
    """A new one with its tables, which does not wait for the disk: nobody takes its power away."""
    path = folder / "fleet.db"
    path.touch(mode=0o600)
    path.write_bytes(_migrated())
    database = Database(f"sqlite:///{path}")
    event.listen(database.engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))
    return database


@functools.cache
def _migrated() -> bytes:
    """The file of a database with its tables and nothing in them: migrating takes a while."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "fleet.db")
        database = Database(f"sqlite:///{path}")
        database.upgrade()
        database.close()
        return path.read_bytes()


def number_of(database: Database, device: str) -> int:
    """A device's number."""
    with database.reading() as connection:
        return int(connection.execute(select(devices.c.number).where(devices.c.id == device)).scalar_one())
