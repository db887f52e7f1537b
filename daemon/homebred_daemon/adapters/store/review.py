"""The review queue in SQLite: each transition one transaction on the disk, ended content shredded.

It stores sealed bytes and cannot open them. What may become of an item is `core.review`'s; it applies those rules to
the row as it stands inside the transaction.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from homebred_daemon.adapters.durable_files import flush_file
from homebred_daemon.adapters.store.database import REVIEW, connect, transaction
from homebred_daemon.core.review import ReviewItem, State
from homebred_daemon.errors import NotFoundError, OverloadedError, StateError
from homebred_daemon.ports.review import Bounds, Change, Passing, ReviewCounts, Rule, Sealed

RETRY_AFTER_S = 60.0
"""A person takes that long over an answer, and more."""
COUNTED = {State.ANSWERED: "answered", State.DECLINED: "declined", State.EXPIRED: "expired"}


class SqliteReviewStore:
    """One queue file. Not safe for two threads at once: its owner serialises calls."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._queries = REVIEW.queries()
        self._connection = connect(path, REVIEW, synchronous="FULL")
        self._connection.execute("PRAGMA secure_delete = ON")  # deleted rows are overwritten with zeros
        self._owes_forgetting = True
        """Whether the log may hold what was shredded: until it was emptied once, since a crash may have come before."""

    def close(self) -> None:
        """Folds the write-ahead log into the file and closes it."""
        self._connection.close()

    def file(self, item: ReviewItem, sealed: Sealed, bounds: Bounds) -> None:
        """Takes an item in; returns when it is on the disk. Raises OverloadedError, StateError."""
        size_bytes = len(sealed.data_key) + len(sealed.content)
        with self._writing():
            if self._number("open_items") >= bounds.max_open:
                raise OverloadedError(
                    f"{bounds.max_open} tasks wait for a person, and no more may", retry_after_s=RETRY_AFTER_S
                )
            if self._number("content_bytes") + size_bytes > bounds.max_bytes:
                raise OverloadedError(
                    "what waits for a person takes all the space that it may", retry_after_s=RETRY_AFTER_S
                )
            self._run("add_item", **_row(item))
            slot = self._put_key(sealed.data_key)
            self._run("add_content", route_id=item.route_id, slot=slot, content=sealed.content, size_bytes=size_bytes)

    def change(self, route_id: str, rule: Rule, *, resolution: bytes | None = None) -> Change:
        """Applies a rule to an item as it stands. Raises NotFoundError, StateError and what the rule raises."""
        with self._writing():
            before = self.item(route_id)
            if before is None:
                raise NotFoundError(f"there is no review {route_id}")
            change = Change(before=before, after=rule(before))
            if change.after != before:
                self._apply(change)
                if resolution is not None:
                    self._run("add_resolution", route_id=route_id, resolution=resolution)
        return change

    def settle(self, now: datetime, passing: Passing, *, max_ended: int, limit: int) -> Sequence[Change]:
        """What time has done by now; content that goes is gone from every file. Raises StateError."""
        with self._writing():
            changes = [
                Change(before=item, after=passing(item))
                for item in map(_item, self._rows("due_items", now=_text(now), limit=limit))
            ]
            for change in changes:
                self._apply(change)
            surplus = self._surplus(max_ended, limit)
            for change in surplus:
                self._apply(change)
            forgotten = [
                self._forget_correction(row["route_id"])
                for row in self._rows("due_corrections", now=_text(now), limit=limit)
            ]
        self._owes_forgetting |= bool(forgotten or surplus or any(_shreds(change) for change in changes))
        if self._owes_forgetting:
            self._forget_log()
        return changes + surplus

    def next_due(self) -> datetime | None:
        """When time next does something to an item; None: there is nothing."""
        (row,) = self._rows("next_due")
        return _time(row["due"])

    def item(self, route_id: str) -> ReviewItem | None:
        """An item; None where it was never filed, or is erased."""
        row = self._one("item", route_id=route_id)
        return _item(row) if row is not None else None

    def sealed(self, route_id: str) -> Sealed | None:
        """Its sealed content; None where that is shredded."""
        row = self._one("content", route_id=route_id)
        return Sealed(**dict(row)) if row is not None else None

    def items(self, states: frozenset[State], limit: int) -> Sequence[ReviewItem]:
        """Items in these states, in the order filed."""
        rows = [row for state in states for row in self._rows("items_in", state=state.value, limit=limit)]
        return [_item(row) for row in sorted(rows, key=lambda row: int(row["seq"]))[:limit]]

    def filed_among(self, route_ids: Sequence[str]) -> frozenset[str]:
        """Which of these routes have an item."""
        return frozenset(route_id for route_id in route_ids if self._one("item", route_id=route_id) is not None)

    def counts(self) -> ReviewCounts:
        """How it stands."""
        states = {row["state"]: row for row in self._rows("states")}
        waiting, claimed = ((states[state]["number"] if state in states else 0) for state in ("waiting", "claimed"))
        oldest = min((states[state]["oldest"] for state in ("waiting", "claimed") if state in states), default=None)
        ended = {row["name"]: row["number"] for row in self._rows("counts")}
        return ReviewCounts(waiting=waiting, claimed=claimed, oldest_filed_at_utc=_time(oldest), **ended)

    def open_items(self) -> int:
        """How many items are open."""
        return self._number("open_items")

    def content_bytes(self) -> int:
        """Space that the sealed content of all items takes."""
        return self._number("content_bytes")

    def keep_correction(self, route_id: str, sealed: Sealed | None, *, until: datetime, max_corrections: int) -> None:
        """Keeps what an answer should have been, or, with None, forgets it. Raises OverloadedError, StateError."""
        with self._writing():
            forgotten = self._forget_correction(route_id)
            if sealed is not None:
                if self._number("other_corrections", route_id=route_id) >= max_corrections:
                    raise OverloadedError(
                        f"{max_corrections} corrections are kept, and no more may be",
                        hint="send the verdict without the corrected output, or try again when older ones are erased",
                        retry_after_s=RETRY_AFTER_S,
                    )
                self._run(
                    "add_correction",
                    route_id=route_id,
                    slot=self._put_key(sealed.data_key),
                    content=sealed.content,
                    due_at_utc=_text(until),
                )
        if forgotten:
            self._owes_forgetting = True
            self._forget_log()

    def correction(self, route_id: str) -> Sealed | None:
        """What an answer should have been; None where nobody said, or it is erased."""
        row = self._one("correction", route_id=route_id)
        return Sealed(**dict(row)) if row is not None else None

    def _apply(self, change: Change) -> None:
        """Writes one change with the counts that it moves; what nobody may read any more goes at once."""
        before, after = change.before, change.after
        if before is None or before == after:
            return
        if after is None:
            self._run("erase_item", route_id=before.route_id)
            self._run("count", name="erased")
        else:
            self._run("change_item", **_row(after))
        if before.is_open and (after is None or not after.is_open):
            self._run("count", name=COUNTED[State.EXPIRED if after is None else after.state])
        if _shreds(change):
            self._shred("content_slot", "erase_content", before.route_id)

    def _put_key(self, data_key: bytes) -> int:
        """Keeps a sealed key in a slot that is free, else in one of its own; which it is."""
        (free,) = self._rows("free_slot")
        if free["slot"] is None:
            (added,) = self._rows("add_key", data_key=data_key)
            return int(added["slot"])
        self._run("put_key", slot=free["slot"], data_key=data_key)
        return int(free["slot"])

    def _shred(self, find: str, erase: str, route_id: str) -> bool:
        """Overwrites a key and deletes what is sealed with it, by the two queries named; whether there was any."""
        row = self._one(find, route_id=route_id)
        if row is None:
            return False
        self._run("shred", slot=row["slot"])
        self._run(erase, route_id=route_id)
        return True

    def _forget_correction(self, route_id: str) -> bool:
        return self._shred("correction_slot", "erase_correction", route_id)

    def _surplus(self, max_ended: int, limit: int) -> list[Change]:
        """The end of the ended items that are too many; the youngest stay."""
        too_many = self._number("ended_items") - max_ended
        if too_many <= 0:
            return []
        rows = self._rows("oldest_ended_items", limit=min(too_many, limit))
        return [Change(before=_item(row), after=None) for row in rows]

    def _forget_log(self) -> None:
        """Empties the write-ahead log, which still held the pages as they were before something was shredded."""
        with self._readable():
            (is_busy, _, _) = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        log = self._path.with_name(f"{self._path.name}-wal")
        try:
            with suppress(FileNotFoundError), log.open("rb") as emptied:
                flush_file(emptied)  # SQLite does not: a power cut could bring the old log back
        except OSError as error:
            raise StateError(
                f"the review queue's log {log} could not be emptied: {error.strerror}",
                hint="what was shredded may still be on the disk; check the disk: it is tried again",
            ) from error
        self._owes_forgetting = bool(is_busy)  # somebody reads an older state: later, then

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            with transaction(self._connection):
                yield
        except sqlite3.Error as error:
            raise StateError(
                f"the review queue {self._path} could not be written: {error}",
                hint="nothing was stored; check that the disk is not full, and run `homebred doctor`",
            ) from error

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StateError(
                f"the review queue {self._path} cannot be read: {error}",
                hint="stop the daemon and restore the file from a copy, or move it aside to start anew",
            ) from error

    def _run(self, query: str, /, **values: Any) -> None:
        self._connection.execute(self._queries[query], values)

    def _rows(self, query: str, /, **values: Any) -> list[sqlite3.Row]:
        with self._readable():
            return self._connection.execute(self._queries[query], values).fetchall()

    def _one(self, query: str, /, **values: Any) -> sqlite3.Row | None:
        return next(iter(self._rows(query, **values)), None)

    def _number(self, query: str, /, **values: Any) -> int:
        (row,) = self._rows(query, **values)
        return int(row["number"])


