from __future__ import annotations

import asyncio
import threading
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.answering_stage import ESCALATABLE, PRIVATE, PUBLIC, WORKFLOW, Actor, Stage, accepted_task
from tests.support.fake_reviews import FakeReviewStore
from tests.support.manual_clock import run_with
from tests.support.metrics_reader import counted
from tests.support.scripted_cloud import ScriptedCloud
from tests.support.scripted_pool import Ends, Hangs, Play, Step, Sure, Takes, says
from tests.support.worker_pools import until
from typing_extensions import override

from homebred_daemon.core.decision import Runtime
from homebred_daemon.core.review import ReviewItem
from homebred_daemon.core.routing import decide
from homebred_daemon.errors import (
    NeedsReviewError,
    NotFoundError,
    NotPermittedError,
    OverloadedError,
    RequestError,
    UnreadError,
)
from homebred_daemon.inbound.answering import Decided
from homebred_daemon.ports.cloud import CloudFinish
from homebred_daemon.ports.review import Bounds, Sealed
from homebred_daemon.services.answering import MAX_DECISIONS
from homebred_daemon.services.releases.shadowing import Answered
from homebred_daemon.services.tallying import Tally
from homebred_engines import api

ANSWER_SCHEMA = '{"type": "object", "required": ["name"]}'
BROKEN = api.EngineFailedError("It broke.")
UNFIT = partial(Actor, fitness=0.7, reference_fitness=0.9)


async def test_a_local_answer_is_streamed_as_it_comes() -> None:
    stage = Stage({"a": Actor(plays=[says("hel", "lo")])})
    assert await stage.answer() == ["decided r1 local a: margin_met", "<< hel", "<< lo", "answer by a"]
    assert stage.written() == ["r1 answer by a"]


async def test_the_decision_is_in_the_ledger_before_anybody_is_asked() -> None:
    stage = Stage({"a": Actor(plays=[says("hello")])})
    seen: list[tuple[int, int]] = []
    stage.on_event = lambda _: seen.append((len(stage.ledger.entries), len(stage.pool.asked)))
    await stage.answer()
    assert seen[0] == (1, 0)


async def test_the_outcome_tells_what_the_generation_took() -> None:
    stage = Stage({"a": Actor(plays=[(Takes(0.5), "hel", Takes(0.25), "lo", Ends())])})
    await stage.answer()
    (outcome,) = stage.outcomes
    record = outcome.record
    assert (record.first_token_ms, record.total_ms, record.finish_reason) == (500.0, 750.0, "stop")
    assert (record.prompt_tokens, record.cached_tokens, record.completion_tokens) == (7, 2, 3)
    assert (record.confidence, outcome.weak, outcome.problem) == (None, False, None)
    assert stage.ledger.outcomes == [record]


async def test_the_engine_is_asked_under_the_route_id_and_the_callers_name() -> None:
    stage = Stage({"a": Actor(plays=[says("hello")])})
    await stage.answer(caller=("uid:7", "gid:8"))
    ((_, prompt),) = stage.pool.asked
    assert (prompt.request_id, prompt.fairness_key) == ("r1", "uid:7")


# Failures before and after the first token


async def test_a_failure_before_the_first_token_is_decided_again_without_that_specialist() -> None:
    stage = Stage({"a": Actor(plays=[(BROKEN,)]), "b": Actor(plays=[says("hello")], size_rank=1)})
    assert await stage.answer() == [
        "decided r1 local a: margin_met",
        "decided r2 after r1 local b: margin_met",
        "<< hello",
        "answer by b: fallback",
    ]
    assert stage.written() == ["r1 error engine_failed", "r2 answer by b: fallback"]
    assert [entry.supersedes for entry in stage.ledger.entries] == ["", "r1"]
    assert stage.ledger.entries[1].inputs.unavailable == {"a"}


async def test_a_task_goes_straight_past_a_specialist_whose_model_is_not_asked_now() -> None:
    stage = Stage({"a": Actor(plays=[says("hello")]), "b": Actor(plays=[says("hello")], size_rank=1)})
    stage.pool.resting = frozenset({stage.actors["a"].served("a").model})
    assert await stage.answer() == ["decided r1 local b: margin_met", "<< hello", "answer by b"]
    assert stage.ledger.entries[0].inputs.unavailable == {"a"}


