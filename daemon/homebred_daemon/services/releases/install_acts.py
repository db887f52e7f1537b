"""The act of each state of an install: what is done in it, and which event that leads to.

Each may be done again, as after a restart. What holds afterwards is written by whoever called (`installing.py`); the
one thing that is changed here beside the store's slots is the activation record, under a lease and a lock (I8).
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from homebred_daemon.core import gate, probation
from homebred_daemon.core.activation import Activation, InForce
from homebred_daemon.core.builds import Built
from homebred_daemon.core.compatibility import Refusal, refusal_of
from homebred_daemon.core.deployment import (
    MAX_ATTEMPTS,
    ON_ITS_WAY,
    Event,
    Install,
    State,
    Tally,
    refusal_of_lease,
    stopped,
)
from homebred_daemon.core.probation import ProbationTerms, Standing
from homebred_daemon.core.releases import Release
from homebred_daemon.core.shadow import Comparison
from homebred_daemon.core.shelf import StoredSpecialist
from homebred_daemon.errors import BuildError, EngineUnavailableError, HomebredError, UnwritableError
from homebred_daemon.ports.building import Builder
from homebred_daemon.ports.fleet_commands import InstallReceipts
from homebred_daemon.ports.installs import (
    Gate,
    InstallStore,
    Orders,
    ReceiptSigner,
    ReleaseFiles,
    ReleaseStore,
    Serving,
)
from homebred_daemon.ports.journal import Journal
from homebred_daemon.ports.shadowing import Shadow
from homebred_daemon.services.releases.building import Building, NoBuilder, WasBuilt
from homebred_daemon.services.releases.comparing import Comparing, NoShadow
from homebred_daemon.services.releases.gating import found_of
from homebred_daemon.services.releases.install_book import InstallBook, on_thread

DAMAGED = "damaged"


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallMeans:
    """What installing works with."""

    files: ReleaseFiles
    store: ReleaseStore
    installs: InstallStore
    gate: Gate
    serving: Serving
    orders: Orders
    receipts: InstallReceipts
    journal: Journal
    terms: ProbationTerms = field(default_factory=ProbationTerms)
    signer: ReceiptSigner | None = None
    """None: receipts go out unsigned, and nobody but this device's own connection can bring them."""
    shadow: Shadow = field(default_factory=NoShadow)
    builder: Builder = field(default_factory=NoBuilder)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moves:
    """The act is done."""

    event: Event
    refusal: Refusal | None = None
    """Why, where that is to be said."""
    facts: Mapping[str, int] = field(default_factory=dict)
    built: Built | None = None
    """What was built, if something was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """The act cannot be done yet."""

    why: Refusal
    broke_off: bool = False
    """It was begun and failed: it is tried again after a pause, else when something changes."""


Outcome = Moves | Waits


class InstallActs:
    """The acts of one device's installs."""

    def __init__(self, means: InstallMeans, book: InstallBook) -> None:
        self._means = means
        self._book = book
        self.building = Building(means.builder, means.store)
        self._comparing = Comparing(means.shadow, means.orders, book)
        self._gating = asyncio.Lock()
        """One gate at a time: two models at once need not fit beside what serves."""
        self._moving: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        """A specialist's activation record is changed by one at a time."""
        self._acts: Mapping[State, Callable[[Install], Awaitable[Outcome]]] = {
            State.DOWNLOADING: self._download,
            State.VERIFYING: self._verify,
            State.CHECKING: self._check,
            State.BUILDING: self._build,
            State.GATING: self._pass_gate,
            State.SHADOWING: self._compare,
            State.ACTIVATING: self._activate,
            State.PROBATION: self._watch,
            State.ROLLING_BACK: self._roll_back,
        }

    async def act(self, install: Install) -> Outcome:
        """Does what its state asks for.

        Raises:
            HomebredError: not now.
        """
        stopping = self._means.orders.stopping()
        if stopping.stopped and install.state in ON_ITS_WAY and not await self._serves(install):
            return Waits(why=stopped(stopping))
        return await self._acts[install.state](install)

    def moving(self, specialist_id: str) -> asyncio.Lock:
        """Held while what serves as a specialist is changed, or an install that may just be changing it."""
        return self._moving[specialist_id]

    async def heal(self, specialist_id: str) -> bool:
        """Goes back where what serves is damaged and something good is there; whether it did. Raises StateError.

        What was built here serves no more at all then, where nothing else is good: it is built again once it is wanted.
        """
        has_moved = False
        async with self._moving[specialist_id]:
            while await self._is_to_go_back(specialist_id):
                await on_thread(partial(self._means.store.move_back, specialist_id))
                has_moved = True
        return has_moved

    async def _is_to_go_back(self, specialist_id: str) -> bool:
        in_force = await on_thread(partial(self._means.store.in_force, specialist_id))
        current, last = in_force.current, in_force.last_good
        if current is None or await self._stored(specialist_id, current.number) is not None:
            return False
        if current.built:
            return True
        return last is not None and await self._stored(specialist_id, last.number) is not None

    async def _download(self, install: Install) -> Outcome:
        unfit = await self._unfit(install.release) or await self.building.refusal_of(install.release)
        if unfit is not None:  # before a byte is fetched
            return _refused(unfit)
        fetched = await self._means.files.fetch(install.release)
        if isinstance(fetched, Refusal):
            return _refused(fetched)
        return Moves(event=Event.FETCHED)

    async def _verify(self, install: Install) -> Outcome:
        folder = await self._means.files.fetch(install.release)
        if isinstance(folder, Refusal):
            return _refused(folder)
        refusal = await on_thread(partial(self._means.store.take, folder, install.release))
        if refusal is None:
            return Moves(event=Event.VERIFIED)
        if refusal.code != DAMAGED:
            return _refused(refusal)
        await self._means.files.discard(install.release)
        return await self._damaged(install, refusal)

    async def _check(self, install: Install) -> Outcome:
        release = install.release
        if release.recipe is None:
            is_there = await self._stored(release.id, release.number) is not None
        else:
            is_there = await self.building.has_what_it_takes(release)
        if not is_there:
            return await self._damaged(install, _gone())
        unfit = await self._unfit(release)
        if unfit is not None:
            return _refused(unfit)
        return Moves(event=Event.FITS if release.recipe is None else Event.FITS_TO_BUILD)

    async def _build(self, install: Install) -> Outcome:
        unfit = await self._unfit(install.release) or await self.building.refusal_of(install.release)
        if unfit is not None:  # as after a restart with another engine
            return _refused(unfit)
        try:
            found = await self.building.built(install)
        except BuildError as error:
            return _broke_off(install, Refusal(code=error.code, sentence=error.message))
        if isinstance(found, WasBuilt):
            return Moves(event=Event.BUILT, facts=found.facts, built=found.built)
        return await self._damaged(install, found) if found.code == DAMAGED else _refused(found)

    async def _pass_gate(self, install: Install) -> Outcome:
        release, store = install.release, self._means.store
        stored = await self._whole(install)
        if stored is None:
            return await self._damaged(install, _gone())
        async with self._gating, self._means.shadow.resting():
            try:
                golden = await on_thread(partial(store.golden_paths, release))
                trial = await self._means.gate.try_out(stored, golden)
            except UnwritableError:
                raise
            except HomebredError as error:
                return _engine_failed(install, error)
        if isinstance(trial, Refusal):
            return _refused(trial)
        verdict = gate.judged(release.golden, release.maximum_memory_bytes, trial, await self._incumbent(release.id))
        passed = Event.PASSED if release.shadow is None else Event.PASSED_TO_SHADOW
        event = passed if verdict.refusal is None else Event.REFUSAL
        return Moves(event=event, refusal=verdict.refusal, facts=verdict.facts)

    async def _compare(self, install: Install) -> Outcome:
        stored = await self._whole(install)
        if stored is None:
            return await self._damaged(install, _gone())
        try:
            found = await self._comparing.compared(install, stored, partial(self._current, install.release.id))
        except EngineUnavailableError as error:
            return _engine_failed(install, error)
        event = Event.REFUSAL if found.standing is Comparison.WORSE else Event.COMPARED
        return Moves(event=event, refusal=found.note, facts=found.facts)

    async def _activate(self, install: Install) -> Outcome:
        release, means = install.release, self._means
        async with self._moving[release.id]:
            current = await self._book.find(install.seq)
            if current is None or current.state is not State.ACTIVATING:
                return Waits(why=Refusal(code="interrupted", sentence="it was given up"))
            in_force = await on_thread(partial(means.store.in_force, release.id))
            if not in_force.serves(release.number):  # else it was done, and a kill came before that was kept
                stored = await self._whole(install)
                if stored is None:
                    return await self._damaged(install, _gone())
                unfit = await self._unfit(release)
                if unfit is not None:
                    return _refused(unfit)
                lease, now_s = means.orders.lease(release), means.orders.trusted_now_s()
                refusal = refusal_of_lease(
                    lease, release, device=means.orders.device_id, stopping=means.orders.stopping(), now_s=now_s
                )
                if lease is None or refusal is not None:
                    return Waits(why=refusal or _no_lease())
                await self._book.refer(install, stored.version, await self._reference(release.id, in_force))
                new = Activation(
                    number=release.number,
                    digest=release.digest,
                    activated_at_s=now_s,
                    lease_expires_at_s=lease.expires_at_s,
                    is_good=False,
                    built=install.built.digest,
                )
                await on_thread(partial(means.store.activate, release.id, in_force.activated(new)))
            await means.serving.take_up()
        return Moves(event=Event.ACTIVATED)

    async def _watch(self, install: Install) -> Outcome:
        release, means = install.release, self._means
        async with self._moving[release.id]:
            in_force = await on_thread(partial(means.store.in_force, release.id))
            if not in_force.serves(release.number):
                return await self._overtaken(install, in_force)
            now_s = means.orders.trusted_now_s()
            found = probation.judged(
                install.counted, install.reference, means.terms, since_s=install.changed_at_s, now_s=now_s
            )
            facts = {
                "good": install.counted.good,
                "seen": install.counted.seen,
                "reference_ppm": found.reference_ppm,
                "evidence_milli": found.evidence_milli,
            }
            if found.standing is Standing.OPEN:
                return Waits(why=Refusal(code="probation", sentence=found.sentence))
            if found.standing is Standing.HEALTHY:
                await on_thread(partial(means.store.settle, release.id, in_force.settled()))
                return Moves(event=Event.HEALTHY, facts=facts)
            why = Refusal(code=Standing.DEGRADED.value, sentence=found.sentence)
            return Moves(event=Event.DEGRADED, refusal=why, facts=facts)

    async def _overtaken(self, install: Install, in_force: InForce) -> Outcome:
        """Another one serves: a newer release that is about to be kept as active, or what it was moved back to.

        Where it was healed, that says nothing of the release: it may be installed again.
        """
        number = 0 if in_force.current is None else in_force.current.number
        for other in await self._book.unfinished():
            if other.state is State.ACTIVATING and other.release.number == number:
                return Waits(why=Refusal(code="newer", sentence=f"release {number} takes its place"), broke_off=True)
        why = Refusal(code="moved_back", sentence="what was good before was put back when that could not be kept")
        if await self._whole(install) is None:
            why = Refusal(code=DAMAGED, sentence="it was damaged in the model store while it served on probation")
        return Moves(event=Event.MOVED_BACK, refusal=why)

    async def _roll_back(self, install: Install) -> Outcome:
        await self.move_back(install)
        return Moves(event=Event.MOVED_BACK, refusal=Refusal(code=install.code, sentence=install.reason))

    async def move_back(self, install: Install) -> None:
        """Has what was good before serve again, where this one does: a rename, and no byte is fetched."""
        async with self._moving[install.release.id]:
            if await self._serves(install):
                await on_thread(partial(self._means.store.move_back, install.release.id))
            await self._means.serving.take_up()

    async def _serves(self, install: Install) -> bool:
        in_force = await on_thread(partial(self._means.store.in_force, install.release.id))
        return in_force.serves(install.release.number)

    async def _unfit(self, release: Release) -> Refusal | None:
        return refusal_of(release, await self._means.gate.facts(release.constraints.engine))

    async def _whole(self, install: Install) -> StoredSpecialist | None:
        """What is in its slot; None: it is damaged, or not what was built, which alone may be measured and served."""
        stored = await self._stored(install.release.id, install.release.number)
        return stored if stored is not None and stored.built == install.built.digest else None

    async def _stored(self, specialist_id: str, number: int) -> StoredSpecialist | None:
        return await on_thread(partial(self._means.store.stored, specialist_id, number))

    async def _reference(self, specialist_id: str, in_force: InForce) -> Tally:
        """What did before, in use: the newest outcomes of what serves now, or of what was good before that."""
        for each in (in_force.current, in_force.last_good):
            if each is not None and each.is_good:
                stored = await self._stored(specialist_id, each.number)
                return Tally() if stored is None else await self._book.tally(specialist_id, stored.version)
        return Tally()

    async def _incumbent(self, specialist_id: str) -> Mapping[str, gate.Found]:
        """What was measured here of what serves now."""
        stored = await self._current(specialist_id)
        return {} if stored is None else {name: found_of(each) for name, each in stored.measurements.items()}

    async def _current(self, specialist_id: str) -> StoredSpecialist | None:
        """What serves now."""
        in_force = await on_thread(partial(self._means.store.in_force, specialist_id))
        return None if in_force.current is None else await self._stored(specialist_id, in_force.current.number)

    async def _damaged(self, install: Install, why: Refusal) -> Outcome:
        """Fetched again, unless it came to nothing several times: then the disk or the release is at fault."""
        steps = await self._book.steps(install)
        if sum(step.event is Event.DAMAGED for step in steps) + 1 >= MAX_ATTEMPTS:
            return _refused(Refusal(code="too_often_damaged", sentence=why.sentence))
        return Moves(event=Event.DAMAGED, refusal=why)


def _engine_failed(install: Install, error: HomebredError) -> Outcome:
    return _broke_off(install, Refusal(code="engine_failed", sentence=error.message))


def _broke_off(install: Install, why: Refusal) -> Outcome:
    """It is tried again, a few times."""
    return _refused(why) if install.attempts + 1 >= MAX_ATTEMPTS else Waits(why=why, broke_off=True)


def _refused(why: Refusal) -> Moves:
    return Moves(event=Event.REFUSAL, refusal=why)


def _no_lease() -> Refusal:
    return Refusal(code="no_lease", sentence="the director has given no leave to activate it")


def _gone() -> Refusal:
    return Refusal(code=DAMAGED, sentence="its files are not in the model store any more")
