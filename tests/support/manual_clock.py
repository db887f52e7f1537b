"""Time that passes only when a test says so, for code that takes a Clock and for an event loop's own timers."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from typing_extensions import override

T = TypeVar("T")
STARTED = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


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


class _ManualLoop(asyncio.SelectorEventLoop):
    """A loop whose timers go by a ManualClock; threads and sockets wake it as ever.

    It has one thread, so that whoever awaits work there knows that all that was given to it before is done: how far
    things are does not depend on how busy the machine is.
    """

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self._clock = clock
        self.set_default_executor(ThreadPoolExecutor(max_workers=1))

    @override
    def time(self) -> float:
        return self._clock.monotonic_s()


def run_with(clock: ManualClock, main: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine to its end on a loop that goes by the clock."""
    with asyncio.Runner(loop_factory=lambda: _ManualLoop(clock)) as runner:
        return runner.run(main)
