"""Who gives the files of releases now: whoever always does, and before them a folder that somebody carried here.

A folder counts for the releases that were found in it, until another one is carried here or the daemon ends. Nothing is
read here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence

from homebred_daemon.ports.transfer import ByteSource


class ReleaseSources:
    """The sources of one device. One event loop."""

    def __init__(self, always: Sequence[ByteSource]) -> None:
        """`always`: in the order in which they are asked."""
        self._always = tuple(always)
        self._carried: ByteSource | None = None
        self._close: Callable[[], None] = _nothing
        self._for: Collection[str] | None = ()
        self._changed = asyncio.Event()

    def of(self, digest: str) -> tuple[ByteSource, ...]:
        """Who is asked for the files of a release, by its digest."""
        if self._carried is None or (self._for is not None and digest not in self._for):
            return self._always
        return (self._carried, *self._always)

    def change(self) -> asyncio.Event:
        """Is set once others are to be asked than now."""
        return self._changed

    def carry(self, source: ByteSource, close: Callable[[], None]) -> None:
        """Asks a folder first from now on, whatever the release; `close` is called once it is asked no more."""
        self.let_go()
        self._carried, self._close, self._for = source, close, None
        self._told()

    def keep_for(self, digests: Collection[str]) -> None:
        """The folder is asked for these releases alone; where there are none it is let go."""
        self._for = frozenset(digests)
        if not digests:
            self.let_go()

    def let_go(self) -> None:
        """The folder is asked no more."""
        if self._carried is not None:
            self._close()
            self._carried, self._close, self._for = None, _nothing, ()
            self._told()

    def _told(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


def _nothing() -> None:
    """Nothing to close."""
