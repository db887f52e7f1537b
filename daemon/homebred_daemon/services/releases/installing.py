"""Brings trusted releases from their files to one valid serving model, and back where they do worse.

Each install is driven through `core.deployment`'s table on a task of its own; its state is on the disk before its act
begins, so that a restart goes on where a kill came. What serves goes on serving until the activation record has moved.
It trusts nothing and fetches nothing itself: that is behind its ports.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

from homebred_daemon import fleet_messages
from homebred_daemon.core.activation import InForce
from homebred_daemon.core.compatibility import Refusal
from homebred_daemon.core.deployment import (
    ON_ITS_WAY,
    TABLE,
    Event,
    Install,
    Plan,
    State,
    plan,
)
from homebred_daemon.core.releases import Release
from homebred_daemon.core.retention import Held, removable
from homebred_daemon.errors import HomebredError, StateError
from homebred_daemon.ports.installs import Counted, Step
from homebred_daemon.services.background import beside, caught
from homebred_daemon.services.releases.install_acts import InstallActs, InstallMeans, Moves, Outcome, Waits
from homebred_daemon.services.releases.install_book import InstallBook, on_thread
from homebred_daemon.services.releases.install_telling import InstallTelling

PAUSE_S = 5.0
"""Before an act that broke off is tried again; doubled each time."""
LONGEST_PAUSE_S = 300.0
FETCHING = frozenset({State.DOWNLOADING, State.VERIFYING})
"""States whose acts need the files as they were fetched."""
LOOK_AGAIN_S = 600.0
"""At what waits for something to change, such as the end of a probation."""


class Installing:
    """The installs of one device. One event loop."""

    def __init__(self, means: InstallMeans, *, report_defect: Callable[[BaseException], None]) -> None:
        """`report_defect` hears of what should not have been; that install is tried again later."""
        self._means = means
        self._book = InstallBook(means.installs)
        self._acts = InstallActs(means, self._book)
        self._report_defect = report_defect
        self._changed: dict[int, asyncio.Event] = {}
        """Of each install that is driven: something may have changed for it."""
        self._news = asyncio.Event()
        self._planning = asyncio.Lock()
        self._telling = InstallTelling(self._book, means.receipts, means.signer, means.journal)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Installs for as long as the context lasts."""
        async with beside(self.run()):
            yield

    async def run(self) -> None:
        """Until cancelled; goes on first with what a restart has interrupted."""
        async with asyncio.TaskGroup() as drivers:
            await self._recovered()
            while True:
                self._news.clear()
                for install in await self._unfinished():
                    if install.seq not in self._changed:
                        self._changed[install.seq] = asyncio.Event()
                        drivers.create_task(self._drive(install.seq))
                await self._told()
                if not await self._rest(self._news, LOOK_AGAIN_S):
                    await self._tidied()  # a stream that held a release back may have ended

    # -- for the link

    async def want(self, release: Release) -> Plan:
        """A trusted release is to serve here: it is begun, is known, or is not taken, and the plan says why.

        Raises:
            StateError: it could not be kept; it is wanted again later.
        """
        async with self._planning, self._acts.moving(release.id):
            await self._reconciled(release.id)
            while True:
                planned = await self._plan(release)
                if not planned.begins:
                    return planned
                told = f"release {release.number} is wanted instead"
                begun = await self._book.begin(release, now_s=self._now_s(), ends=planned.ends, reason=told)
                if begun is not None:
                    self._note(begun)
                    self.news()
                    return planned

    async def withdraw(self, specialist_id: str, digest: str) -> bool:
        """A release is wanted no more: it is given up, or rolled back where it serves on probation; whether it was.

        One that has settled stays until another release takes its place.
        """
        why = Refusal(code="withdrawn", sentence="the fleet wants it no more")
        async with self._acts.moving(specialist_id):
            await self._reconciled(specialist_id)
            for install in await self._book.unfinished():
                is_meant = install.release.id == specialist_id and install.release.digest == digest
                if is_meant and Event.NO_LONGER_WANTED in TABLE[install.state].then:
                    moved = await self._book.move(install, Event.NO_LONGER_WANTED, now_s=self._now_s(), refusal=why)
                    if moved is not None:
                        self._note(moved)
                        self.news()
                        return True
        return False

    async def counted_through(self) -> str:
        """The cursor of the feed behind all outcomes that were counted; empty: none was. Raises StateError."""
        return await self._book.counted_through()

    async def observe(self, counted: Sequence[Counted], *, through: str) -> None:
        """Outcomes of answers, up to a cursor of their feed: each counts once, however often it is told.

        Raises:
            StateError: they could not be kept; tell them again.
        """
        await self._book.count(counted, through=through)
        if counted:
            self.news()

    async def decline(self, about: str, code: str, digest: str) -> None:
        """Something signed became no install: that is kept, and told to the fleet. Raises StateError."""
        await self._book.decline(about, code, digest, now_s=self._now_s())
        self._news.set()

    def news(self) -> None:
        """A lease, a stop order, time or room may have changed: whoever waits looks again."""
        self._news.set()
        for changed in self._changed.values():
            changed.set()

    async def planned(self, release: Release) -> Plan:
        """What `want` would do about a trusted release now; nothing is done. Raises StateError."""
        async with self._planning:
            return await self._plan(release)

    async def known(self) -> Sequence[Install]:
        """All installs that are remembered, the newest first. Raises StateError."""
        return await self._book.history("")

    async def steps(self, install: Install) -> Sequence[Step]:
        """What it went through, the oldest first. Raises StateError."""
        return await self._book.steps(install)

    # -- one install

    async def _drive(self, seq: int) -> None:
        """Until it has ended."""
        changed, pause_s = self._changed[seq], PAUSE_S
        try:
            while True:
                changed.clear()
                try:
                    outcome = await self._stepped(seq, changed)
                except HomebredError as error:
                    self._means.journal.note(fleet_messages.INSTALL_HELD_UP, error_code=error.code)
                    outcome = Waits(why=Refusal(code=error.code, sentence=error.message), broke_off=True)
                except Exception as error:  # noqa: BLE001  # one install must not end the others
                    self._report_defect(error)
                    outcome = Waits(why=Refusal(code="internal", sentence=""), broke_off=True)
                if outcome is None:
                    break
                if isinstance(outcome, Waits):
                    await self._rest(changed, pause_s if outcome.broke_off else LOOK_AGAIN_S)
                    pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
                else:
                    pause_s = PAUSE_S
        finally:
            del self._changed[seq]
        await self._tidied()

    async def _stepped(self, seq: int, changed: asyncio.Event) -> Outcome | None:
        """One act, and what it led to on the disk; None: the install has ended."""
        install = await self._book.find(seq)
        if install is None or install.is_over:
            return None
        if install.state not in FETCHING:
            await self._means.files.discard(install.release)
        outcome = await self._acted(install, changed)
        match outcome:
            case Moves():
                await self._moved(install, outcome)
            case Waits() if outcome.why.code != "probation":
                attempts = install.attempts + outcome.broke_off
                await self._book.hold(install, outcome.why, attempts=attempts)
            case _:
                pass
        await self._telling.tell()
        return outcome

    async def _acted(self, install: Install, changed: asyncio.Event) -> Outcome:
        """Its act, which is broken off where the install has moved on or may not go on meanwhile."""
        heard = False
        async with asyncio.TaskGroup() as group:
            act = group.create_task(caught(self._acts.act(install)))
            while not act.done():
                woken = group.create_task(changed.wait())
                await asyncio.wait([act, woken], return_when=asyncio.FIRST_COMPLETED)
                woken.cancel()
                if changed.is_set() and not act.done():
                    changed.clear()
                    heard = True
                    if await self._is_to_stop(install):
                        act.cancel()
                        await asyncio.wait([act])
        if heard:
            changed.set()  # the act may have looked before the change: its driver looks once more
        if act.cancelled():  # by an order: no attempt that failed, and its driver looks at once
            return Waits(why=Refusal(code="interrupted", sentence="it was broken off"))
        result = act.result()
        if isinstance(result, HomebredError):
            raise result
        return result

    async def _is_to_stop(self, install: Install) -> bool:
        if install.state in ON_ITS_WAY - {State.ACTIVATING} and self._means.orders.stopping().stopped:
            return True
        try:
            current = await self._book.find(install.seq)
        except HomebredError:
            return False  # its act will meet the same trouble
        return current is None or current.state is not install.state

    async def _moved(self, install: Install, outcome: Moves) -> None:
        try:
            moved = await self._book.move(
                install,
                outcome.event,
                now_s=self._now_s(),
                refusal=outcome.refusal,
                facts=outcome.facts,
                built=outcome.built,
            )
        except StateError:
            if outcome.event is Event.DEGRADED:  # the disk is full: going back needs no room, and cannot wait
                await self._acts.move_back(install)
            raise
        if moved is not None:
            self._note(moved)
            if moved.state is State.PROBATION:
                self.news()  # another one may have been superseded

    async def _rest(self, changed: asyncio.Event, most_s: float) -> bool:
        """Whether something has changed."""
        try:
            async with asyncio.timeout(most_s):
                return await changed.wait()
        except TimeoutError:
            return False

    # -- around them

    async def _recovered(self) -> None:
        """What serves is whole, or what was good before serves; what nobody needs has left."""
        try:
            for specialist_id in await on_thread(self._means.store.released):
                if await self._acts.heal(specialist_id):
                    self._means.journal.note(fleet_messages.INSTALL_HEALED, specialist=specialist_id)
                    await self._means.serving.take_up()
        except HomebredError as error:
            self._means.journal.note(fleet_messages.INSTALL_HELD_UP, error_code=error.code)
        await self._tidied()

    async def collect(self) -> int:
        """Takes out the releases that nobody needs; bytes freed. Raises StateError."""
        store, freed_bytes = self._means.store, 0
        async with self._planning:
            unfinished = await self._book.unfinished()
            fetching = [each.release for each in unfinished if each.state in FETCHING]
            await self._means.files.keep_only(fetching)
            await self._acts.building.keep_only([each.release for each in unfinished if each.state in ON_ITS_WAY])
            for specialist_id, numbers in (await on_thread(store.released)).items():
                held = [await self._held(specialist_id, number) for number in numbers]
                needed = {each.release.number for each in unfinished if each.release.id == specialist_id}
                needed |= (await self._in_force(specialist_id)).needed
                for number in removable(held, needed=needed, in_use=self._means.serving.in_use()):
                    freed_bytes += await on_thread(partial(store.remove_release, specialist_id, number))
        return freed_bytes

    async def _tidied(self) -> None:
        """Receipts first: what cannot be removed must not keep them back."""
        try:
            await self._telling.tell()
            await self.collect()
        except HomebredError as error:
            self._means.journal.note(fleet_messages.INSTALL_HELD_UP, error_code=error.code)
        except Exception as error:  # noqa: BLE001  # what could not be tidied must not end the daemon
            self._report_defect(error)

    async def _told(self) -> None:
        """Somebody may take receipts by now who did not before."""
        try:
            await self._telling.tell()
        except HomebredError as error:
            self._means.journal.note(fleet_messages.INSTALL_HELD_UP, error_code=error.code)

    async def _reconciled(self, specialist_id: str) -> None:
        """Keeps that a release is active where only its record has moved yet; the specialist's lock is held."""
        in_force = await self._in_force(specialist_id)
        for install in await self._book.unfinished():
            is_meant = install.release.id == specialist_id and install.state is State.ACTIVATING
            if is_meant and in_force.serves(install.release.number):
                await self._book.move(install, Event.ACTIVATED, now_s=self._now_s())

    async def _plan(self, release: Release) -> Plan:
        known = tuple(await self._book.history(release.id))
        current = (await self._in_force(release.id)).current
        if current is None:
            return plan(release, known, serving_number=0, serving_digest="")
        return plan(release, known, serving_number=current.number, serving_digest=current.digest)

    async def _held(self, specialist_id: str, number: int) -> Held:
        stored = await on_thread(partial(self._means.store.stored, specialist_id, number))
        parts = () if stored is None else (stored.base_digest, stored.adapter_digest)
        return Held(number=number, parts=frozenset(part for part in parts if part))

    async def _in_force(self, specialist_id: str) -> InForce:
        return await on_thread(partial(self._means.store.in_force, specialist_id))

    async def _unfinished(self) -> Sequence[Install]:
        """Also where the disk has trouble: it is looked at again with the next news."""
        try:
            return await self._book.unfinished()
        except HomebredError as error:
            self._means.journal.note(fleet_messages.INSTALL_HELD_UP, error_code=error.code)
            return ()

    def _now_s(self) -> int:
        return self._means.orders.trusted_now_s()

    def _note(self, install: Install) -> None:
        event = fleet_messages.INSTALL_REFUSED if _is_bad(install) else fleet_messages.INSTALL_MOVED
        self._means.journal.note(
            event,
            specialist=install.release.id,
            release=install.release.number,
            install_state=install.state.value,
            error_code=install.code or "none",
        )


def _is_bad(install: Install) -> bool:
    return install.state in {State.REFUSED, State.ROLLING_BACK, State.ROLLED_BACK}