async def test_specialists_that_share_a_failed_model_are_not_tried_one_after_the_other() -> None:
    names = "abcd"
    stage = Stage({name: Actor(plays=[(BROKEN,)], size_rank=rank) for rank, name in enumerate(names)})

    def rest(_: object) -> None:
        stage.pool.resting = frozenset(stage.actors[name].served(name).model for name in "abc")

    stage.on_event = rest
    stage.pool.script = {**stage.pool.script, "d": [says("hello")]}
    assert await stage.answer() == [
        "decided r1 local a: margin_met",
        "decided r2 after r1 local d: margin_met",
        "<< hello",
        "answer by d: fallback",
    ]


async def test_a_failure_after_the_first_token_is_final() -> None:
    stage = Stage({"a": Actor(plays=[("hel", BROKEN)]), "b": Actor(plays=[says("hello")])})
    assert await stage.answer() == ["decided r1 local a: margin_met", "<< hel", "error engine_unavailable"]
    assert stage.written() == ["r1 error engine_unavailable"]


async def test_a_model_unloaded_after_the_first_token_is_final_too() -> None:
    cut_off = ("hel", Ends(api.FinishReason.CANCELLED))
    stage = Stage({"a": Actor(plays=[cut_off]), "b": Actor(plays=[says("hello")])})
    assert await stage.answer() == ["decided r1 local a: margin_met", "<< hel", "error engine_unavailable"]


async def test_a_model_unloaded_before_the_first_token_is_decided_again() -> None:
    stage = Stage({"a": Actor(plays=[(Ends(api.FinishReason.CANCELLED),)]), "b": Actor(plays=[says("hello")])})
    assert (await stage.answer())[-1] == "answer by b: fallback"


async def test_a_specialist_that_is_in_the_registry_but_not_on_the_device_counts_as_failed() -> None:
    stage = Stage({"a": Actor(), "b": Actor(plays=[says("hello")])}, missing=frozenset({"a"}))
    await stage.answer()
    assert stage.written() == ["r1 error not_served", "r2 answer by b: fallback"]


async def test_a_private_task_whose_last_specialist_failed_goes_to_a_person() -> None:
    stage = Stage({"a": Actor(plays=[(BROKEN,)])})
    assert await stage.answer(PRIVATE | {"allows_escalation": True}) == [
        "decided r1 local a: local_only",
        "decided r2 after r1 no_op none: no_candidate",
        "review needs_review: fallback",
    ]


async def test_after_four_decisions_it_is_enough() -> None:
    stage = Stage({name: Actor(plays=[(BROKEN,)]) for name in "abcdef"})
    heard = await stage.answer()
    assert heard == [
        "decided r1 local a: margin_met",
        "decided r2 after r1 local b: margin_met",
        "decided r3 after r2 local c: margin_met",
        "decided r4 after r3 local d: margin_met",
        "error engine_unavailable: fallback",
    ]
    assert stage.written() == [
        "r1 error engine_failed",
        "r2 error engine_failed",
        "r3 error engine_failed",
        "r4 error engine_unavailable: fallback",
    ]


# Schemas


async def test_an_answer_with_a_schema_is_held_back_until_it_fits() -> None:
    stage = Stage({"a": Actor(plays=[says('{"name":', ' "x"}')])})
    assert await stage.answer(schema=ANSWER_SCHEMA) == [
        "decided r1 local a: margin_met",
        '<< {"name": "x"}',
        "answer by a",
    ]


async def test_an_answer_that_does_not_fit_is_never_heard_and_the_task_is_decided_again() -> None:
    stage = Stage({"a": Actor(plays=[says('{"nam')]), "b": Actor(plays=[says('{"name": 1}')], size_rank=1)})
    assert await stage.answer(schema=ANSWER_SCHEMA) == [
        "decided r1 local a: margin_met",
        "decided r2 after r1 local b: margin_met",
        '<< {"name": 1}',
        "answer by b: fallback",
    ]
    assert stage.written()[0] == "r1 error schema_invalid"


async def test_the_specialists_own_schema_holds_where_the_caller_names_none() -> None:
    stage = Stage({"a": Actor(plays=[says("{}")], response_schema=ANSWER_SCHEMA)})
    assert (await stage.answer())[-1] == "review needs_review: fallback"


async def test_what_is_no_schema_is_refused_before_anything_is_recorded() -> None:
    stage = Stage({"a": Actor()})
    with pytest.raises(RequestError, match="not a JSON Schema"):
        await stage.answer(schema='{"type": "sausage"}')
    assert (stage.heard, stage.ledger.entries) == ([], [])


# Lanes other than the plain local one


