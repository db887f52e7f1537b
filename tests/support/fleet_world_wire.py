"""What devices of a fleet in virtual time say, as the bytes and topics of the protocol."""

from __future__ import annotations

from homebred_daemon.core.fleet_messages import FloorReport, Presence, Reported
from homebred_daemon.core.telemetry_window import Send
from homebred_protocol.schemas import CURRENT
from homebred_protocol.topics import STREAMS, DeviceTopic, Up
from homebred_protocol.v1 import fleet_pb2 as wire


def presence_bytes(presence: Presence) -> bytes:
    return wire.DeviceState(
        schema=CURRENT,
        online=presence.online,
        boot_id=presence.boot_id,
        boot_number=presence.boot_number,
        connection=presence.connection,
        since_s=presence.since_s,
        reason=presence.reason,
    ).SerializeToString()


def as_message(device: str, told: object) -> tuple[str, bytes, bool]:
    """Topic, bytes, and whether it is retained."""
    match told:
        case Send():
            return DeviceTopic(device, Up.TELEMETRY, told.batch.stream).text, told.batch.payload, False
        case Presence():
            return DeviceTopic(device, Up.STATE).text, presence_bytes(told), True
        case Reported():
            body = wire.Reported(
                schema=CURRENT,
                boot_id=told.boot_id,
                boot_number=told.boot_number,
                revision=told.revision,
                desired_version=told.desired_version,
                highest_version=told.highest_version,
                parts=[wire.PartReport(name=p.name, digest=p.digest, state=p.state.value) for p in told.parts],
            )
            return DeviceTopic(device, Up.REPORTED).text, body.SerializeToString(), True
        case FloorReport():
            floor = wire.TelemetryFloor(
                schema=CURRENT,
                boot_id=told.boot_id,
                boot_number=told.boot_number,
                stream=STREAMS.index(told.stream) + 1,  # type: ignore[arg-type]  # a number is as good
                acknowledged_seq=told.acknowledged_seq,
                acknowledged_events=told.acknowledged_events,
            )
            return DeviceTopic(device, Up.REQUEST, "telemetry-floor").text, floor.SerializeToString(), False
    raise AssertionError(told)
