"""A device's link on a broker in memory, and whoever plays its controller, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.fake_mqtt import FakeBroker, FakeConnection
from tests.support.manual_clock import ManualClock, settled
from tests.support.memory_outbox import MemoryOutbox
from tests.support.recorded_journal import RecordedJournal
from tests.support.stop_orders import KnownKeys

from homebred_daemon.adapters.fleet_wire import FleetWire
from homebred_daemon.core.commands import ClockSpan, Command
from homebred_daemon.core.desired_state import KeptDesired
from homebred_daemon.core.fleet_messages import Desired, Document, Facts, PartReport
from homebred_daemon.core.stopping import Stopping
from homebred_daemon.errors import UnwritableError
from homebred_daemon.ports.clock import Clock
from homebred_daemon.ports.fleet_commands import Untold
from homebred_daemon.ports.identity import CertificateFacts, Identity, Membership
from homebred_daemon.services.fleet.fleet_sync import FleetSync, Means
from homebred_protocol.mqtt import Arrived, Credentials, HandOver, Happening, MqttConnection, SessionTerms

DEVICE = "dev-1"
OWN = f"hb/1/default/d/{DEVICE}"
FAR_AHEAD_S = 4_000_000_000
MOST_TURNS = 400


def identity(generation: str = "1") -> Identity:
    """Of the device."""
    nowhere = Path("/nowhere")
    return Identity(
        generation=generation,
        membership=Membership(
            device_id=DEVICE, site="clinic", controller_url="https://c", broker_host="b", broker_port=1
        ),
        certificate=CertificateFacts(serial="1", begins_s=0, ends_s=FAR_AHEAD_S, digest="sha256:c"),
        credentials=Credentials(authorities=nowhere, certificate=nowhere, key=nowhere),
    )


@dataclass
class MemoryOfFleet:
    """Fulfils `ports.fleet.FleetMemory`."""

    kept: KeptDesired = field(default_factory=KeptDesired)
    stop: Stopping = field(default_factory=Stopping)
    is_full: bool = False

    def desired(self) -> KeptDesired:
        return self.kept

    def stopping(self) -> Stopping:
        return self.stop

    def keep_desired(self, desired: Desired) -> None:
        self._require_room()
        self.kept = KeptDesired(highest_version=desired.version, desired=desired, applied=self.kept.applied)

    def keep_part(self, report: PartReport, applied: str) -> None:
        self._require_room()
        self.kept = KeptDesired(
            highest_version=self.kept.highest_version,
            desired=self.kept.desired,
            parts={**self.kept.parts, report.name: report},
            applied={**self.kept.applied, report.name: applied},
        )

    def keep_stop(self, stopping: Stopping) -> None:
        self._require_room()
        self.stop = stopping

    def close(self) -> None:
        pass

    def _require_room(self) -> None:
        if self.is_full:
            raise UnwritableError("the disk is full")


@dataclass
class ScriptedDocuments:
    """Fulfils `ports.fleet.FleetDocuments`."""

    done: list[tuple[str, str]] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)
    """Raised by what comes next."""
    kept: list[frozenset[str]] = field(default_factory=list)
    """What was to stay, each time that all else was to go."""
    epochs: list[int] = field(default_factory=list)
    """Of the newest stop order, each time that something was to be obtained."""

    async def obtain(self, name: str, document: Document, *, stop_epoch: int) -> None:
        self.epochs.append(stop_epoch)
        self._note(f"obtain {name}", document.digest)

    async def apply(self, name: str, digest: str) -> None:
        self._note(name, digest)

    async def keep_only(self, digests: frozenset[str]) -> None:
        self.kept.append(digests)

    def _note(self, what: str, digest: str) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.done.append((what, digest))


@dataclass
class CommandBook:
    """Fulfils `ports.fleet_commands.FleetCommands`: takes commands, and has the results that a test puts in."""

    taken: list[Command] = field(default_factory=list)
    waiting: list[Untold] = field(default_factory=list)
    was_told: list[tuple[str, int]] = field(default_factory=list)
    is_full: bool = False
    hear: Callable[[], None] = lambda: None

    async def take(self, command: Command, *, span: ClockSpan) -> None:
        if self.is_full:
            raise UnwritableError("the disk is full")
        self.taken.append(command)

    async def untold(self) -> Sequence[Untold]:
        return tuple(self.waiting)

    async def told(self, command_id: str, revision: int) -> None:
        self.was_told.append((command_id, revision))
        self.waiting = [each for each in self.waiting if each.result.id != command_id]

    def when_news(self, heard: Callable[[], None]) -> None:
        self.hear = heard


class ReceiptBook:
    """Fulfils `ports.fleet_commands.OutcomeReceipts`."""

    def __init__(self) -> None:
        self.noted: list[tuple[str, str, str, int]] = []

    def receipt(
        self, kind: str, subject: str, result: str, problem_code: str, *, version: int = 0, signed: bytes = b""
    ) -> bool:
        self.noted.append((kind, subject, result, version))
        return True


class Controller:
    """Whoever plays it: hears everything, says what a test wants."""

    def __init__(self, broker: FakeBroker) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self._line: FakeConnection = broker.connection(self._hear)
        terms = SessionTerms(
            "homebred-fleet", clean_start=True, session_expiry_s=0, keepalive_s=60, receive_maximum=100
        )
        self._line.connect(terms)
        self._line.subscribe(("hb/1/default/d/+/#",))

    def say(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        self._line.publish(topic, payload, token=0, retain=retain)

    def of(self, kind: str) -> list[bytes]:
        """What was heard on one of the device's topics, the oldest first."""
        return [payload for topic, payload in self.heard if topic == f"{OWN}/{kind}"]

    def _hear(self, happening: Happening) -> None:
        if isinstance(happening, Arrived):
            self._line.acknowledge(happening.receipt)
            self.heard.append((happening.topic, happening.payload))


