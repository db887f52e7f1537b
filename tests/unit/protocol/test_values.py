from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from homebred_protocol.client.errors import CallError, FailedError, NeedsReviewError
from homebred_protocol.client.values import (
    Answer,
    Decision,
    Fallback,
    Outcome,
    Problem,
    Review,
    ReviewState,
    Runtime,
    Status,
    Task,
)

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
DECISION = Decision(
    selected_runtime=Runtime.LOCAL,
    selected_model_or_stack="repeater",
    local_reason="local fitness margin met",
    redaction_required=False,
    evidence_required=False,
    fallback_target=Fallback.NONE,
    route_created_at_utc=NOW,
    reason_code="margin_met",
    classes=("public",),
    policy_digest="sha256:p",
    trace=(),
    route_id="r-1",
    supersedes="",
)
OUTCOME = Outcome(
    status=Status.ANSWER,
    weak=False,
    findings=(),
    answered_by="repeater",
    finish_reason="stop",
    prompt_tokens=1,
    cached_tokens=0,
    completion_tokens=1,
    first_token_ms=1.0,
    total_ms=2.0,
    confidence=None,
    problem=None,
)


def answer(status: Status, *, weak: bool = False, problem: Problem | None = None) -> Answer:
    outcome = replace(OUTCOME, status=status, weak=weak, problem=problem)
    return Answer(decisions=(DECISION,), outcome=outcome, streamed='{"n": 1}')


@pytest.mark.parametrize(
    ("status", "weak", "sure"),
    [
        (Status.ANSWER, False, True),
        (Status.ANSWER, True, False),
        (Status.DEGRADED, False, False),
        (Status.DEGRADED, True, False),
    ],
)
def test_an_answer_has_text_and_says_whether_it_may_be_acted_on(status: Status, weak: bool, sure: bool) -> None:  # noqa: FBT001
    told = answer(status, weak=weak)
    assert (told.text, told.json(), told.is_sure, told.needs_review) == ('{"n": 1}', {"n": 1}, sure, False)


def test_who_forgets_the_person_gets_an_error_that_names_the_route_not_an_empty_text() -> None:
    told = answer(Status.REVIEW, problem=Problem(code="needs_review", message="nobody", hint="wait", retry_after_s=0))
    assert told.needs_review
    assert not told.is_sure
    with pytest.raises(NeedsReviewError, match="nobody") as forgotten:
        told.text  # noqa: B018  # reading is the point
    assert forgotten.value.route_id == "r-1"
    with pytest.raises(NeedsReviewError):
        told.json()


@pytest.mark.parametrize("status", [Status.ERROR, Status.UNKNOWN])
def test_what_is_no_known_answer_has_no_text(status: Status) -> None:
    with pytest.raises(FailedError, match=status.value):
        answer(status).text  # noqa: B018
    assert not answer(status).is_sure


def test_the_last_decision_is_the_one_that_holds() -> None:
    later = replace(DECISION, route_id="r-2", supersedes="r-1")
    told = Answer(decisions=(DECISION, later), outcome=OUTCOME, streamed="")
    assert (told.decision, told.route_id) == (later, "r-2")


@pytest.mark.parametrize("state", ReviewState)
def test_a_review_has_ended_once_nothing_more_will_come(state: ReviewState) -> None:
    review = Review(route_id="r", state=state, output=None, note="", filed_at_utc=None, expires_at_utc=None)
    assert review.ended == (state.value in ("answered", "declined", "expired"))


def test_words_are_themselves_in_text_and_json() -> None:
    assert f"{Status.ANSWER} {Runtime.NO_OP!s}" == "answer no_op"
    assert json.dumps({"status": Status.REVIEW}) == '{"status": "review"}'
    assert Status("answer") is Status.ANSWER


def test_one_task_of_a_kind_is_made_from_another() -> None:
    kind = Task(workflow="event.normalise", data_classes=("internal",), deadline_s=2.0)
    assert replace(kind, text="lathe 4 leaks") == Task(
        "lathe 4 leaks", workflow="event.normalise", data_classes=("internal",), deadline_s=2.0
    )


def test_every_enum_can_say_that_it_does_not_know() -> None:
    assert all(kind.UNKNOWN == "unknown" for kind in (Runtime, Fallback, Status, ReviewState))
    assert issubclass(NeedsReviewError, CallError)
