"""Tasks that a newcomer answers again: which, when, what is counted of them, and that nothing else is left of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pytest
from tests.support.answering_stage import PRIVATE, PUBLIC, WORKFLOW, Actor, Stage, accepted_task, means_of
from tests.support.fake_workers import Fleet
from tests.support.manual_clock import run_with
from tests.support.scripted_pool import Ends, Hangs, Play, ScriptedPool, Takes, says
from tests.support.shelves import stored
from tests.support.worker_pools import until
from typing_extensions import override

from homebred_daemon.core.memory_plan import Need
from homebred_daemon.core.pairs import Pair
from homebred_daemon.core.shelf import Shelf, StoredSpecialist
from homebred_daemon.errors import EngineUnavailableError
from homebred_daemon.ports.engines import Prompt, ServedAdapter, ServedModel
from homebred_daemon.ports.ledger import OutcomeRecord
from homebred_daemon.services.guest import BrokenOffError, Guest
from homebred_daemon.services.loading import Room
from homebred_daemon.services.releases.shadowing import (
    LEAST_DEADLINE_S,
    MOST_PASSED_OVER,
    ONE_IN,
    Answered,
    Shadowing,
    unheard,
)
from homebred_engines import api

BROKEN = api.EngineFailedError("It broke.")
NEW = replace(stored("a", base_digest="sha256:new"), base_path="new")
OLD = stored("a", base_digest="sha256:old")
ROOM = Room(max_models=2, slots=4, threads=1, load_timeout_s=9, ram_bytes=1_000_000_000)


class Quiet:
    """A pool that serves nobody."""

    def spare(self, need: Need) -> Need | None:
        return need


class ScriptedGuest(Guest):
    """A guest whose model says what a script has it say."""

    def __init__(self, pool: ScriptedPool, room: Room) -> None:
        super().__init__(Fleet.free(), room, Quiet())
        self.pool = pool
        self.failure: Exception | None = None
        """What it is met with, instead of being visited."""
        self.visits = 0
        self.left = 0

    @override
    @asynccontextmanager
    async def visit(self, model: ServedModel, adapter: ServedAdapter | None) -> AsyncIterator[None]:
        self.visits += 1
        if self.failure is not None:
            raise self.failure
        yield

    @override
    async def generate(self, model: ServedModel, prompt: Prompt) -> AsyncGenerator[api.Event, None]:
        async for event in self.pool.generate(model, prompt):
            yield event

    @override
    async def leave(self) -> None:
        self.left += 1


@dataclass
class Scene:
    """A newcomer beside `a`, and tasks that `a` has answered."""

    plays: Sequence[Play] = (says("well"),)
    policy: dict[str, Any] = field(default_factory=dict)
    room: Room = ROOM

    def __post_init__(self) -> None:
        self.stage = Stage({"a": Actor(plays=[says("x")]), "new": Actor(plays=self.plays)}, policy=self.policy)
        self.guest = ScriptedGuest(self.stage.pool, self.room)
        self.shadowing = Shadowing(self.guest, means_of(self.stage), context_tokens=512)

    def answered(
        self, status: str = "answer", *, findings: tuple[str, ...] = (), has_failed: bool = False, **changes: Any
    ) -> Answered:
        """A task of `a`, as whoever answered it tells of it."""
        record = OutcomeRecord(
            route_id="r1",
            recorded_at_utc=self.stage.clock.now(),
            status=status,
            answered_by=changes.pop("answered_by", "a"),
            error_code=changes.pop("error_code", ""),
            findings=findings,
            total_ms=120.4,
        )
        asked, shelf = changes.pop("asked", "a"), changes.pop("shelf", (OLD,))
        return Answered(
            standing=replace(self.stage.standing(), shelf=Shelf(specialists=shelf)),
            accepted=accepted_task(changes.pop("task", PUBLIC), **changes),
            asked=asked,
            has_failed=has_failed,
            record=record,
        )

    def hear(self, answered: Answered, times: int = ONE_IN) -> None:
        for _ in range(times):
            self.shadowing.heard(answered)

    def has_offer(self) -> bool:
        """Whether it holds a task."""
        return self.shadowing._offered is not None

    def is_done_with(self, visit: int) -> bool:
        return self.guest.visits == visit and not self.has_offer()

    async def pair(self, answered: Answered | None = None) -> Pair:
        async with self.shadowing.beside(NEW, OLD) as both:
            self.hear(answered or self.answered())
            return await both.next()


@pytest.mark.parametrize(
    ("play", "is_good"),
    [
        (says("well"), True),
        (says(""), False),
        (("cut", Ends(api.FinishReason.LENGTH)), False),
        ((BROKEN,), False),
        (("half", BROKEN), False),
        ((api.InvalidRequestError("No."),), False),
    ],
)
async def test_its_answer_must_withstand_what_every_answer_must(play: Play, *, is_good: bool) -> None:
    assert (await Scene([play]).pair()).newcomer_is_good == is_good


async def test_an_answer_that_does_not_fit_the_schema_is_asked_for_again_as_ever() -> None:
    scene = Scene([says("{"), says("{}")])
    assert (await scene.pair(scene.answered(schema='{"type": "object"}'))).newcomer_is_good
    never = Scene([says("{")])
    assert not (await never.pair(never.answered(schema='{"type": "object"}'))).newcomer_is_good


async def test_how_long_it_took_is_told_and_does_not_count() -> None:
    """Its gate has bounded that, and probation does: here it has what time the others leave."""
    policy = {"workflows": {WORKFLOW: {"latency_budget_ms": 1000}}}
    scene = Scene([(Takes(1.5), "slow", Ends())], policy)
    pair = await scene.pair(scene.answered(findings=("slow",)))
    assert (pair.serving_is_good, pair.newcomer_is_good, pair.serving_ms, pair.newcomer_ms) == (True, True, 120, 1500)


@pytest.mark.parametrize(
    ("outcome", "was_good"),
    [
        ({}, True),
        ({"findings": ("empty",)}, False),
        ({"findings": ("fallback",), "has_failed": True, "answered_by": "b"}, False),
        ({"status": "error", "answered_by": "", "error_code": "deadline_exceeded"}, None),
        ({"status": "error", "answered_by": "", "error_code": "engine_unavailable", "has_failed": True}, False),
        ({"status": "error", "answered_by": "", "error_code": "engine_unavailable"}, False),
        ({"status": "error", "answered_by": "", "error_code": "engine_unavailable", "asked": ""}, None),
        ({"status": "error", "answered_by": "", "error_code": "overloaded"}, None),
        ({"status": "degraded"}, None),
        ({"asked": ""}, None),
    ],
)
async def test_what_serves_did_well_or_failed_as_its_caller_met_it(
    outcome: dict[str, Any], *, was_good: bool | None
) -> None:
    scene = Scene()
    answered = scene.answered(**outcome)
    assert answered.was_good is was_good
    if was_good is not None:
        assert (await scene.pair(answered)).serving_is_good == was_good


@pytest.mark.parametrize(
    "other",
    [
        {"asked": "another"},
        {"shelf": (NEW,)},
        {"shelf": ()},
        {"status": "degraded"},
        {"task": PUBLIC | {"kind": "tool_loop"}},
        {"task": PUBLIC | {"workflow": "another"}},
        {"task": PUBLIC | {"rejects": "r0"}, "session_id": "s"},
    ],
)
async def test_other_tasks_are_left_alone(other: dict[str, Any]) -> None:
    scene = Scene()
    async with scene.shadowing.beside(NEW, OLD) as both:
        scene.hear(scene.answered(**other), 3 * ONE_IN)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await both.next()
    assert scene.guest.visits == 0


async def test_one_task_in_so_many_is_answered_again_and_one_at_a_time() -> None:
    scene = Scene()
    async with scene.shadowing.beside(NEW, OLD) as both:
        for _ in range(3):
            scene.hear(scene.answered(), ONE_IN - 1)
            assert not scene.has_offer()
            scene.hear(scene.answered(text="this one"), 1)
            scene.hear(scene.answered(text="too many"), 5 * ONE_IN)
            await both.next()
    asked = [prompt.messages[-1].content for _, prompt in scene.stage.pool.asked]
    assert asked == ["this one"] * 3


async def test_nobody_is_asked_while_nobody_is_compared() -> None:
    scene = Scene()
    scene.hear(scene.answered())
    async with scene.shadowing.beside(NEW, OLD):
        assert not scene.has_offer()
        scene.hear(scene.answered())
        assert scene.has_offer()
    assert not scene.has_offer(), "its content is forgotten"
    assert scene.guest.left == 1


async def test_a_local_only_task_is_answered_again_here_and_leaves_nothing_behind() -> None:
    """I4: no word of it in the ledger, in the review queue, to a caller, or in what comes out."""
    scene = Scene([says("SECRET-ANSWER")])
    pair = await scene.pair(scene.answered(task=PRIVATE, text="SECRET-TASK", session_id="s"))
    assert (pair.serving_is_good, pair.newcomer_is_good) == (True, True)
    stage = scene.stage
    assert (stage.heard, stage.ledger.entries, stage.ledger.outcomes) == ([], [], [])
    ((_, prompt),) = stage.pool.asked
    assert (prompt.request_id, prompt.messages[-1].content) == ("", "SECRET-TASK")
    assert "SECRET" not in repr(vars(scene.shadowing))


async def test_broken_off_it_does_not_count_and_the_next_ones_come_ever_more_rarely() -> None:
    scene = Scene()
    async with scene.shadowing.beside(NEW, OLD) as both, asyncio.TaskGroup() as group:
        reading = group.create_task(both.next())
        scene.guest.failure = BrokenOffError()
        for visit, passed_over in enumerate((ONE_IN, 2 * ONE_IN, 4 * ONE_IN), start=1):
            scene.hear(scene.answered(), passed_over - 1)
            await asyncio.sleep(0)
            assert scene.guest.visits == visit - 1
            scene.hear(scene.answered(), 1)
            await until(partial(scene.is_done_with, visit))
        assert not reading.done()
        scene.guest.failure = None
        scene.hear(scene.answered(), 8 * ONE_IN)
        assert (await reading).newcomer_is_good
        assert scene.shadowing._between == ONE_IN
        scene.shadowing._between = MOST_PASSED_OVER
        scene.guest.failure = BrokenOffError()
        again = group.create_task(both.next())
        scene.hear(scene.answered(), MOST_PASSED_OVER)
        await until(lambda: scene.guest.visits == 5)
        assert scene.shadowing._between == MOST_PASSED_OVER
        again.cancel()


async def test_an_engine_that_does_not_run_is_told() -> None:
    scene = Scene()
    scene.guest.failure = EngineUnavailableError("it does not start")
    with pytest.raises(EngineUnavailableError):
        await scene.pair()
    assert not scene.has_offer()


def test_one_that_does_not_come_to_an_end_failed_its_task() -> None:
    scene = Scene([("half", Hangs())])

    async def story() -> None:
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(scene.pair(scene.answered(deadline_s=1.0)))
            await until(lambda: scene.guest.visits == 1)
            for passed_s, is_over in ((LEAST_DEADLINE_S - 1, False), (2, True)):
                scene.stage.clock.pass_s(passed_s)
                for _ in range(20):
                    await asyncio.sleep(0)
                assert asking.done() == is_over
            pair = asking.result()
            assert (pair.serving_is_good, pair.newcomer_is_good) == (True, False)

    run_with(scene.stage.clock, story())


def test_where_no_task_comes_for_long_its_memory_is_given_back_as_any_models_is() -> None:
    scene = Scene(room=replace(ROOM, keep_alive_s=600))

    async def story() -> None:
        async with scene.shadowing.beside(NEW, OLD) as both, asyncio.TaskGroup() as group:
            reading = group.create_task(both.next())
            for passed_s, left in ((0, 0), (599, 0), (2, 1), (5000, 1)):
                scene.stage.clock.pass_s(passed_s)
                for _ in range(20):
                    await asyncio.sleep(0)
                assert scene.guest.left == left
            scene.hear(scene.answered())
            assert (await reading).newcomer_is_good

    run_with(scene.stage.clock, story())


async def test_while_a_gate_measures_it_rests() -> None:
    scene = Scene()
    async with scene.shadowing.beside(NEW, OLD) as both, scene.shadowing.resting():
        assert scene.guest.left == 1
        scene.hear(scene.answered())
        with suppress(TimeoutError):
            async with asyncio.timeout(0.01):
                await both.next()
        assert scene.guest.visits == 0


async def test_one_newcomer_waits_for_the_other() -> None:
    scene = Scene()
    async with scene.shadowing.beside(NEW, OLD):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0), scene.shadowing.beside(NEW, OLD):
                raise AssertionError
    async with scene.shadowing.beside(NEW, OLD):
        pass


def sized(specialist: StoredSpecialist, megabytes: int) -> StoredSpecialist:
    return replace(specialist, base_bytes=megabytes * 1_000_000, kv_bytes_per_token=1)


def test_two_that_do_not_fit_into_the_memory_together_are_not_compared() -> None:
    shadowing = Scene().shadowing
    assert shadowing.obstacle(sized(NEW, 300), sized(OLD, 300)) is None
    found = shadowing.obstacle(sized(NEW, 400), sized(OLD, 400))
    assert found is not None
    assert found.code == "shadow_no_room"
    assert "1000000000 may be taken" in found.sentence


def test_unheard_is_nobody() -> None:
    unheard(Scene().answered())
