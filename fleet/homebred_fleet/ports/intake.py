"""What devices tell, taken by the store: a group of messages in one transaction, or none of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from homebred_fleet.core.ingest import Ack


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A message as it came."""

    topic: str
    payload: bytes
    is_retained: bool
    """The broker kept it; nobody knows since when."""


class Fate(StrEnum):
    """What became of a message; the words are those of the figures."""

    STORED = "stored"
    """Its events are rows now, or what it says of its device holds now."""
    DUPLICATE = "duplicate"
    """It was taken before."""
    HOLE = "hole"
    """Something before it is missing: the device sends again."""
    LATER = "later"
    """A newer schema: the device keeps it."""
    REFUSED = "refused"
    """It can never be taken; its events are counted as lost."""
    QUARANTINED = "quarantined"
    """It is counted by its cause, and nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one message."""

    fate: Fate
    device: str = ""
    """Empty: no known device's."""
    events: int = 0
    """Rows that were stored, or events that were counted as lost."""
    cause: str = ""
    """A stable word where it was not taken as it came."""
    refused_receipts: tuple[str, ...] = ()
    """Why signed receipts in it were not kept, in stable words."""
    ack: Ack | None = None
    """What the device is told once the transaction is committed."""
    is_birth: bool = False
    """The device is there, and was not before."""
    asks_for_desired: bool = False
    """Its desired state was given a new version."""


class Intake(Protocol):
    """The store, as the hub sees it; blocking, called on one thread."""

    def take(self, arrivals: Sequence[Arrival], *, now_s: int) -> Sequence[Outcome]:
        """Takes messages in their order; an outcome for each, all of them committed.

        Raises:
            StoreBusyError: the database does not work at present; nothing was taken, and the same again may be.
            StoreError: the database refused one of them; nothing was taken, and one by one the others may be.
        """
        ...

    def set_aside(self, arrival: Arrival, *, cause: str, now_s: int) -> Outcome:
        """Counts a message that the database refused, without looking into it. Raises StoreError."""
        ...
