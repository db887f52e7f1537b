"""What devices say of themselves and are told to be: state, reported, results; desired, commands, stop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from google.protobuf.json_format import MessageToDict

from homebred_fleet.adapters.wire.bounds import (
    MAX_DIGEST,
    MAX_PAIRS,
    MalformedError,
    check_numbers,
    check_texts,
    check_times,
    checked_pairs,
    parsed,
)
from homebred_fleet.core.commands import TOLD
from homebred_fleet.core.desired import Part
from homebred_fleet.core.presence import Told, fault_of_state
from homebred_fleet.ports.intents import CommandOrder, DesiredState, DocumentRef, SignedStop
from homebred_protocol.ids import is_boot_id, is_command_id
from homebred_protocol.limits import MAX_CLAIMED, MAX_LABELS, MAX_SENTENCE
from homebred_protocol.schemas import CURRENT, is_readable
from homebred_protocol.stop_orders import is_within_bounds
from homebred_protocol.v1 import fleet_pb2 as wire

MAX_ATTACHMENT_BYTES = 256 * 1024
"""Compressed; a bundle has 200 KB."""
_MAX_WORD = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a device says that it is."""

    boot_id: str
    boot_number: int
    revision: int
    desired_version: int
    highest_version: int
    stop_epoch: int
    software_version: str
    policy_digest: str
    parts: tuple[Part, ...]
    body: dict[str, Any]
    """The whole message as JSON, whole numbers as such."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of a command."""

    id: str
    state: str
    body: dict[str, Any]
    """The message as JSON, without what is attached."""
    attachment: bytes
    """zstd."""


def read_state(payload: bytes, own_schema: int = CURRENT) -> Told:
    """A birth, a good-bye or a will. Raises MalformedError."""
    state = parsed(wire.DeviceState, payload)
    _check_schema(state.schema, own_schema)
    check_texts(32, state.reason)
    check_times(state.since_s)
    told = Told(
        online=state.online,
        boot_id=state.boot_id,
        boot_number=state.boot_number,
        connection=state.connection,
        reason=state.reason,
    )
    if cause := fault_of_state(told):
        raise MalformedError(cause)
    return told


def read_report(payload: bytes, own_schema: int = CURRENT) -> Report:
    """What a device says that it is. Raises MalformedError."""
    report = parsed(wire.Reported, payload)
    _check_schema(report.schema, own_schema)
    if not is_boot_id(report.boot_id):
        raise MalformedError("boot-id")
    check_numbers(report.boot_number, report.revision, report.stop_epoch)
    if max(report.desired_version, report.highest_version) > MAX_CLAIMED:
        raise MalformedError("number")
    check_times(report.at_s, report.certificate_ends_at_s)
    check_texts(_MAX_WORD, report.software_version, report.architecture)
    check_texts(MAX_DIGEST, report.policy_digest, report.registry_digest)
    checked_pairs(report.labels, max_characters=_MAX_WORD, max_pairs=MAX_LABELS)
    if not is_within_bounds(report.stop_order):
        report.ClearField("stop_order")  # the rest of the report is heard
    return Report(
        boot_id=report.boot_id,
        boot_number=report.boot_number,
        revision=report.revision,
        desired_version=report.desired_version,
        highest_version=report.highest_version,
        stop_epoch=report.stop_epoch,
        software_version=report.software_version,
        policy_digest=report.policy_digest,
        parts=tuple(_part(part) for part in _bounded(report.parts)),
        body=_json(report),
    )


def _bounded(parts: Any) -> Any:
    if len(parts) > MAX_PAIRS:
        raise MalformedError("too-many-parts")
    return parts


def _part(part: wire.PartReport) -> Part:
    check_texts(_MAX_WORD, part.name, part.state, part.problem_code)
    check_texts(MAX_DIGEST, part.digest)
    check_texts(MAX_SENTENCE, part.problem)
    return Part(name=part.name, digest=part.digest, state=part.state)


def read_result(payload: bytes, own_schema: int = CURRENT) -> Result:
    """What became of a command. Raises MalformedError."""
    result = parsed(wire.CommandResult, payload)
    _check_schema(result.schema, own_schema)
    if not is_command_id(result.id):
        raise MalformedError("command-id")
    if result.state not in TOLD:
        raise MalformedError("state")
    check_texts(_MAX_WORD, result.op, result.problem_code)
    check_texts(MAX_SENTENCE, result.problem)
    check_times(result.at_s)
    checked_pairs(result.answer, max_characters=MAX_SENTENCE)
    attachment = result.attachment
    if len(attachment) > MAX_ATTACHMENT_BYTES:
        raise MalformedError("attachment-too-large")
    result.ClearField("attachment")
    body = _json(result)
    del body["attachment"]
    return Result(id=result.id, state=result.state, body=body, attachment=attachment)


def read_version(payload: bytes) -> int | None:
    """The version of a desired state that a broker keeps; None: it keeps none that can be read."""
    try:
        return int(parsed(wire.Desired, payload).version) if payload else None
    except MalformedError:
        return None


def read_stop(payload: bytes) -> SignedStop | None:
    """The stop order that a broker keeps; None: it keeps none that can be read. Nothing of it is verified."""
    try:
        order = parsed(wire.StopOrder, payload)
    except MalformedError:
        return None
    if not is_within_bounds(order):
        return None
    return SignedStop(
        epoch=order.epoch,
        stopped=order.stopped,
        reason_code=order.reason_code,
        issued_at_s=order.issued_at_s,
        key_id=order.key_id,
        signature=order.signature,
    )


def _check_schema(schema: int, own_schema: int) -> None:
    if not is_readable(schema, own_schema):
        raise MalformedError("schema")


def _json(message: wire.Reported | wire.CommandResult) -> dict[str, Any]:
    """With the fields' own names, and whole numbers as such: JSON's form of protobuf makes texts of large ones."""
    told = MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    for field in message.DESCRIPTOR.fields:
        if field.cpp_type in {field.CPPTYPE_INT64, field.CPPTYPE_UINT64} and field.name in told:
            told[field.name] = int(told[field.name])
    return told


def desired_bytes(state: DesiredState) -> bytes:
    """What a device should be like."""
    return wire.Desired(
        schema=CURRENT,
        device_id=state.device,
        version=state.version,
        issued_at_s=state.issued_at_s,
        policy=_document(state.policy),
        gazetteer=_document(state.gazetteer),
        labels=dict(state.labels),
    ).SerializeToString()


def _document(reference: DocumentRef | None) -> wire.Document | None:
    return None if reference is None else wire.Document(digest=reference.digest, length=reference.length)


def command_bytes(order: CommandOrder) -> bytes:
    """What a device should do."""
    return wire.Command(
        schema=CURRENT,
        id=order.id,
        op=order.op,
        deadline_s=order.deadline_s,
        issued_by=order.issued_by,
        parameters=dict(order.parameters),
    ).SerializeToString()


def stop_bytes(stop: SignedStop) -> bytes:
    """What the whole fleet should heed."""
    return wire.StopOrder(
        schema=CURRENT,
        epoch=stop.epoch,
        stopped=stop.stopped,
        issued_at_s=stop.issued_at_s,
        reason_code=stop.reason_code,
        key_id=stop.key_id,
        signature=stop.signature,
    ).SerializeToString()
