from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tests.support.memory_feed import MemoryFeed
from tests.support.recorded_journal import RecordedJournal
from tests.support.told_routes import ENDED, ROUTE

from homebred_daemon.core.decision import Runtime
from homebred_daemon.core.deployment import Tally
from homebred_daemon.core.telemetry import Route
from homebred_daemon.errors import UnwritableError
from homebred_daemon.ports.installs import Counted
from homebred_daemon.services.releases.outcome_counting import AT_ONCE, OutcomeCounting

OLD, NEW = "sha256:old registry", "sha256:new registry"
GOOD = replace(ENDED, status="answer", answered_by="intake", findings=(), error_code="")


def route(registry: str, *, good: bool = True, by: str = "intake") -> Route:
    ended = replace(GOOD, answered_by=by, findings=() if good else ("slow",))
    return replace(ROUTE, runtime=Runtime.LOCAL, stack=by, ended=ended, registry_digest=registry)


def registry(version: str) -> bytes:
    entry = {"id": "intake", "engine": "echo", "workflows": {}, "version": version}
    return json.dumps({"specialists": [entry, {"id": "bare", "engine": "echo", "workflows": {}}]}).encode()


@dataclass
class Counts:
    through: str = ""
    tallies: dict[tuple[str, str], Tally] = field(default_factory=dict)
    is_full: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def counted_through(self) -> str:
        return self.through

    async def observe(self, counted: Sequence[Counted], *, through: str) -> None:
        if self.is_full:
            self.changed.set()
            raise UnwritableError("full")
        for one in counted:
            key = (one.specialist, one.version)
            self.tallies[key] = self.tallies.get(key, Tally()).plus(one.tally)
        self.through = through
        self.changed.set()


def fed(*routes: Route | None) -> MemoryFeed:
    feed = MemoryFeed()
    feed.registries = {OLD: registry("v1"), NEW: registry("v2")}
    feed.entries = list(routes)
    return feed


async def settled(counts: Counts, through: int) -> None:
    while counts.through != str(through):
        counts.changed.clear()
        await counts.changed.wait()


async def test_answers_count_for_the_version_that_their_registry_names() -> None:
    feed = fed(route(OLD), route(NEW), route(OLD, good=False), None)
    counts = Counts()
    async with OutcomeCounting(feed, counts, RecordedJournal()).running():
        await settled(counts, 4)
    assert counts.tallies == {("intake", "v1"): Tally(good=1, seen=2), ("intake", "v2"): Tally(good=1, seen=1)}


async def test_what_nobody_knows_the_version_of_is_passed_over() -> None:
    feed = fed(route("sha256:dropped"), route(NEW, by="bare"), route(NEW, by="cloud/default"))
    feed.registries["sha256:broken"] = b"{"
    feed.entries.append(route("sha256:broken"))
    counts = Counts()
    async with OutcomeCounting(feed, counts, RecordedJournal()).running():
        await settled(counts, 4)
    assert counts.tallies == {}


async def test_it_goes_on_where_it_was_and_counts_page_by_page() -> None:
    feed = fed(*[route(NEW)] * (AT_ONCE + 5))
    counts = Counts(through="2")
    async with OutcomeCounting(feed, counts, RecordedJournal()).running():
        await settled(counts, AT_ONCE + 5)
    assert counts.tallies == {("intake", "v2"): Tally(good=AT_ONCE + 3, seen=AT_ONCE + 3)}


async def test_a_disk_that_is_full_is_said_once_and_nothing_is_lost_or_doubled() -> None:
    counts, journal = Counts(is_full=True), RecordedJournal()
    async with OutcomeCounting(fed(route(NEW)), counts, journal).running():
        await counts.changed.wait()
        for _ in range(20):
            await asyncio.sleep(0)
    assert journal.names == ["outcomes_held_up"]
    counts.is_full = False
    async with OutcomeCounting(fed(route(NEW)), counts, journal).running():
        await settled(counts, 1)
    assert counts.tallies == {("intake", "v2"): Tally(good=1, seen=1)}
