"""Measures how many events a second a controller takes: the store alone, and from senders to `tm-ack` over mosquitto.

Batches of 200 routes are made before the clock starts. The controller is a process of its own over SQLite with
synchronous FULL; a sender plays the devices, each with four batches on their way. A round in which a row is missing or
too many is no figure.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from sqlalchemy import insert
from tests.bench.figures import Aim, Bench, Conditions, Found, percentile
from tests.support.broker import HOST, running_broker
from tests.support.memory_library import MemoryLibrary
from tests.support.plain_broker import PlainBroker
from tests.support.stop_orders import SymbolicSigner
from tests.support.telemetry_messages import NOW_S, batch, boot, route

from homebred_fleet.adapters.store.database import Database
from homebred_fleet.adapters.store.intake import StoreIntake
from homebred_fleet.adapters.store.rows import insert_rows
from homebred_fleet.adapters.store.tables import boots, devices, route_events
from homebred_fleet.adapters.wire.telemetry import read_batch, read_rows
from homebred_fleet.app.linking import linked
from homebred_fleet.log_events import Event, Value
from homebred_fleet.ports.intake import Arrival
from homebred_protocol.mqtt import Arrived, Connected, Credentials, Endpoint, Happening, SessionTerms
from homebred_protocol.mqtt_thread import MqttThread
from homebred_protocol.topics import DeviceTopic, Down, Up, read
from homebred_protocol.v1 import fleet_pb2 as wire

STORE, PLAIN, MTLS, ACK = "ingest.store_events_s", "ingest.events_s", "ingest.mtls_events_s", "ingest.ack_ms_p50"
BATCH = 200
WINDOW = 4
MANY, FEW = 50, 8
"""Devices without TLS over one connection, and over mTLS with one each."""
GROUP = 100
PATIENCE_S = 120.0


class Silent:
    """Fulfils `ports.journal.Journal`."""

    def note(self, event: Event, **fields: Value) -> None:
        """Notes nothing."""


def _names(count: int) -> list[str]:
    return [f"device-{number:02}" for number in range(count)]


def _payloads(names: Sequence[str], batches: int) -> dict[str, list[bytes]]:
    """By device: batches that follow each other, of a boot of its own."""
    found: dict[str, list[bytes]] = {name: [] for name in names}
    for number in range(batches):
        first = number * BATCH + 1
        one = batch([route(seq) for seq in range(first, first + BATCH)], after_seq=first - 1)
        for name in names:
            one.boot_id = boot(name)
            found[name].append(one.SerializeToString())
    return found


@contextmanager
def _database(names: Sequence[str]) -> Iterator[tuple[Database, Path]]:
    with tempfile.TemporaryDirectory(prefix="homebred-bench-") as folder:
        database = Database(f"sqlite:///{folder}/fleet.db")
        database.upgrade()
        with database.writing() as connection:
            rows = [{"id": name, "site": "a", "labels": {}, "state": "enrolled", "enrolled_at_s": 1} for name in names]
            connection.execute(insert(devices), rows)
        yield database, Path(folder)
        database.close()


def _rows(folder: Path) -> int:
    with sqlite3.connect(folder / "fleet.db") as connection:
        return int(connection.execute("SELECT count(*) FROM route_events").fetchone()[0])


# --- the store alone ----------------------------------------------------------------------------------------------


def _store_round(payloads: Mapping[str, Sequence[bytes]]) -> float:
    """Events a second from messages to commits, without a broker."""
    topics = {name: DeviceTopic(name, Up.TELEMETRY, "route").text for name in payloads}
    turns = zip(*payloads.values(), strict=True)
    arrivals = [
        Arrival(topic=topics[name], payload=payload, is_retained=False)
        for turn in turns
        for name, payload in zip(payloads, turn, strict=True)
    ]
    with _database(list(payloads)) as (database, folder):
        intake = StoreIntake(database)
        started_s = time.perf_counter()
        for start in range(0, len(arrivals), GROUP):
            intake.take(arrivals[start : start + GROUP], now_s=NOW_S)
        elapsed_s = time.perf_counter() - started_s
        _complete(_rows(folder), len(arrivals) * BATCH)
    return len(arrivals) * BATCH / elapsed_s


def _bare_round(payloads: Mapping[str, Sequence[bytes]]) -> float:
    """The same rows, made before, by the driver's executemany in transactions as large."""
    made = [
        read_rows(*read_batch(payload), boot=number, received_at_s=NOW_S)
        for number, own in enumerate(payloads.values(), start=1)
        for payload in own
    ]
    with _database(list(payloads)) as (database, folder):
        with database.writing() as connection:
            numbers = range(1, len(payloads) + 1)
            known = [{"device": one, "boot_id": str(one), "boot_number": 1, "first_heard_at_s": 1} for one in numbers]
            connection.execute(insert(boots), known)
        started_s = time.perf_counter()
        for start in range(0, len(made), GROUP):
            with database.writing() as connection:
                insert_rows(connection, route_events, [row for rows in made[start : start + GROUP] for row in rows])
        elapsed_s = time.perf_counter() - started_s
        _complete(_rows(folder), len(made) * BATCH)
    return len(made) * BATCH / elapsed_s


