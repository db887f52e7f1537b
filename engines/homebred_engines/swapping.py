"""What an engine serves with, replaced while generations run on it: built beside, swapped, the old one drained.

Each generation stays on what it began with, and what nothing runs on any more is closed. Where memory does not hold
two, the old one is drained and closed first, and newcomers wait. It builds nothing itself and measures no memory.
An exchange that has begun goes on to its end, whoever asked for it leaves.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from homebred_engines.errors import EngineError, EngineFailedError, ModelNotLoadedError
from homebred_engines.opening import progress_until

S = TypeVar("S")
Build = Callable[[], Awaitable[S]]


@dataclass(slots=True, eq=False)
class _Held(Generic[S]):
    """One that was built, and what runs on it."""

    served: S
    running: int = 0
    idle: asyncio.Event = field(default_factory=asyncio.Event)


class Use(Generic[S]):
    """What one generation is served with, kept until it is let go of."""

    def __init__(self, held: _Held[S]) -> None:
        self.served = held.served
        self._held: _Held[S] | None = held
        held.running += 1

    def release(self) -> None:
        """It is needed no more, even where a reader has yet to take what was made; harmless when repeated."""
        held, self._held = self._held, None
        if held is None:
            return
        held.running -= 1
        if not held.running:
            held.idle.set()


class Swap(Generic[S]):
    """One after the other; on one event loop."""

    def __init__(self, first: S, close: Callable[[S], Awaitable[None]]) -> None:
        """`close` frees one that nothing runs on."""
        self._close = close
        self._held: _Held[S] | None = _Held(first)
        self._is_over = False
        self._failure: EngineError | None = None
        """Why there is nothing, and will be nothing."""
        self._news = asyncio.Event()
        """There is something to serve with, or never will be."""
        self._news.set()
        self._changing = asyncio.Lock()
        self._closing: dict[asyncio.Task[None], S] = {}
        self._exchanging: asyncio.Task[None] | None = None

    @property
    def current(self) -> S | None:
        """What newcomers are served with; None: there is nothing now."""
        return self._held.served if self._held else None

    @property
    def standing(self) -> list[S]:
        """All that take memory: what newcomers are served with, and those that others still run on."""
        return [*self._closing.values(), *([self._held.served] if self._held else [])]

    async def only_one_stands(self) -> None:
        """Returns once what has been replaced is closed."""
        if self._closing:
            await asyncio.wait(self._closing)

    @asynccontextmanager
    async def in_use(self) -> AsyncIterator[S]:
        """What newcomers are served with, kept while it is used; waits while there is none.

        Raises ModelNotLoadedError, EngineFailedError.
        """
        use = await self.take()
        try:
            yield use.served
        finally:
            use.release()

    async def take(self) -> Use[S]:
        """The same, until it is released."""
        while self._held is None:
            if self._is_over:
                raise self._failure or ModelNotLoadedError("It was unloaded while the request waited.")
            await self._news.wait()
        return Use(self._held)

    async def settled(self) -> None:
        """Returns once no exchange is on its way."""
        if self._exchanging is not None:
            await asyncio.wait([self._exchanging])

    async def exchange(
        self, build: Build[S], *, again: Build[S], fits_beside: Callable[[Sequence[S]], bool], first: float, last: float
    ) -> AsyncGenerator[float, None]:
        """Replaces what is served with, and yields progress from `first` to `last`; once it has settled.

        `fits_beside` says whether one more may stand beside these. If not, it waits until what was replaced before is
        closed; if it still does not, the old one goes first. Raises as `replace` does.
        """
        exchanging = self._exchanged(build, again, fits_beside)
        self._exchanging = asyncio.get_running_loop().create_task(exchanging)
        async for progress in progress_until(self._exchanging, first=first, last=last):
            yield progress
        await self._exchanging

    async def _exchanged(self, build: Build[S], again: Build[S], fits_beside: Callable[[Sequence[S]], bool]) -> None:
        if not fits_beside(self.standing):
            await self.only_one_stands()
        await self.replace(build, again=None if fits_beside(self.standing) else again)

    async def replace(self, build: Build[S], *, again: Build[S] | None = None) -> None:
        """Serves newcomers with what `build` makes; the old one ends what runs on it.

        Args:
            build: makes the new one.
            again: makes the old one anew. Given, the old one is drained and closed before `build`, and made again
                where that fails; None: both fit beside each other.

        Raises:
            ModelNotLoadedError: it has ended, or ends meanwhile.
            Exception: what `build` raised; it is served as before.
        """
        async with self._changing:
            if (old := self._held) is None:
                raise ModelNotLoadedError("What serves it was to be replaced.")
            if again is None:
                await self._install(await build())
                self._close_later(old)
                return
            self._held = None
            self._news.clear()
            await self._make_room(old)
            try:
                new = await build()
            except Exception:
                await self._install(await self._made_again(again))
                raise
            await self._install(new)

    async def end(self) -> None:
        """Turns newcomers away, and returns once nothing runs any more and everything is closed."""
        self._is_over = True
        self._news.set()
        async with self._changing:
            if (last := self._held) is not None:
                self._held = None
                await self._close_drained(last)
            await self.only_one_stands()

    async def _make_room(self, old: _Held[S]) -> None:
        try:
            await self._close_drained(old)
        except Exception as error:
            raise self._broken(f"What served it could not be closed to make room: {error}") from error

    async def _made_again(self, again: Build[S]) -> S:
        try:
            return await again()
        except Exception as error:
            why = f"What served it was closed to make room, and cannot be made again: {error}"
            raise self._broken(why) from error

    def _broken(self, why: str) -> EngineFailedError:
        """Nothing serves any more; all who wait are told."""
        self._failure = EngineFailedError(why)
        self._is_over = True
        self._news.set()
        return self._failure

    async def _install(self, new: S) -> None:
        if self._is_over:
            await self._close(new)
            raise ModelNotLoadedError("It was unloaded meanwhile.")
        self._held = _Held(new)
        self._news.set()

    def _close_later(self, old: _Held[S]) -> None:
        task = asyncio.get_running_loop().create_task(self._close_drained(old))
        self._closing[task] = old.served
        task.add_done_callback(self._closing.pop)

    async def _close_drained(self, held: _Held[S]) -> None:
        while held.running:
            held.idle.clear()
            await held.idle.wait()
        await self._close(held.served)
