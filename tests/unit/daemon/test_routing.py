from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.support.cases import random_cases
from tests.support.product import inputs_of, parsed
from tests.support.random_documents import ALL_CLASSES

from homebred_daemon.core.decision import Reason, RouteDecision, Runtime
from homebred_daemon.core.link import Link
from homebred_daemon.core.routing import RULES, DecisionInputs, awaits_residual_risk, decide, degraded_stack
from homebred_protocol.documents.policy import Policy, bounded, read_ceiling, read_policy
from homebred_protocol.documents.registry import read_registry
from homebred_protocol.documents.task import Task

WORKFLOW = "intake.normalise"
NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
PUBLIC = {"data_classes": ("public",)}
ESCALATABLE = {**PUBLIC, "allows_escalation": True}
DRAFT = {**ESCALATABLE, "kind": "drafting"}
CLOUD = {"fitness": 0.99, "tokens_per_s": 60, "price_per_1k_tokens": 0.001}


def specialist(name: str, fitness: float = 0.95, reference: float | None = 0.9, **more: Any) -> dict[str, Any]:
    entry = {"fitness": fitness, "samples": 500, "reference_fitness": reference}
    return {"id": name, "engine": "echo", "workflows": {WORKFLOW: entry}, "tokens_per_s": 50, **more}


FIT = specialist("fit")
SHORT = specialist("short", fitness=0.7)  # at the floor of 0.6, far below its reference
POOR = specialist("poor", fitness=0.5)


def inputs(
    task: dict[str, Any],
    *specialists: dict[str, Any],
    policy: dict[str, Any] | None = None,
    ceiling: dict[str, Any] | None = None,
    link: str = "up",
    risk: float | None = 0.0,
    **more: Any,
) -> DecisionInputs:
    holds = read_policy(policy or {}, "sha256:policy")
    return DecisionInputs(
        task=Task(task_id="t", **({"workflow": WORKFLOW} | task)),
        registry=read_registry({"specialists": list(specialists)}, "sha256:registry"),
        policy=holds if ceiling is None else bounded(holds, read_ceiling(ceiling, "sha256:ceiling")),
        link=Link(link),
        now=NOW,
        residual_risk=risk,
        context_method="redaction",
        **more,
    )


def routed(task: dict[str, Any], *specialists: dict[str, Any], **more: Any) -> str:
    decision = decide(inputs(task, *specialists, **more))
    return f"{decision.selected_runtime} {decision.selected_model_or_stack}: {decision.reason_code}"


# The contract's six rows


def test_row_1_private_data_is_answered_here_or_by_a_person_whatever_else_is_allowed() -> None:
    private = {**ESCALATABLE, "data_classes": ("public", "patient")}
    assert routed(private, SHORT) == "local short: local_only"
    assert routed(private, POOR) == "no_op none: below_floor"
    assert routed(private) == "no_op none: no_candidate"


def test_row_2_a_repeated_task_is_answered_by_its_specialist() -> None:
    assert routed({**ESCALATABLE, "kind": "repeat"}, FIT, SHORT) == "local fit: margin_met"


def test_row_3_a_tool_loop_climbs_a_local_cascade() -> None:
    large = specialist("large", size_rank=9)
    assert routed({**PUBLIC, "kind": "tool_loop"}, large, SHORT, POOR) == "local cascade:short+large: margin_met"
    assert routed({**PUBLIC, "kind": "tool_loop"}, FIT) == "local fit: margin_met"


def test_row_4_a_synthesis_that_no_specialist_is_fit_for_escalates_redacted() -> None:
    task = {**ESCALATABLE, "kind": "synthesis"}
    assert routed(task, SHORT) == "cloud_escalation cloud/default: margin_short"
    assert routed(task, SHORT, risk=0.3) == "no_op none: residual_risk"


def test_row_5_public_drafting_goes_where_the_utility_is() -> None:
    models = {"models": {"cloud/default": CLOUD}}
    dear = {"models": {"cloud/default": CLOUD | {"price_per_1k_tokens": 1.0}}}
    assert routed(DRAFT, FIT, policy=models) == "cloud_escalation cloud/default: utility_cloud"
    assert routed(DRAFT, FIT, policy=dear) == "local fit: utility_local"
    assert routed(DRAFT, FIT) == "local fit: utility_local", "no profile of the cloud: a missing figure"
    assert routed({**DRAFT, "data_classes": ("public", "hr")}, FIT, policy={**models, "extra_classes": ["hr"]}) == (
        "local fit: margin_met"
    )


