from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.answering_stage import accepted_task, review_desk
from tests.support.fake_gazetteers import FakeGazetteers
from tests.support.fake_ledger import FakeLedger
from tests.support.fake_policies import FakePolicies
from tests.support.fake_reviews import FakeReviewStore
from tests.support.fake_workers import STATS, Fleet
from tests.support.keyword_detector import KeywordDetector
from tests.support.ledger_entries import OUTCOME
from tests.support.manual_clock import STARTED, ManualClock, run_with
from tests.support.recorded_journal import RecordedJournal
from tests.support.shelves import FakeStore, stored

from homebred_daemon.adapters.json_schema import JsonSchemaChecker
from homebred_daemon.core.link import Link, SeenLink
from homebred_daemon.core.shelf import DamagedSpecialist, Shelf
from homebred_daemon.errors import RequestError, StateError
from homebred_daemon.inbound.caretaking import ReviewsState, SpecialistState, WorkerState
from homebred_daemon.ports.engines import Prompt
from homebred_daemon.services.answering import Answering
from homebred_daemon.services.caretaking import Caretaking
from homebred_daemon.services.engines import WorkerPool
from homebred_daemon.services.loading import Room
from homebred_daemon.services.models import Site, standing_of
from homebred_daemon.services.recording import Recorder
from homebred_daemon.services.residency import Residency
from homebred_daemon.services.reviews.review_desk import ReviewDesk
from homebred_daemon.services.sessions import Sessions
from homebred_daemon.services.standing import Means
from homebred_engines import api
from homebred_protocol.documents.policy import Policy

SITE = Site(
    policy=Policy(digest="sha256:policy", ceiling_digest="sha256:ceiling"),
    documents=(),
    detector=KeywordDetector(),
    link=lambda _: SeenLink(Link.DOWN),
    context_tokens=512,
)
STRICT = b"version = 1\nescalation = false\n"
PROMPT = Prompt(request_id="r", fairness_key="", messages=(), options=api.GenerateOptions())


class House:
    """A daemon's parts, with a fake store and fake workers."""

    def __init__(
        self,
        *,
        store: FakeStore,
        answering: Answering,
        pool: WorkerPool,
        ledger: FakeLedger,
        recorder: Recorder,
        reviews: ReviewDesk,
    ) -> None:
        self.answering = answering
        self.pool = pool
        self.recorder = recorder
        self.reviews = reviews
        self.ledger = ledger
        self.policies = FakePolicies()
        self.gazetteers = FakeGazetteers()
        self.residency = Residency(answering, pool)
        self.journal = RecordedJournal()
        self.caretaking = Caretaking(
            site=SITE,
            policy=self.policies.in_force(),
            policies=self.policies,
            gazetteers=self.gazetteers,
            store=store,
            answering=answering,
            pool=pool,
            residency=self.residency,
            recorder=recorder,
            reviews=reviews,
            journal=self.journal,
            started_at_utc=STARTED,
        )

    async def use(self, specialist_id: str) -> None:
        """Has a specialist answer once."""
        async for _ in self.pool.generate(self.answering.standing.specialists[specialist_id].model, PROMPT):
            pass


@asynccontextmanager
async def house(store: FakeStore, fleet: Fleet | None = None) -> AsyncIterator[House]:
    ledger, clock, numbers = FakeLedger(), ManualClock(), itertools.count()
    recorder = Recorder(ledger)
    room = Room(max_models=2, slots=1, threads=1, load_timeout_s=60)
    pool = WorkerPool(fleet or Fleet.free(), clock, room, RecordedJournal())
    desk = review_desk(FakeReviewStore(), clock)
    means = Means(
        recorder=recorder,
        pool=pool,
        schemas=JsonSchemaChecker(),
        reviews=desk,
        clock=clock,
        sessions=Sessions(clock),
        new_route_id=lambda: str(next(numbers)),
    )
    async with recorder.running(), desk.running(), pool.running():
        yield House(
            store=store,
            answering=Answering(await standing_of(SITE, store, recorder), means),
            pool=pool,
            ledger=ledger,
            recorder=recorder,
            reviews=desk,
        )


async def test_the_state_names_what_holds() -> None:
    async with house(FakeStore()) as home:
        await home.recorder.outcome(OUTCOME)
        state = await home.caretaking.state()
    assert (state.policy_digest, state.ceiling_digest) == ("sha256:policy", "sha256:ceiling")
    assert state.registry_digest == home.answering.standing.decider.registry.digest
    assert (state.link, state.streams, state.outcomes) == ("down", 0, {"answer": 1})
    assert (state.started_at_utc, state.specialists, state.workers) == (STARTED, (), ())


