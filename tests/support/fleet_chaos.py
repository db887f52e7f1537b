"""Devices under load while their controller and its broker are killed again and again; then the books are compared.

`python -m tests.support.fleet_chaos --seconds 600` exits with 1 where they do not agree. The devices are real daemons,
and only controller and broker are killed, so that each caller's own log says exactly how many tasks ended:

    tasks that callers saw end = rows of route events + route events counted in gaps, none of them twice
    numbers that a device gave = rows of all its events + events counted in gaps
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import func, select
from tests.support.controller import Controller, running_controller
from tests.support.daemon_process import Site
from tests.support.fleet_site import enrolled
from tests.support.wire_client import DaemonClient

from homebred_fleet.adapters.store.accounts import accounts, counts
from homebred_fleet.adapters.store.tables import boots, controller_gaps, devices, gap_events, route_events
from homebred_protocol.v1 import fleet_pb2
from homebred_protocol.v1 import inference_pb2 as wire

SETTLED_WITHIN_S = 240.0
CALLERS = 3
SMALL = "[fleet]\nmax_outbox_events = 1000\n"
"""Of every second device: what it cannot keep while nobody takes it must be counted."""


@dataclass(slots=True)
class Sender:
    """A device under load, and the log of its callers."""

    name: str
    site: Site
    log: Path
    lock: threading.Lock = field(default_factory=threading.Lock)

    def load(self, pause_s: float, ended: threading.Event) -> None:
        """One caller: task after task, each that ended on a line of its own."""
        with DaemonClient(self.site.socket) as client, self.log.open("a") as log:
            while not ended.wait(pause_s):
                events = list(
                    client.generate(wire.GenerateRequest(task=wire.Task(text="hello", data_classes=["public"])))
                )
                route = next(one.decision.route_id for one in events if one.HasField("decision"))
                assert any(one.HasField("outcome") for one in events)
                with self.lock:
                    log.write(f"{route}\n")
                    log.flush()

    def ended(self) -> list[str]:
        """Routes that callers saw end."""
        return self.log.read_text().split()

    def numbered(self) -> int:
        """How many events this device gave a number."""
        with closing(sqlite3.connect(self.site.state / "outbox.sqlite")) as connection:
            return int(connection.execute("SELECT sum(last_seq) FROM boots").fetchone()[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """How long, and how often what is killed."""

    seconds: float
    controller_every_s: float = 10.0
    broker_every_s: float = 30.0
    pause_s: float = 0.05
    """Of a caller between two tasks."""
    away_s: float = 20.0
    """How long the broker stays away once, at half time: longer than the smaller outboxes last."""


@dataclass(slots=True)
class Killings:
    """Kills and starts controller and broker, each in its own rhythm."""

    controller: Controller
    controllers: int = 0
    brokers: int = 0

    def run(self, rhythm: Rhythm) -> None:
        """For as long as the rhythm says."""
        begun_s = time.monotonic()
        due_controller, due_broker = rhythm.controller_every_s, rhythm.broker_every_s
        was_away = False
        while (now_s := time.monotonic() - begun_s) < rhythm.seconds:
            if not was_away and now_s >= rhythm.seconds / 2:
                was_away = True
                self.kill_broker(away_s=rhythm.away_s)
            if now_s >= due_broker:
                self.kill_broker()
                due_broker += rhythm.broker_every_s
            if now_s >= due_controller:
                self.controller.kill()
                self.controller.start()
                self.controllers += 1
                due_controller += rhythm.controller_every_s
            time.sleep(0.05)

    def kill_broker(self, *, away_s: float = 0.0) -> None:
        """It is back after so long."""
        self.controller.broker.kill()
        time.sleep(away_s)
        self.controller.broker.start()
        self.brokers += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """One device's, from both sides."""

    device: str
    ended: int
    """Tasks that callers saw end."""
    route_rows: int
    routes_lost: int
    doubled: int
    """Rows of a route that has another row, or that no caller saw."""
    numbered: int
    rows: int
    lost: int

    @property
    def agree(self) -> bool:
        """Whether nothing is missing and nothing is there twice."""
        routes = self.ended == self.route_rows + self.routes_lost and not self.doubled
        return routes and self.numbered == self.rows + self.lost