async def test_a_cascade_tries_the_smaller_first_and_holds_its_answer_back_until_verified() -> None:
    small, large = Actor(plays=[says("he", "llo")], fitness=0.85), Actor(size_rank=1)
    stage = Stage({"s": small, "l": large})
    assert await stage.answer(PUBLIC | {"kind": "tool_loop"}) == [
        "decided r1 local cascade:s+l: margin_met",
        "<< hello",
        "answer by s",
    ]


@pytest.mark.parametrize("weak", [says(" "), ("hel", Ends(api.FinishReason.LENGTH)), ("hel", BROKEN)])
async def test_a_cascade_goes_on_to_the_larger_where_the_smaller_is_weak_or_fails(weak: Play) -> None:
    stage = Stage({"s": Actor(plays=[weak], fitness=0.85), "l": Actor(plays=[says("hel", "lo")], size_rank=1)})
    assert await stage.answer(PUBLIC | {"kind": "tool_loop"}) == [
        "decided r1 local cascade:s+l: margin_met",
        "<< hel",
        "<< lo",
        "answer by l",
    ]


LOOP = ESCALATABLE | {"kind": "tool_loop"}


async def test_an_answer_that_its_caller_rejects_is_asked_of_a_larger_specialist_and_both_routes_say_so() -> None:
    small, large = Actor(plays=[says("small")], fitness=0.85), Actor(plays=[says("large")], size_rank=1)
    stage = Stage({"s": small, "l": large})
    async with stage.answering() as answering:
        for rejects in ({}, {"rejects": "r1"}, {"rejects": "r2"}, {}):
            await answering.answer(accepted_task(LOOP | rejects, session_id="loop"), stage.hear)
    assert stage.written() == [
        "r1 answer by s",
        "r2 answer by l: rejected_by_caller",
        "r3 answer by l: rejected_by_caller",
        "r4 answer by s",
    ]
    assert [entry.supersedes for entry in stage.ledger.entries] == ["", "r1", "r2", ""]


async def test_what_its_session_never_had_cannot_be_rejected_and_nothing_is_recorded() -> None:
    stage = Stage({"a": Actor(plays=[says("hello")])})
    async with stage.answering() as answering:
        await answering.answer(accepted_task(session_id="one", caller=("uid:1",)), stage.hear)
        for caller, session_id, rejects in (("uid:2", "one", "r1"), ("uid:1", "two", "r1"), ("uid:1", "one", "r9")):
            task = accepted_task(PUBLIC | {"rejects": rejects}, session_id=session_id, caller=(caller,))
            with pytest.raises(NotFoundError):
                await answering.answer(task, stage.hear)
            with pytest.raises(NotFoundError):
                await answering.route(task)
    assert stage.written() == ["r1 answer by a"]


async def test_a_loop_whose_calls_are_spent_asks_the_best_at_once_and_leaves_that_behind() -> None:
    small, large = Actor(plays=[says(" ")], fitness=0.85), Actor(plays=[says("hello")], size_rank=1)
    stage = Stage({"s": small, "l": large})
    async with stage.answering() as answering:
        for _ in range(3):
            await answering.answer(accepted_task(LOOP | {"expected_calls": 2}, session_id="loop"), stage.hear)
    assert [name for name, _ in stage.pool.asked] == ["s", "l", "s", "l", "l"]
    assert stage.written() == ["r1 answer by l", "r2 answer by l", "r3 answer by l: cascade_budget_spent"]


async def test_a_pattern_that_runs_on_is_refused_before_anything_is_recorded() -> None:
    stage = Stage({"a": Actor()})
    with pytest.raises(RequestError, match=r"constraints\.matches is no regular expression") as caught:
        await stage.answer(PUBLIC | {"constraints": {"matches": r"(a+)\1"}})
    assert "back-references" in caught.value.hint
    assert (stage.heard, stage.ledger.entries) == ([], [])


async def test_a_tool_loop_whose_best_fails_stays_here_where_another_task_would_leave() -> None:
    def failing() -> Stage:
        return Stage(
            {"s": UNFIT(plays=[says("")], samples=2000), "l": Actor(plays=[(BROKEN,)], size_rank=1)},
            cloud=ScriptedCloud(["from afar", CloudFinish.STOP]),
        )

    assert (await failing().answer(ESCALATABLE))[-1] == "answer by cloud/default: fallback"
    stage = failing()
    assert await stage.answer(LOOP) == [
        "decided r1 local cascade:s+l: margin_met",
        "decided r2 after r1 local s: offline_local",
        "answer by s: empty, fallback",
    ]
    assert stage.ledger.entries[1].decision.trace[-1] == "link_cause=tool_loop"


