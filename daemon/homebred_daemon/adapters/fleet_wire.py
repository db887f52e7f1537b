"""The messages between a device and its fleet's controller: bytes of homebred.v1 as values, and values as bytes.

Whatever comes is bounded and checked for its form; what it means is the cores' to say. Nothing that is read raises.
"""

from __future__ import annotations

from collections.abc import Callable

from google.protobuf.message import DecodeError

from homebred_daemon.core.commands import MAX_PARAMETERS, Command, CommandResult
from homebred_daemon.core.fleet_messages import (
    OWN,
    Answered,
    Desired,
    Document,
    FloorReport,
    NoStopOrder,
    Presence,
    Reported,
    Request,
    Said,
    StopOrder,
    TelemetryAck,
    Told,
    Unreadable,
)
from homebred_daemon.ports.fleet import Message
from homebred_protocol import requests, topics
from homebred_protocol.ids import is_boot_id, is_label
from homebred_protocol.limits import MAX_GIVEN, MAX_LABELS, MAX_SENTENCE
from homebred_protocol.requests import MAX_ANSWER_BYTES
from homebred_protocol.schemas import CURRENT, is_readable
from homebred_protocol.stop_orders import is_within_bounds
from homebred_protocol.targets import MAX_TARGET_BYTES
from homebred_protocol.topics import STREAMS, DeviceTopic, Down, Up
from homebred_protocol.v1 import fleet_pb2 as wire

MAX_MESSAGE_BYTES = 262_144
DIGEST_LENGTH = len("sha256:") + 64
_Reader = Callable[[bytes], Said]


class FleetWire:
    """Fulfils `ports.fleet.FleetWords`."""

    def __init__(self, device_id: str) -> None:
        self._device_id = device_id

    @property
    def topics(self) -> tuple[str, ...]:
        """As the port says."""
        return topics.subscriptions_of_device(self._device_id)

    def read(self, topic: str, payload: bytes) -> Said:
        """As the port says."""
        kind, where = self._kind(topic)
        if where is None:
            return Unreadable(kind="", cause="topic")
        if len(payload) > (MAX_ANSWER_BYTES if where is _answered else MAX_MESSAGE_BYTES):
            return Unreadable(kind=kind, cause="too_large")
        try:
            return where(payload)
        except (DecodeError, ValueError):
            return Unreadable(kind=kind, cause="malformed")
        except _NewerSchemaError:
            return Unreadable(kind=kind, cause="schema")

    def message(self, told: Told) -> Message:
        """As the port says."""
        match told:
            case Presence():
                return self._up(Up.STATE, _presence(told), retain=True)
            case Reported():
                return self._up(Up.REPORTED, _reported(told), retain=True)
            case FloorReport():
                return self._up(Up.REQUEST, _floor(told), retain=False, name="telemetry-floor")
            case Request():
                topic = DeviceTopic(self._device_id, Up.REQUEST, told.operation).text
                asked = requests.Request(told.correlation, told.body)
                return Message(topic=topic, payload=requests.request_bytes(asked), retain=False)
            case CommandResult():
                return self._up(Up.COMMAND_RESULT, _result(told), retain=False)

    def telemetry_topic(self, stream: str) -> str:
        """As the port says."""
        return DeviceTopic(self._device_id, Up.TELEMETRY, stream).text

    def _up(
        self,
        kind: Up,
        body: wire.DeviceState | wire.Reported | wire.TelemetryFloor | wire.CommandResult,
        *,
        retain: bool,
        name: str = "",
    ) -> Message:
        topic = DeviceTopic(self._device_id, kind, name).text
        return Message(topic=topic, payload=body.SerializeToString(), retain=retain)

    def _kind(self, topic: str) -> tuple[str, _Reader | None]:  # noqa: PLR0911  # one line for each kind
        if topic == topics.STOP:
            return "stop", _stop
        read = topics.read(topic)
        if read is None or read.device != self._device_id:
            return "", None
        match read.kind:
            case Down.DESIRED:
                return read.kind.value, _desired
            case Down.ACK:
                return read.kind.value, _ack
            case Down.COMMAND:
                return read.kind.value, lambda payload: _command(read.name, payload)
            case Down.RESPONSE:
                return read.kind.value, _answered
            case _:
                return "", None


class _NewerSchemaError(Exception):
    """It is of a schema that this version does not understand."""


def _require_schema(schema: int) -> None:
    if not is_readable(schema):
        raise _NewerSchemaError


def _require(condition: bool) -> None:  # noqa: FBT001  # reads as the condition itself
    if not condition:
        raise ValueError


