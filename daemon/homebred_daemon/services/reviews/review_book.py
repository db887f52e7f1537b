"""The review queue as one thread works it: seals what goes in, opens what is shown, applies the rules in the store.

It waits for nothing and tells nobody: that is the desk's. Plain content is in its hands only on the way between caller,
reviewer and sealer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from homebred_daemon.core.review import Act, ReviewItem, State, claimed, passed, released, resolved
from homebred_daemon.errors import ConflictError, NotFoundError, RequestError
from homebred_daemon.inbound.reviewing import Resolution, Shown
from homebred_daemon.ports.review import Bounds, Change, ReviewContent, ReviewCounts, ReviewStore, Sealed, Sealer
from homebred_daemon.ports.schemas import SchemaChecker
from homebred_daemon.services.reviews.review_bodies import body_of, content_of

CONTENT, RESOLUTION, CORRECTION = "content", "resolution", "correction"
"""The parts that are sealed."""
SETTLED_AT_ONCE = 500
MAX_LEASE_S = 86_400.0
MAX_TEXT_BYTES = 262_144
"""Of an answer, a reason or a correction: the space for tasks is bounded as a whole, these one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewTerms:
    """What holds for every item."""

    max_items: int
    """Open ones; as many ended ones, and as many corrections, are kept beside them."""
    max_bytes: int
    """Sealed content of all items."""
    retention_s: float
    """Until an open item expires, and an ended one is erased."""
    lease_s: float
    """Of a claim that names none."""


