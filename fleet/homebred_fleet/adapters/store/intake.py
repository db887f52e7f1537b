"""Takes a group of devices' messages in one transaction: who speaks, what it says, what becomes of it.

No message can make another one's fate: what is malformed is counted and passed over, and only what the database itself
refuses ends the transaction, undone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from homebred_fleet.adapters.store.commands import note_result
from homebred_fleet.adapters.store.database import Database
from homebred_fleet.adapters.store.quarantine import QuarantineGroup
from homebred_fleet.adapters.store.standing import StandingGroup
from homebred_fleet.adapters.store.telemetry import Sender, TelemetryGroup
from homebred_fleet.adapters.wire.bounds import MalformedError
from homebred_fleet.adapters.wire.messages import Report, Result, read_report, read_result, read_state
from homebred_fleet.adapters.wire.telemetry import STREAMS, read_batch, read_floor
from homebred_fleet.core.ingest import BatchHeader, Floor, fault_of_floor
from homebred_fleet.core.presence import Told
from homebred_fleet.ports.intake import Arrival, Fate, Outcome
from homebred_protocol import topics
from homebred_protocol.ids import is_boot_id
from homebred_protocol.schemas import CURRENT
from homebred_protocol.topics import DeviceTopic, Up

FLOOR = "telemetry-floor"


@dataclass(frozen=True, slots=True)
class _Batch:
    stream: int
    header: BatchHeader
    events: bytes


_Message = _Batch | Floor | Told | Report | Result


@dataclass(frozen=True, slots=True)
class _Read:
    """An arrival with what could be read of it."""

    arrival: Arrival
    topic: DeviceTopic | None
    message: _Message | str
    """Or why it is malformed."""


class StoreIntake:
    """`ports.intake.Intake` over the controller's database."""

    def __init__(self, database: Database, *, own_schema: int = CURRENT) -> None:
        self._database = database
        self._own_schema = own_schema

    def take(self, arrivals: Sequence[Arrival], *, now_s: int) -> Sequence[Outcome]:
        """Takes messages in their order, as `Intake` says."""
        read = [_read(arrival, self._own_schema) for arrival in arrivals]
        with self._database.writing() as connection:
            group = _Group(connection, now_s, self._own_schema)
            group.load(read)
            outcomes = [group.take(one) for one in read]
            group.flush()
        return outcomes

    def set_aside(self, arrival: Arrival, *, cause: str, now_s: int) -> Outcome:
        """Counts a message that the database refused."""
        topic = topics.read(arrival.topic)
        with self._database.writing() as connection:
            quarantined = QuarantineGroup(connection, now_s)
            quarantined.count(arrival, device=topic.device if topic else "", cause=cause)
            quarantined.flush()
        return Outcome(fate=Fate.QUARANTINED, device=topic.device if topic else "", cause=cause)


def _read(arrival: Arrival, own_schema: int) -> _Read:
    topic = topics.read(arrival.topic)
    if topic is None:
        return _Read(arrival, None, "topic")
    try:
        return _Read(arrival, topic, _message(topic, arrival.payload, own_schema))
    except MalformedError as error:
        return _Read(arrival, topic, error.cause)


def _message(topic: DeviceTopic, payload: bytes, own_schema: int) -> _Message:
    """What a message says. Raises MalformedError."""
    match topic.kind:
        case Up.TELEMETRY if topic.name in STREAMS:
            return _Batch(STREAMS[topic.name], *read_batch(payload))
        case Up.REQUEST if topic.name == FLOOR:
            floor = read_floor(payload, own_schema)
            if cause := fault_of_floor(floor):
                raise MalformedError(cause)
            return floor
        case Up.STATE:
            return read_state(payload, own_schema)
        case Up.REPORTED:
            return read_report(payload, own_schema)
        case Up.COMMAND_RESULT:
            return read_result(payload, own_schema)
        case _:
            raise MalformedError("not-understood")


class _Group:
    """One transaction's messages."""

    def __init__(self, connection: Connection, now_s: int, own_schema: int) -> None:
        self._connection = connection
        self._now_s = now_s
        self._telemetry = TelemetryGroup(connection, now_s, own_schema)
        self._standing = StandingGroup(connection, now_s)
        self._quarantine = QuarantineGroup(connection, now_s)

    def load(self, group: Sequence[_Read]) -> None:
        """Reads what is known of everyone who speaks, at once."""
        self._standing.load(one.topic.device for one in group if one.topic is not None)
        self._telemetry.load(self._boots(group))

    def _boots(self, group: Sequence[_Read]) -> Iterator[tuple[int, str]]:
        for one in group:
            sender = self._standing.sender(one.topic.device) if one.topic is not None else ""
            match one.message:
                case _Batch(header=BatchHeader(boot_id=boot_id)) | Floor(boot_id=boot_id) | Told(boot_id=boot_id):
                    if isinstance(sender, Sender) and is_boot_id(boot_id):
                        yield sender.number, boot_id

    def take(self, one: _Read) -> Outcome:
        """One message."""
        outcome = self._outcome(one)
        if outcome.fate in {Fate.QUARANTINED, Fate.REFUSED}:
            self._quarantine.count(one.arrival, device=one.topic.device if one.topic else "", cause=outcome.cause)
        for cause in outcome.refused_receipts:
            self._quarantine.count(one.arrival, device=outcome.device, cause=cause)
        return outcome

    def _outcome(self, one: _Read) -> Outcome:
        if one.topic is None:
            return Outcome(fate=Fate.QUARANTINED, cause=str(one.message))
        sender = self._standing.sender(one.topic.device)
        if not isinstance(sender, Sender):
            return Outcome(fate=Fate.QUARANTINED, device=one.topic.device, cause=sender)
        if not one.arrival.is_retained:
            self._standing.hear(sender, is_own_word=not isinstance(one.message, Told))
        match one.message:
            case _Batch(stream, header, events):
                return self._telemetry.take(sender, stream, header, events)
            case Floor() as floor:
                return self._telemetry.raise_to(sender, floor)
            case other:
                return self._of_standing(sender, other, is_retained=one.arrival.is_retained)

    def _of_standing(self, sender: Sender, message: Told | Report | Result | str, *, is_retained: bool) -> Outcome:
        match message:
            case Told() as told:
                return self._standing.note_state(sender, told, is_retained=is_retained, telemetry=self._telemetry)
            case Report() as report:
                return self._standing.note_report(sender, report)
            case Result() as result:
                return self._result(sender, result)
            case str(cause):
                return Outcome(fate=Fate.QUARANTINED, device=sender.id, cause=cause)

    def _result(self, sender: Sender, result: Result) -> Outcome:
        word = note_result(
            self._connection,
            device_number=sender.number,
            identity=result.id,
            state=result.state,
            result=result.body,
            attachment=result.attachment,
            now_s=self._now_s,
        )
        if word == "unknown":
            return Outcome(fate=Fate.QUARANTINED, device=sender.id, cause="unknown-command")
        return Outcome(fate=Fate.STORED if word == "noted" else Fate.DUPLICATE, device=sender.id)

    def flush(self) -> None:
        """Writes what was gathered."""
        self._telemetry.flush()
        self._standing.flush()
        self._quarantine.flush()