async def test_an_escalation_is_answered_here_as_well_as_can_be_while_there_is_no_cloud_lane() -> None:
    stage = Stage({"a": UNFIT(plays=[says("hello")])})
    assert await stage.answer(ESCALATABLE) == [
        "decided r1 cloud_escalation cloud/default: margin_short",
        "<< hello",
        "degraded by a: no_cloud_lane",
    ]


async def test_an_escalation_that_nobody_here_can_stand_in_for_goes_to_a_person() -> None:
    stage = Stage({})
    assert await stage.answer(ESCALATABLE) == [
        "decided r1 cloud_escalation cloud/default: margin_short",
        "review needs_review: no_cloud_lane",
    ]


async def test_a_task_that_no_machine_may_answer_ends_in_review_and_says_so() -> None:
    stage = Stage({"a": UNFIT()})
    assert await stage.answer(PUBLIC) == ["decided r1 no_op none: no_route", "review needs_review"]
    (outcome,) = stage.outcomes
    assert isinstance(outcome.problem, NeedsReviewError)
    assert outcome.problem.message == "no acceptable route under policy: the task does not allow escalation"
    assert outcome.problem.hint


# People


async def test_what_a_person_must_answer_is_filed_before_anybody_hears_so() -> None:
    stage = Stage({"a": UNFIT()})
    filed: list[tuple[int, int]] = []
    stage.on_event = lambda event: filed.append((stage.reviews.open_items(), len(stage.ledger.outcomes)))
    await stage.answer(PUBLIC, caller=("uid:7", "gid:8"))
    assert filed == [(0, 0), (1, 1)]
    (item,) = stage.reviews.held.values()
    assert (item.route_id, item.task_id, item.filed_by) == ("r1", "t", "uid:7")
    assert (item.workflow, item.classes, item.reason_code) == (WORKFLOW, ("public",), "no_route")


async def test_the_caller_hears_that_the_task_is_kept_and_how_to_get_the_answer() -> None:
    stage = Stage({})
    await stage.answer(PRIVATE)
    problem = stage.outcomes[0].problem
    assert problem is not None
    assert "GetReview" in problem.hint
    assert "homebred review wait r1" in problem.hint


async def test_a_full_review_queue_refuses_acceptance_and_nothing_is_recorded() -> None:
    stage = Stage({"a": Actor(plays=[says("hello")], fitness=0.9)})
    async with stage.answering() as answering:
        answering.standing = Stage({}).standing()
        for _ in range(3):
            await answering.answer(accepted_task(), stage.hear)
        stage.heard.clear()
        with pytest.raises(OverloadedError, match="the review queue is full") as refused:
            await answering.answer(accepted_task(), stage.hear)
        assert (stage.heard, len(stage.ledger.entries)) == ([], 3)
        assert refused.value.retry_after_s > 0
        answering.standing = stage.standing()  # what a machine may answer is still taken
        await answering.answer(accepted_task(), stage.hear)
    assert stage.heard[-1] == "answer by a"


async def test_a_queue_that_is_full_only_once_an_engine_has_failed_is_an_error_the_caller_hears() -> None:
    stage = Stage({"a": Actor(plays=[(BROKEN,)])})
    async with stage.answering() as answering:
        answering.standing = Stage({}).standing()
        for _ in range(3):
            await answering.answer(accepted_task(), stage.hear)
        answering.standing = stage.standing()
        stage.heard.clear()
        await answering.answer(accepted_task(PRIVATE), stage.hear)
    assert stage.heard == [
        "decided r4 local a: local_only",
        "decided r5 after r4 no_op none: no_candidate",
        "error overloaded: fallback",
    ]
    assert stage.written()[-2:] == ["r4 error engine_failed", "r5 error overloaded: fallback"]


async def test_an_answer_that_its_caller_did_not_take_whole_is_not_recorded_as_one() -> None:
    async def not_heard() -> None:
        raise UnreadError("the caller does not read")

    stage = Stage({"a": Actor(plays=[says("hello")], fitness=0.9)})
    async with stage.answering() as answering:
        await answering.answer(accepted_task(), stage.hear, not_heard)
    assert stage.written() == ["r1 error unread"]


