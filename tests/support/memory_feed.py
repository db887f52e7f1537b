"""A ledger's feed in memory, for tests of who follows one; held to the same suite as SQLite's."""

from __future__ import annotations

from homebred_daemon.core.telemetry import Route
from homebred_daemon.errors import StateError
from homebred_daemon.ports.feed import FeedPage


class MemoryFeed:
    """Fulfils `ports.feed.Feed`; its positions count from 1."""

    def __init__(self) -> None:
        self.entries: list[Route | None] = []
        """None: dropped, or altered."""
        self.is_broken = False
        self.registries: dict[str, bytes] = {}
        """By digest."""

    def end(self) -> str:
        self._require_sound()
        return str(len(self.entries))

    def read(self, cursor: str, *, limit: int) -> FeedPage:
        self._require_sound()
        after = min(int(cursor or 0), len(self.entries))
        held = [(place, one) for place, one in enumerate(self.entries, start=1) if place > after and one is not None]
        page = held[:limit]
        is_last = len(page) < limit
        reached = len(self.entries) if is_last else page[-1][0]
        routes = [route for _, route in page]
        return FeedPage(routes=routes, cursor=str(reached), lost=reached - after - len(routes), is_last=is_last)

    def registry(self, digest: str) -> bytes | None:
        self._require_sound()
        return self.registries.get(digest)

    def close(self) -> None:
        pass

    def _require_sound(self) -> None:
        if self.is_broken:
            raise StateError("the ledger cannot be followed")
