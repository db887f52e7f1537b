"""Callers, a guest and other models in whatever order: callers are answered as if there were no guest."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.fake_workers import FakeWorker, Fleet
from tests.support.manual_clock import ManualClock
from tests.support.recorded_journal import RecordedJournal
from tests.support.worker_pools import model, prompt, settled

from homebred_daemon.ports.engines import ServedModel
from homebred_daemon.services.engines import WorkerPool
from homebred_daemon.services.guest import BrokenOffError
from homebred_daemon.services.loading import BESIDE_WEIGHTS_BYTES, Room
from homebred_engines import api

MEGABYTE = 1_000_000
SIZES = {"a": 300, "b": 350, "new": 200, "newer": 250}
RAM_BYTES = 900 * MEGABYTE
ROOM = Room(max_models=2, slots=1, threads=1, load_timeout_s=60, ram_bytes=RAM_BYTES)
STEPS = st.one_of(
    st.tuples(st.just("ask"), st.sampled_from(["a", "b"])),
    st.tuples(st.just("visit"), st.sampled_from(["new", "newer"])),
    st.tuples(st.sampled_from(["leave", "unload", "hush", "speak", "kill"]), st.just("a")),
    st.tuples(st.just("turns"), st.sampled_from([".", "...", "." * 12, "." * 30])),
)


def sized(name: str) -> ServedModel:
    return replace(model(name), weights_bytes=SIZES[name] * MEGABYTE, kv_bytes_per_token=1)


def check_room(fleet: Fleet) -> None:
    """No more is in memory than fits: a and b never are together, nor b and newer."""
    taken_bytes = sum(BESIDE_WEIGHTS_BYTES + SIZES[name] * MEGABYTE for name in fleet.serving())
    assert taken_bytes <= RAM_BYTES, fleet.serving()
    assert len(fleet.serving()) <= ROOM.max_models


@dataclass(slots=True)
class Story:
    """What callers heard, and what became of guests."""

    pool: WorkerPool
    fleet: Fleet
    answers: list[str] = field(default_factory=list)
    asked: int = 0
    whole: int = 0
    broken_off: int = 0

    async def ask(self, name: str) -> None:
        self.asked += 1
        said = [e.text async for e in self.pool.generate(sized(name), prompt("caller")) if isinstance(e, api.Delta)]
        self.answers.append("".join(said))

    async def visit(self, name: str) -> None:
        guest = self.pool.guest
        try:
            async with guest.visit(sized(name), None):
                assert not any(place.holders for place in self.pool._places), "somebody is served"
                said = [e.text async for e in guest.generate(sized(name), prompt()) if isinstance(e, api.Delta)]
                assert said == ["0", "1"]
                self.whole += 1
        except BrokenOffError:
            self.broken_off += 1
        except api.EngineFailedError:
            assert "killed" in self.fleet.told

    def kill(self) -> None:
        """The guest's process ends of itself, if there is one."""
        worker = self.pool.guest._worker
        if isinstance(worker, FakeWorker):
            self.fleet.told.append("killed")
            worker.die()


async def play(steps: list[tuple[str, str]]) -> Story:
    fleet = Fleet.free()
    pool = WorkerPool(fleet, ManualClock(), ROOM, RecordedJournal())
    story = Story(pool=pool, fleet=fleet)
    async with pool.running(), asyncio.TaskGroup() as group:
        for step, what in steps:
            match step:
                case "ask":
                    group.create_task(story.ask(what))
                case "visit":
                    group.create_task(story.visit(what))
                case "leave":
                    group.create_task(pool.guest.leave())
                case "unload":
                    group.create_task(pool.unload(sized(what)))
                case "hush":
                    fleet.speaking.clear()
                case "speak":
                    fleet.speaking.set()
                case "kill":
                    story.kill()
                case _:
                    for _ in what:
                        await asyncio.sleep(0)
                        check_room(fleet)
            check_room(fleet)
        fleet.speaking.set()
    await settled()
    return story


@settings(max_examples=150)
@given(st.lists(STEPS, max_size=25))
async def test_every_caller_has_its_whole_answer_and_never_is_more_loaded_than_fits(
    steps: list[tuple[str, str]],
) -> None:
    story = await play(steps)
    assert story.answers == ["01"] * story.asked
    assert story.fleet.serving() == [], "with the pool all processes end"
    assert story.pool.failures == 0


async def test_a_guest_that_is_let_answers_whole_and_one_that_is_not_is_broken_off() -> None:
    """That the stories above have both."""
    story = await play([("ask", "a"), ("turns", "." * 30), ("visit", "new"), ("turns", "." * 30)])
    assert (story.whole, story.broken_off) == (1, 0)
    steps = [("ask", "a"), ("turns", "." * 30), ("hush", ""), ("visit", "new"), ("turns", "." * 30)]
    steps += [("ask", "a"), ("turns", "." * 30)]
    story = await play(steps)
    assert (story.whole, story.broken_off, story.answers) == (0, 1, ["01", "01"])
