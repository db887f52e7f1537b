"""Looks at what is signed for this device, and takes targets of it: nothing is handed out before its floors are kept.

    held ──▶ checked ──▶ not below the floors ──▶ for this device ──▶ kept ──▶ judged ──▶ agreed, or refused

What fails leaves all that was trusted before; of a look that fails only roots are kept, since they may take a stolen
key away. An active model needs none of this (I1). It installs nothing, and does not say when to look.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from homebred_daemon.core.trust import (
    DIRECTOR,
    IMAGE,
    Agreed,
    Here,
    Seen,
    highest_epoch,
    judge,
    misdirected,
    raised_time_s,
    trusted_time_s,
)
from homebred_daemon.core.trust_floors import (
    Floors,
    RepositoryFloors,
    Versions,
    fallen,
    refused_number,
    with_taken,
    with_versions,
)
from homebred_daemon.core.trust_refusals import Reason, Refusal, refusal_of
from homebred_daemon.errors import UntrustedError
from homebred_daemon.ports.clock import Clock
from homebred_daemon.ports.trust import (
    ROOTS,
    Checked,
    HeldRepository,
    HeldTrust,
    TrustChecker,
    TrustedTarget,
    TrustMemory,
    TrustSource,
)
from homebred_protocol.digests import digest_of
from homebred_protocol.trusted_files import image_target


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What a look showed."""

    agreed: tuple[Agreed, ...] = ()
    """What may be taken."""
    refused: tuple[Refusal, ...] = ()
    """All else, to be reported; where it is about a repository, nothing is agreed upon."""
    is_whole: bool = False
    """Whether both repositories were verified: what is named nowhere here, the director names no more."""


class Trusting:
    """One device's trust. One event loop; looks and takes wait for each other."""

    def __init__(self, memory: TrustMemory, checker: TrustChecker, clock: Clock, here: Here) -> None:
        self._memory = memory
        self._checker = checker
        self._clock = clock
        self.here = here
        """Which device this is."""
        self._turn = asyncio.Lock()
        self._books = asyncio.Lock()
        """What is on the disk, and from when on time is counted, belong together."""
        self._counted_from_s = clock.monotonic_s()
        self._known = Floors()
        """As they were when `_counted_from_s` was."""

    async def look(self, source: TrustSource) -> Looked:
        """Takes up what is newest, and says which targets may be taken.

        Raises:
            StateError: what is trusted cannot be read or kept; nothing was taken up.
        """
        async with self._turn:
            before, held, passed_s = await self._held()
            now_s = trusted_time_s(held.floors.time_s, self._clock.now().timestamp())
            try:
                checked = await self._checker.check(held, source, device=self.here.device, now_s=now_s)
            except UntrustedError as error:
                return Looked(refused=(refusal_of(error, ""),))
            image = _settled(IMAGE, held.image, checked.image, held.floors.image, None)
            wrong = misdirected(checked.director.seen, self.here.device) if checked.director.seen else None
            director = _settled(DIRECTOR, held.director, checked.director, held.floors.director, wrong)
            floors = _floors(held.floors, image, director)
            await self._keep(HeldTrust(image=image.kept, director=director.kept, floors=floors), before, passed_s)
        if image.seen is None or director.seen is None:
            return Looked(refused=tuple(one for one in (director.refusal, image.refusal) if one is not None))
        judged = judge(image.seen, director.seen, floors, self.here)
        withheld = checked.image.withheld
        refused = tuple(withheld.get(one.about, one) for one in judged.refused)
        return Looked(agreed=judged.agreed, refused=refused, is_whole=True)

    async def take(self, agreed: Agreed, source: TrustSource) -> TrustedTarget:
        """The bytes of a target that was agreed upon; its number is a floor from then on.

        Raises:
            UntrustedError: they are not to be had, or others; or a newer one of the line was taken since.
            StateError: the floor could not be kept; nothing is handed out.
        """
        body = await source.fetch(image_target(agreed.target.path, agreed.digest), agreed.length)
        if (len(body), digest_of(body)) != (agreed.length, agreed.digest):
            raise Refusal(reason=Reason.MISMATCHED, about=agreed.target.path).error()
        async with self._turn:
            before, held, passed_s = await self._held()
            line, number = agreed.target.line, agreed.target.number
            reason = refused_number(held.floors, line, number, agreed.digest)
            if reason is not None:
                raise Refusal(reason=reason, about=agreed.target.path).error()
            floors = with_taken(held.floors, line, number, agreed.digest)
            await self._keep(replace(held, floors=floors), before, passed_s)
        return TrustedTarget(agreed=agreed, body=body)

    async def recall(self) -> None:
        """Learns what is trusted of the disk, for those who ask for time or epoch.

        Raises:
            StateError: no roots were pinned, or what is trusted cannot be read.
        """
        await self._held()

    def now_s(self) -> int:
        """Trusted time, Unix seconds: never below what is known to have passed."""
        passed_s = int(self._clock.monotonic_s() - self._counted_from_s)
        return trusted_time_s(self._known.time_s + passed_s, self._clock.now().timestamp())

    @property
    def stop_epoch(self) -> int:
        """The highest that a lease was ever given under."""
        return self._known.stop_epoch

    async def _held(self) -> tuple[HeldTrust, HeldTrust, float]:
        """What is trusted, the same with its time as it is by now, and the monotonic time of that."""
        async with self._books:
            held = await asyncio.to_thread(self._memory.held)
            self._known = held.floors
            now_s = self._clock.monotonic_s()
            floors = replace(held.floors, time_s=held.floors.time_s + int(now_s - self._counted_from_s))
        return held, replace(held, floors=floors), now_s

    async def _keep(self, trust: HeldTrust, before: HeldTrust, counted_to_s: float) -> None:
        """On the disk, whatever becomes of who waits for it."""
        await asyncio.shield(self._kept(trust, before, counted_to_s))

    async def _kept(self, trust: HeldTrust, before: HeldTrust, counted_to_s: float) -> None:
        async with self._books:
            await asyncio.to_thread(self._memory.keep, trust, follows=before)
            self._known = trust.floors
            self._counted_from_s += int(counted_to_s - self._counted_from_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settled:
    """What a look leaves of one repository."""

    kept: HeldRepository
    versions: Versions | None
    """For the floors; None: nothing of it was verified that is not below them."""
    seen: Seen | None
    """None: it was refused."""
    refusal: Refusal | None


def _settled(
    about: str, held: HeldRepository, checked: Checked, floors: RepositoryFloors, wrong: Refusal | None
) -> _Settled:
    """All of a repository that was verified whole, is not below the floors and not wrong; else its roots alone."""
    fell = fallen(about, floors, checked.versions)
    refusal = checked.refusal or fell or wrong
    if refusal is None:
        kept = replace(held, files=checked.files)
        return _Settled(kept=kept, versions=checked.versions, seen=checked.seen, refusal=None)
    if checked.versions.root < floors.root:
        return _Settled(kept=held, versions=None, seen=None, refusal=refusal)
    roots = {name: body for name, body in checked.files.items() if name.startswith(ROOTS)}
    kept = replace(held, files={**held.files, **roots})
    return _Settled(kept=kept, versions=replace(checked.versions, versions={}), seen=None, refusal=refusal)


def _floors(floors: Floors, image: _Settled, director: _Settled) -> Floors:
    floors = with_versions(floors, image.versions, director.versions)
    if director.seen is None:
        return floors
    floors = replace(floors, stop_epoch=highest_epoch(floors, director.seen))
    return replace(floors, time_s=raised_time_s(floors, image.seen, director.seen)) if image.seen else floors
