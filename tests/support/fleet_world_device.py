"""A device of a fleet in virtual time: the core of its session, driven without waiting; its disk and clock may fail."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tests.support.fleet_world_line import Line
from tests.support.fleet_world_wire import as_message, presence_bytes
from tests.support.memory_outbox import Disk, MemoryOutbox
from tests.support.stop_orders import KnownKeys, order_in

from homebred_daemon.core.desired_state import (
    Apply,
    DesiredState,
    KeepDesired,
    KeepPart,
    KeptDesired,
    Obtain,
    Outcome,
)
from homebred_daemon.core.fleet_messages import Desired, Document, Facts, Said, TelemetryAck
from homebred_daemon.core.fleet_session import FleetSession, Phase
from homebred_daemon.core.fleet_steps import (
    Acknowledge,
    CheckStop,
    Connect,
    Disconnect,
    Event,
    EventsWait,
    FloorFound,
    FloorsRead,
    Heard,
    KeepStop,
    Kept,
    Leave,
    LookForRoots,
    Now,
    OutboxFailed,
    OutboxRead,
    Publish,
    ReadFloors,
    ReadOutbox,
    StopChecked,
    Subscribe,
    TimePassed,
    Want,
    WasCut,
)
from homebred_daemon.core.outbox import Quota
from homebred_daemon.core.stopping import Checked, Proof, Stopping
from homebred_daemon.core.telemetry_window import CountRefused, CutNext, Forget, Send, TellFloor
from homebred_daemon.errors import UnwritableError
from homebred_daemon.ports.outbox import Floor, NewEvent
from homebred_protocol.mqtt import Arrived, Delivered, Ended, Happening, SessionTerms, Will
from homebred_protocol.topics import STOP, STREAMS, DeviceTopic, Down, Up, read, subscriptions_of_device
from homebred_protocol.v1 import fleet_pb2 as wire

if TYPE_CHECKING:
    from tests.support.fleet_world import World

FLOORS_ON_A_PAGE = len(STREAMS) + 1
"""Several pages after a few starts, and as in the product all streams of the newest boot on the first: it alone is told
again where nothing shows that more is wanted."""


@dataclass
class DeviceDisk:
    """What of a device outlives its process."""

    outbox: Disk = field(default_factory=Disk)
    desired: KeptDesired = field(default_factory=KeptDesired)
    stopping: Stopping = field(default_factory=Stopping)
    boots: int = 0
    applied: dict[str, str] = field(default_factory=dict)
    """What really holds, by part."""


class Device:
    """One device: the session's core, driven without waiting; its disk, clock and files may fail."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.id = name
        self.disk = DeviceDisk()
        self.clock_s = 0
        self.dies_at_disk = 0
        self.delay_s = world.chance.choice([0.01, 0.1, 1.5])
        self.generated = 0
        self._written = 0
        self._is_disk_full = False
        self._has_no_files = False
        self._stays_cut_until_s = 0.0
        self.session: FleetSession | None = None
        self.outbox: MemoryOutbox | None = None
        self._line: Line | None = None
        self._sent: dict[int, TelemetryAck] = {}
        """What the controller would say of each batch, by its token."""
        self._run = 0
        self._highest_version = 0
        self._known_stop = Stopping()
        """What its disk took last."""
        self.keys = KnownKeys(set(world.controller.director.named))
        """What its look has found of the director."""
        self._doubts = False
        """It has heard a stop that it could not check."""
        gaps_s = 240.0 / world.faults.events
        for number in range(world.faults.events):
            world.later(number * gaps_s * (0.5 + world.chance.random()), self._generate)

    # --- Its process --------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """A new start of the daemon."""
        if self.session is not None:
            return
        world, self._run = self.world, self._run + 1
        self.disk.boots += 1
        self._doubts = False
        boot_id = f"{self.disk.boots:08x}{int(self.id[4:]):08x}" + "ab" * 8
        quota = Quota(max_events=25, max_bytes=1_000_000)
        self.outbox = MemoryOutbox(boot_id=boot_id, disk=self.disk.outbox, quota=quota)
        self.outbox.is_full = self._is_disk_full
        desired = DesiredState(self.id, self.disk.desired)
        self.session = FleetSession(
            boot_id=boot_id,
            boot_number=self.outbox.boot_number,
            desired=desired,
            stopping=self.disk.stopping,
            facts=Facts(),
            chance=world.chance.random,
        )
        self._feed()
        self._do(TimePassed())

    def kill(self, back_after_s: float) -> None:
        """kill -9; nothing in memory stays."""
        if self.session is None:
            return
        self.world.note(f"{self.id} killed")
        self.session, self.outbox, self._run = None, None, self._run + 1
        if self._line is not None:
            self._line.die()
            self._line = None
        self.world.later(back_after_s, self.start)

    def stop_well(self, back_after_s: float) -> None:
        """SIGTERM: the goodbye is said where there is somebody to hear it."""
        if self.session is not None:
            self._do(Leave())
            self.world.later(5.0, lambda: self.kill(back_after_s))

    def happened(self, line: Line, happening: Happening) -> None:
        """From the broker."""
        if line is not self._line:
            return
        if isinstance(happening, Arrived):
            said = self._read(happening)
            if said is None:
                return
            if self.world.chaos and self.world.chance.random() < self.world.chaos and isinstance(said, TelemetryAck):
                self.world.later(self.world.chance.random() * 8, lambda: self._do(Heard(said, 0)))
            self._do(Heard(said, happening.receipt))
        else:
            if isinstance(happening, Ended):
                self._line = None
            self._do(happening)
            if isinstance(happening, Delivered) and self.world.faults.mutant == "forgets at PUBACK":
                sent = self._sent.get(happening.token)
                if sent is not None and happening.ok:
                    self._do(Heard(sent, 0))

    # --- What goes wrong ----------------------------------------------------------------------------------------------

    def partition(self, seconds: float) -> None:
        """Its network fails."""
        self._stays_cut_until_s = max(self._stays_cut_until_s, self.world.now_s + seconds)
        if self._line is not None:
            self._line.cut(min(seconds, self.world.chance.choice([0.5, 15, 100])))

    def fill_disk(self, seconds: float) -> None:
        """Nothing can be written."""
        self._set_disk(full=True)
        self.world.later(seconds, lambda: self._set_disk(full=False))

    def exhaust_files(self, seconds: float) -> None:
        """No connection can be opened."""
        self._has_no_files = True
        self.world.later(seconds, lambda: setattr(self, "_has_no_files", False))

    def heal(self) -> None:
        """Nothing is wrong any more."""
        self.dies_at_disk, self._has_no_files, self._stays_cut_until_s = 0, False, 0.0
        self._set_disk(full=False)
        self._find_trust()
        self.look()
        self.world.later(0.0, self.start)

    def _set_disk(self, *, full: bool) -> None:
        self._is_disk_full = full
        if self.outbox is not None:
            self.outbox.is_full = full
            if not full:
                self._feed()

    def _touches_disk(self) -> bool:
        """Before something is written: False: the device dies here."""
        if self.dies_at_disk:
            self.dies_at_disk -= 1
            if not self.dies_at_disk:
                self.world.later(0.0, lambda: self.kill(1.0))
        return not self._is_disk_full

    # --- Its telemetry ------------------------------------------------------------------------------------------------

    def _generate(self) -> None:
        self.generated += 1
        self._feed()

    def _feed(self) -> None:
        """What the ledger has and the outbox has not."""
        if self.outbox is None or self.session is None:
            return
        events = []
        for number in range(self._written + 1, self.generated + 1):
            stream = STREAMS[1 + number % (len(STREAMS) - 1)]
            body = wire.Event(recorded_at_s=number)
            events.append(NewEvent(stream=stream, body=body.SerializeToString()))
        try:
            self.outbox.append(events, cursor=str(self.generated))
        except UnwritableError:
            return
        self._written = self.generated
        if events:
            self._do(EventsWait())

    # --- What the core wants ------------------------------------------------------------------------------------------

    def _do(self, event: Event) -> None:
        if self.session is None:
            return
        run, session, todo = self._run, self.session, [event]
        while todo and run == self._run:
            now = Now(self.world.now_s, int(1_800_000_000 + self.world.now_s + self.clock_s))
            for want in session.handle(todo.pop(0), now):
                todo += self._obey(want)
                if run != self._run:
                    return
        self._watch()
        if (due_s := session.due_s()) is not None:
            self.world.later(max(0.0, due_s - self.world.now_s), lambda: self._wake(run))

    def _wake(self, run: int) -> None:
        if run == self._run and self.session is not None:
            due_s = self.session.due_s()
            if due_s is not None and due_s <= self.world.now_s:
                self._do(TimePassed())

    def _obey(self, want: Want) -> list[Event]:
        assert self.outbox is not None
        match want:
            case Connect():
                self._connect(want)
            case Subscribe() | Publish() | Acknowledge() | Disconnect():
                if self._line is not None:
                    self._send(self._line, want)
            case ReadFloors():
                return [FloorsRead(tuple(map(_found, self.outbox.floors(FLOORS_ON_A_PAGE, skip=want.skip))))]
            case ReadOutbox():
                return [OutboxRead(self.outbox.cut_batches())]
            case CutNext() | Forget() | CountRefused() | TellFloor():
                return self._at_outbox(want)
            case KeepDesired() | KeepStop() | KeepPart():
                return self._keep(want)
            case CheckStop() | LookForRoots():
                return self._ask_director(want)
            case Obtain() | Apply():
                self._work(want)
        return []

    def _send(self, line: Line, want: Subscribe | Publish | Acknowledge | Disconnect) -> None:
        match want:
            case Subscribe():
                line.send(lambda far: far.subscribe(subscriptions_of_device(self.id)))
            case Publish():
                self._publish(line, want)
            case Acknowledge():
                line.send(lambda far: far.acknowledge(want.receipt))
            case Disconnect():
                line.send(lambda far: far.disconnect(with_will=want.with_will))

    def _at_outbox(self, want: CutNext | Forget | CountRefused | TellFloor) -> list[Event]:
        assert self.outbox is not None
        self._touches_disk()
        try:
            match want:
                case CutNext():
                    return [WasCut(self.outbox.cut(max_events=5, max_bytes=100_000))]
                case Forget():
                    self.outbox.acknowledge(want.boot_id, want.stream, want.up_to_seq)
                case CountRefused():
                    self.outbox.refuse(want.boot_id, want.stream, want.up_to_seq)
                    return [EventsWait()]
                case TellFloor():
                    floor = self.outbox.floor(want.boot_id, want.stream)
                    if floor is not None:
                        return [_found(floor)]
        except UnwritableError:
            return [OutboxFailed()]
        return []

    def _keep(self, want: KeepDesired | KeepStop | KeepPart) -> list[Event]:
        ok = self._touches_disk()
        if ok and isinstance(want, KeepDesired) and self.world.faults.mutant != "floor not kept":
            kept = want.desired
            self.disk.desired = replace(self.disk.desired, highest_version=kept.version, desired=kept, parts={})
        elif ok and isinstance(want, KeepStop):
            self.world.broken += [f"{self.id}: {each}" for each in self._faults_of(want.stopping)]
            self._known_stop = want.stopping
            if self.world.faults.mutant != "stop order not kept":
                self.disk.stopping = want.stopping
        elif ok and isinstance(want, KeepPart):
            parts = {**self.disk.desired.parts, want.report.name: want.report}
            applied = {**self.disk.desired.applied, want.report.name: want.applied}
            self.disk.desired = replace(self.disk.desired, parts=parts, applied=applied)
        return [] if isinstance(want, KeepPart) else [Kept(want, ok)]

    def _work(self, want: Obtain | Apply) -> None:
        """Takes its time, and may fail."""
        chance, run = self.world.chance, self._run
        digest = want.document.digest if isinstance(want, Obtain) else want.digest
        if isinstance(want, Apply) and (self._known_stop.stopped or self._doubts):
            self.world.broken.append(f"{self.id} took something up under a stop order")
        if isinstance(want, Apply) and digest and not digest.startswith(self.id):
            self.world.broken.append(f"{self.id} took up {digest}")
        failed = chance.random()

        def end() -> None:
            if run != self._run:
                return
            code, again = ("", False)
            if failed < 0.1:
                code, again = "unreachable", True
            elif failed < 0.2 and isinstance(want, Apply) and digest:
                code = "invalid"
            elif isinstance(want, Apply):
                self.disk.applied[want.name] = digest
            self._do(Outcome(name=want.name, digest=digest, problem_code=code, problem=code, again=again))

        self.world.later(chance.random() * 5, end)

    # --- The director's word ------------------------------------------------------------------------------------------

    def _ask_director(self, want: CheckStop | LookForRoots) -> list[Event]:
        if isinstance(want, CheckStop):
            return [self._checked(want)]
        self.look()
        return []

    def _checked(self, want: CheckStop) -> StopChecked:
        proof = self.keys.check(want.order)
        self._doubts |= proof.proof is Proof.UNKNOWN and want.order.stopped
        keys = proof.director_keys
        match self.world.faults.mutant:
            case "believes any order":
                proof = Checked(proof=Proof.SIGNED, director_keys=frozenset({want.order.key_id}))
            case "runs on in doubt" if proof.proof is Proof.UNKNOWN:
                proof = Checked(proof=Proof.NOT_SIGNED)
            case "epochs outlive their key":
                proof = Checked(proof=proof.proof, director_keys=keys | {self._known_stop.key_id})
            case "any key begins epochs anew":
                proof = Checked(proof=proof.proof, director_keys=keys - {self._known_stop.key_id})
        return StopChecked(want.order, want.receipt, proof)

    def look(self) -> None:
        """Sees the director's newest root, after a while, and where its network lets it."""
        self.world.later(self.world.chance.choice([0.1, 1.0, 3.0]), self._looked)

    def _looked(self) -> None:
        if self.world.now_s < self._stays_cut_until_s:
            self.world.later(60.0, self._looked)
        else:
            self.keys.keys = set(self.world.controller.director.named)

    def lose_trust(self, seconds: float) -> None:
        """It cannot read what it trusts, for a while."""
        self.keys.is_readable = False
        self.world.later(seconds, self._find_trust)

    def _find_trust(self) -> None:
        self.keys.is_readable, self._doubts = True, False

    def _faults_of(self, stopping: Stopping) -> list[str]:
        """What is wrong with an order that it keeps: the director never gave it, or gave another one after it."""
        found = []
        rank_of = self.world.controller.director.rank
        rank, before = rank_of(stopping.order), rank_of(self._known_stop.order)
        if rank is None:
            found.append(f"it believes {stopping}")
        elif before is not None and rank < before and self._known_stop.key_id in self.keys.keys:
            found.append(f"it goes back from {self._known_stop} to {stopping}")
        return found

    def _connect(self, want: Connect) -> None:
        world = self.world
        if self._has_no_files or world.now_s < self._stays_cut_until_s:
            run = self._run
            world.later(1.0, lambda: self._do(Ended("unreachable")) if run == self._run else None)
            return
        self._line = Line(world, self, self.delay_s)
        topic = DeviceTopic(self.id, Up.STATE).text
        terms = SessionTerms(
            client_id=self.id,
            clean_start=False,
            session_expiry_s=3600,
            keepalive_s=want.keepalive_s,
            receive_maximum=50,
            will=Will(topic, presence_bytes(want.will), delay_s=world.will_delay_s),
        )
        self._line.send(lambda far: far.connect(terms))

    def _publish(self, line: Line, want: Publish) -> None:
        told = want.told
        if isinstance(told, Send):
            self._sent[want.token] = TelemetryAck(
                boot_id=told.batch.boot_id, stream=told.batch.stream, up_to_seq=told.batch.last_seq
            )
        topic, payload, retain = as_message(self.id, told)
        line.send(lambda far: far.publish(topic, payload, token=want.token, retain=retain))

    def _read(self, arrived: Arrived) -> Said | None:
        if arrived.topic == STOP:
            return order_in(arrived.payload)
        topic = read(arrived.topic)
        assert topic is not None
        if topic.kind is Down.ACK:
            ack = wire.TelemetryAck.FromString(arrived.payload)
            return TelemetryAck(
                boot_id=ack.boot_id,
                stream=STREAMS[ack.stream - 1],
                up_to_seq=ack.up_to_seq,
                refused_up_to_seq=ack.refused_up_to_seq,
                refusal_code=ack.refusal_code,
                was_behind=ack.was_behind,
            )
        desired = wire.Desired.FromString(arrived.payload)
        return Desired(
            device_id=self.id if self.world.faults.mutant == "takes another's desired" else desired.device_id,
            version=desired.version,
            policy=Document(digest=desired.policy.digest),
            gazetteer=Document(digest=desired.gazetteer.digest),
        )

    def _watch(self) -> None:
        """What must hold at every moment."""
        if self.session is None:
            return
        version = self.session.desired.highest_version
        if version < self._highest_version:
            self.world.broken.append(f"{self.id}: the floor fell from {self._highest_version} to {version}")
        self._highest_version = max(version, self._highest_version)

    def check(self) -> list[str]:
        """What must hold at rest."""
        assert self.session is not None
        assert self.outbox is not None
        found = []
        if self.session.phase is not Phase.HERE:
            found.append(f"it is {self.session.phase.name}")
        if self.outbox.depth().events:
            found.append(f"{self.outbox.depth().events} events wait")
        return found


def _found(floor: Floor) -> FloorFound:
    return FloorFound(floor.boot_id, floor.boot_number, floor.stream, floor.seq, floor.events)
