"""Follows the ledger, and has installing count what became of answers, for the version of the specialist that answered.

The registry that a task was decided on names that version, so that an answer which was begun on an old release counts
for the old one. Counts and how far was read are one commit of installing's: a kill neither loses nor doubles any. It
judges nothing.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Protocol

from homebred_daemon import fleet_messages
from homebred_daemon.core.deployment import Tally
from homebred_daemon.core.outcomes import told_of
from homebred_daemon.core.telemetry import Route
from homebred_daemon.errors import HomebredError
from homebred_daemon.ports.feed import Feed, FeedPage
from homebred_daemon.ports.installs import Counted
from homebred_daemon.ports.journal import Journal
from homebred_daemon.services.background import beside
from homebred_daemon.services.releases.install_book import on_thread
from homebred_protocol.documents.fields import DocumentError
from homebred_protocol.documents.registry import read_registry

AT_ONCE = 200
"""Entries of the ledger that are read in one go."""
GATHER_S = 0.5
"""How long further outcomes are waited for once some were counted: fewer commits, and a bad release goes as soon."""
RETRY_S, MOST_RETRY_S = 1.0, 60.0


class Counts(Protocol):
    """Who counts. Every method may raise StateError."""

    async def counted_through(self) -> str:
        """The cursor behind all that was counted; empty: nothing was."""
        ...

    async def observe(self, counted: Sequence[Counted], *, through: str) -> None:
        """Counts outcomes up to a cursor."""
        ...


class OutcomeCounting:
    """Counts for as long as it runs. One event loop."""

    def __init__(self, feed: Feed, counts: Counts, journal: Journal) -> None:
        self._feed = feed
        self._counts = counts
        self._journal = journal
        self._wake = asyncio.Event()
        self._versions = lru_cache(maxsize=8)(self._versions_of)
        """By the registry's digest: a device changes its registry seldom."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Counts for as long as the context lasts; what ends meanwhile the next start counts."""
        async with beside(self._run()):
            yield

    def wake(self) -> None:
        """Something has ended, or was said."""
        self._wake.set()

    async def _run(self) -> None:
        self._wake.set()
        wait_s = 0.0
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                while not await self._count_page():
                    pass
            except HomebredError as error:
                if not wait_s:
                    self._journal.note(fleet_messages.OUTCOMES_HELD_UP, error_code=error.code)
                wait_s = min(max(RETRY_S, 2 * wait_s), MOST_RETRY_S)
                self._wake.set()
            else:
                wait_s = 0.0
            await asyncio.sleep(wait_s or GATHER_S)

    async def _count_page(self) -> bool:
        """Counts what the next page tells; whether it was the last."""
        cursor = await self._counts.counted_through()
        page, counted = await on_thread(lambda: self._read(cursor))
        if page.cursor != cursor:
            await self._counts.observe(counted, through=page.cursor)
        return page.is_last

    def _read(self, cursor: str) -> tuple[FeedPage, list[Counted]]:
        page = self._feed.read(cursor, limit=AT_ONCE)
        found: defaultdict[tuple[str, str], Tally] = defaultdict(Tally)
        for route in page.routes:
            if (told := told_of(route)) is not None:
                specialist, tally = told
                if version := self._version(route, specialist):
                    found[specialist, version] = found[specialist, version].plus(tally)
        return page, [
            Counted(specialist=specialist, version=version, tally=tally)
            for (specialist, version), tally in found.items()
        ]

    def _version(self, route: Route, specialist: str) -> str:
        """Empty: a cloud model answered, or the registry is not kept any more."""
        return self._versions(route.registry_digest).get(specialist, "")

    def _versions_of(self, registry_digest: str) -> Mapping[str, str]:
        body = self._feed.registry(registry_digest)
        if body is None:
            return {}
        try:
            registry = read_registry(json.loads(body), registry_digest)
        except (DocumentError, ValueError):
            return {}
        return {one.id: one.version for one in registry.specialists if one.version}
