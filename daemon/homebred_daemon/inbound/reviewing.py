"""Tasks that a person must answer, as callers and reviewers see them, and the feedback of callers."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from homebred_daemon.core.review import ReviewItem, State
from homebred_daemon.ports.review import ReviewContent


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """What a person makes of a task."""

    is_answer: bool
    """Else it is declined."""
    text: str
    """The answer, or why there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A task with what it holds."""

    item: ReviewItem
    content: ReviewContent | None = None
    """None: not asked for, or shredded."""
    resolution: str = ""
    """The answer or, with `declined`, why there is none; empty: it has not ended so, or was not asked for."""


class Reviews(Protocol):
    """The review queue, for reviewers and for those whose tasks are in it."""

    async def listed(self, states: frozenset[State], limit: int) -> tuple[tuple[ReviewItem, ...], bool]:
        """Items in these states (none: those that are open), oldest first, and whether there are more.

        `limit` 0 or less is the device's own.
        """
        ...

    def watch(self) -> AsyncGenerator[ReviewItem, None]:
        """The open items, then every change; of an item that changes faster than it is read, the newest state.

        Raises:
            OverloadedError: too many watch.
        """
        ...

    async def claim(self, route_id: str, *, by: str, lease_s: float) -> ReviewItem:
        """Takes an item for one reviewer; no route: the oldest that waits; `lease_s` 0: the device's own.

        Raises:
            NotFoundError: there is none.
            ConflictError: somebody else has it, or it has ended.
            RequestError: no lease may be that long.
        """
        ...

    async def show(self, route_id: str) -> Shown:
        """An item with its content.

        Raises:
            NotFoundError: there is none.
            StateError: its content cannot be opened.
        """
        ...

    async def resolve(self, route_id: str, claim_id: str, resolution: Resolution) -> ReviewItem:
        """Ends an item; the same resolution of the same claim is taken once and succeeds again.

        Raises:
            NotFoundError: there is none.
            ConflictError: the claim does not hold, or it ended in another way.
            RequestError: the answer does not fit the task's schema, or is empty.
            StateError: its content cannot be opened.
        """
        ...

    async def release(self, route_id: str, claim_id: str) -> ReviewItem:
        """Gives an item back.

        Raises:
            NotFoundError: there is none.
            ConflictError: the claim does not hold.
        """
        ...

    async def wait(self, route_id: str, *, caller: tuple[str, ...], sees_all: bool, wait_s: float) -> Shown:
        """How a task stands for who filed it; waits for its end, at most so long.

        Args:
            route_id: of the decision that sent it to a person.
            caller: who asks, by attested principals.
            sees_all: whether it may ask for tasks of others.
            wait_s: seconds; the device may bound them.

        Raises:
            NotFoundError: there is none, or it is somebody else's.
            OverloadedError: too many wait.
            StateError: its answer cannot be opened.
        """
        ...


class Verdict(StrEnum):
    """How good an answer was."""

    GOOD = "good"
    BAD = "bad"
    CORRECTED = "corrected"


class Feedbacks(Protocol):
    """Takes what callers say of answers."""

    async def give(self, route_id: str, *, caller: tuple[str, ...], verdict: Verdict, corrected_output: str) -> None:
        """Keeps a verdict; the last one on a route holds.

        Raises:
            NotFoundError: no such route has been answered for this caller.
            RequestError: a corrected output with another verdict.
            OverloadedError: as many corrected outputs are kept as may be.
        """
        ...