def _shreds(change: Change) -> bool:
    """Whether nobody may read the item's content any more."""
    return change.after is None or (change.after.state is State.EXPIRED and change.before != change.after)


def _row(item: ReviewItem) -> dict[str, Any]:
    return {
        "route_id": item.route_id,
        "task_id": item.task_id,
        "workflow": item.workflow,
        "classes": json.dumps(list(item.classes)),
        "reason_code": item.reason_code,
        "filed_by": item.filed_by,
        "filed_at_utc": _text(item.filed_at_utc),
        "expires_at_utc": _text(item.expires_at_utc),
        "state": item.state.value,
        "claimed_by": item.claimed_by,
        "claim_id": item.claim_id,
        "claim_ends_at_utc": None if item.claim_ends_at_utc is None else _text(item.claim_ends_at_utc),
        "resolution_mark": item.resolution_mark,
        "due_at_utc": _text(item.due_at_utc),
    }


def _item(row: sqlite3.Row) -> ReviewItem:
    values = {name: row[name] for name in row.keys() if name not in {"seq", "due_at_utc"}}  # noqa: SIM118  # a Row iterates over values
    values |= {name: _time(values[name]) for name in values if name.endswith("_at_utc")}
    values["classes"] = tuple(json.loads(values["classes"]))
    values["state"] = State(values["state"])
    return ReviewItem(**values)


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
