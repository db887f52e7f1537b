"""The outbox's counted losses, kept until a batch tells them. Which of them belong together says `core.outbox`."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from homebred_daemon.adapters.store.statements import Statements
from homebred_daemon.core.outbox import MOST_GAPS, RANKS, Gap, Loss, belongs_to, merged, without_place
from homebred_protocol.topics import STREAMS


class GapBook:
    """The losses of one outbox; it works within its owner's transactions."""

    def __init__(self, sql: Statements, now_s: Callable[[], float]) -> None:
        self._sql = sql
        self._now_s = now_s

    def count(self, gap: Gap) -> None:
        """Keeps a loss until a batch tells it."""
        self._sql.run("count_lost", events=gap.events)
        self._keep(gap)
        while self._sql.number("pending_gaps_number") > MOST_GAPS:
            oldest = self._sql.first("oldest_placed_gap")
            if oldest is None:
                break
            self._sql.run("drop_gap", number=oldest["number"])
            self._keep(without_place(stored_gap(oldest)))

    def _keep(self, gap: Gap) -> None:
        rank = RANKS[gap.stream]
        pending = self._sql.first("pending_gap", boot_id=gap.boot_id, stream=rank, reason=gap.reason.value)
        if pending is not None and belongs_to(stored_gap(pending), gap, cut_seq=cut_seq(self._sql, gap.boot_id, rank)):
            both = merged(stored_gap(pending), gap)
            numbers = {"first_seq": both.first_seq, "last_seq": both.last_seq, "events": both.events}
            self._sql.run("widen_gap", number=pending["number"], **numbers)
            return
        self._sql.run(
            "add_gap",
            boot_id=gap.boot_id,
            stream=rank,
            first_seq=gap.first_seq,
            last_seq=gap.last_seq,
            events=gap.events,
            reason=gap.reason.value,
            noted_at_s=int(self._now_s()),
        )


def cut_seq(sql: Statements, boot_id: str, rank: int) -> int:
    """The last number of a start's stream that is in a batch; 0: none."""
    boot = sql.first("boot", id=boot_id)
    row = sql.first("stream", boot=boot["number"], stream=rank) if boot is not None else None
    return int(row["cut_seq"]) if row is not None else 0


def stored_gap(row: sqlite3.Row) -> Gap:
    """A row as the loss that it counts."""
    return Gap(
        boot_id=row["boot_id"],
        stream=STREAMS[row["stream"] - 1],
        first_seq=row["first_seq"],
        last_seq=row["last_seq"],
        events=row["events"],
        reason=Loss(row["reason"]),
    )
