"""The controller of a fleet in virtual time: its judgements are the product's, its tables a few dictionaries."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tests.support.fleet_world_director import Director
from tests.support.fleet_world_line import Line

from homebred_fleet.core.desired import Part, must_jump, next_version
from homebred_fleet.core.ingest import BatchHeader, Floor, Verdict, events_lost, events_refused, judge
from homebred_fleet.core.presence import Told, judge_state
from homebred_protocol.compression import decompressed
from homebred_protocol.mqtt import Arrived, Connected, Delivered, Ended, Happening, SessionTerms
from homebred_protocol.schemas import CURRENT
from homebred_protocol.topics import STOP, STREAMS, DeviceTopic, Down, Up, read
from homebred_protocol.v1 import fleet_pb2 as wire

if TYPE_CHECKING:
    from tests.support.fleet_world import World
    from tests.support.fleet_world_device import Device

EVERYTHING = ("hb/1/default/d/+/#",)
COMPARE_EVERY_S = 600.0
"""As `services.reconciling` does: between two looks at what the broker keeps, which somebody may have changed."""


@dataclass
class Database:
    """What the controller has committed."""

    watermarks: dict[tuple[str, str, int], int] = field(default_factory=dict)
    rows: dict[tuple[str, str, int], int] = field(default_factory=dict)
    """Stream by device, boot and seq."""
    known_events: dict[tuple[str, str, int], int] = field(default_factory=dict)
    lost: dict[str, int] = field(default_factory=dict)
    """By the devices' own gap events, of what the controller did not count itself."""
    gaps: dict[str, int] = field(default_factory=dict)
    """What the controller lost or refused."""
    refused: set[tuple[str, str, int]] = field(default_factory=set)
    refusals_told: list[tuple[str, str, int, int, int, int]] = field(default_factory=list)
    """Device, boot, stream, first and last seq and number of events that the device says were refused."""
    counted_here: list[tuple[tuple[str, str, int], int, int]] = field(default_factory=list)
    """Device, boot and stream, and between which numbers events were counted as refused or lost here."""
    forgotten_gaps: dict[str, int] = field(default_factory=dict)
    """Records of gaps that a restored controller no longer has: how many is known, what they counted is not."""
    presence: dict[str, Told] = field(default_factory=dict)
    desired: dict[str, tuple[int, str]] = field(default_factory=dict)
    refused_events: dict[str, int] = field(default_factory=dict)
    stop: tuple[int, bool] = (0, False)

    def copy(self) -> Database:
        """As it is now."""
        return copy.deepcopy(self)


