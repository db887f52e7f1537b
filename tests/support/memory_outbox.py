"""An outbox in memory, for tests of who uses one; held to the same suite as the one on the disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from homebred_daemon.adapters.telemetry_wire import Numbered, batch_payload, gap_body
from homebred_daemon.core.outbox import (
    GAP,
    MOST_GAPS,
    Gap,
    Held,
    Loss,
    Pile,
    Quota,
    belongs_to,
    cost_bytes,
    drop_key,
    dropped,
    fitting,
    losses,
    merged,
    next_pile,
    passes_over,
    room_bytes,
    without_place,
)
from homebred_daemon.errors import UnwritableError
from homebred_daemon.ports.outbox import CutBatch, Floor, NewEvent, OutboxDepth
from homebred_protocol.topics import STREAMS

AMPLE = Quota(max_events=100_000, max_bytes=100_000_000)


@dataclass(slots=True)
class _Sent:
    batch: CutBatch
    gaps: list[Gap]


@dataclass(slots=True)
class _Stream:
    cut_seq: int = 0
    gone_seq: int = 0
    gone: int = 0


@dataclass(slots=True)
class Disk:
    """What stays when the daemon goes; hand it to the outbox of the next start."""

    boots: dict[int, str] = field(default_factory=dict)
    last_seq: int = 0
    events: dict[tuple[str, int, int], bytes] = field(default_factory=dict)
    """By stream, boot's number and seq."""
    sent: list[_Sent] = field(default_factory=list)
    streams: dict[tuple[str, str], _Stream] = field(default_factory=dict)
    """By boot's id and stream."""
    gaps: list[Gap] = field(default_factory=list)
    cursor: str = ""
    lost: int = 0
    cut: int = 0
    acknowledged: int = 0


