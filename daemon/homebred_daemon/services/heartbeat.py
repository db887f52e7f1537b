"""Tells the service manager that the daemon lives and how it stands, from the very event loop that serves.

A loop that is blocked cannot tell, and so the watchdog notices. It is not told either while a part that the daemon
cannot do without is known to be dead. It restarts nothing: that is the service manager's work.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from homebred_daemon import messages
from homebred_daemon.errors import StateError
from homebred_daemon.ports.journal import Journal
from homebred_daemon.ports.service_manager import ServiceManager
from homebred_daemon.services.background import beside

STATUS_EVERY_S = 5.0
"""The status line is at most so old."""


class Heartbeat:
    """The pulse of one daemon."""

    def __init__(
        self,
        manager: ServiceManager,
        journal: Journal,
        *,
        vital: Mapping[str, Callable[[], bool]],
        status: Callable[[], str],
    ) -> None:
        """`vital` says of each part by name whether it lives; `status` is a line for people, without content."""
        self._manager = manager
        self._journal = journal
        self._vital = vital
        self._status = status
        self._told = ""
        self._is_heard = True
        self._dead: frozenset[str] = frozenset()

    @asynccontextmanager
    async def beating(self) -> AsyncIterator[None]:
        """Beats for as long as the context lasts."""
        if not self._manager.is_there:
            yield
            return
        async with beside(self.run()):
            yield

    async def run(self) -> None:
        """Beats until cancelled."""
        watchdog_s = self._manager.watchdog_s
        # sd_watchdog_enabled(3): it is recommended to notify every half of the time.
        every_s = STATUS_EVERY_S if watchdog_s is None else min(watchdog_s / 2, STATUS_EVERY_S)
        while True:
            self._beat()
            await asyncio.sleep(every_s)

    def _beat(self) -> None:
        try:
            if self._all_live() and self._manager.watchdog_s is not None:
                self._manager.beat()
            if (line := self._status()) != self._told:
                self._manager.status(line)
                self._told = line
        except StateError:  # the watchdog draws the conclusion, where there is one
            self._heard(is_heard=False)
        else:
            self._heard(is_heard=True)

    def _all_live(self) -> bool:
        dead = frozenset(part for part, is_alive in self._vital.items() if not is_alive())
        for part in sorted(dead - self._dead):
            self._journal.note(messages.BEAT_WITHHELD, part=part)
        self._dead = dead
        return not dead

    def _heard(self, *, is_heard: bool) -> None:
        if is_heard != self._is_heard:
            self._journal.note(messages.MANAGER_HEARS if is_heard else messages.MANAGER_SILENT)
        self._is_heard = is_heard


def status_line(*, streams: int, waiting: int, is_draining: bool) -> str:
    """How the daemon stands, in numbers."""
    line = f"answering {streams}, {waiting} waiting for a person"
    return f"takes no more tasks; {line}" if is_draining else line