class ReviewBook:
    """One queue. Used by one thread."""

    def __init__(self, store: ReviewStore, sealer: Sealer, schemas: SchemaChecker, terms: ReviewTerms) -> None:
        self._store = store
        self._sealer = sealer
        self._schemas = schemas
        self._terms = terms

    def file(self, item: ReviewItem, content: ReviewContent) -> Change:
        """Takes a task in; it is on the disk when this returns. Raises OverloadedError, StateError."""
        data_key = self._sealer.new_key(item.route_id)
        sealed = Sealed(data_key=data_key, content=self._seal(data_key, item.route_id, CONTENT, body_of(content)))
        bounds = Bounds(max_open=self._terms.max_items, max_bytes=self._terms.max_bytes)
        self._store.file(item, sealed, bounds)
        return Change(before=None, after=item)

    def claim(self, route_id: str, *, by: str, claim_id: str, lease_s: float, now: datetime) -> Change:
        """Takes an item for one reviewer; no route: the oldest that waits.

        Raises:
            NotFoundError, ConflictError, RequestError, StateError: as `Reviews.claim`.
        """
        if not 0 <= lease_s <= MAX_LEASE_S:
            raise RequestError(f"a lease is 0 to {MAX_LEASE_S:g} s long", hint="0 is the device's own")
        rule = partial(claimed, by=by, claim_id=claim_id, lease_s=lease_s or self._terms.lease_s, now=now)
        return self._store.change(route_id or self._oldest_waiting(), rule)

    def release(self, route_id: str, *, claim_id: str, now: datetime) -> Change:
        """Gives an item back. Raises NotFoundError, ConflictError, StateError."""
        return self._store.change(route_id, partial(released, claim_id=claim_id, now=now))

    def resolve(self, route_id: str, *, claim_id: str, resolution: Resolution, now: datetime) -> Change:
        """Ends an item; sent again it changes nothing.

        Raises:
            NotFoundError, ConflictError, RequestError, StateError: as `Reviews.resolve`.
        """
        item, sealed = self._item(route_id), self._store.sealed(route_id)
        if sealed is None:
            raise ConflictError(f"review {route_id} is {item.state}", hint="nothing of it is kept")
        body = resolution.text.encode()
        rule = partial(
            resolved,
            act=Act.ANSWER if resolution.is_answer else Act.DECLINE,
            claim_id=claim_id,
            mark=self._sealer.mark(sealed.data_key, route_id, body),
            keep_s=self._terms.retention_s,
            now=now,
        )
        if rule(item) != item:  # before the text is looked at: whoever has no claim learns nothing of the task
            self._require_fit(resolution, self._content(route_id, sealed))
        return self._store.change(route_id, rule, resolution=self._seal(sealed.data_key, route_id, RESOLUTION, body))

    def show(self, route_id: str) -> Shown:
        """An item with all that it holds. Raises NotFoundError, StateError."""
        item, sealed = self._item(route_id), self._store.sealed(route_id)
        if sealed is None:
            return Shown(item=item)
        return Shown(item=item, content=self._content(route_id, sealed), resolution=self._resolution(route_id, sealed))

    def result(self, route_id: str) -> Shown:
        """An item with its resolution alone. Raises NotFoundError, StateError."""
        item, sealed = self._item(route_id), self._store.sealed(route_id)
        return Shown(item=item, resolution="" if sealed is None else self._resolution(route_id, sealed))

    def item(self, route_id: str) -> ReviewItem:
        """An item without anything of its content. Raises NotFoundError."""
        return self._item(route_id)

    def items(self, states: frozenset[State], limit: int) -> Sequence[ReviewItem]:
        """Items in these states, oldest first."""
        return self._store.items(states, limit)

    def settle(self, now: datetime) -> Sequence[Change]:
        """What time has done by now, some at a time. Raises StateError."""
        passing = partial(passed, keep_s=self._terms.retention_s, now=now)
        return self._store.settle(now, passing, max_ended=self._terms.max_items, limit=SETTLED_AT_ONCE)

    def next_due(self) -> datetime | None:
        """When time next does something; None: there is nothing."""
        return self._store.next_due()

    def filed_among(self, route_ids: Sequence[str]) -> frozenset[str]:
        """Which of these routes have an item."""
        return self._store.filed_among(route_ids)

    def counts(self) -> ReviewCounts:
        """How the queue stands."""
        return self._store.counts()

    def open_items(self) -> int:
        """How many items are open."""
        return self._store.open_items()

    def content_bytes(self) -> int:
        """Space that sealed content takes."""
        return self._store.content_bytes()

    def keep_correction(self, route_id: str, output: str, *, now: datetime) -> None:
        """Keeps what an answer should have been, instead of what was said before; empty: only that goes.

        Raises:
            RequestError: it is too long.
            OverloadedError: as many are kept as may be.
            StateError: it could not be stored.
        """
        _require_short(output)
        sealed = None
        if output:
            data_key = self._sealer.new_key(route_id)
            sealed = Sealed(data_key=data_key, content=self._seal(data_key, route_id, CORRECTION, output.encode()))
        until = now + timedelta(seconds=self._terms.retention_s)
        self._store.keep_correction(route_id, sealed, until=until, max_corrections=self._terms.max_items)

    def close(self) -> None:
        """Closes the store."""
        self._store.close()

    def _oldest_waiting(self) -> str:
        for item in self._store.items(frozenset({State.WAITING}), 1):
            return item.route_id
        raise NotFoundError("nothing waits for a person", hint="`homebred review watch` tells when something does")

    def _item(self, route_id: str) -> ReviewItem:
        item = self._store.item(route_id)
        if item is None:
            raise NotFoundError(
                f"there is no review {route_id}", hint="check the route id; after its retention nothing of it is kept"
            )
        return item

    def _require_fit(self, resolution: Resolution, content: ReviewContent) -> None:
        _require_short(resolution.text)
        if not resolution.text.strip():
            raise RequestError("the answer or the reason is empty", hint="say something, or decline and say why")
        schema = content.response_schema
        if resolution.is_answer and schema and not self._schemas.fits(resolution.text, schema):
            raise RequestError(
                "the answer does not fit the response schema of the task",
                hint="`homebred review show` prints the schema; correct the answer and send it again",
            )

    def _seal(self, data_key: bytes, route_id: str, part: str, body: bytes) -> bytes:
        return self._sealer.seal(data_key, route_id, part, body)

    def _content(self, route_id: str, sealed: Sealed) -> ReviewContent:
        return content_of(self._sealer.open(sealed.data_key, route_id, CONTENT, sealed.content))

    def _resolution(self, route_id: str, sealed: Sealed) -> str:
        if sealed.resolution is None:
            return ""
        return self._sealer.open(sealed.data_key, route_id, RESOLUTION, sealed.resolution).decode()


def _require_short(text: str) -> None:
    if len(text.encode()) > MAX_TEXT_BYTES:
        raise RequestError(f"the text is longer than {MAX_TEXT_BYTES} bytes", hint="keep to what the task asks for")
