"""Has one worker serve the adapters that answers need: swapped in where they are not, the longest unused left out.

One change at a time, however many wait for it; what runs ends with what it began with (the engine sees to that), and
an adapter that is used is never left out. It chooses no specialist and keeps no worker.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from homebred_daemon.core.memory_plan import chosen_adapters
from homebred_daemon.ports.clock import Clock
from homebred_daemon.ports.engines import EngineWorker, ServedAdapter
from homebred_daemon.services.loading import LoadedWorker
from homebred_engines import api

TURN_S = 10.0
"""Who has waited for so long gets a turn, though all adapters that may be served at once are always in use."""

Own = Callable[[Coroutine[Any, Any, None]], object]


class AdaptersNotChangedError(api.EngineFailedError):
    """The engine failed at serving other adapters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterChange:
    """What came of asking a worker for another set."""

    adapters: int
    """Served from now on, beside the base alone."""
    took_s: float
    failure: api.EngineError | None
    refused: str = ""
    """Digest of the one that the worker does not take, and for whose sake it failed."""


@dataclass(slots=True, eq=False)
class _Change:
    """One on its way, or over."""

    chosen: frozenset[str]
    """Digests of what is to be served."""
    failure: api.EngineError | None = None
    is_given_up: bool = False
    """Whether it may come to its end at any time from now on, so that nobody knows what the worker serves."""
    refused: str = ""
    """Digest of the one for whose sake it failed: without it, the others may be served."""
    over: asyncio.Event = field(default_factory=asyncio.Event)


