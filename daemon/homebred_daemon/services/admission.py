"""Counts the tasks being answered, and stops taking more where the daemon is drained. It answers none."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from homebred_daemon.errors import DrainingError

RETRY_AFTER_S = 2.0
"""A restart takes about half a second; a caller that comes back then need not come a third time."""


class Admission:
    """The door for tasks: open, or closed while those inside finish."""

    def __init__(self) -> None:
        self.streams = 0
        """Tasks being answered now."""
        self.is_draining = False
        """Whether no more are taken."""
        self._is_idle = asyncio.Event()
        self._is_idle.set()

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """One task more, for as long as the context lasts.

        Raises:
            DrainingError: no more are taken.
        """
        if self.is_draining:
            raise DrainingError(retry_after_s=RETRY_AFTER_S)
        self.streams += 1
        self._is_idle.clear()
        try:
            yield
        finally:
            self.streams -= 1
            if not self.streams:
                self._is_idle.set()

    async def idle_within(self, limit_s: float) -> bool:
        """Waits until no task is being answered, `limit_s` seconds at most; whether that came."""
        try:
            async with asyncio.timeout(limit_s):
                await self._is_idle.wait()
        except TimeoutError:
            return False
        return True