@pytest.mark.parametrize(("link", "policy"), [("down", {}), ("portal", {}), ("metered", {}), ("up", {"air_gap": True})])
def test_row_6_offline_the_best_at_the_floor_carries_on(link: str, policy: dict[str, Any]) -> None:
    assert routed(ESCALATABLE, SHORT, POOR, link=link, policy=policy) == "local short: offline_local"
    assert routed(ESCALATABLE, POOR, link=link, policy=policy) == "no_op none: no_route"
    assert routed(PUBLIC, SHORT, link=link, policy=policy) == "no_op none: no_route", "not for want of the link"


# Who forbids


@pytest.mark.parametrize(
    ("task", "more", "because"),
    [
        (PUBLIC, {}, "the task does not allow escalation"),
        (ESCALATABLE, {"policy": {"escalation": False}}, "the policy forbids escalation"),
        (ESCALATABLE, {"ceiling": {"escalation": False}}, "the policy forbids escalation"),
        (ESCALATABLE, {"caller": ("token:kiosk",)}, "this caller may not escalate"),
        (
            ESCALATABLE,
            {"caller": ("uid:7",), "policy": {"callers": {"uid:7": {"workflows": []}}}},
            "this caller may not use this workflow",
        ),
        (ESCALATABLE, {"policy": {"air_gap": True}}, "the site is air-gapped"),
        (ESCALATABLE, {"ceiling": {"air_gap": True}}, "the site is air-gapped"),
        (ESCALATABLE, {"link": "down"}, "the link is down"),
        (ESCALATABLE, {"link": "metered"}, "the link is metered"),
        (ESCALATABLE, {"link": "portal"}, "the link ends at a captive portal"),
        (PUBLIC, {"link": "down"}, "the task does not allow escalation"),  # the link is not what stops it
    ],
)
def test_a_person_is_told_what_stood_in_the_way(task: dict[str, Any], more: dict[str, Any], because: str) -> None:
    decision = decide(inputs(task, POOR, **more))
    assert decision.reason_code is Reason.NO_ROUTE
    assert decision.local_reason == f"no acceptable route under policy: {because}"
    assert any(line.startswith("blocked_by=") for line in decision.trace)


def test_a_metered_link_will_do_where_the_policy_says_so() -> None:
    metered = {"metered_escalation": True}
    assert routed(ESCALATABLE, SHORT, link="metered", policy=metered) == "cloud_escalation cloud/default: margin_short"


def test_a_caller_who_may_not_use_the_workflow_gets_no_specialist_either() -> None:
    callers = {"callers": {"uid:7": {"workflows": ["letter.sort"]}}}
    assert routed(PUBLIC, FIT, caller=("uid:7",), policy=callers) == "no_op none: no_route"


# Classes


@pytest.mark.parametrize(
    ("task", "more", "trace"),
    [
        ({"allows_escalation": True}, {}, ("default_class", "local_only_class=client")),
        ({**ESCALATABLE, "data_classes": ("code", "public")}, {}, ("local_only_class=code",)),
        ({**ESCALATABLE, "data_classes": ("Public",)}, {}, ("unknown_class",)),
        (ESCALATABLE, {"detected": frozenset({"patient"})}, ("local_only_class=patient",)),
        (
            ESCALATABLE,
            {"caller": ("gid:5",), "policy": {"callers": {"gid:5": {"adds_classes": ["voice"]}}}},
            ("local_only_class=voice",),
        ),
        (
            {**ESCALATABLE, "data_classes": ("hr",)},
            {"policy": {"extra_classes": ["hr"]}, "ceiling": {"local_only_classes": ["hr"]}},
            ("local_only_class=hr",),
        ),
    ],
)
def test_where_a_local_only_class_may_come_from(
    task: dict[str, Any], more: dict[str, Any], trace: Sequence[str]
) -> None:
    decision = decide(inputs(task, SHORT, **more))
    assert decision.reason_code is Reason.LOCAL_ONLY
    assert [line for line in decision.trace if "class" in line] == list(trace)