async def test_the_state_tells_how_the_review_queue_stands() -> None:
    async with house(FakeStore()) as home:
        for number in range(2):
            await home.answering.answer(accepted_task({"task_id": f"t{number}"}), _listen)
        await home.reviews.claim("", by="uid:9", lease_s=0)
        state = await home.caretaking.state()
    assert state.reviews == ReviewsState(
        capacity=3, waiting=1, claimed=1, answered=0, declined=0, expired=0, oldest_filed_at_utc=STARTED
    )


async def _listen(_: object) -> None:
    pass


async def test_every_specialist_says_whether_it_can_be_served_and_if_not_why() -> None:
    shelf = Shelf(
        specialists=(
            stored("a"),
            stored("b", base_digest="sha256:cat"),
            stored("gone", base_is_intact=False),
            replace(stored("odd"), note="its fitness cannot be read"),
        ),
        damaged=(DamagedSpecialist(id="torn", why="its manifest cannot be read"),),
    )
    fleet = Fleet.free()
    fleet.refuses = frozenset({"/models/sha256:cat"})
    async with house(FakeStore(shelf), fleet) as home:
        await home.use("a")
        with pytest.raises(api.ModelRefusedError):
            await home.use("b")
        state = await home.caretaking.state()
    a, b, gone, odd, torn = state.specialists
    assert a == SpecialistState(id="a", engine="echo", base_digest="sha256:base", available=True, loaded=True)
    assert (b.available, b.loaded) == (True, False)
    assert b.note.startswith("parked after 1 failure: It is a picture of a cat.")
    assert (gone.available, gone.note) == (False, "its base model or adapter is missing or cut short: add it again")
    assert odd.note == "its fitness cannot be read"
    assert torn == SpecialistState(id="torn", note="its manifest cannot be read")


async def test_parked_and_pinned_models_are_shown_as_such() -> None:
    shelf = Shelf(
        specialists=(stored("a"), stored("cat", base_digest="sha256:cat"), stored("b", base_digest="sha256:b"))
    )
    fleet = Fleet.free()
    fleet.refuses, fleet.fails_to_load = frozenset({"/models/sha256:cat"}), frozenset({"/models/sha256:b"})
    async with house(FakeStore(shelf), fleet) as home:
        home.residency.pin_model("a", pinned=True)
        for name in ("cat", "b"):
            with pytest.raises(api.EngineError):
                await home.use(name)
        pinned, parked, resting = (await home.caretaking.state()).specialists
    assert (pinned.pinned, pinned.parked, pinned.note) == (True, False, "")
    assert (parked.pinned, parked.parked) == (False, True)
    assert parked.note == "parked after 1 failure: It is a picture of a cat."
    assert (resting.parked, resting.note) == (
        False,
        "1 failure in a row, not asked for another 1 s: It died while it loaded.",
    )


async def test_workers_are_described_and_one_that_ends_as_it_is_asked_has_only_its_pid() -> None:
    fleet = Fleet.free()
    async with house(FakeStore(Shelf(specialists=(stored("a"),))), fleet) as home:
        await home.use("a")
        (worker,) = fleet.workers
        assert (await home.caretaking.state()).workers == (WorkerState(pid=worker.pid, stats=STATS),)
        worker.is_silent = True
        assert (await home.caretaking.state()).workers == (WorkerState(pid=worker.pid, stats=None),)


async def test_a_changed_store_is_taken_up() -> None:
    store = FakeStore()
    async with house(store) as home:
        before = await home.caretaking.state()
        store.shelf = Shelf(specialists=(stored("a"),))
        after = await home.caretaking.reload_models()
        assert [one.id for one in after.specialists] == ["a"]
        assert before.registry_digest != after.registry_digest == home.answering.standing.decider.registry.digest


def test_a_worker_that_does_not_say_how_it_stands_holds_up_neither_the_state_nor_a_reload() -> None:
    fleet, clock = Fleet.free(), ManualClock()
    store = FakeStore(Shelf(specialists=(stored("a"), stored("b", base_digest="sha256:other"))))

    async def looked_after() -> None:
        async with house(store, fleet) as home, asyncio.TaskGroup() as group:
            await home.use("a")
            await home.use("b")
            frozen, sound = fleet.workers
            frozen.describing.clear()
            assert len((await home.caretaking.reload_models()).specialists) == 2
            asking = group.create_task(home.caretaking.state())
            await asyncio.sleep(0)
            clock.pass_s(1.1)
            assert (await asking).workers == (
                WorkerState(pid=frozen.pid, stats=None),
                WorkerState(pid=sound.pid, stats=STATS),
            )

    run_with(clock, looked_after())


