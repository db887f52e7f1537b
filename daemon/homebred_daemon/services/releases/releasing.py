"""Looks at what is signed for this device when there is reason to, and has what both repositories agree on installed.

    news, time, a missing lease ──▶ look ──▶ take ──▶ manifest kept ──▶ wanted of installing
                                      └──▶ named no more ──▶ withdrawn

It gives installing the director's leases and trusted time (`ports.installs.Orders`), reports what is not taken, once as
long as it stays so, and verifies nothing itself: that is `trusting`'s.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Protocol

from homebred_daemon import fleet_messages
from homebred_daemon.core.deployment import Install, Plan
from homebred_daemon.core.releases import Release, release_of
from homebred_daemon.core.releasing import (
    LEASE_AGAIN_S,
    NotTaken,
    again_in_s,
    is_to_be_told,
    later,
    may_pass,
    no_longer_wanted,
    releases_among,
    unfit,
)
from homebred_daemon.core.stopping import Stopping
from homebred_daemon.core.trust import Agreed, Lease
from homebred_daemon.core.trust_refusals import Reason
from homebred_daemon.errors import HomebredError, StateError, UntrustedError
from homebred_daemon.ports.clock import Clock
from homebred_daemon.ports.journal import Journal
from homebred_daemon.ports.trust import TrustSource
from homebred_daemon.services.background import beside
from homebred_daemon.services.releases.looking import Looking
from homebred_daemon.services.releases.trusting import Looked, Trusting
from homebred_protocol.documents.fields import DocumentError
from homebred_protocol.documents.release import read_release

NEWS_PAUSE_S = 1.0
"""At least, between two looks: a link that comes and goes shall not have the device look without end."""


class Intake(Protocol):
    """Who installs. Every method may raise StateError."""

    async def want(self, release: Release) -> Plan:
        """A trusted release is to serve here."""
        ...

    async def planned(self, release: Release) -> Plan:
        """What would be done about one; nothing is."""
        ...

    async def withdraw(self, specialist_id: str, digest: str) -> bool:
        """A release is wanted no more; whether that ended anything."""
        ...

    async def known(self) -> Sequence[Install]:
        """All installs that are remembered, the newest first."""
        ...

    async def decline(self, about: str, code: str, digest: str) -> None:
        """Something signed became no install: the fleet is to hear of it."""
        ...

    def news(self) -> None:
        """A lease, a stop order or time may have changed."""
        ...


class Manifests(Protocol):
    """Where manifests of releases under way are kept. Every method may raise StateError."""

    async def keep(self, digest: str, body: bytes) -> None:
        """Keeps a trusted one."""
        ...

    async def has_manifest(self, digest: str) -> bool:
        """Whether one is here."""
        ...


class LeaseMemory(Protocol):
    """Leases as they were agreed upon, by digest, over a restart. Every method may raise StateError."""

    def held(self) -> dict[str, Lease]:
        """What is kept."""
        ...

    def keep(self, leases: dict[str, Lease]) -> None:
        """Keeps these, and no others."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasingMeans:
    """What releasing works with."""

    looking: Looking
    manifests: Manifests
    leases: LeaseMemory
    stopping: Callable[[], Stopping]
    """The newest stop order that the link knows of."""
    clock: Clock
    journal: Journal
    report_defect: Callable[[BaseException], None]

    @property
    def trusting(self) -> Trusting:
        """Whose looks these are."""
        return self.looking.trusting


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a look came to, for people."""

    wanted: tuple[Agreed, ...] = ()
    """Releases that were agreed upon and may be installed."""
    not_taken: tuple[NotTaken, ...] = ()
    is_whole: bool = False
    """Whether both repositories could be looked at."""
    at_s: int = 0
    """Trusted Unix seconds; 0: nobody has looked yet."""


class Releasing:
    """Fulfils `ports.installs.Orders`. One event loop."""

    def __init__(self, means: ReleasingMeans) -> None:
        self._means = means
        self._intake: Intake | None = None
        self._leases: dict[str, Lease] = {}
        self._news = asyncio.Event()
        self._turn = asyncio.Lock()
        self._failures = 0
        self._is_blind = False
        """It was said that nothing can be seen."""
        self._looked_at_s = -math.inf
        """Monotonic."""
        self._is_due = True
        """Something may be there to see."""
        self._news_after = 0
        """How many looks had begun then: any later one shows it, whoever had asked for that."""
        self._waits_for_lease = False
        self._told: tuple[NotTaken, ...] = ()
        """What is not taken, and is known to be not."""
        self.report = Report()
        """Of the last look at the fleet's own repositories."""

    # -- orders, for installing

    @property
    def device_id(self) -> str:
        """As the port says."""
        return self._means.trusting.here.device

    def lease(self, release: Release) -> Lease | None:
        """As the port says; where it is missing or no longer in force, another look is due."""
        lease = self._leases.get(release.digest)
        stopping = self.stopping()
        if not stopping.stopped and (
            lease is None or lease.expires_at_s <= self.trusted_now_s() or lease.stop_epoch < stopping.epoch
        ):
            self._waits_for_lease = True
            self._news.set()
        return lease

    def stopping(self) -> Stopping:
        """As the port says: also what leases have told of an epoch."""
        heard = self._means.stopping()
        epoch = max(heard.epoch, self._means.trusting.stop_epoch)
        return Stopping(epoch=epoch, stopped=heard.stopped, reason_code=heard.reason_code)

    def trusted_now_s(self) -> int:
        """As the port says."""
        return self._means.trusting.now_s()

    # -- for the link

    def news(self) -> None:
        """Something else may be wanted, a stop order came or was lifted, or the fleet can be reached again."""
        self._failures = 0
        self._waits_for_lease = False
        self._is_due = True
        self._news_after = self._means.looking.begun
        self._news.set()
        if self._intake is not None:
            self._intake.news()

    @asynccontextmanager
    async def running(self, intake: Intake) -> AsyncIterator[None]:
        """Looks for as long as the context lasts. Raises StateError: leases cannot be read."""
        self._intake = intake
        self._leases = await asyncio.to_thread(self._means.leases.held)
        async with beside(self._run(intake)):
            yield

    async def look_at(self, source: TrustSource) -> Report:
        """Looks at files that somebody carried here; what is agreed upon is wanted, and nothing is withdrawn.

        Raises:
            HomebredError: what is trusted cannot be read or kept; nothing was taken up.
        """
        if self._intake is None:
            raise AssertionError("nobody installs yet")
        async with self._turn:
            looked = await self._means.trusting.look(source)
            return await self._take_up(looked, source, self._intake, is_fleets=False)

    # -- looking

    async def _run(self, intake: Intake) -> None:
        while True:
            self._news.clear()
            if self._due_in_s() <= 0:
                after = self._news_after if self._is_due else self._means.looking.begun
                self._is_due = False
                await self._look_at_fleet(intake, after)
                self._looked_at_s = self._means.clock.monotonic_s()
            with suppress(TimeoutError):
                async with asyncio.timeout(max(self._due_in_s(), 0)):
                    await self._news.wait()

    def _due_in_s(self) -> float:
        wait_s = NEWS_PAUSE_S if self._is_due else again_in_s(self._failures)
        if self._waits_for_lease and not self._failures:
            wait_s = min(wait_s, LEASE_AGAIN_S)
        return self._looked_at_s + wait_s - self._means.clock.monotonic_s()

    async def _look_at_fleet(self, intake: Intake, after: int) -> None:
        self._waits_for_lease = False
        means = self._means
        try:
            async with self._turn:
                sight = await means.looking.look(after=after)
                if sight is None:
                    return  # the fleet signs nothing yet
                report = await self._take_up(sight.looked, sight.source, intake, is_fleets=True)
        except HomebredError as error:
            self._failed(error.code)
            return
        except Exception as error:  # noqa: BLE001  # a fault of ours in here must not keep the device from serving
            means.report_defect(error)
            self._failed("internal")
            return
        self.report = report
        await self._tell_new(report, intake)
        if not report.is_whole:
            self._failed(next((one.code for one in report.not_taken), "unknown"))
            return
        if self._is_blind:
            means.journal.note(fleet_messages.RELEASES_SEEN)
        self._is_blind = False
        self._failures = self._failures + 1 if any(map(may_pass, report.not_taken)) else 0
        intake.news()

    def _failed(self, code: str) -> None:
        if not self._is_blind:
            self._means.journal.note(fleet_messages.RELEASES_UNSEEN, error_code=code)
        self._failures, self._is_blind = self._failures + 1, True

    async def _take_up(self, looked: Looked, source: TrustSource, intake: Intake, *, is_fleets: bool) -> Report:
        """What follows from a look, before anything of another does."""
        wanted, not_taken = [], [_not_taken(one.about, one.reason) for one in looked.refused]
        if looked.is_whole:
            await self._grant(looked, is_fleets=is_fleets)
        known = await intake.known()
        for agreed in releases_among(looked.agreed):
            problem = await self._want(agreed, source, intake, known)
            if problem is None:
                wanted.append(agreed)
            else:
                not_taken.append(problem)
        if looked.is_whole and is_fleets:
            for install in no_longer_wanted(known, looked.agreed, looked.refused):
                await intake.withdraw(install.release.id, install.release.digest)
        return Report(
            wanted=tuple(wanted), not_taken=tuple(not_taken), is_whole=looked.is_whole, at_s=self.trusted_now_s()
        )

    async def _grant(self, looked: Looked, *, is_fleets: bool) -> None:
        """The director's leases, on the disk before anything is begun under them."""
        held = {} if is_fleets else self._leases
        given = {one.digest: later(self._leases.get(one.digest), one.lease) for one in looked.agreed}
        leases = {**held, **given}
        if leases != self._leases:
            await asyncio.to_thread(self._means.leases.keep, leases)
            self._leases = leases

    async def _want(
        self, agreed: Agreed, source: TrustSource, intake: Intake, installs: Sequence[Install]
    ) -> NotTaken | None:
        """Has one release installed; why not, where it is not taken."""
        known = next((one for one in installs if one.release.digest == agreed.digest), None)
        if known is not None and known.is_over:
            planned = await intake.planned(known.release)
            if not planned.begins:  # nothing of it is needed once more
                return _problem(agreed, planned.code) if planned.code else None
        try:
            release = await self._release(agreed, source, known)
        except UntrustedError as error:
            return _problem(agreed, error.reason)
        if isinstance(release, NotTaken):
            return release
        planned = await intake.want(release)
        if planned.begins:
            self._means.journal.note(fleet_messages.RELEASE_WANTED, target=agreed.target.path)
        return _problem(agreed, planned.code) if planned.code else None

    async def _release(self, agreed: Agreed, source: TrustSource, known: Install | None) -> Release | NotTaken:
        """What is to be installed: as it is remembered, else as the manifest says; that is on the disk then."""
        manifests = self._means.manifests
        if known is not None and await manifests.has_manifest(agreed.digest):
            return known.release
        taken = await self._means.trusting.take(agreed, source)
        try:
            manifest = read_release(taken.body)
        except DocumentError:
            return _problem(agreed, Reason.MALFORMED)
        code = unfit(manifest, agreed.target, self._means.trusting.here.site)
        if code:
            return _problem(agreed, code)
        await manifests.keep(agreed.digest, taken.body)
        return release_of(manifest, agreed.target.path, agreed.digest)

    # -- telling

    async def _tell_new(self, report: Report, intake: Intake) -> None:
        """What is not taken, once as long as it stays so; a look that saw nothing changes nothing about that."""
        to_be_told = [one for one in report.not_taken if is_to_be_told(one)]
        if not to_be_told and not report.is_whole:
            return
        told = [one for one in to_be_told if one in self._told]
        for one in to_be_told:
            if one in told:
                continue
            try:
                await intake.decline(one.about, one.code, one.digest)
            except StateError as error:  # the next look tells it
                self._means.journal.note(fleet_messages.INSTALL_HELD_UP, error_code=error.code)
                continue
            self._means.journal.note(fleet_messages.RELEASE_NOT_TAKEN, target=one.about or "all", error_code=one.code)
            told.append(one)
        self._told = tuple(told)


def _not_taken(about: str, reason: str) -> NotTaken:
    return NotTaken(about=about, code=str(reason))


def _problem(agreed: Agreed, code: str) -> NotTaken:
    return NotTaken(about=agreed.target.path, code=str(code), digest=agreed.digest)
