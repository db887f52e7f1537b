"""Messages as devices send them, made by hand: batches with real events, floors, births, reports, results."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from homebred_fleet.ports.intake import Arrival
from homebred_protocol.compression import compressed
from homebred_protocol.topics import DeviceTopic, Up
from homebred_protocol.v1 import fleet_pb2 as wire
from homebred_protocol.v1 import inference_pb2 as tasks

NOW_S = 1_790_000_000
WORDS = {
    wire.STREAM_GAP: "gap",
    wire.STREAM_RECEIPT: "receipt",
    wire.STREAM_EVIDENCE: "evidence",
    wire.STREAM_ROUTE: "route",
    wire.STREAM_HEALTH: "health",
}


def boot(name: str = "first") -> str:
    """A boot's id, the same for the same name."""
    return hashlib.sha256(name.encode()).hexdigest()[:32]


def route(seq: int, *, workflow: str = "intake.normalise", total_ms: int = 400) -> wire.Event:
    """A task that was answered."""
    event = wire.Event(seq=seq, recorded_at_s=NOW_S + seq)
    body = event.route
    body.selected_runtime = tasks.RUNTIME_LOCAL
    body.selected_model_or_stack = body.answered_by = "intake-3"
    body.local_reason = "local fitness margin met"
    body.fallback_target = tasks.FALLBACK_TARGET_NONE
    body.route_created_at_utc.FromSeconds(NOW_S + seq)
    body.reason_code = wire.ROUTE_REASON_MARGIN_MET
    body.route_id = f"{seq:032x}"
    body.workflow = workflow
    body.status = tasks.OUTCOME_STATUS_ANSWER
    body.classes.extend([wire.DATA_CLASS_PATIENT, wire.DATA_CLASS_PUBLIC])
    body.findings.append(wire.ROUTE_FINDING_SLOW)
    body.link = wire.ROUTE_LINK_UP
    body.prompt_tokens, body.completion_tokens, body.first_token_ms, body.total_ms = 120, 60, 35, total_ms
    body.confidence_ppm = 930_000
    body.policy_digest = "sha256:" + "a" * 64
    return event


def evidence(seq: int) -> wire.Event:
    """A reason to breed."""
    body = wire.EvidenceEvent(
        created_at_s=NOW_S,
        kind=wire.EVIDENCE_KIND_SLOW,
        workflow="intake.normalise",
        specialist="intake-3",
        occurrences=3,
    )
    return wire.Event(seq=seq, recorded_at_s=NOW_S, evidence=body)


def health(seq: int) -> wire.Event:
    """How the device is."""
    return wire.Event(seq=seq, recorded_at_s=NOW_S, health=wire.HealthEvent(uptime_s=60, resident_bytes=50_000_000))


def receipt(seq: int) -> wire.Event:
    """What became of an order."""
    body = wire.ReceiptEvent(kind=wire.RECEIPT_KIND_DESIRED, subject="sha256:" + "b" * 64, version=3, result="applied")
    return wire.Event(seq=seq, recorded_at_s=NOW_S, receipt=body)


def gap(seq: int, *, events: int = 5) -> wire.Event:
    """What the device dropped."""
    body = wire.GapEvent(
        boot_id=boot("before"),
        stream=wire.STREAM_ROUTE,
        first_seq=1,
        last_seq=events,
        events=events,
        reason=wire.GAP_REASON_QUOTA,
    )
    return wire.Event(seq=seq, recorded_at_s=NOW_S, gap=body)


EVENTS = {
    wire.STREAM_GAP: gap,
    wire.STREAM_RECEIPT: receipt,
    wire.STREAM_EVIDENCE: evidence,
    wire.STREAM_ROUTE: route,
    wire.STREAM_HEALTH: health,
}


def batch(
    events: Sequence[wire.Event],
    *,
    after_seq: int = 0,
    stream: wire.Stream.ValueType = wire.STREAM_ROUTE,
    boot_id: str = "",
    boot_number: int = 1,
    schema: int = 1,
) -> wire.TelemetryBatch:
    """A batch that follows `after_seq`."""
    return wire.TelemetryBatch(
        schema=schema,
        boot_id=boot_id or boot(),
        boot_number=boot_number,
        stream=stream,
        after_seq=after_seq,
        last_seq=events[-1].seq,
        count=len(events),
        events=compressed(wire.EventList(events=events).SerializeToString()),
    )


def sent(device: str, message: wire.TelemetryBatch) -> Arrival:
    """A batch on its topic."""
    topic = DeviceTopic(device, Up.TELEMETRY, WORDS[message.stream]).text
    return Arrival(topic=topic, payload=message.SerializeToString(), is_retained=False)


def routes(device: str, first: int, last: int, *, after_seq: int = 0, boot_id: str = "") -> Arrival:
    """A batch of routes with the seqs from `first` to `last`."""
    return sent(device, batch([route(seq) for seq in range(first, last + 1)], after_seq=after_seq, boot_id=boot_id))


def floor(device: str, seq: int, events: int, *, stream: wire.Stream.ValueType = wire.STREAM_ROUTE) -> Arrival:
    """What a device was acknowledged and keeps no longer."""
    told = wire.TelemetryFloor(
        schema=1, boot_id=boot(), boot_number=1, stream=stream, acknowledged_seq=seq, acknowledged_events=events
    )
    topic = DeviceTopic(device, Up.REQUEST, "telemetry-floor").text
    return Arrival(topic=topic, payload=told.SerializeToString(), is_retained=False)


def state(
    device: str,
    *,
    online: bool = True,
    boot_number: int = 1,
    connection: int = 1,
    reason: str = "birth",
    boot_id: str = "",
    is_retained: bool = False,
) -> Arrival:
    """A birth, a good-bye or a will."""
    told = wire.DeviceState(
        schema=1,
        online=online,
        boot_id=boot_id or boot(str(boot_number)),
        boot_number=boot_number,
        connection=connection,
        since_s=NOW_S,
        reason=reason,
    )
    return Arrival(topic=DeviceTopic(device, Up.STATE).text, payload=told.SerializeToString(), is_retained=is_retained)


def reported(
    device: str,
    *,
    revision: int = 1,
    boot_number: int = 1,
    version: int = 0,
    highest: int = 0,
    parts: Sequence[wire.PartReport] = (),
) -> Arrival:
    """What a device says that it is."""
    told = wire.Reported(
        schema=1,
        boot_id=boot(str(boot_number)),
        boot_number=boot_number,
        revision=revision,
        at_s=NOW_S,
        desired_version=version,
        highest_version=highest or version,
        parts=parts,
        software_version="0.1.0",
        policy_digest="sha256:" + "c" * 64,
        certificate_ends_at_s=NOW_S + 86_400,
        architecture="x86_64",
    )
    return Arrival(topic=DeviceTopic(device, Up.REPORTED).text, payload=told.SerializeToString(), is_retained=False)


def result(device: str, identity: str, *, state: str = "done", attachment: bytes = b"") -> Arrival:
    """What became of a command."""
    told = wire.CommandResult(
        schema=1, id=identity, op="ping", state=state, answer={"uptime_s": "5"}, at_s=NOW_S, attachment=attachment
    )
    topic = DeviceTopic(device, Up.COMMAND_RESULT).text
    return Arrival(topic=topic, payload=told.SerializeToString(), is_retained=False)
