"""The heartbeat on a clock that tests move."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.support.manual_clock import ManualClock, run_with
from tests.support.recorded_journal import RecordedJournal
from tests.support.recorded_manager import RecordedManager

from homebred_daemon.services.heartbeat import STATUS_EVERY_S, Heartbeat, status_line

SETTLE_TURNS = 5


class Pulse:
    """A heartbeat with all that it is made of."""

    def __init__(self, manager: RecordedManager) -> None:
        self.clock = ManualClock()
        self.manager = manager
        self.journal = RecordedJournal()
        self.is_alive = True
        self.line = "answering 0"
        self.heartbeat = Heartbeat(
            manager, self.journal, vital={"recorder": lambda: self.is_alive}, status=lambda: self.line
        )

    @asynccontextmanager
    async def beating(self) -> AsyncIterator[None]:
        async with self.heartbeat.beating():
            await self.settle()
            yield

    async def settle(self) -> None:
        for _ in range(SETTLE_TURNS):
            await asyncio.sleep(0)

    async def after(self, seconds: float) -> list[str]:
        """What the manager is told in that time."""
        self.manager.told.clear()
        self.clock.pass_s(seconds)
        await self.settle()
        return list(self.manager.told)

    def run(self, story: Callable[[Pulse], Coroutine[Any, Any, None]]) -> None:
        async def told() -> None:
            async with self.beating():
                await story(self)

        run_with(self.clock, told())


def test_it_beats_twice_in_the_time_that_the_watchdog_waits() -> None:
    async def story(pulse: Pulse) -> None:
        assert pulse.manager.told == ["beat", "answering 0"]
        assert await pulse.after(1.4) == []
        assert await pulse.after(0.2) == ["beat"]
        assert await pulse.after(1.6) == ["beat"]

    Pulse(RecordedManager(watchdog_s=3)).run(story)


def test_it_says_how_the_daemon_stands_where_that_has_changed() -> None:
    async def story(pulse: Pulse) -> None:
        pulse.line = "answering 1"
        assert await pulse.after(STATUS_EVERY_S + 0.1) == ["answering 1"]
        assert await pulse.after(STATUS_EVERY_S + 0.1) == []

    Pulse(RecordedManager()).run(story)


def test_it_does_not_beat_while_a_vital_part_is_dead() -> None:
    async def story(pulse: Pulse) -> None:
        pulse.is_alive = False
        assert await pulse.after(2) == []
        assert await pulse.after(2) == []
        assert pulse.journal.names == ["beat_withheld"]
        pulse.is_alive = True
        assert await pulse.after(2) == ["beat"]

    Pulse(RecordedManager(watchdog_s=3)).run(story)


def test_a_manager_that_does_not_hear_is_noted_once_and_told_again() -> None:
    async def story(pulse: Pulse) -> None:
        pulse.manager.hears = False
        pulse.line = "answering 2"
        assert await pulse.after(2) == []
        assert await pulse.after(2) == []
        pulse.manager.hears = True
        assert await pulse.after(2) == ["beat", "answering 2"]
        assert pulse.journal.names == ["manager_silent", "manager_hears"]

    Pulse(RecordedManager(watchdog_s=3)).run(story)


def test_where_there_is_no_manager_nothing_runs() -> None:
    async def story(pulse: Pulse) -> None:
        assert len(asyncio.all_tasks()) == 1
        assert await pulse.after(60) == []

    Pulse(RecordedManager(is_there=False)).run(story)


def test_what_fails_meanwhile_fails_as_it_would_have_without() -> None:
    async def story(pulse: Pulse) -> None:
        raise OSError("as it was")

    with pytest.raises(OSError, match="as it was"):
        Pulse(RecordedManager(watchdog_s=3)).run(story)


def test_the_status_line_is_numbers() -> None:
    assert status_line(streams=3, waiting=0, is_draining=False) == "answering 3, 0 waiting for a person"
    assert status_line(streams=1, waiting=2, is_draining=True).startswith("takes no more tasks; ")
