"""The outbox in SQLite: events wait, batches are cut and kept until they are acknowledged, losses are counted.

What goes next and what is dropped is `core.outbox`'s to say; this keeps it, each change one transaction. Appending
survives a crash of the process; a start, a cut and an acknowledgement survive a power cut too, with all before them:
no number that the controller may have seen is given a second time. A damaged file is `outbox_file`'s work.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from homebred_daemon.adapters.store.database import OUTBOX, connect, transaction
from homebred_daemon.adapters.store.outbox_gaps import GapBook, cut_seq, stored_gap
from homebred_daemon.adapters.store.statements import Statements
from homebred_daemon.adapters.telemetry_wire import Numbered, batch_payload, gap_body
from homebred_daemon.core.outbox import (
    GAP,
    RANKS,
    Gap,
    Held,
    Loss,
    Pile,
    Quota,
    cost_bytes,
    dropped,
    fitting,
    losses,
    next_pile,
    passes_over,
    room_bytes,
)
from homebred_daemon.errors import StateError, UnwritableError
from homebred_daemon.ports.outbox import CutBatch, Floor, NewEvent, OutboxDepth
from homebred_protocol.topics import STREAMS

BOOTS_KEPT = 256
"""Starts whose acknowledgements are remembered though nothing of them is left."""
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class SqliteOutbox:
    """One outbox file, and this start of the daemon in it. Calls may come from any thread; they are served in turn."""

    def __init__(
        self, path: Path, *, boot_id: str, quota: Quota, now_s: Callable[[], float], after_boot: int = 0
    ) -> None:
        """Opens or makes the file, and registers this start.

        Args:
            path: the file.
            boot_id: random, of this start.
            quota: what may be held.
            now_s: Unix seconds.
            after_boot: a start that is known from elsewhere to have been counted.

        Raises:
            StateError: the file cannot be used.
        """
        self._path = path
        self._boot_id = boot_id
        self._quota = quota
        self._lock = threading.Lock()
        self._passed_over = 0
        self._connection = connect(path, OUTBOX, synchronous="FULL")
        self._sql = Statements(self._connection, OUTBOX)
        self._gaps = GapBook(self._sql, now_s)
        try:
            with self._writing():
                self._boot_number = max(self._sql.number("last_boot"), after_boot) + 1
                self._sql.run("add_boot", number=self._boot_number, id=boot_id)
                self._forget_old_boots()
        except BaseException:
            self._connection.close()
            raise

    @property
    def boot_id(self) -> str:
        """Of this start."""
        return self._boot_id

    @property
    def boot_number(self) -> int:
        """Counts the starts since the device was enrolled."""
        return self._boot_number

    def close(self) -> None:
        """Folds the write-ahead log into the file and closes it."""
        with self._lock:
            self._connection.close()

    def append(self, events: Sequence[NewEvent], *, cursor: str, lost_routes: int = 0) -> None:
        """Numbers and keeps events, with how far their source was read. Raises UnwritableError: nothing was kept."""
        with self._writing(survives_power_cuts=not events):  # a mere cursor says from where on a ledger is followed
            seq = self._sql.number("last_seq", boot=self._boot_number)
            for seq, event in enumerate(events, start=seq + 1):  # noqa: B020 - goes on from the last one
                self._add_event(seq, event)
            self._sql.run("set_last_seq", boot=self._boot_number, seq=seq)
            self._sql.run("set_cursor", cursor=cursor)
            self._change(events=len(events), size_bytes=sum(cost_bytes(event.body) for event in events))
            if lost_routes:
                self._gaps.count(Gap(boot_id="", stream="route", events=lost_routes, reason=Loss.LEDGER))
            self._keep_to_quota()

    def cursor(self) -> str:
        """How far the source was read; empty: not at all."""
        with self._reading():
            return str(self._sql.one("standing")["cursor"])

    def count_lost(self, stream: str, events: int, reason: str) -> None:
        """Counts events that never had a number."""
        with self._writing():
            self._gaps.count(Gap(boot_id="", stream=stream, events=events, reason=Loss(reason)))

    def cut_batches(self) -> Sequence[CutBatch]:
        """Those cut and neither acknowledged nor refused, in the order cut."""
        with self._reading():
            return [_batch(row) for row in self._sql.rows("batches")]

    def cut(self, *, max_events: int, max_bytes: int) -> CutBatch | None:
        """Cuts the next batch; it is on the disk before it is returned."""
        with self._writing():
            waiting = self._waiting()
            chosen = next_pile(waiting, self._passed_over)
            if chosen is None:
                return None
            cut = self._cut_gaps if chosen.stream == GAP else self._cut_events
            batch = cut(chosen, max_events, room_bytes(max_bytes))
        self._passed_over = self._passed_over + 1 if passes_over(waiting, chosen) else 0
        return batch

    def acknowledge(self, boot_id: str, stream: str, up_to_seq: int) -> int:
        """Forgets what the controller has committed; the number of events."""
        with self._writing():
            return self._let_go(boot_id, stream, up_to_seq, is_refused=False)

    def refuse(self, boot_id: str, stream: str, up_to_seq: int) -> int:
        """Turns batches that the controller can never take into a counted gap; the number of events."""
        with self._writing():
            return self._let_go(boot_id, stream, up_to_seq, is_refused=True)

    def floor(self, boot_id: str, stream: str) -> Floor | None:
        """What was acknowledged of a stream; None: nothing is known of that boot."""
        with self._reading():
            boot = self._sql.first("boot", id=boot_id)
            if boot is None:
                return None
            row = self._sql.first("stream", boot=boot["number"], stream=RANKS[stream])
        return Floor(
            boot_id=boot_id,
            boot_number=boot["number"],
            stream=stream,
            seq=row["gone_seq"] if row is not None else 0,
            events=row["gone_events"] if row is not None else 0,
        )

    def floors(self, limit: int, *, skip: int = 0) -> Sequence[Floor]:
        """What was acknowledged of the boots' streams, the newest first."""
        with self._reading():
            rows = self._sql.rows("floors", limit=limit, skip=skip)
        return [
            Floor(
                boot_id=row["boot_id"],
                boot_number=row["boot"],
                stream=STREAMS[row["stream"] - 1],
                seq=row["gone_seq"],
                events=row["gone_events"],
            )
            for row in rows
        ]

    def depth(self) -> OutboxDepth:
        """What waits now, counted losses that no batch tells yet among it."""
        with self._reading():
            row, pending = self._sql.one("standing"), self._sql.number("pending_gaps_number")
        return OutboxDepth(
            events=row["events"] + pending,
            size_bytes=row["size_bytes"],
            lost_events=row["lost_events"],
            cut_events=row["cut_events"],
            acknowledged_events=row["acknowledged_events"],
        )

    def _add_event(self, seq: int, event: NewEvent) -> None:
        if event.stream == GAP:
            raise ValueError("gaps are the outbox's own events; tell it of a loss with count_lost")
        self._sql.run(
            "add_event",
            stream=RANKS[event.stream],
            boot=self._boot_number,
            seq=seq,
            size_bytes=cost_bytes(event.body),
            body=event.body,
        )

    def _keep_to_quota(self) -> None:
        standing = self._sql.one("standing")
        gone = dropped(self._droppable(), self._quota, events=standing["events"], size_bytes=standing["size_bytes"])
        for held in gone:
            self._sql.run("drop_event", stream=RANKS[held.stream], boot=held.boot_number, seq=held.seq)
        if gone:
            self._change(events=-len(gone), size_bytes=-sum(held.size_bytes for held in gone))
            boot_ids = {row["number"]: row["id"] for row in self._sql.rows("boots")}
            for gap in losses(gone, boot_ids):
                self._gaps.count(gap)

    def _droppable(self) -> Iterator[Held]:
        for stream in reversed(STREAMS):
            for row in self._sql.each("droppable", stream=RANKS[stream]):
                yield Held(stream=stream, boot_number=row["boot"], seq=row["seq"], size_bytes=row["size_bytes"])

    def _waiting(self) -> list[Pile]:
        piles = [Pile(stream=GAP, boot_number=self._boot_number)] if self._sql.number("pending_gaps_number") else []
        for stream, rank in RANKS.items():
            row = self._sql.first("oldest_boot", stream=rank)
            if row is not None:
                piles.append(Pile(stream=stream, boot_number=row["boot"]))
        return piles

    def _cut_events(self, pile: Pile, max_events: int, max_bytes: int) -> CutBatch:
        rank, boot = RANKS[pile.stream], pile.boot_number
        rows = self._sql.rows("next_events", stream=rank, boot=boot, limit=max_events)
        rows = rows[: fitting((len(row["body"]) for row in rows), max_events=max_events, max_bytes=max_bytes)]
        self._sql.run("drop_cut_events", stream=rank, boot=boot, seq=rows[-1]["seq"])
        self._change(events=-len(rows), size_bytes=-sum(row["size_bytes"] for row in rows))
        _, batch = self._keep_batch(pile, [Numbered(seq=row["seq"], body=row["body"]) for row in rows])
        return batch

    def _cut_gaps(self, pile: Pile, max_events: int, max_bytes: int) -> CutBatch:
        """Numbers the losses that no batch tells yet, and tells them in one."""
        rows = self._sql.rows("pending_gaps", limit=max_events)
        bodies = [gap_body(stored_gap(row), noted_at_s=row["noted_at_s"]) for row in rows]
        bodies = bodies[: fitting(map(len, bodies), max_events=max_events, max_bytes=max_bytes)]
        first = self._sql.number("last_seq", boot=self._boot_number) + 1
        events = [Numbered(seq=seq, body=body) for seq, body in enumerate(bodies, start=first)]
        self._sql.run("set_last_seq", boot=self._boot_number, seq=events[-1].seq)
        number, batch = self._keep_batch(pile, events)
        for row in rows[: len(events)]:
            self._sql.run("cut_gap", number=row["number"], batch=number)
        return batch

    def _keep_batch(self, pile: Pile, events: Sequence[Numbered]) -> tuple[int, CutBatch]:
        (boot_id,) = (row["id"] for row in self._sql.rows("boots") if row["number"] == pile.boot_number)
        rank = RANKS[pile.stream]
        after = cut_seq(self._sql, boot_id, rank)
        payload = batch_payload(
            boot_id=boot_id, boot_number=pile.boot_number, stream=pile.stream, after_seq=after, events=events
        )
        last, count, size = events[-1].seq, len(events), cost_bytes(payload)
        (added,) = self._sql.rows(
            "add_batch",
            boot=pile.boot_number,
            stream=rank,
            after_seq=after,
            last_seq=last,
            events=count,
            size_bytes=size,
            payload=payload,
        )
        self._sql.run("set_cut", boot=pile.boot_number, stream=rank, seq=last)
        self._change(events=count, size_bytes=size, cut=count)
        batch = CutBatch(
            boot_id=boot_id, stream=pile.stream, after_seq=after, last_seq=last, count=count, payload=payload
        )
        return added["number"], batch

    def _let_go(self, boot_id: str, stream: str, up_to_seq: int, *, is_refused: bool) -> int:
        rank, boot = RANKS[stream], self._sql.first("boot", id=boot_id)
        row = self._sql.first("stream", boot=boot["number"], stream=rank) if boot is not None else None
        if boot is None or row is None or up_to_seq > row["cut_seq"]:
            return 0
        gone = self._sql.rows("batches_up_to", boot=boot["number"], stream=rank, seq=up_to_seq)
        if not gone:
            return 0
        last: int = gone[-1]["last_seq"]
        events = sum(int(batch["events"]) for batch in gone)
        for batch in gone:
            self._sql.run("drop_batch", number=batch["number"])
            self._sql.run("put_gaps_back" if is_refused else "drop_told_gaps", batch=batch["number"])
        acknowledged = 0 if is_refused else events
        self._sql.run("set_gone", boot=boot["number"], stream=rank, seq=last, events=events)
        self._change(events=-events, size_bytes=-sum(batch["size_bytes"] for batch in gone), acknowledged=acknowledged)
        if is_refused:
            first = gone[0]["after_seq"] + 1
            self._gaps.count(
                Gap(boot_id=boot_id, stream=stream, first_seq=first, last_seq=last, events=events, reason=Loss.REFUSED)
            )
        return events

    def _forget_old_boots(self) -> None:
        ended = self._boot_number - BOOTS_KEPT
        if ended <= 0:
            return
        waiting = {row["boot"] for rank in RANKS.values() for row in self._sql.rows("boots_of_events", stream=rank)}
        values = {"number": ended, "waiting": json.dumps(sorted(waiting))}
        self._sql.run("drop_streams_of_old_boots", **values)
        self._sql.run("drop_old_boots", **values)

    def _change(self, *, events: int = 0, size_bytes: int = 0, cut: int = 0, acknowledged: int = 0) -> None:
        self._sql.run("change_standing", events=events, size_bytes=size_bytes, cut=cut, acknowledged=acknowledged)

    # SQLite

    @contextmanager
    def _writing(self, *, survives_power_cuts: bool = True) -> Iterator[None]:
        with self._lock, self._errors():
            self._connection.execute(f"PRAGMA synchronous = {'FULL' if survives_power_cuts else 'NORMAL'}")
            with transaction(self._connection):
                yield

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with self._lock, self._errors():
            yield

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if is_damage(error):
                raise StateError(
                    f"the outbox {self._path} is damaged: {error}",
                    hint="restart the daemon: it sets the file aside, counts what was in it as lost and begins anew",
                ) from error
            raise UnwritableError(
                f"the outbox {self._path} could not be written: {error}",
                hint="free disk space; nothing was stored, and telemetry goes on by itself once there is room",
            ) from error


def is_damage(error: BaseException | None) -> bool:
    """Whether SQLite says that the file is damaged, or no database; not that it cannot be had just now."""
    return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED


def _batch(row: sqlite3.Row) -> CutBatch:
    return CutBatch(
        boot_id=row["boot_id"],
        stream=STREAMS[row["stream"] - 1],
        after_seq=row["after_seq"],
        last_seq=row["last_seq"],
        count=row["events"],
        payload=row["payload"],
    )
