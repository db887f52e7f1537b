"""Takes up what somebody carried here in a folder, and tells how far it is: the same trust, gate and probation as ever.

The folder gives the bytes of the releases that are found in it, until another is carried here. What a look takes up
stays taken up, whoever listens. It judges and installs nothing itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final, Protocol

from homebred_daemon import fleet_messages
from homebred_daemon.core.deployment import Install, State
from homebred_daemon.core.releasing import NotTaken, is_to_be_told
from homebred_daemon.core.trust import Agreed
from homebred_daemon.core.trust_refusals import Reason, meaning_of
from homebred_daemon.inbound.importing import ImportedRelease, ImportState, NotImported
from homebred_daemon.ports.carrying import Carried
from homebred_daemon.ports.clock import Clock
from homebred_daemon.ports.installs import Step
from homebred_daemon.ports.journal import Journal
from homebred_daemon.ports.transfer import Progress
from homebred_daemon.ports.trust import TrustSource
from homebred_daemon.services.releases.release_sources import ReleaseSources
from homebred_daemon.services.releases.releasing import Report

LOOK_EVERY_S: Final = 0.5
PATIENCE_S: Final = 5.0
"""How long a release may wait for leave before it is said to be all that comes of a folder."""
SERVES: Final = "serves"
_NO_LEAVE: Final = frozenset({"no_lease", "lease_device", "lease_release", "lease_stopped", "lease_expired", "stopped"})
_PLANS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "older": ("a higher number serves or is on its way here", "nothing: numbers never fall"),
        "tried": ("it was refused or rolled back here before", "make another release: homebred models why"),
    }
)
_ELSE: Final = ("it is not taken", "see docs/installing.md and docs/trust.md for the code")


class Looks(Protocol):
    """Who looks at what is signed, and has it installed."""

    async def look_at(self, source: TrustSource) -> Report:
        """Looks at files that somebody carried here. Raises HomebredError."""
        ...


class Installs(Protocol):
    """Who installs. Every method may raise StateError."""

    async def known(self) -> Sequence[Install]:
        """All installs that are remembered, the newest first."""
        ...

    async def steps(self, install: Install) -> Sequence[Step]:
        """What one went through, the oldest first."""
        ...

    async def decline(self, about: str, code: str, digest: str) -> None:
        """Something signed became no install: the fleet is to hear of it."""
        ...

    def news(self) -> None:
        """A lease may have come: whoever waits looks again."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportMeans:
    """What importing works with."""

    open_folder: Callable[[Path], Carried]
    """Raises RequestError: it is no such folder."""
    looks: Looks
    installs: Installs
    sources: ReleaseSources
    progress: Mapping[str, Progress]
    """How far transfers are, by the release's digest."""
    journal: Journal
    clock: Clock
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class Importing:
    """Fulfils `inbound.importing.FolderImports`. One event loop."""

    def __init__(self, means: ImportMeans) -> None:
        self._means = means
        self._turn = asyncio.Lock()

    async def imported(self, folder: Path, *, wait_s: float) -> AsyncGenerator[ImportState, None]:
        """As the port says."""
        means = self._means
        report = await self._looked(folder)
        means.installs.news()
        began_s = means.clock.monotonic_s()
        told: ImportState | None = None
        while True:
            passed_s = means.clock.monotonic_s() - began_s
            state = await self._state(report, is_patient=passed_s < PATIENCE_S)
            if state != told:
                yield state
                told = state
            if state.has_ended or passed_s >= wait_s:
                return
            await means.sleep(LOOK_EVERY_S)

    async def _looked(self, folder: Path) -> Report:
        """What is found in it; its bytes are there before anything is wanted."""
        means = self._means
        async with self._turn:
            carried = await asyncio.to_thread(means.open_folder, folder)
            means.sources.carry(carried.blobs, carried.close)
            report: Report | None = None
            try:
                report = await means.looks.look_at(carried.trust)
            finally:
                means.sources.keep_for(() if report is None else [one.digest for one in report.wanted])
        for one in filter(is_to_be_told, report.not_taken):
            means.journal.note(fleet_messages.RELEASE_NOT_TAKEN, target=one.about or "all", error_code=one.code)
            await means.installs.decline(one.about, one.code, one.digest)
        return report

    async def _state(self, report: Report, *, is_patient: bool) -> ImportState:
        known = await self._means.installs.known() if report.wanted else ()
        releases = [await self._release(agreed, known, is_patient=is_patient) for agreed in report.wanted]
        return ImportState(releases=tuple(releases), not_taken=tuple(map(_not_imported, report.not_taken)))

    async def _release(self, agreed: Agreed, known: Sequence[Install], *, is_patient: bool) -> ImportedRelease:
        install = next((one for one in known if one.release.digest == agreed.digest), None)
        if install is None:
            return ImportedRelease(target=agreed.target.path, state=SERVES, has_ended=True, is_good=True)
        steps = await self._means.installs.steps(install)
        progress = self._means.progress.get(agreed.digest)
        is_good = install.state in {State.PROBATION, State.SETTLED}
        has_no_leave = install.state is State.ACTIVATING and install.code in _NO_LEAVE
        return ImportedRelease(
            target=agreed.target.path,
            state=install.state.value,
            code=install.code,
            reason=install.reason,
            facts=next((step.facts for step in reversed(steps) if step.facts), {}),
            held_bytes=progress.held_bytes if progress else 0,
            total_bytes=progress.total_bytes if progress else 0,
            waits_for=progress.sentence if progress else "",
            has_ended=install.is_over or is_good or (has_no_leave and not is_patient),
            is_good=is_good,
        )


def _not_imported(one: NotTaken) -> NotImported:
    meaning = meaning_of(one.code)
    problem, hint = _PLANS.get(one.code, _ELSE) if meaning is None else (meaning.what, meaning.next)
    if one.code == Reason.UNREACHABLE:
        hint = "copy the folder anew"
    return NotImported(about=one.about, code=one.code, problem=problem, hint=hint)