class Adapting:
    """The adapters of one worker, for as long as it lives."""

    def __init__(
        self,
        worker: EngineWorker,
        clock: Clock,
        *,
        most: int,
        limit_s: float,
        own: Own,
        on_change: Callable[[AdapterChange], None],
    ) -> None:
        """`most` may be served at once, a change takes `limit_s` seconds at most, `own` runs work as its owner's."""
        self._worker = worker
        self._clock = clock
        self._most = most
        self._limit_s = limit_s
        self._own = own
        self._on_change = on_change
        self._known: dict[str, ServedAdapter] = {}
        self._wanted: tuple[str, ...] = ()
        self._served: frozenset[str] = frozenset()
        """What newcomers may count on."""
        self._refused: dict[str, api.AdapterRefusedError] = {}
        self._users: dict[str, int] = defaultdict(int)
        """Answers that run on each; those without any are not in it."""
        self._waiting: dict[str, int] = defaultdict(int)
        """Answers that wait for each, in the same way."""
        self._asked_s: dict[str, float] = {}
        """Monotonic times since when answers have waited for each."""
        self._used_s: dict[str, float] = {}
        self._change: _Change | None = None
        self._freed = asyncio.Event()

    def begin(self, loaded: LoadedWorker) -> None:
        """What the worker was loaded with, and would not take."""
        self._served, self._refused = frozenset(loaded.adapters), dict(loaded.refused)

    def want(self, adapters: Sequence[ServedAdapter]) -> None:
        """From now on these are those of the specialists on this base; changes what is served where it must."""
        self._known |= {adapter.digest: adapter for adapter in adapters}
        self._wanted = tuple(adapter.digest for adapter in adapters)
        self._forget_strangers()
        self._catch_up()

    @property
    def is_changing(self) -> bool:
        """Whether the worker is at it now: it may be silent meanwhile, for the time that a change may take."""
        return self._change is not None

    @property
    def in_use(self) -> frozenset[str]:
        """Digests of adapters that answers run on, or wait for."""
        return frozenset(self._users) | frozenset(self._waiting)

    def refusal(self, adapter: ServedAdapter | None) -> str:
        """Why the worker does not take it; empty: it has not said that it does not."""
        refused = self._refused.get(adapter.digest) if adapter else None
        return "" if refused is None else f"its adapter was refused: {refused.why} {refused.hint}"

    def forgive(self, adapter: ServedAdapter | None) -> None:
        """One that was refused may be tried again."""
        if adapter is not None:
            self._refused.pop(adapter.digest, None)

    @asynccontextmanager
    async def serving(self, adapter: ServedAdapter | None) -> AsyncIterator[None]:
        """For as long as the context lasts, the worker serves it; at once where there is none.

        Raises:
            homebred_engines.api.EngineError: the worker does not take it, or no other set.
        """
        if adapter is None:
            yield
            return
        digest = adapter.digest
        self._known.setdefault(digest, adapter)
        self._waiting[digest] += 1
        self._asked_s.setdefault(digest, self._clock.monotonic_s())
        try:
            while digest not in self._served or self._must_make_way(digest):
                await self._come_nearer(digest)
            self._users[digest] += 1
        finally:
            _take_one(self._waiting, digest)
            if digest not in self._waiting:
                del self._asked_s[digest]
            self._freed.set()
        try:
            yield
        except api.AdapterNotLoadedError:  # as after a change that was given up here, and came to its end there
            self._served -= {digest}
            raise
        finally:
            self._used_s[digest] = self._clock.monotonic_s()
            _take_one(self._users, digest)
            self._freed.set()

    def _forget_strangers(self) -> None:
        """One that has left the store may come back whole; and a worker lives longer than many an adapter."""
        meant = {*self._wanted, *self._users, *self._waiting, *(self._change.chosen if self._change else ())}
        self._refused = {digest: why for digest, why in self._refused.items() if digest in meant}
        self._used_s = {digest: used_s for digest, used_s in self._used_s.items() if digest in meant}
        self._known = {digest: one for digest, one in self._known.items() if digest in meant}

    async def _come_nearer(self, digest: str) -> None:
        """Returns once there is a reason to look again."""
        if (refused := self._refused.get(digest)) is not None:
            raise api.AdapterRefusedError(refused.why, adapter=digest, hint=refused.hint)
        if self._change is None:
            chosen = self._chosen()
            if digest in self._served or digest not in chosen:  # as many as may be are in use, or waited for longer
                self._freed.clear()
                await self._freed.wait()
                return
            self._begin_change(chosen)
        if (change := self._change) is not None:
            await change.over.wait()
            if change.failure is not None and not change.refused and digest in change.chosen - self._served:
                raise _told(change.failure)

    def _must_make_way(self, digest: str) -> bool:
        """Whether no more may begin on it: it has been in use for longest, and another's turn has come."""
        if len(self._users) < self._most or digest != next(iter(self._users)):
            return False
        asked = [asked_s for other, asked_s in self._asked_s.items() if other not in self._served]
        return bool(asked) and self._clock.monotonic_s() - min(asked) >= TURN_S

    def _catch_up(self) -> None:
        """Changes to what is wanted now, where that is not served."""
        chosen = self._chosen()
        if self._change is None and set(chosen) != self._served:
            self._begin_change(chosen)

    def _chosen(self) -> tuple[str, ...]:
        """What is in use, then what is waited for, first come first served, then what is wanted."""
        needed = dict.fromkeys((*self._users, *self._waiting))
        return chosen_adapters(
            self._but_refused(self._wanted), needed=self._but_refused(needed), used_s=self._used_s, most=self._most
        )

    def _but_refused(self, digests: Iterable[str]) -> list[str]:
        """Also one in use may be, as when its file has left the store: what runs on it ends with it all the same."""
        return [digest for digest in digests if digest not in self._refused]

    def _begin_change(self, chosen: Collection[str]) -> None:
        change = self._change = _Change(frozenset(chosen))
        before = self._served
        self._served &= change.chosen  # newcomers no longer count on those that leave
        self._own(self._changed(change, before))

    async def _changed(self, change: _Change, before: frozenset[str]) -> None:
        started_s = self._clock.monotonic_s()
        change.failure = api.EngineFailedError("The worker was stopped while its adapters were changed.")
        try:
            change.failure = await self._failure_of(change)
            change.refused = self._noted_refusal(change)
        finally:
            kept = frozenset[str]() if change.is_given_up else before
            self._served = kept if change.failure else change.chosen
            self._change = None
            change.over.set()
        took_s = self._clock.monotonic_s() - started_s
        adapters, failure = len(self._served), change.failure
        self._on_change(AdapterChange(adapters=adapters, took_s=took_s, failure=failure, refused=change.refused))
        if change.failure is None or change.refused:
            self._catch_up()

    def _noted_refusal(self, change: _Change) -> str:
        match change.failure:
            case api.AdapterRefusedError(adapter=digest) as refused if digest in change.chosen:
                self._refused[digest] = refused
                return digest
        return ""

    async def _failure_of(self, change: _Change) -> api.EngineError | None:
        """Why the worker does not serve these now; None: it does."""
        adapters = [self._known[digest].for_engine() for digest in sorted(change.chosen)]
        try:
            async with asyncio.timeout(self._limit_s):
                await self._worker.set_adapters(adapters)
        except api.EngineError as error:
            return error
        except TimeoutError:
            change.is_given_up = True
            return api.EngineFailedError(f"Its adapters were not changed within {self._limit_s:g} s.")
        except Exception as error:  # noqa: BLE001  # told to all who wait; raised here, it would end the pool
            return api.EngineFailedError(f"{type(error).__name__} while its adapters were changed.")
        return None


def _told(failure: api.EngineError) -> api.EngineError:
    """To each who waited, that it is the change's failure and none of its own."""
    if not isinstance(failure, api.EngineFailedError):
        return failure
    return AdaptersNotChangedError(
        failure.why, hint=failure.hint, exit_code=failure.exit_code, last_lines=failure.last_lines
    )


def _take_one(counts: dict[str, int], key: str) -> None:
    counts[key] -= 1
    if not counts[key]:
        del counts[key]
