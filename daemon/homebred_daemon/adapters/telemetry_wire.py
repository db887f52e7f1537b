"""Telemetry as the bytes of homebred.v1's messages: batches, gaps and events.

It chooses nothing: what may stand in an event is decided in the cores, how many go into a batch in `core.outbox`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from homebred_daemon.core.decision import Fallback, Runtime
from homebred_daemon.core.evidence import EvidenceFact
from homebred_daemon.core.outbox import Gap, Loss
from homebred_daemon.core.telemetry import HealthFact, ReceiptFact, RouteFact, counted
from homebred_protocol.compression import compressed
from homebred_protocol.schemas import CURRENT
from homebred_protocol.v1 import fleet_pb2 as wire
from homebred_protocol.v1 import inference_pb2 as inference

_REASONS = {
    Loss.QUOTA: wire.GAP_REASON_QUOTA,
    Loss.DISK: wire.GAP_REASON_DISK,
    Loss.LEDGER: wire.GAP_REASON_LEDGER,
    Loss.REFUSED: wire.GAP_REASON_REFUSED,
    Loss.DAMAGED: wire.GAP_REASON_DAMAGED,
}

_RUNTIMES = {
    Runtime.LOCAL: inference.RUNTIME_LOCAL,
    Runtime.CLOUD_ESCALATION: inference.RUNTIME_CLOUD_ESCALATION,
    Runtime.NO_OP: inference.RUNTIME_NO_OP,
}
_FALLBACKS = {
    Fallback.NONE: inference.FALLBACK_TARGET_NONE,
    Fallback.LOCAL_SUMMARY: inference.FALLBACK_TARGET_LOCAL_SUMMARY,
    Fallback.HUMAN_REVIEW: inference.FALLBACK_TARGET_HUMAN_REVIEW,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbered:
    """An event with its number."""

    seq: int
    body: bytes
    """A serialised homebred.v1.Event without its `seq`."""


def batch_payload(*, boot_id: str, boot_number: int, stream: str, after_seq: int, events: Sequence[Numbered]) -> bytes:
    """A whole TelemetryBatch; `events` is not empty and rises."""
    numbered = wire.EventList()
    for each in events:
        event = numbered.events.add()
        event.MergeFromString(each.body)
        event.seq = each.seq
    return wire.TelemetryBatch(
        schema=CURRENT,
        boot_id=boot_id,
        boot_number=boot_number,
        stream=_stream(stream),
        after_seq=after_seq,
        last_seq=events[-1].seq,
        count=len(events),
        events=compressed(numbered.SerializeToString()),
    ).SerializeToString()


def gap_body(gap: Gap, *, noted_at_s: int) -> bytes:
    """A gap as an Event without its number."""
    told = wire.GapEvent(
        boot_id=gap.boot_id,
        stream=_stream(gap.stream),
        first_seq=gap.first_seq,
        last_seq=gap.last_seq,
        events=gap.events,
        reason=_REASONS[gap.reason],
    )
    return wire.Event(recorded_at_s=noted_at_s, gap=told).SerializeToString()


def route_body(fact: RouteFact) -> bytes:
    """An ended task as an Event without its number."""
    told = wire.RouteEvent(
        selected_runtime=_RUNTIMES[fact.runtime],
        selected_model_or_stack=fact.stack,
        local_reason=fact.local_reason,
        redaction_required=fact.redaction_required,
        evidence_required=fact.evidence_required,
        fallback_target=_FALLBACKS[fact.fallback],
        guarded=fact.guarded,
        reason_code=wire.RouteReason.Value(f"ROUTE_REASON_{fact.reason.upper()}"),
        route_id=fact.route_id,
        workflow=fact.workflow,
        status=inference.OutcomeStatus.Value(f"OUTCOME_STATUS_{fact.status.upper()}"),
        answered_by=fact.answered_by,
        classes=[wire.DataClass.Value(f"DATA_CLASS_{name.upper()}") for name in fact.classes],
        findings=[wire.RouteFinding.Value(f"ROUTE_FINDING_{name.upper()}") for name in fact.findings],
        link=wire.RouteLink.Value(f"ROUTE_LINK_{fact.link.upper()}"),
        prompt_tokens=fact.prompt_tokens,
        completion_tokens=fact.completion_tokens,
        first_token_ms=fact.first_token_ms,
        total_ms=fact.total_ms,
        confidence_ppm=fact.confidence_ppm,
        policy_digest=fact.policy_digest,
    )
    told.route_created_at_utc.FromSeconds(fact.created_at_s)
    return wire.Event(recorded_at_s=fact.recorded_at_s, route=told).SerializeToString()


def evidence_body(fact: EvidenceFact) -> bytes:
    """A piece of evidence as an Event without its number."""
    told = wire.EvidenceEvent(
        guarded=fact.guarded,
        created_at_s=fact.created_at_s,
        kind=wire.EvidenceKind.Value(f"EVIDENCE_KIND_{fact.kind.upper()}"),
        route_id=fact.route_id,
        workflow=fact.workflow,
        specialist=fact.specialist,
        classes=[wire.DataClass.Value(f"DATA_CLASS_{name.upper()}") for name in fact.classes],
        findings=[wire.RouteFinding.Value(f"ROUTE_FINDING_{name.upper()}") for name in fact.findings],
        occurrences=fact.occurrences,
        total_ms=fact.total_ms,
        confidence_ppm=fact.confidence_ppm,
        has_correction=fact.has_correction,
    )
    if fact.reason is not None:
        told.reason = wire.RouteReason.Value(f"ROUTE_REASON_{fact.reason.upper()}")
    return wire.Event(recorded_at_s=fact.recorded_at_s, evidence=told).SerializeToString()


def receipt_body(fact: ReceiptFact, *, at_s: int) -> bytes:
    """A receipt as an Event without its number."""
    told = wire.ReceiptEvent(
        kind=wire.ReceiptKind.Value(f"RECEIPT_KIND_{fact.kind.upper()}"),
        subject=fact.subject,
        version=fact.version,
        result=fact.result,
        problem_code=fact.problem_code,
        signed=fact.signed,
    )
    return wire.Event(recorded_at_s=at_s, receipt=told).SerializeToString()


def health_body(fact: HealthFact, *, at_s: int) -> bytes:
    """How the device stands as an Event without its number; waiting reviews may be of guarded tasks (I4)."""
    told = replace(fact, reviews_waiting=counted(fact.reviews_waiting, guarded=True))
    return wire.Event(recorded_at_s=at_s, health=wire.HealthEvent(**asdict(told))).SerializeToString()


def _stream(word: str) -> wire.Stream.ValueType:
    return wire.Stream.Value(f"STREAM_{word.upper()}")