def test_a_class_of_the_policys_own_that_is_not_local_only_may_leave() -> None:
    policy = {"extra_classes": ["hr"], "default_class": "hr"}
    assert routed({"allows_escalation": True}, SHORT, policy=policy) == "cloud_escalation cloud/default: margin_short"


# Minimum margins


@pytest.mark.parametrize(
    ("task", "policy", "reason"),
    [
        ({}, {}, Reason.MARGIN_MET),
        ({}, {"default_minimum_margin": 0.5}, Reason.NO_ROUTE),
        ({}, {"default_minimum_margin": 0.5, "workflows": {WORKFLOW: {"minimum_margin": 0}}}, Reason.MARGIN_MET),
        ({}, {"workflows": {WORKFLOW: {"minimum_margin": 0.5}}}, Reason.NO_ROUTE),
        ({"minimum_margin": 0.5}, {}, Reason.NO_ROUTE),
        ({"minimum_margin": 0.0}, {"workflows": {WORKFLOW: {"minimum_margin": 0.5}}}, Reason.MARGIN_MET),
    ],
)
def test_the_tasks_minimum_margin_goes_before_the_workflows_and_that_before_the_policys(
    task: dict[str, Any], policy: dict[str, Any], reason: Reason
) -> None:
    assert decide(inputs({**PUBLIC, **task}, FIT, policy=policy)).reason_code is reason


def test_private_data_ignores_the_minimum_margin_and_public_data_the_floor() -> None:
    assert routed({"data_classes": ("patient",), "minimum_margin": 1.0}, FIT) == "local fit: local_only"
    assert routed({**PUBLIC, "minimum_margin": -1.0}, POOR) == "local poor: margin_met"


# Residual risk


def test_an_unmeasured_risk_asks_for_a_measurement_and_a_high_one_does_not() -> None:
    unmeasured, risky = inputs(ESCALATABLE, SHORT, risk=None), inputs(ESCALATABLE, SHORT, risk=0.21)
    assert awaits_residual_risk(unmeasured, decide(unmeasured))
    assert not awaits_residual_risk(risky, decide(risky))
    assert routed(ESCALATABLE, SHORT, risk=0.2) == "cloud_escalation cloud/default: margin_short"
    assert "the risk left after redaction was not measured" in decide(unmeasured).local_reason


def test_the_ceiling_bounds_the_risk() -> None:
    bound = {"maximum_residual_risk": 0.1}
    assert routed(ESCALATABLE, SHORT, risk=0.15, ceiling=bound) == "no_op none: residual_risk"


# Standing in, time, trace


def test_who_stands_in_for_an_escalation_is_the_best_candidate_whatever_its_floor() -> None:
    assert degraded_stack(inputs(ESCALATABLE, POOR)) == "poor"
    assert degraded_stack(inputs(ESCALATABLE, POOR, unavailable=frozenset({"poor"}))) == ""


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        replace(inputs(PUBLIC), now=datetime(2026, 11, 23))  # noqa: DTZ001  # that is the point


def test_the_trace_says_what_each_rule_saw() -> None:
    assert decide(inputs(ESCALATABLE, SHORT, POOR)).trace == (
        "candidate short margin=-0.2347 at_floor=true",
        "candidate poor margin=-0.4367 at_floor=false",
        "residual_risk=0.0000 maximum=0.2000",
        "context=redaction",
    )


def test_the_last_rule_always_yields_so_that_there_is_always_a_decision() -> None:
    assert [rule.__name__ for rule in RULES] == [
        "stays_on_the_device",
        "drafts_by_utility",
        "meets_the_margin",
        "escalates",
        "continues_offline",
        "goes_to_a_person",
    ]


# Invariants, over random sites and tasks

SEEDS = st.integers(0, 2**32)
PRIVATE_REASONS = {Reason.LOCAL_ONLY, Reason.BELOW_FLOOR, Reason.NO_CANDIDATE}


def random_inputs(seed: int) -> DecisionInputs:
    (case,) = random_cases(seed, 1)
    return inputs_of(case, parsed(case.world))


def is_private(decision: RouteDecision, policy: Policy) -> bool:
    """Whether any label is local-only or unknown, in other words than the router's."""
    known = {"client", "patient", "student", "voice", "biometric", "code", "trade_secret", "public"}
    return any(
        name in policy.local_only_classes or name not in known | policy.extra_classes for name in decision.classes
    )