def books(controller: Controller, sender: Sender) -> Books:
    """Compares a device's with the controller's."""
    database, ended = controller.database(), sender.ended()
    try:
        with database.reading() as connection:
            account = next((one for one in accounts(connection) if one.device == sender.name), None)
            number = connection.execute(select(devices.c.number).where(devices.c.id == sender.name)).scalar_one()
            own = select(boots.c.number).where(boots.c.device == number)
            routes = (
                connection.execute(select(route_events.c.route_id).where(route_events.c.boot.in_(own))).scalars().all()
            )
            there = select(func.coalesce(func.sum(gap_events.c.events), 0)).join(
                boots, boots.c.number == gap_events.c.boot
            )
            there = there.where(boots.c.device == number, gap_events.c.stream == fleet_pb2.STREAM_ROUTE, counts())
            here = select(func.coalesce(func.sum(controller_gaps.c.events), 0))
            here = here.where(controller_gaps.c.boot.in_(own), controller_gaps.c.stream == fleet_pb2.STREAM_ROUTE)
            lost = int(connection.execute(there).scalar_one()) + int(connection.execute(here).scalar_one())
    finally:
        database.close()
    strange = len(routes) - len(set(routes) & set(ended))
    return Books(
        device=sender.name,
        ended=len(ended),
        route_rows=len(routes),
        routes_lost=lost,
        doubled=strange,
        numbered=sender.numbered(),
        rows=account.rows if account else 0,
        lost=account.lost_on_device + account.lost_here if account else 0,
    )


@contextmanager
def senders(controller: Controller, folder: Path, number: int) -> Iterator[list[Sender]]:
    """Enrolled daemons that run until the context is left."""
    with ExitStack() as stack:
        made = []
        for index in range(number):
            site, name = enrolled(controller, folder / f"device-{index}", site="clinic" if index % 2 else "factory")
            config = site.folder / "homebred.toml"
            config.write_text(SMALL if index % 2 else "")
            stack.enter_context(site.daemon("--config", str(config)))
            made.append(Sender(name=name, site=site, log=site.folder / "ended"))
        yield made


@contextmanager
def under_load(made: Sequence[Sender], pause_s: float) -> Iterator[None]:
    """Callers at every device until the context is left."""
    ended = threading.Event()
    callers = [
        threading.Thread(target=sender.load, args=(pause_s, ended), name=f"caller-{sender.name}")
        for sender in made
        for _ in range(CALLERS)
    ]
    for caller in callers:
        caller.start()
    try:
        yield
    finally:
        ended.set()
        for caller in callers:
            caller.join()


def waiting(made: Sequence[Sender]) -> int:
    """Events that no controller has taken yet, over all devices."""
    total = 0
    for sender in made:
        with DaemonClient(sender.site.socket) as client:
            total += int(client.status().fleet.waiting_events)
    return total


def settle(controller: Controller, made: Sequence[Sender]) -> float:
    """Waits until the books agree, at most SETTLED_WITHIN_S; how long it took."""
    begun_s = time.monotonic()
    while time.monotonic() - begun_s < SETTLED_WITHIN_S:
        if not waiting(made) and all(books(controller, sender).agree for sender in made):
            break
        time.sleep(0.5)
    return time.monotonic() - begun_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a run found."""

    killings: Killings
    settled_s: float
    books: tuple[Books, ...]

    @property
    def agrees(self) -> bool:
        """Whether every device's books do."""
        return all(one.agree for one in self.books)

    @property
    def lost(self) -> int:
        """Route events that were dropped and counted."""
        return sum(one.routes_lost for one in self.books)

    def lines(self) -> Iterator[str]:
        """For people."""
        yield f"controller killed {self.killings.controllers} times, broker {self.killings.brokers} times"
        yield f"caught up {self.settled_s:.1f} s after the load ended"
        for one in self.books:
            yield (
                f"{one.device}: {one.ended} tasks ended = {one.route_rows} rows + {one.routes_lost} counted lost, "
                f"{one.doubled} doubled; {one.numbered} numbers = {one.rows} rows + {one.lost} counted lost"
                f"{'' if one.agree else '   <-- DO NOT AGREE'}"
            )
        ended, rows = sum(one.ended for one in self.books), sum(one.route_rows for one in self.books)
        yield f"together: {ended} tasks = {rows} rows + {self.lost} counted lost"


def run(folder: Path, rhythm: Rhythm, *, number: int) -> Report:
    """The whole of it, in an empty folder."""
    with running_controller(folder / "fleet") as controller, senders(controller, folder, number) as made:
        killings = Killings(controller)
        with under_load(made, rhythm.pause_s):
            killings.run(rhythm)
        settled_s = settle(controller, made)
        found = tuple(books(controller, sender) for sender in made)
    return Report(killings=killings, settled_s=settled_s, books=found)


def main() -> int:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--devices", type=int, default=4)
    parser.add_argument("--pause", type=float, default=0.05, help="between two tasks of a caller, seconds")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="homebred-chaos-") as name:
        report = run(Path(name), Rhythm(seconds=asked.seconds, pause_s=asked.pause), number=asked.devices)
    sys.stdout.writelines(f"{line}\n" for line in report.lines())
    return 0 if report.agrees else 1


if __name__ == "__main__":
    sys.exit(main())