def _complete(rows: int, events: int) -> None:
    if rows != events:
        raise RuntimeError(f"{events} events were sent, {rows} are rows")


# --- through a broker ---------------------------------------------------------------------------------------------


def serve(folder: str, endpoint: Endpoint) -> None:
    """A controller's process; until SIGTERM."""

    async def main() -> None:
        database = Database(f"sqlite:///{folder}/fleet.db")
        link = linked(
            database,
            MemoryLibrary(),
            Silent(),
            SymbolicSigner(),
            make_connection=lambda hand_over: MqttThread(endpoint, hand_over, name="hub"),
            now_s=lambda: NOW_S,
        )
        async with asyncio.TaskGroup() as group:
            running = group.create_task(link.run())
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)

    asyncio.run(main())


@dataclass(slots=True)
class _Sender:
    """Devices that share a connection: each has a window of batches on their way and goes on by acknowledgements."""

    endpoint: Endpoint
    client_id: str
    payloads: Mapping[str, Sequence[bytes]]
    waits_s: list[float] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)
    connected: threading.Event = field(default_factory=threading.Event)
    _sent: dict[str, int] = field(default_factory=dict)
    _taken: dict[str, int] = field(default_factory=dict)
    _sent_s: dict[tuple[str, int], float] = field(default_factory=dict)
    _thread: MqttThread | None = None

    def open(self) -> None:
        """Connects; nothing is sent yet."""
        self._thread = MqttThread(self.endpoint, self._hear, name=self.client_id)
        self._thread.connect(
            SessionTerms(self.client_id, clean_start=True, session_expiry_s=0, keepalive_s=60, receive_maximum=500)
        )

    def start(self) -> None:
        """Sends every device's window."""
        for name in self.payloads:
            self._sent[name] = self._taken[name] = 0
        for name in self.payloads:
            self._send(name)

    def close(self) -> None:
        """Ends it."""
        if self._thread is not None:
            self._thread.close()

    def _send(self, name: str) -> None:
        assert self._thread is not None
        own = self.payloads[name]
        while self._sent[name] < min(self._taken[name] + WINDOW, len(own)):
            number = self._sent[name]
            self._sent[name] += 1
            self._sent_s[name, number] = time.perf_counter()
            self._thread.publish(DeviceTopic(name, Up.TELEMETRY, "route").text, own[number], token=0)

    def _hear(self, happening: Happening) -> None:
        assert self._thread is not None
        match happening:
            case Connected():
                self._thread.subscribe(tuple(DeviceTopic(name, Down.ACK).text for name in self.payloads))
                self.connected.set()
            case Arrived(topic, payload, _, receipt):
                self._thread.acknowledge(receipt)
                told = read(topic)
                if told is not None:
                    self._acknowledged(told.device, wire.TelemetryAck.FromString(payload).up_to_seq // BATCH)
            case _:
                pass

    def _acknowledged(self, name: str, taken: int) -> None:
        now_s = time.perf_counter()
        for number in range(self._taken[name], taken):
            self.waits_s.append(now_s - self._sent_s[name, number])
        self._taken[name] = max(taken, self._taken[name])
        self._send(name)
        if all(self._taken[one] == len(own) for one, own in self.payloads.items()):
            self.done.set()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Round:
    """What one round through a broker has shown."""

    events_s: float
    """From the first publication to the last acknowledgement."""
    waits_s: Sequence[float]
    """Of each batch."""
    controller_us: float
    """Processor time of the controller for each event."""


def _processor_s(pid: int) -> float:
    """Processor time of a process so far (proc(5): utime and stime)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _through(endpoint: Endpoint, senders: Sequence[_Sender], names: Sequence[str]) -> _Round:
    """One round; a controller of its own."""
    with _database(names) as (_, folder):
        process = multiprocessing.get_context("spawn").Process(target=serve, args=(str(folder), endpoint))
        process.start()
        try:
            time.sleep(3)  # it imports, connects and subscribes; what is sent before would be lost, and sent again
            for sender in senders:
                sender.open()
                assert sender.connected.wait(PATIENCE_S)
            time.sleep(0.5)
            assert process.pid is not None
            started_s, used_s = time.perf_counter(), _processor_s(process.pid)
            for sender in senders:
                sender.start()
            for sender in senders:
                if not sender.done.wait(PATIENCE_S):
                    raise RuntimeError("not everything was acknowledged")
            elapsed_s = time.perf_counter() - started_s
            used_s = _processor_s(process.pid) - used_s
        finally:
            for sender in senders:
                sender.close()
            process.terminate()
            process.join()
        events = sum(len(own) for sender in senders for own in sender.payloads.values()) * BATCH
        _complete(_rows(folder), events)
    return _Round(
        events_s=events / elapsed_s,
        waits_s=[wait_s for sender in senders for wait_s in sender.waits_s],
        controller_us=used_s / events * 1e6,
    )


def _plain_round(payloads: Mapping[str, Sequence[bytes]]) -> _Round:
    with tempfile.TemporaryDirectory(prefix="homebred-bench-") as folder:
        broker = PlainBroker(Path(folder)).start()
        try:
            endpoint = Endpoint(HOST, broker.port, None)
            return _through(endpoint, [_Sender(endpoint, "sender", payloads)], list(payloads))
        finally:
            broker.stop()


def _mtls_round(payloads: Mapping[str, Sequence[bytes]]) -> _Round:
    with tempfile.TemporaryDirectory(prefix="homebred-bench-") as folder, running_broker(Path(folder)) as broker:

        def endpoint(credentials: Credentials) -> Endpoint:
            return Endpoint(HOST, broker.port, credentials)

        senders = [_Sender(endpoint(broker.device(name)), name, {name: own}) for name, own in payloads.items()]
        return _through(endpoint(broker.controller), senders, list(payloads))


def _measure(conditions: Conditions) -> Mapping[str, Found]:
    rounds, batches = conditions.rounds(3, 1), conditions.rounds(40, 8)
    many, few = _payloads(_names(MANY), batches), _payloads(_names(FEW), batches)
    store, bare = _events_s(rounds, _store_round, many), _events_s(rounds, _bare_round, many)
    plain = [_plain_round(many) for _ in range(rounds)]
    mtls = [_mtls_round(few) for _ in range(rounds)]
    waits = [percentile(one.waits_s, 50) * 1000 for one in plain]
    how = f"batches of {BATCH}, SQLite with synchronous FULL, no event lost or doubled; median of {rounds} rounds"
    whole = "from the first publication to the last tm-ack, sender, mosquitto and controller on this machine"
    return {
        STORE: Found(value=store, reference=bare, note=f"messages to commits, one thread, without a broker; {how}"),
        PLAIN: Found(
            value=median(one.events_s for one in plain), note=f"{MANY} devices, no TLS, {_cost(plain)}, {whole}; {how}"
        ),
        MTLS: Found(
            value=median(one.events_s for one in mtls), note=f"{FEW} devices over mTLS, {_cost(mtls)}, {whole}; {how}"
        ),
        ACK: Found(
            value=median(waits), note=f"a batch's wait at that rate, {WINDOW} on their way for each device; {how}"
        ),
    }


def _cost(rounds: Sequence[_Round]) -> str:
    return f"{median(one.controller_us for one in rounds):.1f} µs of the controller's processor time an event"


def _events_s(
    rounds: int, measured: Callable[[Mapping[str, Sequence[bytes]]], float], payloads: Mapping[str, Sequence[bytes]]
) -> float:
    return median(measured(payloads) for _ in range(rounds))


INGEST = Bench(
    name="ingest",
    aims=(
        Aim(name=STORE, unit="events/s", better="higher"),
        Aim(name=PLAIN, unit="events/s", better="higher", target=100_000),
        Aim(name=MTLS, unit="events/s", better="higher"),
        Aim(name=ACK, unit="ms"),
    ),
    run=_measure,
)
