"""What an outbox sends next, what it drops when it is full, and how it counts what it dropped.

Pure: no file, no clock. What was cut into a batch is never dropped here: it may have been sent, and the controller may
hold it already. Whoever keeps the events hands them over in the order of `drop_key`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from homebred_protocol.topics import STREAMS

GAP = STREAMS[0]
"""The stream of the outbox's own events; it is cut first."""
PATIENCE = 8
"""How many batches in a row may pass over a less important stream that waits."""
MOST_GAPS = 256
"""Counted losses kept apart until they are cut; at more, the oldest lose their place and keep their number (I9)."""
EVENT_OVERHEAD_BYTES = 32
"""What keeping an event costs beside its bytes: its row's keys and lengths."""
WIRE_OVERHEAD_BYTES = 16
"""What an event adds to a batch beside its bytes: its number, two lengths and two tags."""
RANKS = {stream: rank for rank, stream in enumerate(STREAMS, start=1)}
"""By importance; the numbers of homebred.v1.Stream, held so by a test."""


class Loss(StrEnum):
    """Why events are gone: the words of homebred.v1.GapReason."""

    QUOTA = "quota"
    DISK = "disk"
    LEDGER = "ledger"
    REFUSED = "refused"
    DAMAGED = "damaged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What an outbox may hold."""

    max_events: int
    max_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """An event that was not cut yet."""

    stream: str
    boot_number: int
    seq: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pile:
    """What of one boot's stream waits to be cut."""

    stream: str
    boot_number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Events that are gone, counted."""

    boot_id: str
    """Whose; empty: they never had numbers, or these are no longer told apart."""
    stream: str
    first_seq: int = 0
    last_seq: int = 0
    events: int
    reason: Loss


def cost_bytes(body: bytes) -> int:
    """What an event takes of the quota."""
    return len(body) + EVENT_OVERHEAD_BYTES


def drop_key(held: Held) -> tuple[int, int, int]:
    """Sorts what may be dropped: the least important stream first, and in it the oldest."""
    return (-RANKS[held.stream], held.boot_number, held.seq)


def dropped(in_order: Iterable[Held], quota: Quota, *, events: int, size_bytes: int) -> list[Held]:
    """What must go so that the quota holds; all of it where that is not enough.

    Args:
        in_order: what may go, as `drop_key` sorts it; read only as far as needed.
        quota: what may be held.
        events: how many are held, those that were cut among them.
        size_bytes: what they take, likewise.
    """
    gone: list[Held] = []
    candidates = iter(in_order)
    while events > quota.max_events or size_bytes > quota.max_bytes:
        held = next(candidates, None)
        if held is None:
            break
        gone.append(held)
        events -= 1
        size_bytes -= held.size_bytes
    return gone


def losses(gone: Sequence[Held], boot_ids: dict[int, str]) -> list[Gap]:
    """What was dropped at the quota as gaps, one for each boot's stream; `gone` is in the order of `drop_key`."""
    found: dict[tuple[int, str], Gap] = {}
    for held in gone:
        one = Gap(
            boot_id=boot_ids[held.boot_number],
            stream=held.stream,
            first_seq=held.seq,
            last_seq=held.seq,
            events=1,
            reason=Loss.QUOTA,
        )
        key = (held.boot_number, held.stream)
        found[key] = merged(found[key], one) if key in found else one
    return list(found.values())


def belongs_to(pending: Gap, newer: Gap, *, cut_seq: int) -> bool:
    """Whether a newer loss is told in the same gap as one that was not cut yet.

    Args:
        pending: the gap that waits.
        newer: what is gone now.
        cut_seq: the last number cut of the newer one's boot and stream: what lies before and behind a batch is not one.
    """
    same = (pending.boot_id, pending.stream, pending.reason) == (newer.boot_id, newer.stream, newer.reason)
    if not same or not newer.boot_id:
        return same
    return newer.stream == GAP or pending.last_seq > cut_seq or newer.reason is Loss.REFUSED


def merged(pending: Gap, newer: Gap) -> Gap:
    """Both in one."""
    return replace(
        pending,
        first_seq=min(pending.first_seq, newer.first_seq),
        last_seq=max(pending.last_seq, newer.last_seq),
        events=pending.events + newer.events,
    )


def without_place(gap: Gap) -> Gap:
    """The same loss by its number alone."""
    return replace(gap, boot_id="", first_seq=0, last_seq=0)


def next_pile(waiting: Sequence[Pile], passed_over: int) -> Pile | None:
    """What is cut next: the most important stream, and of it the oldest boot.

    A stream that waits behind more important ones for PATIENCE batches has its turn, the least important one first.
    """
    if not waiting:
        return None
    pick = max if passed_over >= PATIENCE else min
    rank = pick(RANKS[pile.stream] for pile in waiting)
    return min((pile for pile in waiting if RANKS[pile.stream] == rank), key=lambda pile: pile.boot_number)


def passes_over(waiting: Sequence[Pile], chosen: Pile) -> bool:
    """Whether cutting this has a less important stream wait longer."""
    return any(RANKS[pile.stream] > RANKS[chosen.stream] for pile in waiting)


def fitting(sizes: Iterable[int], *, max_events: int, max_bytes: int) -> int:
    """How many of the next events go into one batch: at least one, however large.

    Args:
        sizes: bytes of the bodies, in order.
        max_events: of a batch.
        max_bytes: of its events before they are compressed.
    """
    count = total = 0
    for size in sizes:
        total += size + WIRE_OVERHEAD_BYTES
        if count and (count >= max_events or total > max_bytes):
            break
        count += 1
    return count


def room_bytes(max_bytes: int) -> int:
    """What a batch's events may take before they are compressed, so that the whole of it never passes `max_bytes`.

    What cannot be compressed grows by less than a hundredth; the rest is the batch's own head.
    """
    return max_bytes - max_bytes // 100 - 256
