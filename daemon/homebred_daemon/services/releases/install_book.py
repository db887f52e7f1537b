"""The install store as an event loop uses it: one call at a time on a thread, no move from a state that is past.

It decides nothing: who was overtaken (an administrator withdrew it meanwhile) hears so, and looks again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from homebred_daemon.core.builds import Built
from homebred_daemon.core.compatibility import Refusal
from homebred_daemon.core.deployment import Event, Install, Tally
from homebred_daemon.core.pairs import Pair
from homebred_daemon.core.releases import Release
from homebred_daemon.ports.installs import Counted, Declined, InstallStore, Step

T = TypeVar("T")


async def on_thread(act: Callable[[], T]) -> T:
    """Does something on a thread; who is cancelled meanwhile waits for its end: a thread cannot be stopped."""
    work = asyncio.get_running_loop().run_in_executor(None, act)
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        raise


class InstallBook:
    """One install store. Every method may raise StateError, UnwritableError."""

    def __init__(self, store: InstallStore) -> None:
        self._store = store
        self._turn = asyncio.Lock()

    async def begin(self, release: Release, *, now_s: int, ends: Install | None, reason: str) -> Install | None:
        """A new install; None: the one that it would end has moved on meanwhile."""

        def begin() -> Install | None:
            current = None if ends is None else self._store.find(ends.seq)
            if ends is not None and (current is None or current.state is not ends.state):
                return None
            return self._store.begin(release, now_s=now_s, ends=current, reason=reason)

        return await self._in_turn(begin)

    async def move(
        self,
        install: Install,
        event: Event,
        *,
        now_s: int,
        refusal: Refusal | None = None,
        facts: Mapping[str, int] | None = None,
        built: Built | None = None,
    ) -> Install | None:
        """Its next state; None: it has left the one that `install` was in."""

        def move() -> Install | None:
            current = self._store.find(install.seq)
            if current is None or current.state is not install.state:
                return None
            return self._store.move(current, event, now_s=now_s, refusal=refusal, facts=facts or {}, built=built)

        return await self._in_turn(move)

    async def hold(self, install: Install, refusal: Refusal, *, attempts: int) -> None:
        """Notes what it waits for, where it is still in its state."""

        def hold() -> None:
            current = self._store.find(install.seq)
            if current is not None and current.state is install.state:
                self._store.hold(current, refusal, attempts=attempts)

        await self._in_turn(hold)

    async def compare(self, install: Install, version: str, pair: Pair) -> Install | None:
        """Counts one task more that it and that version of what serves have answered; None: it has moved on."""

        def compare() -> Install | None:
            current = self._store.find(install.seq)
            if current is None or current.state is not install.state:
                return None
            return self._store.compare(current, current.pairs.beside(version).plus(pair))

        return await self._in_turn(compare)

    async def refer(self, install: Install, version: str, reference: Tally) -> None:
        """As the port says."""
        await self._in_turn(lambda: self._store.refer(install, version, reference))

    async def find(self, seq: int) -> Install | None:
        """As the port says."""
        return await self._in_turn(lambda: self._store.find(seq))

    async def unfinished(self) -> Sequence[Install]:
        """As the port says."""
        return await self._in_turn(self._store.unfinished)

    async def history(self, specialist_id: str) -> Sequence[Install]:
        """As the port says."""
        return await self._in_turn(lambda: self._store.history(specialist_id))

    async def steps(self, install: Install) -> Sequence[Step]:
        """As the port says."""
        return await self._in_turn(lambda: self._store.steps(install))

    async def untold(self) -> Sequence[tuple[Install, Step]]:
        """As the port says."""
        return await self._in_turn(self._store.untold)

    async def told(self, step: Step) -> None:
        """As the port says."""
        await self._in_turn(lambda: self._store.told(step))

    async def decline(self, about: str, code: str, digest: str, *, now_s: int) -> None:
        """As the port says."""
        await self._in_turn(lambda: self._store.decline(about, code, digest, now_s=now_s))

    async def untold_declined(self) -> Sequence[Declined]:
        """As the port says."""
        return await self._in_turn(self._store.untold_declined)

    async def told_declined(self, declined: Declined) -> None:
        """As the port says."""
        await self._in_turn(lambda: self._store.told_declined(declined))

    async def counted_through(self) -> str:
        """As the port says."""
        return await self._in_turn(self._store.counted_through)

    async def count(self, counted: Sequence[Counted], *, through: str) -> None:
        """As the port says."""
        await self._in_turn(lambda: self._store.count(counted, through=through))

    async def tally(self, specialist_id: str, version: str) -> Tally:
        """As the port says."""
        return await self._in_turn(lambda: self._store.tally(specialist_id, version))

    async def _in_turn(self, act: Callable[[], T]) -> T:
        async with self._turn:
            return await on_thread(act)