async def test_tasks_on_their_way_to_a_person_hold_their_room() -> None:
    stage = Stage({})
    async with stage.answering() as answering:
        told = await asyncio.gather(
            *(answering.answer(accepted_task(), stage.hear) for _ in range(5)), return_exceptions=True
        )
    assert [type(one) for one in told] == [type(None)] * 3 + [OverloadedError] * 2
    assert (stage.reviews.open_items(), len(stage.ledger.entries)) == (3, 3)


async def test_where_the_queue_cannot_be_written_the_caller_hears_why() -> None:
    stage = Stage({})
    async with stage.answering() as answering:
        stage.reviews.is_full = True
        await answering.answer(accepted_task(), stage.hear)
        stage.reviews.is_full = False
    assert stage.heard == ["decided r1 no_op none: no_route", "error bad_state"]
    assert stage.written() == ["r1 error bad_state"]


async def test_a_caller_who_leaves_while_its_task_is_filed_still_has_its_item() -> None:
    stage = Stage({})
    gate = threading.Event()
    stage.reviews = GatedStore(gate)
    async with stage.answering() as answering, asyncio.TaskGroup() as group:
        task = group.create_task(answering.answer(accepted_task(), stage.hear))
        await asyncio.to_thread(stage.reviews.entered.wait, 10)
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0)
        gate.set()
    assert task.cancelled()
    assert (stage.written(), stage.reviews.open_items()) == (["r1 review needs_review"], 1)


def test_a_deadline_that_ends_while_a_task_is_filed_takes_nothing_from_it() -> None:
    stage = Stage({})
    gate = threading.Event()
    stage.reviews = store = GatedStore(gate)

    async def late() -> None:
        async with stage.answering() as answering, asyncio.TaskGroup() as group:
            group.create_task(answering.answer(accepted_task(deadline_s=5), stage.hear))
            await asyncio.to_thread(store.entered.wait, 10)
            stage.clock.pass_s(6)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            gate.set()

    run_with(stage.clock, late())
    assert stage.heard == ["decided r1 no_op none: no_route", "review needs_review"]


class GatedStore(FakeReviewStore):
    """Files only once its gate stands open."""

    def __init__(self, gate: threading.Event) -> None:
        super().__init__()
        self.gate = gate
        self.entered = threading.Event()

    @override
    def file(self, item: ReviewItem, sealed: Sealed, bounds: Bounds) -> None:
        self.entered.set()
        assert self.gate.wait(10)
        super().file(item, sealed, bounds)


async def test_detection_keeps_a_task_at_home_that_would_have_escalated() -> None:
    stage = Stage({"a": UNFIT(plays=[says("hello")])})
    heard = await stage.answer(ESCALATABLE, text="the key is sk-live")
    assert heard[0] == "decided r1 local a: local_only"


# Findings


@pytest.mark.parametrize(
    ("play", "outcome", "is_weak"),
    [
        (says(" \n"), "answer by a: empty", True),
        (("hel", Ends(api.FinishReason.LENGTH)), "answer by a: truncated", True),
        ((Sure("he", -0.1), Sure("llo", -3.0), Ends()), "answer by a: low_confidence", True),
        ((Sure("hello", -0.1), Ends()), "answer by a", False),
        ((Takes(2.1), "hello", Ends()), "answer by a: slow", False),
        ((Takes(2.0), "hello", Ends()), "answer by a", False),
    ],
)
async def test_what_verification_finds_is_in_the_outcome(play: Play, outcome: str, is_weak: bool) -> None:  # noqa: FBT001  # a case's column
    policy = {"workflows": {WORKFLOW: {"latency_budget_ms": 2000, "minimum_confidence": 0.5}}}
    stage = Stage({"a": Actor(plays=[play])}, policy)
    assert (await stage.answer())[-1] == outcome
    assert stage.outcomes[0].weak is is_weak


async def test_token_probabilities_are_asked_for_only_where_the_policy_weighs_them() -> None:
    weighing, plain = {"workflows": {WORKFLOW: {"minimum_confidence": 0.5}}}, dict[str, Any]()
    asked = []
    for policy in (weighing, plain):
        stage = Stage({"a": Actor(plays=[says("hello")])}, policy)
        await stage.answer()
        asked.append(stage.pool.asked[0][1].options.logprobs)
    assert asked == [True, False]


# Errors that the caller hears


async def test_a_full_queue_says_when_to_come_back() -> None:
    stage = Stage({"a": Actor(plays=[(api.QueueFullError("Nine wait.", retry_after_s=2.5),)]), "b": Actor()})
    assert await stage.answer() == ["decided r1 local a: margin_met", "error overloaded"]
    problem = stage.outcomes[0].problem
    assert isinstance(problem, OverloadedError)
    assert problem.retry_after_s == 2.5


