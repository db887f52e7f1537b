"""The queue of tasks that a person must answer: where it is kept, and who can read what is kept in it.

A store holds items and sealed bytes; only a sealer can open those. Neither decides what may become of an item:
`core.review` does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from homebred_daemon.core.attached_content import Attachment
from homebred_daemon.core.review import ReviewItem, State
from homebred_engines import api

Rule = Callable[[ReviewItem], ReviewItem]
"""An item as it stands to the item as it is afterwards; it may refuse with a ConflictError."""
Passing = Callable[[ReviewItem], ReviewItem | None]
"""What time makes of an item; None: it is to be erased."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewContent:
    """What the person sees."""

    messages: tuple[api.Message, ...]
    """The conversation that is to be continued."""
    response_schema: str = ""
    """JSON Schema that an answer must fit; empty: free text."""
    attachments: tuple[Attachment, ...] = ()
    tools: tuple[api.Tool, ...] = ()
    """What the caller's program could have done for a model; a person calls none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """What a store keeps of an item's content: nothing that can be read without the sealer's own key."""

    data_key: bytes
    """The item's own key, itself sealed; without it nobody can open the rest, ever."""
    content: bytes
    resolution: bytes | None = None
    """None: there is none yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much a store may hold; what has ended is bounded alike, and its oldest gives way."""

    max_open: int
    """Items that are not ended."""
    max_bytes: int
    """Sealed content of all items."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewCounts:
    """How a queue stands, and what became of all that was ever in it."""

    waiting: int = 0
    claimed: int = 0
    answered: int = 0
    """Since the queue was made, as all that follow."""
    declined: int = 0
    expired: int = 0
    erased: int = 0
    """Ended ones of which nothing is kept any more."""
    oldest_filed_at_utc: datetime | None = None
    """Of the open ones; None: there are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One item before and after."""

    before: ReviewItem | None
    """None: it was filed."""
    after: ReviewItem | None
    """None: it was erased."""


class Sealer(Protocol):
    """Makes content unreadable to whoever has the disk alone. What it seals fits one part of one item and no other."""

    def new_key(self, route_id: str) -> bytes:
        """A key for one item, sealed: losing it shreds all that was sealed with it."""
        ...

    def seal(self, data_key: bytes, route_id: str, part: str, body: bytes) -> bytes:
        """The body as it may be stored.

        Raises:
            StateError: the key cannot be opened.
        """
        ...

    def open(self, data_key: bytes, route_id: str, part: str, sealed: bytes) -> bytes:
        """The body again.

        Raises:
            StateError: it was altered, belongs elsewhere, or was sealed under another master key.
        """
        ...

    def mark(self, data_key: bytes, route_id: str, body: bytes) -> str:
        """A digest that says nothing of the body to whoever has not the key.

        Raises:
            StateError: the key cannot be opened.
        """
        ...


class ReviewStore(Protocol):
    """The queue on the disk: every method is one transaction that a power cut leaves whole. Used by one thread."""

    def file(self, item: ReviewItem, sealed: Sealed, bounds: Bounds) -> None:
        """Takes an item in; returns when it is on the disk.

        Raises:
            OverloadedError: the queue is full.
            StateError: nothing was stored.
        """
        ...

    def change(self, route_id: str, rule: Rule, *, resolution: bytes | None = None) -> Change:
        """Applies a rule to an item as it stands in this transaction, and keeps the sealed resolution with it.

        A rule that returns the item as it was changes nothing.

        Raises:
            NotFoundError: there is no such item.
            ConflictError: the rule refused.
            StateError: nothing was stored.
        """
        ...

    def settle(self, now: datetime, passing: Passing, *, max_ended: int, limit: int) -> Sequence[Change]:
        """What time has done by now to at most `limit` items; beyond `max_ended` ended ones the oldest are erased.

        Content of what expires or is erased is gone from every file when this returns.
        """
        ...

    def next_due(self) -> datetime | None:
        """When time next does something to an item; None: there is nothing."""
        ...

    def item(self, route_id: str) -> ReviewItem | None:
        """An item; None where it was never filed, or is erased."""
        ...

    def sealed(self, route_id: str) -> Sealed | None:
        """Its sealed content; None where that is shredded."""
        ...

    def items(self, states: frozenset[State], limit: int) -> Sequence[ReviewItem]:
        """Items in these states, in the order filed."""
        ...

    def filed_among(self, route_ids: Sequence[str]) -> frozenset[str]:
        """Which of these routes have an item."""
        ...

    def counts(self) -> ReviewCounts:
        """How it stands."""
        ...

    def open_items(self) -> int:
        """How many items are open."""
        ...

    def content_bytes(self) -> int:
        """Space that the sealed content of all items takes."""
        ...

    def keep_correction(self, route_id: str, sealed: Sealed | None, *, until: datetime, max_corrections: int) -> None:
        """Keeps what an answer should have been, or, with None, forgets it.

        Raises:
            OverloadedError: as many are kept as may be.
        """
        ...

    def correction(self, route_id: str) -> Sealed | None:
        """What an answer should have been; None where nobody said, or it is erased."""
        ...

    def close(self) -> None:
        """Closes its file."""
        ...
