"""What a controller hears of an ended task, and of one that must not leave."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.told_routes import AT, ENDED, PRIVATE, ROUTE, TELLING, WORKFLOWS, routes, told_by

from homebred_daemon.core.decision import Reason
from homebred_daemon.core.telemetry import (
    LOCAL_BRANCH,
    OTHER,
    TOLD_FINDINGS,
    UNRECOGNISED,
    Route,
    is_guarded,
    power_of_two,
    route_fact,
    seconds,
    telling,
)
from homebred_protocol.documents.policy import CallerProfile, Policy, WorkflowPolicy
from homebred_protocol.documents.registry import Fitness, Registry, Specialist
from homebred_protocol.documents.task import BUILT_IN_CLASSES

HOUR = int(datetime(2026, 11, 23, 9, tzinfo=UTC).timestamp())


def test_of_an_open_task_the_facts_are_told() -> None:
    fact = route_fact(ROUTE, TELLING)
    assert not fact.guarded
    assert (fact.route_id, fact.stack, fact.answered_by) == (ROUTE.route_id, "clinic-intake", "clinic-intake")
    assert (fact.prompt_tokens, fact.first_token_ms, fact.total_ms) == (100, 12, 100)
    assert (fact.confidence_ppm, fact.policy_digest) == (750_000, ROUTE.policy_digest)
    assert fact.recorded_at_s == fact.created_at_s == int(AT.timestamp())


def test_of_a_guarded_task_only_words_powers_of_two_and_the_hour_are_told() -> None:
    fact = route_fact(PRIVATE, TELLING)
    assert fact.guarded
    assert (fact.route_id, fact.stack, fact.local_reason, fact.answered_by, fact.policy_digest) == ("",) * 5
    assert (fact.prompt_tokens, fact.completion_tokens, fact.first_token_ms, fact.total_ms) == (128, 64, 16, 128)
    assert fact.confidence_ppm is None
    assert fact.recorded_at_s == fact.created_at_s == HOUR
    assert (fact.workflow, fact.classes, fact.reason) == ("intake.extract", ("patient",), Reason.LOCAL_ONLY)


TEXTS = {"stack", "local_reason", "route_id", "answered_by", "policy_digest"}


@given(routes)
def test_every_field_of_every_guarded_task_is_a_word_a_power_of_two_or_an_hour(route: Route) -> None:
    fact = route_fact(route, TELLING)
    if not fact.guarded:
        return
    assert {getattr(fact, name) for name in TEXTS} == {""}
    assert fact.workflow in WORKFLOWS | {"", UNRECOGNISED}
    assert set(fact.classes) <= {*BUILT_IN_CLASSES, OTHER}
    assert set(fact.findings) <= {*TOLD_FINDINGS, OTHER}
    for number in (fact.prompt_tokens, fact.completion_tokens, fact.total_ms, fact.first_token_ms or 0):
        assert number & (number - 1) == 0
    assert fact.recorded_at_s % 3600 == fact.created_at_s % 3600 == 0
    assert fact.confidence_ppm is None
    told = {field.name for field in fields(fact)} - TEXTS
    assert {name for name in told if isinstance(getattr(fact, name), str)} == {
        *("runtime", "fallback", "reason", "workflow", "status", "link"),
    }


@given(routes)
def test_a_callers_own_workflow_and_labels_are_told_of_no_task(route: Route) -> None:
    fact = route_fact(route, TELLING)
    assert fact.workflow in WORKFLOWS | {"", UNRECOGNISED}
    assert set(fact.classes) <= {*BUILT_IN_CLASSES, OTHER}


@given(routes)
def test_a_task_is_guarded_by_its_branch_a_local_only_label_or_one_that_nobody_knows(route: Route) -> None:
    policy = Policy()
    expected = route.reason in LOCAL_BRANCH or not set(route.classes) <= {"public"}
    assert is_guarded(route, policy) is expected


def test_a_policy_that_became_stricter_guards_what_was_decided_before() -> None:
    assert not is_guarded(ROUTE, Policy())
    assert is_guarded(ROUTE, Policy(local_only_classes=frozenset({"public"})))


def test_a_policy_that_became_looser_does_not_open_what_was_decided_before() -> None:
    assert is_guarded(PRIVATE, Policy(local_only_classes=frozenset()))


def test_a_label_of_the_sites_own_is_told_as_other() -> None:
    told = told_by(extra_classes=frozenset({"press"}))
    fact = route_fact(replace(ROUTE, classes=("press", "public")), told)
    assert (fact.guarded, fact.classes) == (False, ("other", "public"))


def test_findings_without_a_word_on_the_wire_are_told_as_other_once() -> None:
    ended = replace(ENDED, findings=("slow", "captive_portal", "altered_token"))
    assert route_fact(replace(ROUTE, ended=ended), TELLING).findings == ("slow", "other")


def test_a_task_without_a_workflow_has_none() -> None:
    assert route_fact(replace(ROUTE, workflow=None), TELLING).workflow == ""


def test_an_open_task_is_not_told() -> None:
    with pytest.raises(ValueError, match="without an outcome"):
        route_fact(replace(ROUTE, ended=None), TELLING)


def test_workflows_may_be_named_that_the_policy_a_caller_profile_or_a_specialist_names() -> None:
    fitness = Fitness(fitness=0.9, samples=10)
    registry = Registry(
        digest="", specialists=(Specialist(id="a", engine="echo", workflows={"spoken": fitness, "*": fitness}),)
    )
    policy = Policy(
        workflows={"ruled": WorkflowPolicy(), "x" * 200: WorkflowPolicy()},
        callers={"uid:1": CallerProfile(workflows=("granted",)), "uid:2": CallerProfile()},
    )
    assert telling(policy, registry).workflows == {"spoken", "ruled", "granted"}


@given(st.floats(0, 1e12) | st.integers(0, 2**50))
def test_a_power_of_two_is_the_least_that_is_no_less(number: float) -> None:
    found = power_of_two(number)
    assert found >= number
    assert found & (found - 1) == 0
    assert found in (0, 1) or found / 2 < number


@pytest.mark.parametrize("guarded", [True, False])
def test_seconds_are_those_of_the_hour_where_guarded(*, guarded: bool) -> None:
    assert seconds(AT, guarded=guarded) == (HOUR if guarded else HOUR + 41 * 60 + 17)