async def test_a_request_that_no_engine_would_take_is_an_error_of_the_request() -> None:
    stage = Stage({"a": Actor(plays=[(api.InvalidRequestError("A stop string is empty."),)]), "b": Actor()})
    assert await stage.answer() == ["decided r1 local a: margin_met", "error bad_request"]


def test_a_task_not_answered_by_its_deadline_ends_as_an_error_and_its_stream_is_closed() -> None:
    stage = Stage({"a": Actor(plays=[("hel", Takes(30.5), Hangs())])})
    heard = run_with(stage.clock, stage.answer(deadline_s=30))
    assert heard == ["decided r1 local a: margin_met", "<< hel", "error deadline_exceeded"]
    assert stage.written() == ["r1 error deadline_exceeded"]
    assert stage.pool.closed == ["a"]


def test_a_deadline_counts_from_acceptance_and_not_for_each_try() -> None:
    plays = [(Takes(20), BROKEN)]
    stage = Stage({"a": Actor(plays=plays), "b": Actor(plays=[(Takes(20), Hangs())])})
    heard = run_with(stage.clock, stage.answer(deadline_s=30))
    assert heard[-1] == "error deadline_exceeded: fallback"
    assert stage.written() == ["r1 error engine_failed", "r2 error deadline_exceeded: fallback"]


async def test_a_cancelled_task_closes_its_stream_and_leaves_an_outcome() -> None:
    stage = Stage({"a": Actor(plays=[("hel", Hangs())])})
    spoken = asyncio.Event()
    stage.on_event = lambda event: spoken.set() if isinstance(event, str) else None
    async with stage.answering() as answering:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(answering.answer(accepted_task(), stage.hear))
            await spoken.wait()
            assert answering.admission.streams == 1
            task.cancel()
        assert task.cancelled()
        assert answering.admission.streams == 0
    assert stage.heard == ["decided r1 local a: margin_met", "<< hel"]
    assert stage.written() == ["r1 error cancelled"]
    assert stage.pool.closed == ["a"]


async def test_a_task_cancelled_while_its_decision_is_being_committed_leaves_an_outcome_too() -> None:
    stage = Stage({"a": Actor()})
    async with stage.answering() as answering, asyncio.TaskGroup() as group:
        task = group.create_task(answering.answer(accepted_task(), stage.hear))
        await asyncio.sleep(0)
        task.cancel()
    assert stage.heard == []
    assert stage.written() == ["r1 error cancelled"]


async def test_a_caller_who_vanishes_while_listening_leaves_an_outcome() -> None:
    stage = Stage({"a": Actor(plays=[says("hello")])})

    def vanish(event: object) -> None:
        if isinstance(event, str):
            raise BrokenPipeError

    stage.on_event = vanish
    async with stage.answering() as answering:
        await answering.answer(accepted_task(), stage.hear)
    assert stage.written() == ["r1 error internal"]


async def test_where_the_ledger_cannot_be_written_nothing_is_generated_and_the_caller_hears_why() -> None:
    stage = Stage({"a": Actor()})
    stage.ledger.is_full = True
    assert await stage.answer() == ["error bad_state"]
    assert stage.pool.asked == []


async def test_where_the_outcome_cannot_be_stored_the_caller_hears_of_that_instead() -> None:
    stage = Stage({"a": Actor(plays=[says("hello")])})

    def fill(event: object) -> None:
        stage.ledger.is_full = stage.ledger.is_full or isinstance(event, Decided)

    stage.on_event = fill
    assert await stage.answer() == ["decided r1 local a: margin_met", "<< hello", "error bad_state"]


async def test_a_caller_without_the_right_to_a_workflow_is_refused_before_anything_is_recorded() -> None:
    stage = Stage({"a": Actor()}, {"callers": {"uid:7": {"workflows": ["letter.sort"]}}})
    with pytest.raises(NotPermittedError, match=WORKFLOW):
        await stage.answer(caller=("uid:7",))
    assert (stage.heard, stage.ledger.entries) == ([], [])


async def test_a_dry_run_decides_and_leaves_no_trace() -> None:
    stage = Stage({"a": Actor()}, {"callers": {"uid:7": {"workflows": []}}})
    async with stage.answering() as answering:
        assert (await answering.route(accepted_task())).decision.selected_model_or_stack == "a"
        with pytest.raises(NotPermittedError):
            await answering.route(accepted_task(caller=("uid:7",)))
    assert (stage.heard, stage.ledger.entries, stage.pool.asked) == ([], [], [])