class SyncStage:
    """Everything around one link."""

    def __init__(self, *, outbox: MemoryOutbox | None = None) -> None:
        self.clock = ManualClock()
        self.broker = FakeBroker(eager=True)
        self.controller = Controller(self.broker)
        self.outbox = outbox or MemoryOutbox()
        self.memory = MemoryOfFleet()
        self.documents = ScriptedDocuments()
        self.stop_check = KnownKeys()
        self.commands = CommandBook()
        self.receipts = ReceiptBook()
        self.journal = RecordedJournal()
        self.defects: list[BaseException] = []
        self.dialled: list[Identity] = []
        self.has_no_files = False
        self.identity = identity()
        self.facts = Facts(software_version="1")

    def sync(
        self,
        *,
        words: FleetWire | None = None,
        clock: Clock | None = None,
        chance: Callable[[], float] = lambda: 0.5,
    ) -> FleetSync:
        """A start of the daemon."""
        return FleetSync(
            Means(
                outbox=self.outbox,
                memory=self.memory,
                documents=self.documents,
                stop_check=self.stop_check,
                words=words or FleetWire(DEVICE),
                commands=self.commands,
                dial=self._dial,
                identity=lambda: self.identity,
                span=lambda: ClockSpan(begins_s=0, ends_s=FAR_AHEAD_S),
                facts=lambda: self.facts,
                receipts=self.receipts,
                clock=clock or self.clock,
                journal=self.journal,
                chance=chance,
                report_defect=self.defects.append,
            ),
        )

    def _dial(self, identity: Identity, hand_over: HandOver) -> MqttConnection:
        if self.has_no_files:
            raise OSError(24, "Too many open files")
        self.dialled.append(identity)
        return self.broker.connection(hand_over)

    async def until(self, met: Callable[[], bool]) -> None:
        """Lets the link do what it can without time passing."""
        for _ in range(MOST_TURNS):
            if met():
                return
            await _turn()
        raise AssertionError(f"it does not happen: {self.journal.names}")

    async def pass_s(self, seconds: float) -> None:
        """Lets time pass, once the link has seen all that was said before."""
        await settled()
        self.clock.pass_s(seconds)
        self.broker.pass_s(seconds)
        await settled()


async def _turn() -> None:
    await asyncio.sleep(0)
    await asyncio.to_thread(lambda: None)  # what it does on threads
