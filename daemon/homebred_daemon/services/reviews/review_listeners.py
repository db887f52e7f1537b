"""Who listens to the review queue: reviewers who watch all of it, callers who wait for one task of theirs.

What a listener has not read yet is held once for each item, in its newest state: a slow one falls behind in time, never
in memory. It knows nothing of what may become of an item.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from homebred_daemon.core.review import ReviewItem
from homebred_daemon.errors import DrainingError, OverloadedError
from homebred_daemon.ports.review import Change

MAX_WATCHERS = 8
MAX_WAITERS = 32
RETRY_AFTER_S = 5.0


class Listener:
    """One that listens, to one route or to all."""

    def __init__(self, route_id: str = "") -> None:
        self.route_id = route_id
        """Empty: all."""
        self.is_dismissed = False
        """Whether nothing more will be told."""
        self._unread: dict[str, ReviewItem] = {}
        self._changed = asyncio.Event()

    def hear(self, change: Change) -> None:
        """Takes a change in; an erased item has nothing more to tell."""
        item = change.after or change.before
        if item is None or self.route_id not in {"", item.route_id}:
            return
        self._unread.pop(item.route_id, None)
        if change.after is not None:
            self._unread[item.route_id] = item
        self._changed.set()

    def begin_with(self, items: Iterable[ReviewItem]) -> None:
        """Puts what was there before all that was heard; of what has changed meanwhile the newer state stays."""
        self._unread = {item.route_id: item for item in items if item.route_id not in self._unread} | self._unread
        self._changed.set()

    def dismiss(self) -> None:
        """Tells it that the daemon stops."""
        self.is_dismissed = True
        self._changed.set()

    async def changed(self) -> None:
        """Returns once something was heard since this returned last."""
        await self._changed.wait()
        self._changed.clear()

    async def next(self) -> ReviewItem:
        """The next unread item.

        Raises:
            DrainingError: the daemon stops.
        """
        while not self._unread:
            if self.is_dismissed:
                raise _draining()
            await self.changed()
        return self._unread.pop(next(iter(self._unread)))


class Listeners:
    """All of them, each kind bounded (I9)."""

    def __init__(self) -> None:
        self._watching: set[Listener] = set()
        self._waiting: set[Listener] = set()
        self.is_over = False
        """Whether everybody was sent home."""

    def tell(self, change: Change) -> None:
        """Tells everybody whom it concerns."""
        for listener in (*self._watching, *self._waiting):
            listener.hear(change)

    def dismiss(self) -> None:
        """Sends everybody home, and takes no more: calls that are held open would hold up the daemon's stop."""
        self.is_over = True
        for listener in (*self._watching, *self._waiting):
            listener.dismiss()

    @contextmanager
    def watching(self) -> Iterator[Listener]:
        """One that hears of all items.

        Raises:
            OverloadedError: too many watch.
            DrainingError: the daemon stops.
        """
        with self._among(self._watching, Listener(), MAX_WATCHERS, "watch the review queue") as listener:
            yield listener

    @contextmanager
    def waiting(self, route_id: str) -> Iterator[Listener]:
        """One that hears of one item.

        Raises:
            OverloadedError: too many wait.
            DrainingError: the daemon stops.
        """
        with self._among(self._waiting, Listener(route_id), MAX_WAITERS, "wait for a person's answer") as listener:
            yield listener

    @contextmanager
    def _among(self, listeners: set[Listener], one: Listener, most: int, what: str) -> Iterator[Listener]:
        if self.is_over:
            raise _draining()
        if len(listeners) >= most:
            raise OverloadedError(
                f"{most} callers {what}, and no more may", hint="ask again in a while", retry_after_s=RETRY_AFTER_S
            )
        listeners.add(one)
        try:
            yield one
        finally:
            listeners.discard(one)


def _draining() -> DrainingError:
    return DrainingError("the daemon is about to stop", hint="watch again in a moment", retry_after_s=RETRY_AFTER_S)