async def test_a_running_task_finishes_on_the_standing_it_began_with() -> None:
    stage = Stage({"a": Actor(plays=[says("hello")])})
    async with stage.answering() as answering:

        def change(event: object) -> None:
            if isinstance(event, Decided):
                answering.standing = Stage({}).standing()

        stage.on_event = change
        await answering.answer(accepted_task(), stage.hear)
        assert (await answering.route(accepted_task())).decision.reason_code == "no_route"
    assert stage.heard[-1] == "answer by a"


# I7: every accepted task ends in exactly one outcome, whatever its specialists do

SPEECH: list[Step] = ["hello", '{"name": 1}', " ", Takes(5), Takes(40), Sure("x", -4.0)]
ENDS: list[Step] = [Ends(reason) for reason in api.FinishReason]
FAILURES: list[Step] = [
    BROKEN,
    api.QueueFullError("Full.", retry_after_s=1),
    api.InvalidRequestError("No."),
    api.ContextExceededError("Long.", prompt_tokens=9, context_tokens=8),
    api.UnsupportedOptionError("No."),
]
STEPS = st.sampled_from([*SPEECH, *ENDS, *FAILURES])
ACTORS = st.builds(
    Actor,
    plays=st.lists(st.lists(STEPS, max_size=4), min_size=1, max_size=2),
    fitness=st.sampled_from([0.5, 0.7, 0.9]),
    size_rank=st.integers(0, 2),
)
TASKS = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["repeat", "tool_loop", "drafting"]),
        "data_classes": st.sampled_from([["public"], ["patient"], []]),
        "allows_escalation": st.booleans(),
    }
)


@given(
    actors=st.dictionaries(st.sampled_from("abcdef"), ACTORS, max_size=6),
    task=TASKS,
    schema=st.sampled_from(["", ANSWER_SCHEMA]),
    missing=st.frozensets(st.sampled_from("ab")),
)
@settings(max_examples=30, deadline=None)
def test_i7_every_accepted_task_ends_in_exactly_one_outcome_and_so_does_every_decision(
    actors: dict[str, Actor], task: dict[str, Any], schema: str, missing: frozenset[str]
) -> None:
    stage = Stage(actors, missing=missing)
    heard = run_with(stage.clock, stage.answer({"workflow": WORKFLOW} | task, schema=schema))
    (outcome,) = stage.outcomes
    assert heard[-1].startswith(outcome.record.status)
    assert (outcome.problem is None) == (outcome.record.status in {"answer", "degraded"})
    assert 1 <= len(stage.ledger.entries) <= MAX_DECISIONS
    assert [record.route_id for record in stage.ledger.outcomes] == [one.route_id for one in stage.ledger.entries]
    reviewed = {record.route_id for record in stage.ledger.outcomes if record.status == "review"}
    assert reviewed == set(stage.reviews.held)
    if outcome.record.error_code != "deadline_exceeded":  # time may be up just as a failed route's outcome is written
        assert stage.ledger.outcomes[-1] == outcome.record


@given(actors=st.dictionaries(st.sampled_from("abc"), ACTORS, max_size=3), turns=st.integers(0, 25))
@settings(max_examples=30, deadline=None)
def test_i7_a_task_cancelled_at_any_moment_leaves_one_outcome_for_each_decision(
    actors: dict[str, Actor], turns: int
) -> None:
    stage = Stage(actors)

    async def cancelled_after_turns() -> None:
        async with stage.answering() as answering, asyncio.TaskGroup() as group:
            task = group.create_task(answering.answer(accepted_task(), stage.hear))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()

    run_with(stage.clock, cancelled_after_turns())
    assert [record.route_id for record in stage.ledger.outcomes] == [one.route_id for one in stage.ledger.entries]
    reviewed = {record.route_id for record in stage.ledger.outcomes if record.status == "review"}
    assert reviewed == set(stage.reviews.held)


# Row 3: a tool loop that is answered here stays here


def with_a_best(actors: dict[str, Actor]) -> dict[str, Actor]:
    return actors | {"best": Actor(plays=[(BROKEN,)], fitness=0.99, samples=2000, size_rank=3)}


