from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest
from tests.support.fleet_journal import KeptJournal
from tests.support.retained import FakeRetained
from typing_extensions import override

from homebred_fleet.core.durations import DAY_S
from homebred_fleet.core.figures import Figures
from homebred_fleet.core.retention import MAX_STARTS
from homebred_fleet.errors import StoreBusyError
from homebred_fleet.services import retaining
from homebred_fleet.services.retaining import Bound, Retaining

NOW_S = 1_800_000_000


@dataclass
class World:
    events: FakeRetained = field(default_factory=FakeRetained)
    hours: FakeRetained = field(default_factory=FakeRetained)
    starts: FakeRetained = field(default_factory=lambda: FakeRetained(step=100))
    journal: KeptJournal = field(default_factory=KeptJournal)
    figures: Figures = field(default_factory=Figures)
    now_s: int = NOW_S

    def retaining(self, *, most: int = 100) -> Retaining:
        bounds = (
            Bound(kind="events", rows=self.events, days=90, most=most),
            Bound(kind="hours", rows=self.hours, days=400, most=1000),
        )
        return Retaining(bounds, self.starts, self.journal, self.figures, now_s=lambda: self.now_s)


async def test_what_is_too_old_goes_and_is_said_once_a_kind() -> None:
    world = World()
    old = NOW_S - 90 * DAY_S
    world.events.rows = {"a": [old - 1, old - 2, old - 3, old - 4, old, NOW_S], "b": [NOW_S]}
    world.hours.rows = {"a": [NOW_S - 400 * DAY_S - 1, old]}
    await world.retaining().look(also_old=True)
    assert world.events.rows == {"a": [old, NOW_S], "b": [NOW_S]}
    assert world.hours.rows == {"a": [old]}
    assert [entry.fields for entry in world.journal.entries] == [
        {"kind": "events", "count": 4, "days": 90},
        {"kind": "hours", "count": 1, "days": 400},
    ]
    assert world.figures.forgotten == {"events": 4, "hours": 1}


async def test_a_clock_that_jumped_costs_a_day_of_each_device() -> None:
    world = World(now_s=NOW_S + 3650 * DAY_S)
    world.events.rows = {name: [NOW_S + day * DAY_S for day in range(60)] for name in ("a", "b")}
    await world.retaining(most=1000).look(also_old=True)
    assert [len(moments) for moments in world.events.rows.values()] == [59, 59]


async def test_a_flood_makes_no_day_of_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retaining, "LOOK_EVERY_S", 0.001)
    world = World(now_s=NOW_S + 3650 * DAY_S)
    world.events.rows = {"a": [NOW_S + day * DAY_S for day in range(60)]}
    async with asyncio.TaskGroup() as group:
        task = group.create_task(world.retaining(most=60).run())
        for _ in range(5):
            await asyncio.sleep(0.005)
            world.figures.events_stored += 100
        task.cancel()
    assert len(world.events.rows["a"]) == 59


async def test_where_there_is_too_much_the_oldest_of_whoever_has_most_go() -> None:
    world = World()
    world.events.rows = {"flood": [NOW_S + at for at in range(90)], "a": [NOW_S] * 20}
    await world.retaining().look(also_old=True)
    assert world.events.rows == {"flood": [NOW_S + at for at in range(15, 90)], "a": [NOW_S] * 20}
    assert world.journal.names == ["surplus_forgotten"]
    assert world.journal.entries[0].fields == {"device": "flood", "kind": "events", "count": 15, "most": 100}


async def test_starts_beyond_their_bound_go() -> None:
    world = World()
    world.starts.rows = {"loop": list(range(MAX_STARTS + 250)), "a": [1, 2]}
    await world.retaining().look(also_old=True)
    assert world.starts.held() == {"loop": MAX_STARTS, "a": 2}
    assert world.starts.rows["loop"][0] == 250


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110  # until the loop has come to it
        await asyncio.sleep(0.001)


async def test_it_looks_again_as_soon_as_more_came_than_there_was_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retaining, "LOOK_EVERY_S", 0.001)
    world = World()
    world.events.rows = {"a": [NOW_S] * 90}
    async with asyncio.TaskGroup() as group:
        task = group.create_task(world.retaining().run())
        await asyncio.sleep(0.02)
        world.events.rows["a"] += [NOW_S] * 10
        world.figures.events_stored += 10
        await asyncio.sleep(0.02)
        assert len(world.events.rows["a"]) == 100  # as much as is allowed
        world.events.rows["a"].append(NOW_S)
        world.figures.events_stored += 1
        await until(lambda: len(world.events.rows["a"]) == 95)
        task.cancel()


@dataclass
class FailingRetained(FakeRetained):
    fails: bool = True

    @override
    def held(self) -> Mapping[str, int]:
        if self.fails:
            raise StoreBusyError
        return super().held()


async def test_a_database_that_does_not_work_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retaining, "LOOK_EVERY_S", 0.001)
    events = FailingRetained({"a": [NOW_S] * 200})
    world = World(events=events)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(world.retaining().run())
        await until(lambda: world.journal.names)
        assert world.journal.names[0] == "not_forgotten"
        events.fails = False
        world.figures.events_stored += 1
        await until(lambda: len(events.rows["a"]) == 95)
        task.cancel()
