"""Whether a batch of telemetry is taken, by its numbers alone (I3): so that an event is stored once or counted as lost.

A stream of a boot has a watermark: everything up to it was stored or counted. A batch is taken where it follows the
watermark exactly, and rows and watermark then change in one transaction. The same batch again is acknowledged again;
one that comes too early is not stored, and the device is told where to begin again. What can never be taken is refused
by its numbers, the watermark passes over it, and what it held is counted in the same transaction.

What is in a batch is not known here, nor how it is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from homebred_protocol.ids import is_boot_id
from homebred_protocol.limits import MAX_SEQ
from homebred_protocol.schemas import CURRENT, is_readable

MAX_EVENTS = 2_000
"""Of one batch."""
MAX_NUMBER = 2**63 - 1
"""The largest that a database keeps."""


class Verdict(StrEnum):
    """What becomes of a batch."""

    TAKE = "take"
    """It follows the watermark."""
    DUPLICATE = "duplicate"
    """All of it lies at or under the watermark: acknowledged again."""
    HOLE = "hole"
    """It begins after the watermark: the device sends again from there."""
    LATER = "later"
    """A newer schema than can be read: the device keeps it until this controller is newer."""
    REFUSE = "refuse"
    """It can never be taken; its events are counted as lost."""
    UNNUMBERED = "unnumbered"
    """Its numbers mean nothing, so that not even a refusal could name it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchHeader:
    """What stands before a batch's events."""

    schema: int
    boot_id: str
    boot_number: int
    stream: int
    """As homebred.v1.Stream."""
    after_seq: int
    """Last seq of the batch before it; 0: the first."""
    last_seq: int
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A verdict and why."""

    verdict: Verdict
    cause: str = ""
    """A stable word where it is neither taken nor a duplicate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack:
    """What a device is told of one of its streams."""

    device: str
    boot_id: str
    stream: int
    up_to_seq: int
    """The watermark; 0: nothing yet."""
    refused_up_to_seq: int = 0
    """Last seq of a batch that can never be taken; 0: none."""
    refusal_code: str = ""
    was_behind: bool = False
    """It is the answer to a floor that was above the watermark: more of them may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """What a device was acknowledged and keeps no longer."""

    boot_id: str
    boot_number: int
    stream: int
    acknowledged_seq: int
    acknowledged_events: int
    """Of this boot and stream, all together, refused ones too."""


def fault_of_numbers(header: BatchHeader, *, stream_of_topic: int) -> str:
    """Why not even a refusal could name the batch; empty: it could."""
    if not is_boot_id(header.boot_id):
        return "boot-id"
    if header.stream != stream_of_topic:
        return "stream"
    if not 1 <= header.boot_number <= MAX_NUMBER:
        return "boot-number"
    if not 0 <= header.after_seq < header.last_seq <= MAX_SEQ:
        return "numbers"
    return ""


def judge(header: BatchHeader, *, stream_of_topic: int, watermark: int, own_schema: int = CURRENT) -> Judgement:
    """What becomes of a batch whose stream stands at `watermark` (0: nothing was taken yet)."""
    if cause := fault_of_numbers(header, stream_of_topic=stream_of_topic):
        return Judgement(verdict=Verdict.UNNUMBERED, cause=cause)
    if header.last_seq <= watermark:
        return Judgement(verdict=Verdict.DUPLICATE)
    if header.after_seq > watermark:
        return Judgement(verdict=Verdict.HOLE, cause="hole")
    return _judge_next(header, watermark=watermark, own_schema=own_schema)


def _judge_next(header: BatchHeader, *, watermark: int, own_schema: int) -> Judgement:
    """Of a batch that holds what follows the watermark."""
    if not is_readable(header.schema, own_schema):
        if header.schema > own_schema:
            return Judgement(verdict=Verdict.LATER, cause="schema-too-new")
        return Judgement(verdict=Verdict.REFUSE, cause="schema-too-old")
    if header.after_seq < watermark:
        return Judgement(verdict=Verdict.REFUSE, cause="overlap")
    if not 1 <= header.count <= min(MAX_EVENTS, header.last_seq - header.after_seq):
        return Judgement(verdict=Verdict.REFUSE, cause="count")
    return Judgement(verdict=Verdict.TAKE)


def events_refused(header: BatchHeader, *, watermark: int) -> int:
    """How many events are lost with a refused batch: what it says, within what its numbers leave room for."""
    return max(1, min(header.count, header.last_seq - max(header.after_seq, watermark)))


def events_lost(floor: Floor, *, watermark: int, known_events: int) -> int | None:
    """How many committed events this controller no longer has; None: it has them all, and the watermark stays.

    `known_events` are those of the boot and stream that it has rows of or counted as lost.
    """
    if floor.acknowledged_seq <= watermark:
        return None
    return max(0, min(floor.acknowledged_events - known_events, floor.acknowledged_seq - watermark))


def fault_of_floor(floor: Floor) -> str:
    """Why a floor cannot be used; empty: it can."""
    if not is_boot_id(floor.boot_id):
        return "boot-id"
    if not 1 <= floor.boot_number <= MAX_NUMBER:
        return "boot-number"
    if not 1 <= floor.acknowledged_seq <= MAX_SEQ or floor.acknowledged_events > floor.acknowledged_seq:
        return "numbers"
    return ""