def _ack(payload: bytes) -> TelemetryAck:
    said = wire.TelemetryAck.FromString(payload)
    _require_schema(said.schema)
    _require(is_boot_id(said.boot_id) and 1 <= said.stream <= len(STREAMS) and len(said.refusal_code) <= MAX_SENTENCE)
    return TelemetryAck(
        boot_id=said.boot_id,
        stream=STREAMS[said.stream - 1],
        up_to_seq=said.up_to_seq,
        refused_up_to_seq=said.refused_up_to_seq,
        refusal_code=said.refusal_code,
        was_behind=said.was_behind,
    )


def _answered(payload: bytes) -> Answered:
    said = requests.read_answer(payload)
    return Answered(correlation=said.correlation, outcome=said.outcome, body=said.body)


def _stop(payload: bytes) -> StopOrder | NoStopOrder:
    if not payload:  # MQTT 5 §3.3.1.3
        return NoStopOrder()
    said = wire.StopOrder.FromString(payload)
    _require_schema(said.schema)
    _require(is_within_bounds(said))
    return StopOrder(
        epoch=said.epoch,
        stopped=said.stopped,
        reason_code=said.reason_code,
        issued_at_s=said.issued_at_s,
        key_id=said.key_id,
        signature=said.signature,
    )


def _desired(payload: bytes) -> Desired:
    said = wire.Desired.FromString(payload)
    _require_schema(said.schema)
    labels = dict(said.labels)
    _require(0 < said.version <= MAX_GIVEN)
    _require(len(labels) <= MAX_LABELS and all(map(is_label, [*labels, *labels.values()])))
    return Desired(
        device_id=said.device_id,
        version=said.version,
        issued_at_s=said.issued_at_s,
        policy=_document(said.policy),
        gazetteer=_document(said.gazetteer),
        labels=labels,
    )


def _document(said: wire.Document) -> Document:
    if not said.digest:
        return OWN
    hexadecimal = said.digest.removeprefix("sha256:")
    _require(len(said.digest) == DIGEST_LENGTH and set(hexadecimal) <= set("0123456789abcdef"))
    _require(0 < said.length <= MAX_TARGET_BYTES)
    return Document(digest=said.digest, length=said.length)


def _command(op: str, payload: bytes) -> Command:
    said = wire.Command.FromString(payload)
    _require_schema(said.schema)
    parameters = dict(said.parameters)
    _require(said.op == op and len(parameters) <= MAX_PARAMETERS)
    _require(all(len(text) <= MAX_SENTENCE for text in (said.issued_by, *parameters, *parameters.values())))
    return Command(id=said.id, op=said.op, deadline_s=said.deadline_s, issued_by=said.issued_by, parameters=parameters)


def _presence(told: Presence) -> wire.DeviceState:
    return wire.DeviceState(
        schema=CURRENT,
        online=told.online,
        boot_id=told.boot_id,
        boot_number=told.boot_number,
        connection=told.connection,
        since_s=told.since_s,
        reason=told.reason,
    )


def _reported(told: Reported) -> wire.Reported:
    return wire.Reported(
        schema=CURRENT,
        boot_id=told.boot_id,
        boot_number=told.boot_number,
        revision=told.revision,
        at_s=told.at_s,
        desired_version=told.desired_version,
        highest_version=told.highest_version,
        parts=[
            wire.PartReport(
                name=part.name,
                digest=part.digest,
                state=part.state.value,
                problem_code=part.problem_code,
                problem=part.problem[:MAX_SENTENCE],
            )
            for part in told.parts
        ],
        software_version=told.facts.software_version,
        policy_digest=told.facts.policy_digest,
        registry_digest=told.facts.registry_digest,
        stop_epoch=told.stop_epoch,
        stopped=told.stopped,
        certificate_ends_at_s=told.facts.certificate_ends_at_s,
        architecture=told.facts.architecture,
        labels=told.labels,
        stop_order=_stop_order(told.stop_order),
    )


def _stop_order(order: StopOrder | None) -> wire.StopOrder | None:
    if order is None:
        return None
    return wire.StopOrder(
        schema=CURRENT,
        epoch=order.epoch,
        stopped=order.stopped,
        issued_at_s=order.issued_at_s,
        reason_code=order.reason_code,
        key_id=order.key_id,
        signature=order.signature,
    )


def _floor(told: FloorReport) -> wire.TelemetryFloor:
    return wire.TelemetryFloor(
        schema=CURRENT,
        boot_id=told.boot_id,
        boot_number=told.boot_number,
        stream=wire.Stream.Value(f"STREAM_{told.stream.upper()}"),
        acknowledged_seq=told.acknowledged_seq,
        acknowledged_events=told.acknowledged_events,
    )


def _result(told: CommandResult) -> wire.CommandResult:
    return wire.CommandResult(
        schema=CURRENT,
        id=told.id,
        op=told.op,
        state=told.state.value,
        problem_code=told.problem_code,
        problem=told.problem[:MAX_SENTENCE],
        answer=told.answer,
        attachment=told.attachment,
        at_s=told.at_s,
    )