class Controller:
    """The controller: its judgements are the product's, its tables a few dictionaries with the same transactions."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.database = Database()
        self._backup: Database | None = None
        self._line: Line | None = None
        self._is_up = False
        self._was_restored = False
        self._dies: str = ""
        self._reads_schemas_up_to = CURRENT
        self._refuses = 0
        self._issued: dict[str, list[bytes]] = {}
        self._documents = 0
        self.director = Director(world)
        world.later(COMPARE_EVERY_S, self._compare)

    def start(self) -> None:
        """Connects; what a broker may have lost is said again."""
        self._is_up = True
        self._connect()

    def kill(self, back_after_s: float) -> None:
        """kill -9."""
        if not self._is_up:
            return
        self._is_up = False
        if self._line is not None:
            self._line.die()
            self._line = None
        self.world.later(back_after_s, self.start)

    def kill_at(self, place: str) -> None:
        """At its next commit."""
        self._dies = place

    def restore(self) -> None:
        """Its database is replaced by an older copy, or a copy is made."""
        if self._backup is None or self.world.chance.random() < 0.5:
            self._backup = self.database.copy()
            return
        stop = max(self.database.stop, self._backup.stop)  # the stop order is not what is proved here
        self._was_restored = True
        self.kill(2.0)
        self.database, self._backup = replace(self._backup, stop=stop), None

    def heal(self) -> None:
        """Nothing is wrong any more."""
        self._dies, self._refuses, self._reads_schemas_up_to = "", 0, CURRENT
        self.world.later(0.0, lambda: None if self._is_up else self.start())

    def cannot_read(self, seconds: float) -> None:
        """An older controller, for a while."""
        self._reads_schemas_up_to = CURRENT - 2
        self.world.later(seconds, lambda: setattr(self, "_reads_schemas_up_to", CURRENT))

    def refuse_next(self) -> None:
        """The next batch can never be taken."""
        self._refuses = 1

    def assign(self, device: str) -> None:
        """Another desired state for a device."""
        version = next_version(allotted=self.database.desired.get(device, (0, ""))[0], highest_reported=0)
        self._documents += 1
        self.database.desired[device] = (version, f"{device}-document-{self._documents}")
        self._publish_desired(device)

    def replay(self, device: str) -> None:
        """A hostile broker says something old once more."""
        if issued := self._issued.get(device):
            self._to_broker(DeviceTopic(device, Down.DESIRED).text, self.world.chance.choice(issued), retain=True)

    def misdirect(self, device: str) -> None:
        """A hostile broker gives a device what was issued for another, with a version that would be new."""
        other = next(each.id for each in self.world.devices if each.id != device)
        body = wire.Desired(
            schema=CURRENT, device_id=other, version=1_000_000, policy=wire.Document(digest=f"{other}-document")
        )
        self._to_broker(DeviceTopic(device, Down.DESIRED).text, body.SerializeToString(), retain=False)

    def order_stop(self, *, stopped: bool) -> None:
        """Another epoch."""
        self.database.stop = (self.database.stop[0] + 1, stopped)
        self._publish_stop()

    def forge_stop(self) -> None:
        """A hostile broker gives an order that the director has not signed."""
        epoch, stopped = self.database.stop
        self._to_broker(STOP, self.director.forged(epoch, stopped=stopped), retain=True)

    def replay_stop(self) -> None:
        """A hostile broker says an old order once more."""
        if replayed := self.director.replayed():
            self._to_broker(STOP, replayed, retain=True)

    def rotate(self, *, at_once: bool) -> None:
        """The director has another key: what is in force is signed anew."""
        self.director.rotate(at_once=at_once)
        self._publish_stop()

    def steal(self) -> None:
        """A thief of the director's key speaks, until root holders take the key away and somebody orders what holds."""
        self._to_broker(STOP, self.director.stolen(), retain=True)
        self.world.later(self.world.chance.choice([5.0, 60.0, 300.0]), self._recover)

    def _recover(self) -> None:
        self.rotate(at_once=True)
        self.order_stop(stopped=self.database.stop[1])

    def happened(self, line: Line, happening: Happening) -> None:
        """From the broker."""
        if line is not self._line or not self._is_up:
            return
        match happening:
            case Connected():
                line.send(lambda far: far.subscribe(EVERYTHING))
                for device in self.database.desired:
                    self._publish_desired(device)
                self._publish_stop()
            case Ended():
                self._line = None
                self.world.later(1.0, self._connect)
            case Arrived():
                chance = self.world.chance
                if chance.random() < self.world.chaos:
                    self.world.later(chance.random() * 8, lambda: self._handle(happening))
                    if chance.random() < 0.5:
                        line.send(lambda far: far.acknowledge(happening.receipt))
                        return
                self._handle(happening)
                line.send(lambda far: far.acknowledge(happening.receipt))
            case Delivered():
                pass

    def check(self, device: Device) -> list[str]:
        """What must hold at rest of one device."""
        found = []
        rows = sum(1 for owner, _, _ in self.database.rows if owner == device.id)
        lost = self.database.lost.get(device.id, 0) + self.database.gaps.get(device.id, 0)
        lost += self._refusals_of(device.id)
        unknown = self.database.forgotten_gaps.get(device.id, 0)
        if rows + lost > device.generated or (rows + lost < device.generated and not unknown):
            found.append(f"{device.generated} events, {rows} rows and {lost} counted as lost")
        if not self._was_restored and self.database.gaps.get(device.id, 0) != self.database.refused_events.get(
            device.id, 0
        ):
            found.append(f"{self.database.gaps} were lost here, and nobody restored an older copy")
        presence = self.database.presence.get(device.id)
        if presence is None or not presence.online:
            found.append(f"it is here, and is taken for {presence}")
        session = device.session
        assert session is not None
        version, digest = self.database.desired.get(device.id, (0, ""))
        if session.desired.version < version:
            found.append(f"it holds version {session.desired.version} of {version}")
        if (session.stopping.epoch, session.stopping.stopped) != self.database.stop:
            found.append(f"stop order {self.database.stop}, and it holds {session.stopping}")
        held = device.disk.applied.get("policy", "")
        report = {each.name: each for each in session.desired.reports(stopped=False)}.get("policy")
        refused = report is not None and report.state.value == "refused"
        if digest and version and not session.stopping.stopped and not refused and held != digest:
            found.append(f"it is to hold {digest}, and holds {held or 'nothing'} ({report})")
        return found

    # --- What it hears ------------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        if not self._is_up or self._line is not None:
            return
        if not self.world.broker.reachable:
            self.world.later(1.0, self._connect)
            return
        self._line = Line(self.world, self, 0.005)
        terms = SessionTerms("homebred-fleet", True, 0, 60, receive_maximum=100)  # noqa: FBT003
        self._line.send(lambda far: far.connect(terms))

    def _handle(self, arrived: Arrived) -> None:
        topic = read(arrived.topic)
        if not self._is_up or topic is None:
            return
        match topic.kind:
            case Up.STATE:
                self._hear_state(topic.device, arrived)
            case Up.TELEMETRY:
                self._hear_batch(topic.device, topic.name, arrived.payload)
            case Up.REQUEST:
                self._hear_floor(topic.device, arrived.payload)
            case Up.REPORTED:
                self._hear_reported(topic.device, arrived.payload)

    def _hear_state(self, device: str, arrived: Arrived) -> None:
        said = wire.DeviceState.FromString(arrived.payload)
        told = Told(
            online=said.online,
            boot_id=said.boot_id,
            boot_number=said.boot_number,
            connection=said.connection,
            reason=said.reason,
        )
        known = self.database.presence.get(device)
        is_new = known is None or known.boot_number < told.boot_number
        judgement = judge_state(known, told, is_retained=arrived.retained, is_new_boot=is_new)
        if judgement.holds or self.world.faults.mutant == "believes every will":
            self.database.presence[device] = told

    def _hear_batch(self, device: str, stream: str, payload: bytes) -> None:
        batch = wire.TelemetryBatch.FromString(payload)
        number = STREAMS.index(stream) + 1
        key = (device, batch.boot_id, number)
        watermark = self.database.watermarks.get(key, 0)
        header = BatchHeader(
            schema=batch.schema,
            boot_id=batch.boot_id,
            boot_number=batch.boot_number,
            stream=batch.stream,
            after_seq=batch.after_seq,
            last_seq=batch.last_seq,
            count=batch.count,
        )
        verdict = self._judged(header, number, watermark)
        refusal = ""
        if self.world.faults.mutant == "acknowledges before its commit" and verdict is Verdict.TAKE:
            self._answer(device, batch.boot_id, number, batch.last_seq)
        if not self._commits(verdict):
            return
        match verdict:
            case Verdict.TAKE:
                self._store(device, key, batch)
            case Verdict.REFUSE:
                lost = events_refused(header, watermark=watermark)
                self.database.gaps[device] = self.database.gaps.get(device, 0) + lost
                self.database.refused_events[device] = self.database.refused_events.get(device, 0) + lost
                self._uncount_gaps(device, batch)
                self.database.known_events[key] = self.database.known_events.get(key, 0) + lost
                self.database.counted_here.append((key, watermark, batch.last_seq))
                self.database.watermarks[key] = batch.last_seq
                self.database.refused.add((device, batch.boot_id, batch.last_seq))
            case Verdict.LATER:
                refusal = "schema-too-new"
        if self._dies == "after" and verdict in (Verdict.TAKE, Verdict.REFUSE):
            self._dies = ""
            self.kill(2.0)
            return
        # A refusal whose answer was lost is said again: an acknowledgement would have a gap's record forgotten untold.
        last = batch.last_seq
        if number == wire.STREAM_GAP:  # nor may the answer to a later batch hide it
            ends = [seq for key, _, seq in self.database.counted_here if key == (device, batch.boot_id, number)]
            last = max((seq for seq in ends if (device, batch.boot_id, seq) in self.database.refused), default=last)
        is_refused = (device, batch.boot_id, last) in self.database.refused
        refused = (last, "refused") if is_refused else (0, refusal)
        self._answer(device, batch.boot_id, number, self.database.watermarks.get(key, 0), refused)

    def _judged(self, header: BatchHeader, stream: int, watermark: int) -> Verdict:
        judgement = judge(header, stream_of_topic=stream, watermark=watermark, own_schema=self._reads_schemas_up_to)
        mutant = self.world.faults.mutant
        match judgement.verdict:
            case Verdict.HOLE if mutant == "takes over holes":
                return Verdict.TAKE
            case Verdict.DUPLICATE if mutant == "takes twice":
                return Verdict.TAKE
            case Verdict.TAKE if self._refuses:
                self._refuses -= 1
                return Verdict.REFUSE
            case Verdict.UNNUMBERED:
                self.world.broken.append(f"a batch means nothing: {header}")
        return judgement.verdict

    def _commits(self, verdict: Verdict) -> bool:
        if self._dies == "before" and verdict in {Verdict.TAKE, Verdict.REFUSE}:
            self._dies = ""
            self.kill(2.0)
            return False
        return True

    def _uncount_gaps(self, device: str, batch: wire.TelemetryBatch) -> None:
        """What a refused batch of gaps would have told is told again; a record of a gap is no task's event."""
        if batch.stream == 1:
            self.database.gaps[device] -= batch.count
            self.database.refused_events[device] -= batch.count

    def _store(self, device: str, key: tuple[str, str, int], batch: wire.TelemetryBatch) -> None:
        events = wire.EventList.FromString(decompressed(batch.events, max_bytes=4_000_000)).events
        previous = self.database.watermarks.get(key, 0)
        for event in events:
            row = (device, batch.boot_id, event.seq)
            if row in self.database.rows:
                self.world.broken.append(f"{row} is stored twice")
            if event.seq <= previous:
                self.world.broken.append(f"{row} comes after {previous}")
            previous = event.seq
            if event.HasField("gap"):
                self._count_gap(device, event.gap)
            else:
                self.database.rows[row] = batch.stream
        self.database.known_events[key] = self.database.known_events.get(key, 0) + len(events)
        self.database.watermarks[key] = batch.last_seq

    def _count_gap(self, device: str, gap: wire.GapEvent) -> None:
        """A refusal that the controller counted itself is not counted again; records of gaps are no task's events."""
        if gap.stream == wire.STREAM_GAP:
            return
        if gap.reason == wire.GAP_REASON_REFUSED:
            self.database.refusals_told.append(
                (device, gap.boot_id, gap.stream, gap.first_seq, gap.last_seq, gap.events)
            )
        else:
            self.database.lost[device] = self.database.lost.get(device, 0) + gap.events

    def _refusals_of(self, device: str) -> int:
        """Events of batches that the device says were refused, and that were not counted here."""
        return sum(
            events
            for owner, boot_id, stream, first_seq, last_seq, events in self.database.refusals_told
            if owner == device
            and not any(
                (owner, boot_id, stream) == key and after_seq < last_seq and up_to_seq >= first_seq
                for key, after_seq, up_to_seq in self.database.counted_here
            )
        )

    def _hear_floor(self, device: str, payload: bytes) -> None:
        if self.world.faults.mutant == "hears no floors":
            return
        told = wire.TelemetryFloor.FromString(payload)
        key = (device, told.boot_id, int(told.stream))
        floor = Floor(
            boot_id=told.boot_id,
            boot_number=told.boot_number,
            stream=told.stream,
            acknowledged_seq=told.acknowledged_seq,
            acknowledged_events=told.acknowledged_events,
        )
        known = self.database.known_events.get(key, 0)
        lost = events_lost(floor, watermark=self.database.watermarks.get(key, 0), known_events=known)
        if lost is not None:
            self.world.note(f"{device} floor {told.boot_id[:8]} {told.stream} {told.acknowledged_seq}: {lost} lost")
            if told.stream == wire.STREAM_GAP:
                self.database.forgotten_gaps[device] = self.database.forgotten_gaps.get(device, 0) + lost
            else:
                self.database.gaps[device] = self.database.gaps.get(device, 0) + lost
            self.database.known_events[key] = known + lost
            watermark = self.database.watermarks.get(key, 0)
            self.database.counted_here.append((key, watermark, told.acknowledged_seq))
            self.database.watermarks[key] = told.acknowledged_seq
        watermark = self.database.watermarks.get(key, 0)
        self._answer(device, told.boot_id, told.stream, watermark, was_behind=lost is not None)

    def _hear_reported(self, device: str, payload: bytes) -> None:
        told = wire.Reported.FromString(payload)
        version, digest = self.database.desired.get(device, (0, ""))
        parts = [Part(name=part.name, digest=part.digest, state=part.state) for part in told.parts]
        if must_jump(
            version=version,
            highest_reported=told.highest_version,
            newest_reported=told.desired_version,
            asked={"policy": digest},
            parts=parts,
        ):
            jumped = next_version(allotted=version, highest_reported=told.highest_version)
            self.database.desired[device] = (jumped, digest)
            self._publish_desired(device)

    # --- What it says -------------------------------------------------------------------------------------------------

    def _answer(
        self,
        device: str,
        boot_id: str,
        stream: int,
        up_to_seq: int,
        refused: tuple[int, str] = (0, ""),
        *,
        was_behind: bool = False,
    ) -> None:
        ack = wire.TelemetryAck(
            schema=CURRENT,
            boot_id=boot_id,
            stream=wire.Stream.Name(stream),  # type: ignore[arg-type]  # a number is as good
            up_to_seq=up_to_seq,
            refused_up_to_seq=refused[0],
            refusal_code=refused[1],
            was_behind=was_behind,
        )
        topic, body = DeviceTopic(device, Down.ACK).text, ack.SerializeToString()
        self._to_broker(topic, body, retain=False)
        if self.world.chance.random() < self.world.chaos / 2:
            self.world.later(self.world.chance.random() * 8, lambda: self._to_broker(topic, body, retain=False))

    def _compare(self) -> None:
        self.world.later(COMPARE_EVERY_S, self._compare)
        if self._is_up:
            self._publish_stop()
        for device in self.database.desired:
            kept = self.world.broker.retained.get(DeviceTopic(device, Down.DESIRED).text)
            if self._is_up and (kept is None or kept.payload != self._issued[device][-1]):
                self._publish_desired(device)

    def _publish_desired(self, device: str) -> None:
        version, digest = self.database.desired[device]
        body = wire.Desired(
            schema=CURRENT, device_id=device, version=version, policy=wire.Document(digest=digest)
        ).SerializeToString()
        self._issued.setdefault(device, []).append(body)
        self._to_broker(DeviceTopic(device, Down.DESIRED).text, body, retain=True)

    def _publish_stop(self) -> None:
        epoch, stopped = self.database.stop
        if epoch:
            self._to_broker(STOP, self.director.ordered(epoch, stopped=stopped), retain=True)

    def _to_broker(self, topic: str, payload: bytes, *, retain: bool) -> None:
        if self._line is not None:
            self._line.send(lambda far: far.publish(topic, payload, token=0, retain=retain))
