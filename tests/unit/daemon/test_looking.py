"""Who asks at the same time shares a look; who asks later, or whom a look has failed, gets another."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from tests.support.manual_clock import run_with
from tests.support.releasing_stage import Clock, body_of, look, path_of
from tests.support.trust_stage import HERE, FixedSource, MemoryTrust, ScriptedChecker

from homebred_daemon.core.trust_floors import Floors
from homebred_daemon.errors import StateError
from homebred_daemon.ports.trust import CheckedTrust, HeldRepository, HeldTrust
from homebred_daemon.services.releases.looking import GATHER_S, Looking, Sight
from homebred_daemon.services.releases.trusting import Trusting

TURNS = 20


class Stage:
    def __init__(self, *looks: CheckedTrust) -> None:
        nothing = HeldRepository(pinned=b"")
        self.clock, self.checker = Clock(), ScriptedChecker(*looks)
        self.memory = MemoryTrust(HeldTrust(image=nothing, director=nothing, floors=Floors()))
        self.is_ready = True
        trusting = Trusting(self.memory, self.checker, self.clock, HERE)
        self.looking = Looking(trusting, ready=self._ready, source=lambda: FixedSource({}))

    async def _ready(self) -> bool:
        return self.is_ready

    @property
    def looks(self) -> int:
        return len(self.checker.asked_at_s)

    async def pass_s(self, seconds: float) -> None:
        for step_s in (0.0, seconds):
            self.clock.pass_s(step_s)
            for _ in range(TURNS):
                await asyncio.sleep(0)
                await asyncio.to_thread(lambda: None)

    def play(self, scene: Callable[[asyncio.TaskGroup], Awaitable[None]]) -> None:
        async def played() -> None:
            async with asyncio.TaskGroup() as group:
                await scene(group)

        run_with(self.clock, played())


def agreed(sight: Sight | None) -> list[str]:
    assert sight is not None
    return [one.target.path for one in sight.looked.agreed]


def test_whoever_asks_before_a_look_begins_shares_it_and_who_asks_later_sees_what_is_newer() -> None:
    async def scene(group: asyncio.TaskGroup) -> None:
        first, second = (group.create_task(stage.looking.look()) for _ in range(2))
        await stage.pass_s(GATHER_S)
        assert await first is await second
        assert stage.looks == 1
        third = group.create_task(stage.looking.look())
        await stage.pass_s(GATHER_S)
        assert (agreed(await first), agreed(await third)) == ([path_of(1)], [path_of(2)])

    stage = Stage(look(body_of(1), numbers=[1]), look(body_of(2), numbers=[2]))
    stage.play(scene)


def test_a_look_that_began_after_the_news_is_enough_whoever_had_asked_for_it() -> None:
    async def scene(group: asyncio.TaskGroup) -> None:
        news = stage.looking.begun
        others = group.create_task(stage.looking.look())
        await stage.pass_s(GATHER_S)
        assert await stage.looking.look(after=news) is await others
        assert stage.looks == 1

    stage = Stage(look(body_of(1), numbers=[1]), look(body_of(2), numbers=[2]))
    stage.play(scene)


def test_a_look_that_breaks_off_is_shared_with_nobody() -> None:
    async def scene(group: asyncio.TaskGroup) -> None:
        stage.memory.fails = True
        with pytest.raises(StateError):
            await asyncio.gather(stage.looking.look(), stage.pass_s(GATHER_S))
        stage.memory.fails = False
        again = group.create_task(stage.looking.look(after=0))
        await stage.pass_s(GATHER_S)
        assert agreed(await again) == [path_of(1)]

    stage = Stage(look(body_of(1), numbers=[1]), look(body_of(1), numbers=[1]))
    stage.play(scene)


def test_who_gives_up_waiting_takes_nobody_elses_look_along() -> None:
    async def scene(group: asyncio.TaskGroup) -> None:
        first, second = (group.create_task(stage.looking.look()) for _ in range(2))
        await stage.pass_s(GATHER_S / 2)
        first.cancel()
        await stage.pass_s(GATHER_S)
        await stage.pass_s(GATHER_S)
        assert agreed(await second) == [path_of(1)]

    stage = Stage(look(body_of(1), numbers=[1]))
    stage.play(scene)


def test_before_the_fleet_signs_anything_nobody_looks() -> None:
    async def scene(_: asyncio.TaskGroup) -> None:
        stage.is_ready = False
        assert await stage.looking.look() is None
        assert stage.looks == 0

    stage = Stage(look(body_of(1), numbers=[1]))
    stage.play(scene)
