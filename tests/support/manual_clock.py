"""Time that passes only when a test says so, for code that takes a Clock and for an event loop's own timers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from typing_extensions import TypeVarTuple, Unpack, override

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
STARTED = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
_QUIET_TURNS = 2


class ManualClock:
    """Fulfils `ports.Clock`."""

    def __init__(self) -> None:
        self.elapsed_s = 0.0

    def pass_s(self, seconds: float) -> None:
        """Lets time pass."""
        self.elapsed_s += seconds

    def now(self) -> datetime:
        return STARTED + timedelta(seconds=self.elapsed_s)

    def monotonic_s(self) -> float:
        return self.elapsed_s


class ManualLoop(asyncio.SelectorEventLoop):
    """A loop whose timers go by a ManualClock; threads and sockets wake it as ever.

    It has one thread, so that whoever awaits work there knows that all that was given to it before is done: how far
    things are does not depend on how busy the machine is.
    """

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self._clock = clock
        self.set_default_executor(ThreadPoolExecutor(max_workers=1))
        self.awaited: set[asyncio.Future[Any]] = set()
        """What threads do, or have done and the loop has not taken up."""

    @override
    def time(self) -> float:
        return self._clock.monotonic_s()

    @override
    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        future = super().run_in_executor(executor, func, *args)
        self.awaited.add(future)
        future.add_done_callback(self.awaited.discard)
        return future

    async def settled(self) -> None:
        """Lets everything run that can go on without a socket or a second more.

        A timer that has come due is looked at between two turns only, so that it takes two with nothing to do.
        """
        quiet = 0
        while quiet < _QUIET_TURNS:
            await asyncio.sleep(0)
            quiet += 1
            if self._ready:  # type: ignore[attr-defined]  # of asyncio's own
                quiet = 0
            elif self.awaited:
                await asyncio.wait(self.awaited)
                quiet = 0


async def settled() -> None:
    """`ManualLoop.settled` of the loop that this runs on."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, ManualLoop)
    await loop.settled()


def run_with(clock: ManualClock, main: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine to its end on a loop that goes by the clock."""
    with asyncio.Runner(loop_factory=lambda: ManualLoop(clock)) as runner:
        return runner.run(main)
