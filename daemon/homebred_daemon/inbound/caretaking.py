"""The state of every part, and who looks after them for the operators."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from homebred_engines import api


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecialistState:
    """One specialist of the model store."""

    id: str
    engine: str = ""
    base_digest: str = ""
    available: bool = False
    loaded: bool = False
    note: str = ""
    """What a person should know of it; empty: nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerState:
    """One engine worker."""

    pid: int
    stats: api.WorkerStats | None
    """None: it ended, or did not say in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewsState:
    """How the review queue stands."""

    capacity: int
    """Open items at most."""
    waiting: int
    claimed: int
    answered: int
    """Since the queue was made, as the next two."""
    declined: int
    expired: int
    oldest_filed_at_utc: datetime | None
    """Of the open ones; None: there are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonState:
    """The state of every part."""

    started_at_utc: datetime
    policy_digest: str
    ceiling_digest: str
    registry_digest: str
    link: str
    specialists: tuple[SpecialistState, ...]
    workers: tuple[WorkerState, ...]
    streams: int
    """Tasks being answered now."""
    outcomes: Mapping[str, int]
    """Recorded outcomes by status."""
    reviews: ReviewsState


class Caretaker(Protocol):
    """Looks after the running daemon on behalf of its operators."""

    async def state(self) -> DaemonState:
        """The state of every part."""
        ...

    async def reload_models(self) -> DaemonState:
        """Takes up what has changed in the model store; where that fails, what held still holds.

        Raises:
            StateError: the store cannot be read, or the ledger cannot be written.
        """
        ...
