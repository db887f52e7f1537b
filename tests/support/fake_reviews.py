"""A review store and a sealer in memory: what their ports promise and nothing else; held to it by the contract suites.

The store can be told to fail, as a full disk does; the sealer can lose its key. Neither hides anything from anybody.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from homebred_daemon.core.review import ReviewItem, State
from homebred_daemon.errors import NotFoundError, OverloadedError, StateError
from homebred_daemon.ports.review import Bounds, Change, Passing, ReviewCounts, Rule, Sealed


class FakeSealer:
    """Writes down what it was given, and for which key, item and part."""

    def __init__(self, device_key: str = "key") -> None:
        self.device_key = device_key

    def new_key(self, route_id: str) -> bytes:
        return json.dumps([self.device_key, route_id]).encode()

    def seal(self, data_key: bytes, route_id: str, part: str, body: bytes) -> bytes:
        self._require(data_key, route_id)
        return json.dumps([data_key.hex(), part, body.hex()]).encode()

    def open(self, data_key: bytes, route_id: str, part: str, sealed: bytes) -> bytes:
        self._require(data_key, route_id)
        try:
            key, sealed_part, body = json.loads(sealed)
        except ValueError:
            raise StateError("altered") from None
        if (key, sealed_part) != (data_key.hex(), part):
            raise StateError("sealed elsewhere")
        return bytes.fromhex(body)

    def mark(self, data_key: bytes, route_id: str, body: bytes) -> str:
        self._require(data_key, route_id)
        return hashlib.sha256(data_key + body).hexdigest()

    def _require(self, data_key: bytes, route_id: str) -> None:
        if data_key != self.new_key(route_id):
            raise StateError("sealed under another key")


class FakeReviewStore:
    """Items in the order filed."""

    def __init__(self) -> None:
        self.held: dict[str, ReviewItem] = {}
        self.contents: dict[str, Sealed] = {}
        self.corrections: dict[str, tuple[Sealed, datetime]] = {}
        self.is_full = False
        """Whether every write fails."""
        self._counted: Counter[str] = Counter()

    def file(self, item: ReviewItem, sealed: Sealed, bounds: Bounds) -> None:
        self._must_have_room()
        if item.route_id in self.held:
            raise StateError("filed before")
        too_long = self.content_bytes() + _size(sealed) > bounds.max_bytes
        if self.open_items() >= bounds.max_open or too_long:
            raise OverloadedError("full", retry_after_s=60)
        self.held[item.route_id] = item
        self.contents[item.route_id] = sealed

    def change(self, route_id: str, rule: Rule, *, resolution: bytes | None = None) -> Change:
        self._must_have_room()
        before = self.held.get(route_id)
        if before is None:
            raise NotFoundError("no such review")
        change = Change(before=before, after=rule(before))
        if change.after != before:
            self._apply(change)
            if resolution is not None:
                self.contents[route_id] = replace(self.contents[route_id], resolution=resolution)
        return change

    def settle(self, now: datetime, passing: Passing, *, max_ended: int, limit: int) -> Sequence[Change]:
        self._must_have_room()
        due = sorted((item for item in self.held.values() if item.due_at_utc <= now), key=lambda item: item.due_at_utc)
        changes = [Change(before=item, after=passing(item)) for item in due[:limit]]
        for change in changes:
            self._apply(change)
        ended = sorted((item for item in self.held.values() if not item.is_open), key=lambda item: item.due_at_utc)
        surplus = [Change(before=item, after=None) for item in ended[: max(len(ended) - max_ended, 0)]]
        for change in surplus:
            self._apply(change)
        self.corrections = {key: kept for key, kept in self.corrections.items() if kept[1] > now}
        return changes + surplus

    def next_due(self) -> datetime | None:
        dues = [item.due_at_utc for item in self.held.values()] + [until for _, until in self.corrections.values()]
        return min(dues, default=None)

    def item(self, route_id: str) -> ReviewItem | None:
        return self.held.get(route_id)

    def sealed(self, route_id: str) -> Sealed | None:
        return self.contents.get(route_id)

    def items(self, states: frozenset[State], limit: int) -> Sequence[ReviewItem]:
        return [item for item in self.held.values() if item.state in states][:limit]

    def filed_among(self, route_ids: Sequence[str]) -> frozenset[str]:
        return frozenset(self.held) & frozenset(route_ids)

    def counts(self) -> ReviewCounts:
        states = Counter(item.state.value for item in self.held.values())
        filed = [item.filed_at_utc for item in self.held.values() if item.is_open]
        return ReviewCounts(
            waiting=states["waiting"],
            claimed=states["claimed"],
            oldest_filed_at_utc=min(filed, default=None),
            **self._counted,
        )

    def open_items(self) -> int:
        return sum(item.is_open for item in self.held.values())

    def content_bytes(self) -> int:
        return sum(_size(sealed) for sealed in self.contents.values())

    def keep_correction(self, route_id: str, sealed: Sealed | None, *, until: datetime, max_corrections: int) -> None:
        self._must_have_room()
        others = {key: kept for key, kept in self.corrections.items() if key != route_id}
        if sealed is not None:
            if len(others) >= max_corrections:
                raise OverloadedError("full", retry_after_s=60)
            others[route_id] = (sealed, until)
        self.corrections = others

    def correction(self, route_id: str) -> Sealed | None:
        kept = self.corrections.get(route_id)
        return None if kept is None else kept[0]

    def close(self) -> None:
        pass

    def _apply(self, change: Change) -> None:
        before, after = change.before, change.after
        assert before is not None
        if after is None:
            del self.held[before.route_id]
            self._counted["erased"] += 1
        else:
            self.held[before.route_id] = after
        if before.is_open and (after is None or not after.is_open):
            self._counted["expired" if after is None else after.state.value] += 1
        if after is None or after.state is State.EXPIRED:
            self.contents.pop(before.route_id, None)

    def _must_have_room(self) -> None:
        if self.is_full:
            raise StateError("the review queue could not be written: database or disk is full")


def _size(sealed: Sealed) -> int:
    return len(sealed.data_key) + len(sealed.content) + len(sealed.resolution or b"")