@given(seed=SEEDS)
@settings(max_examples=120)
def test_i4_a_local_only_task_can_reach_no_branch_that_names_a_cloud(seed: int) -> None:
    given_inputs = random_inputs(seed)
    decision = decide(given_inputs)
    if is_private(decision, given_inputs.policy):
        assert decision.reason_code in PRIVATE_REASONS
        assert not decision.redaction_required
    else:
        assert decision.reason_code not in PRIVATE_REASONS


@given(seed=SEEDS, label=st.sampled_from(["patient", "Patient ", "hr"]))
@settings(max_examples=70)
def test_i4_even_with_everything_else_in_favour_of_the_cloud(seed: int, label: str) -> None:
    before = random_inputs(seed)
    task = replace(before.task, data_classes=(label,), allows_escalation=True, minimum_margin=1.0)
    policy = replace(before.policy, escalation=True, air_gap=False, local_only_classes=frozenset({"patient", "hr"}))
    decision = decide(replace(before, task=task, policy=policy, link=Link.UP, caller=(), residual_risk=0.0))
    assert decision.selected_runtime is not Runtime.CLOUD_ESCALATION
    assert decision.reason_code in PRIVATE_REASONS


@given(seed=SEEDS)
@settings(max_examples=70)
def test_i5_the_same_inputs_give_the_same_decision(seed: int) -> None:
    assert decide(random_inputs(seed)) == decide(random_inputs(seed))


@given(seed=SEEDS, found=st.frozensets(st.sampled_from(ALL_CLASSES), min_size=1))
@settings(max_examples=120)
def test_i6_detection_only_raises(seed: int, found: frozenset[str]) -> None:
    before = random_inputs(seed)
    without, with_found = decide(before), decide(replace(before, detected=before.detected | found))
    assert set(without.classes) | found == set(with_found.classes)
    if without.reason_code in PRIVATE_REASONS:
        assert with_found.selected_model_or_stack == without.selected_model_or_stack
        assert with_found.reason_code is without.reason_code
    if without.selected_runtime is not Runtime.CLOUD_ESCALATION:
        assert with_found.selected_runtime is not Runtime.CLOUD_ESCALATION


@given(seed=SEEDS, met=st.frozensets(st.sampled_from(ALL_CLASSES)))
@settings(max_examples=70)
def test_what_a_session_carries_weighs_as_what_is_found_now(seed: int, met: frozenset[str]) -> None:
    before = random_inputs(seed)
    found, carried = decide(replace(before, detected=before.detected | met)), decide(replace(before, carried=met))
    assert replace(found, trace=()) == replace(carried, trace=())
    assert {f"session={name}" for name in set(carried.classes) - set(decide(before).classes)} <= set(carried.trace)


@given(seed=SEEDS)
@settings(max_examples=70)
def test_i6_an_unlabelled_task_takes_the_policys_default_class_and_a_labelled_one_its_own(seed: int) -> None:
    before = random_inputs(seed)
    declared = set(before.task.data_classes) or {before.policy.default_class}
    decision = decide(replace(before, detected=frozenset(), caller=()))
    assert set(decision.classes) == declared
    assert ("default_class" in decision.trace) is (not before.task.data_classes)


@given(seed=SEEDS)
@settings(max_examples=70)
def test_a_failed_specialist_is_never_chosen_again_and_a_private_task_never_leaves_its_branch(seed: int) -> None:
    before = random_inputs(seed)
    first = decide(before)
    assume(first.stack)
    again = decide(replace(before, unavailable=before.unavailable | {first.stack[-1]}))
    assert first.stack[-1] not in again.stack
    if first.reason_code in PRIVATE_REASONS:
        assert again.reason_code in PRIVATE_REASONS


@pytest.mark.parametrize("link", ["down", "portal", "metered"])
def test_the_trace_says_why_the_link_forbids(link: str) -> None:
    trace = decide(inputs(ESCALATABLE, SHORT, link=link, link_cause="budget_spent")).trace
    assert trace[-2:] == (f"blocked_by=link_{link}", "link_cause=budget_spent")


def test_a_link_that_forbids_nothing_is_not_explained() -> None:
    assert not any("link_cause" in line for line in decide(inputs(ESCALATABLE, SHORT, link_cause="up")).trace)