class MemoryOutbox:
    """Fulfils `ports.outbox.Outbox`."""

    def __init__(self, *, boot_id: str = "ab" * 16, quota: Quota = AMPLE, disk: Disk | None = None) -> None:
        self.disk = disk if disk is not None else Disk()
        self._boot_id = boot_id
        self._quota = quota
        self._passed_over = 0
        self.is_full = False
        """Set it, and nothing can be written any more."""
        self.disk.boots[self.boot_number + 1] = boot_id
        self.disk.last_seq = 0

    @property
    def boot_id(self) -> str:
        return self._boot_id

    @property
    def boot_number(self) -> int:
        return max(self.disk.boots, default=0)

    def append(self, events: Sequence[NewEvent], *, cursor: str, lost_routes: int = 0) -> None:
        self._require_room()
        if any(event.stream == GAP for event in events):
            raise ValueError("gaps are the outbox's own events")
        for event in events:
            self.disk.last_seq += 1
            self.disk.events[event.stream, self.boot_number, self.disk.last_seq] = event.body
        self.disk.cursor = cursor
        if lost_routes:
            self._count(Gap(boot_id="", stream="route", events=lost_routes, reason=Loss.LEDGER))
        held = sorted((_held(key, body) for key, body in self.disk.events.items()), key=drop_key)
        depth = self.depth()
        gone = dropped(held, self._quota, events=depth.events - len(self.disk.gaps), size_bytes=depth.size_bytes)
        for one in gone:
            del self.disk.events[one.stream, one.boot_number, one.seq]
        for gap in losses(gone, self.disk.boots):
            self._count(gap)

    def cursor(self) -> str:
        return self.disk.cursor

    def count_lost(self, stream: str, events: int, reason: str) -> None:
        self._require_room()
        self._count(Gap(boot_id="", stream=stream, events=events, reason=Loss(reason)))

    def cut_batches(self) -> Sequence[CutBatch]:
        return [sent.batch for sent in self.disk.sent]

    def cut(self, *, max_events: int, max_bytes: int) -> CutBatch | None:
        self._require_room()
        waiting = [Pile(stream=stream, boot_number=boot) for stream, boot, _ in self.disk.events]
        waiting += [Pile(stream=GAP, boot_number=self.boot_number) for _ in self.disk.gaps]
        pile = next_pile(waiting, self._passed_over)
        if pile is None:
            return None
        self._passed_over = self._passed_over + 1 if passes_over(waiting, pile) else 0
        is_gap = pile.stream == GAP
        events = self._numbered_gaps() if is_gap else self._events_of(pile)
        count = fitting((len(one.body) for one in events), max_events=max_events, max_bytes=room_bytes(max_bytes))
        events = events[:count]
        told = self.disk.gaps[:count] if is_gap else []
        if is_gap:
            self.disk.last_seq = events[-1].seq
            self.disk.gaps = self.disk.gaps[count:]
        else:
            for one in events:
                del self.disk.events[pile.stream, pile.boot_number, one.seq]
        return self._sent(pile, events, told)

    def acknowledge(self, boot_id: str, stream: str, up_to_seq: int) -> int:
        gone = self._let_go(boot_id, stream, up_to_seq)
        count = sum(sent.batch.count for sent in gone)
        self.disk.acknowledged += count
        return count

    def refuse(self, boot_id: str, stream: str, up_to_seq: int) -> int:
        gone = self._let_go(boot_id, stream, up_to_seq)
        if not gone:
            return 0
        count = sum(sent.batch.count for sent in gone)
        self.disk.gaps = [gap for sent in gone for gap in sent.gaps] + self.disk.gaps
        first, last = gone[0].batch.after_seq + 1, gone[-1].batch.last_seq
        refused = Gap(boot_id=boot_id, stream=stream, first_seq=first, last_seq=last, events=count, reason=Loss.REFUSED)
        self._count(refused)
        return count

    def floor(self, boot_id: str, stream: str) -> Floor | None:
        number = next((number for number, each in self.disk.boots.items() if each == boot_id), None)
        if number is None:
            return None
        found = self._stream(boot_id, stream)
        return Floor(boot_id=boot_id, boot_number=number, stream=stream, seq=found.gone_seq, events=found.gone)

    def floors(self, limit: int, *, skip: int = 0) -> Sequence[Floor]:
        numbers = {boot_id: number for number, boot_id in self.disk.boots.items()}
        found = [
            Floor(
                boot_id=boot_id,
                boot_number=numbers[boot_id],
                stream=stream,
                seq=each.gone_seq,
                events=each.gone,
            )
            for (boot_id, stream), each in self.disk.streams.items()
            if boot_id in numbers and each.gone_seq
        ]
        return sorted(found, key=lambda floor: (-floor.boot_number, STREAMS.index(floor.stream)))[skip : skip + limit]

    def depth(self) -> OutboxDepth:
        sent = sum(each.batch.count for each in self.disk.sent)
        size_bytes = sum(map(cost_bytes, self.disk.events.values()))
        size_bytes += sum(cost_bytes(each.batch.payload) for each in self.disk.sent)
        return OutboxDepth(
            events=len(self.disk.events) + sent + len(self.disk.gaps),
            size_bytes=size_bytes,
            lost_events=self.disk.lost,
            cut_events=self.disk.cut,
            acknowledged_events=self.disk.acknowledged,
        )

    def close(self) -> None:
        pass

    def _require_room(self) -> None:
        if self.is_full:
            raise UnwritableError("the disk is full")

    def _stream(self, boot_id: str, stream: str) -> _Stream:
        return self.disk.streams.setdefault((boot_id, stream), _Stream())

    def _events_of(self, pile: Pile) -> list[Numbered]:
        return [
            Numbered(seq=seq, body=body)
            for (stream, boot, seq), body in sorted(self.disk.events.items())
            if (stream, boot) == (pile.stream, pile.boot_number)
        ]

    def _numbered_gaps(self) -> list[Numbered]:
        bodies = (gap_body(gap, noted_at_s=0) for gap in self.disk.gaps)
        return [Numbered(seq=seq, body=body) for seq, body in enumerate(bodies, start=self.disk.last_seq + 1)]

    def _sent(self, pile: Pile, events: Sequence[Numbered], told: list[Gap]) -> CutBatch:
        boot_id = self.disk.boots[pile.boot_number]
        state = self._stream(boot_id, pile.stream)
        payload = batch_payload(
            boot_id=boot_id,
            boot_number=pile.boot_number,
            stream=pile.stream,
            after_seq=state.cut_seq,
            events=events,
        )
        batch = CutBatch(
            boot_id=boot_id,
            stream=pile.stream,
            after_seq=state.cut_seq,
            last_seq=events[-1].seq,
            count=len(events),
            payload=payload,
        )
        state.cut_seq = batch.last_seq
        self.disk.cut += batch.count
        self.disk.sent.append(_Sent(batch, told))
        return batch

    def _let_go(self, boot_id: str, stream: str, up_to_seq: int) -> list[_Sent]:
        self._require_room()
        state = self._stream(boot_id, stream)
        if up_to_seq > state.cut_seq:
            return []
        gone = [
            sent
            for sent in self.disk.sent
            if (sent.batch.boot_id, sent.batch.stream) == (boot_id, stream) and sent.batch.last_seq <= up_to_seq
        ]
        self.disk.sent = [sent for sent in self.disk.sent if sent not in gone]
        if gone:
            state.gone_seq = gone[-1].batch.last_seq
            state.gone += sum(sent.batch.count for sent in gone)
        return gone

    def _count(self, gap: Gap) -> None:
        self.disk.lost += gap.events
        self._keep(gap)
        while len(self.disk.gaps) > MOST_GAPS:
            placed = (one for one in self.disk.gaps if one.boot_id)
            oldest = min(placed, key=lambda one: one.reason is Loss.REFUSED, default=None)
            if oldest is None:
                return
            self.disk.gaps.remove(oldest)
            self._keep(without_place(oldest))

    def _keep(self, gap: Gap) -> None:
        kind = (gap.boot_id, gap.stream, gap.reason)
        places = [place for place, one in enumerate(self.disk.gaps) if (one.boot_id, one.stream, one.reason) == kind]
        cut_seq = self._stream(gap.boot_id, gap.stream).cut_seq
        if places and belongs_to(self.disk.gaps[places[-1]], gap, cut_seq=cut_seq):
            self.disk.gaps[places[-1]] = merged(self.disk.gaps[places[-1]], gap)
        else:
            self.disk.gaps.append(gap)


def _held(key: tuple[str, int, int], body: bytes) -> Held:
    stream, boot, seq = key
    return Held(stream=stream, boot_number=boot, seq=seq, size_bytes=cost_bytes(body))