@given(
    actors=st.dictionaries(st.sampled_from("abc"), ACTORS, max_size=3).map(with_a_best),
    steps=st.lists(
        st.tuples(st.frozensets(st.sampled_from(["a", "b", "best"])), st.booleans()), min_size=1, max_size=3
    ),
    expected_calls=st.sampled_from([None, 0, 1, 3]),
    schema=st.sampled_from(["", ANSWER_SCHEMA]),
)
@settings(max_examples=40, deadline=None)
def test_row_3_no_step_of_a_local_tool_loop_leaves_the_device_whatever_fails(
    actors: dict[str, Actor], steps: list[tuple[frozenset[str], bool]], expected_calls: int | None, schema: str
) -> None:
    cloud = ScriptedCloud(["from afar", CloudFinish.STOP])
    stage = Stage(actors, cloud=cloud)

    async def looped() -> None:
        async with stage.answering() as answering:
            for resting, rejects_last in steps:
                stage.pool.resting = frozenset(actors[name].served(name).model for name in resting & actors.keys())
                answered = [one.route_id for one in stage.ledger.outcomes if one.answered_by]
                rejects = {"rejects": answered[-1]} if rejects_last and answered else {}
                task = LOOP | {"expected_calls": expected_calls} | rejects
                await answering.answer(accepted_task(task, session_id="loop", schema=schema), stage.hear)

    run_with(stage.clock, looped())
    assert (cloud.asked, len(stage.outcomes)) == ([], len(steps))
    for entry in stage.ledger.entries:
        assert entry.decision.selected_runtime is not Runtime.CLOUD_ESCALATION
        assert decide(entry.inputs) == entry.decision


async def test_decisions_outcomes_and_findings_are_counted_each_once() -> None:
    tally = Tally()
    stage = Stage({"a": Actor(plays=[(BROKEN,)]), "b": Actor(plays=[says("fine")], fitness=0.85)}, measures=tally)
    await stage.answer()
    assert stage.heard[-1] == "answer by b: fallback"
    assert counted(tally, "homebred_decisions_total", runtime="local", reason_code="margin_met") == 2
    assert counted(tally, "homebred_tasks_total", status="answer") == 1
    assert counted(tally, "homebred_findings_total", finding="fallback") == 1


async def told_of(stage: Stage, task: dict[str, Any], **accepted: Any) -> list[Answered]:
    """What whoever answers tasks again hears of one."""
    told: list[Answered] = []
    async with stage.answering() as answering:
        answering.heard = lambda answered: told.append(answered) if stage.outcomes else pytest.fail("too early")
        await answering.answer(accepted_task(task, **accepted), stage.hear)
    return told


async def test_once_its_caller_has_the_outcome_whoever_answers_again_hears_of_a_task() -> None:
    stage = Stage({"a": Actor(plays=[says("hello")])})
    (told,) = await told_of(stage, PRIVATE)
    assert (told.asked, told.has_failed, told.was_good) == ("a", False, True)
    assert told.record == stage.outcomes[0].record
    assert told.accepted.text == "hello"


async def test_of_a_task_whose_specialist_failed_it_is_told_who_that_was() -> None:
    stage = Stage({"a": Actor(plays=[(BROKEN,)]), "b": Actor(plays=[says("b")], fitness=0.85)})
    (told,) = await told_of(stage, PUBLIC)
    assert (told.asked, told.record.answered_by, told.was_good) == ("a", "b", False)
    lonely = Stage({"a": Actor(plays=[(BROKEN,)])})
    (failed,) = await told_of(lonely, PUBLIC)
    assert (failed.asked, failed.was_good) == ("a", False)


async def test_of_a_cascade_the_cloud_and_a_person_it_is_told_that_no_specialist_was_asked_alone() -> None:
    cascade = Stage(
        {"a": Actor(plays=[says("")], size_rank=1), "b": Actor(plays=[says("b")], size_rank=2, fitness=0.95)}
    )
    (told,) = await told_of(cascade, PUBLIC | {"kind": "tool_loop"})
    assert (told.asked, told.was_good) == ("", None)
    nobody = Stage({})
    (told,) = await told_of(nobody, PRIVATE)
    assert (told.asked, told.was_good) == ("", None)


async def test_who_left_and_who_was_not_taken_are_not_told_of() -> None:
    stage = Stage({"a": Actor(plays=[("half", Hangs())])})
    told: list[Answered] = []
    async with stage.answering() as answering, asyncio.TaskGroup() as group:
        answering.heard = told.append
        asking = group.create_task(answering.answer(accepted_task(PUBLIC), stage.hear))
        await until(lambda: "<< half" in stage.heard)
        asking.cancel()
    assert told == []
