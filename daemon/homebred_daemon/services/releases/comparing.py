"""The comparison of a newcomer with what serves, on a device's own tasks, before it is activated.

It counts pairs of outcomes on the disk and asks `core.shadow` after each; it answers nothing itself, and sees no task.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from homebred_daemon.core.compatibility import Refusal
from homebred_daemon.core.deployment import Install
from homebred_daemon.core.pairs import Pair
from homebred_daemon.core.shadow import Compared, Comparison, compared, passed_by
from homebred_daemon.core.shelf import StoredSpecialist
from homebred_daemon.ports.installs import Orders
from homebred_daemon.ports.shadowing import AnsweredTwice, Shadow
from homebred_daemon.services.releases.install_book import InstallBook
from homebred_protocol.documents.release_values import Shadow as Demand

LOOK_S = 600.0
"""After which it is looked again what serves, and what time it is."""
ALONE = Refusal(code="shadow_alone", sentence="nothing serves that it could be compared with")

Serving = Callable[[], Awaitable[StoredSpecialist | None]]


class NoShadow:
    """Fulfils `ports.shadowing.Shadow` where no task is answered twice."""

    def obstacle(self, newcomer: StoredSpecialist, serving: StoredSpecialist) -> Refusal | None:
        """As the port says."""
        del newcomer, serving
        return Refusal(code="shadow_missing", sentence="nothing here answers tasks a second time")

    def beside(
        self, newcomer: StoredSpecialist, serving: StoredSpecialist
    ) -> AbstractAsyncContextManager[AnsweredTwice]:
        """Nobody asks, as there is an obstacle."""
        raise AssertionError(f"{newcomer.manifest.id} was to be compared with {serving.version}")

    @asynccontextmanager
    async def resting(self) -> AsyncIterator[None]:
        """As the port says."""
        yield


class Comparing:
    """The comparisons of one device."""

    def __init__(self, shadow: Shadow, orders: Orders, book: InstallBook) -> None:
        self._shadow = shadow
        self._orders = orders
        self._book = book

    async def compared(self, install: Install, newcomer: StoredSpecialist, serving: Serving) -> Compared:
        """What came of it; `serving` says what serves, which may change meanwhile.

        It may be cancelled: what was counted is kept, and it goes on from there.

        Raises:
            StateError: a count could not be kept.
            EngineUnavailableError: the newcomer's engine does not run.
        """
        demand = install.release.shadow
        if demand is None:
            raise ValueError(f"release {install.release.number} asks for no shadow")
        while True:
            beside = await serving()
            if beside is None:
                return passed_by(ALONE, demand)
            if (obstacle := self._shadow.obstacle(newcomer, beside)) is not None:
                return passed_by(obstacle, demand, install.pairs.beside(beside.version))
            found = await self._beside(install, demand, newcomer, beside)
            if found.standing is not Comparison.OPEN:
                return found
            install = await self._book.find(install.seq) or install  # with what was counted

    async def _beside(
        self, install: Install, demand: Demand, newcomer: StoredSpecialist, serving: StoredSpecialist
    ) -> Compared:
        """Until it is decided, or it is time to look again what serves."""
        found = self._judged(install, demand, serving)
        if found.standing is not Comparison.OPEN:
            return found
        left_s = install.changed_at_s + demand.longest_s - self._orders.trusted_now_s()
        try:
            async with asyncio.timeout(min(left_s, LOOK_S)), self._shadow.beside(newcomer, serving) as both:
                while found.standing is Comparison.OPEN:
                    install = await self._counted(install, serving, await both.next())
                    found = self._judged(install, demand, serving)
        except TimeoutError:
            pass
        return found

    async def _counted(self, install: Install, serving: StoredSpecialist, pair: Pair) -> Install:
        counted = await self._book.compare(install, serving.version, pair)
        return install if counted is None else counted  # it was given up: whoever drives it cancels this

    def _judged(self, install: Install, demand: Demand, serving: StoredSpecialist) -> Compared:
        return compared(
            install.pairs.beside(serving.version),
            demand,
            since_s=install.changed_at_s,
            now_s=self._orders.trusted_now_s(),
        )