async def test_a_model_that_left_the_store_leaves_memory_with_the_reload() -> None:
    fleet = Fleet.free()
    store = FakeStore(Shelf(specialists=(stored("a"), stored("b", base_digest="sha256:other"))))
    async with house(store, fleet) as home:
        await home.use("a")
        await home.use("b")
        store.shelf = Shelf(specialists=(stored("a"),))
        await home.caretaking.reload_models()
        assert [worker.pid for worker in (await home.caretaking.state()).workers] == [fleet.workers[0].pid]


async def test_where_the_store_cannot_be_read_what_held_still_holds() -> None:
    store = FakeStore(Shelf(specialists=(stored("a"),)))
    async with house(store) as home:
        held = home.answering.standing
        store.is_unreadable = True
        with pytest.raises(StateError):
            await home.caretaking.reload_models()
        assert home.answering.standing is held


async def test_a_policy_holds_for_tasks_accepted_from_then_on_and_its_document_is_kept_for_replay() -> None:
    async with house(FakeStore()) as home:
        before = home.answering.standing
        change = await home.caretaking.set_policy(STRICT)
        assert (change.previous_digest, change.digest) != (change.digest, change.previous_digest)
        assert home.answering.standing.decider.policy.escalation is False
        assert before.decider.policy.escalation is True
        assert home.ledger.document("policy", change.digest) == STRICT
        assert (await home.caretaking.state()).policy_origin == "set"
        assert home.policies.kept == STRICT
        await home.caretaking.reload_models()
        assert home.answering.standing.decider.policy.digest == change.digest


async def test_an_empty_policy_brings_the_configured_one_back() -> None:
    async with house(FakeStore()) as home:
        await home.caretaking.set_policy(STRICT)
        change = await home.caretaking.set_policy(b"")
        assert change.digest == home.policies.configured().site.policy.digest
        assert (home.caretaking.policy().origin, home.policies.kept) == ("default", None)


async def test_a_wrong_policy_is_refused_and_the_old_one_stays() -> None:
    async with house(FakeStore()) as home:
        held = home.answering.standing
        with pytest.raises(RequestError, match="escalation") as refusal:
            await home.caretaking.set_policy(b"escalation = 7")
        assert refusal.value.hint
        assert (home.answering.standing, home.policies.kept) == (held, None)


async def test_a_policy_that_is_only_checked_changes_nothing_and_says_what_it_may_not_have_meant() -> None:
    async with house(FakeStore()) as home:
        held = home.answering.standing
        change = await home.caretaking.set_policy(b"air_gap = true\nescalation = true\n", check_only=True)
        assert change.warnings
        assert (home.answering.standing, home.policies.kept) == (held, None)


async def test_a_policy_that_cannot_be_kept_does_not_hold() -> None:
    async with house(FakeStore()) as home:
        held = home.answering.standing
        home.policies.is_full = True
        with pytest.raises(StateError):
            await home.caretaking.set_policy(STRICT)
        assert home.answering.standing is held


async def test_a_gazetteer_of_the_fleet_looks_at_tasks_accepted_from_then_on() -> None:
    async with house(FakeStore()) as home:
        held = home.answering.standing
        await home.caretaking.set_gazetteer(Path("list"))
        assert home.answering.standing.decider.detector is not held.decider.detector
        assert home.answering.standing.decider.cloud_detector is not None
        assert home.gazetteers.kept == Path("list")
        await home.caretaking.set_gazetteer(None)
        assert home.gazetteers.kept is None


async def test_a_gazetteer_that_is_wrong_or_cannot_be_kept_does_not_hold() -> None:
    async with house(FakeStore()) as home:
        held = home.answering.standing
        with pytest.raises(RequestError, match="line 1"):
            await home.caretaking.set_gazetteer(Path("bad"))
        home.gazetteers.is_full = True
        with pytest.raises(StateError):
            await home.caretaking.set_gazetteer(Path("list"))
        assert home.answering.standing is held


async def test_a_policy_and_a_gazetteer_do_not_undo_each_other() -> None:
    async with house(FakeStore()) as home:
        await home.caretaking.set_gazetteer(Path("list"))
        await home.caretaking.set_policy(STRICT)
        assert home.answering.standing.decider.cloud_detector is not None
        assert not home.answering.standing.decider.policy.escalation


async def test_a_drained_daemon_takes_no_tasks_until_it_is_resumed() -> None:
    async with house(FakeStore()) as home:
        assert home.caretaking.drain() == 0
        assert (await home.caretaking.state()).is_draining
        home.caretaking.drain(resume=True)
        assert not (await home.caretaking.state()).is_draining
