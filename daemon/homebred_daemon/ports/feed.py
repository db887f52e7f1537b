"""The ledger as the fleet follows it: what ended and what was said, in the order recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from homebred_daemon.core.telemetry import Route


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedPage:
    """Some of a feed, in order."""

    routes: Sequence[Route]
    cursor: str
    """Behind all that it tells of."""
    lost: int
    """Entries before the cursor that the ledger dropped, or that cannot be read any more."""
    is_last: bool
    """Whether nothing lay behind it."""


class Feed(Protocol):
    """A ledger's feed. Not safe for two threads at once. Every method may raise StateError."""

    def end(self) -> str:
        """The cursor behind all that there is now."""
        ...

    def read(self, cursor: str, *, limit: int) -> FeedPage:
        """What lies behind a cursor, `limit` entries at most; if the ledger lost its newest, what came after."""
        ...

    def registry(self, digest: str) -> bytes | None:
        """A registry document that decisions name; None: it is not kept any more."""
        ...

    def close(self) -> None:
        """Nothing may be called afterwards."""
        ...
