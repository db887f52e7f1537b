"""The oracle against print: published limits, the contract's six rows, its reason codes and its silent points.

A wrong oracle makes a correct router look wrong, so what it rests on is anchored here to figures from elsewhere.
"""

from __future__ import annotations

from itertools import groupby, islice, product
from math import sqrt
from typing import Any

import pytest
from tests.support.cases import TASKS_PER_WORLD, exhaustive_cases, random_cases
from tests.support.oracle import (
    FACTS,
    RECORDS,
    Document,
    entry_margin,
    oracle,
    paired_margin,
    reasons_for,
    rounded,
    unpaired_margin,
    wilson,
)

Z_TWO_SIDED_95 = 1.959963984540054
W = "intake.normalise"
CLOUD = "cloud/default"


# Published figures. "To four decimals" is what the papers print.


@pytest.mark.parametrize(
    ("successes", "count", "lower", "upper"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_limits_are_those_newcombe_printed_for_single_proportions(
    successes: int, count: int, lower: float, upper: float
) -> None:
    # Newcombe 1998, Statistics in Medicine 17:857, table I, method 3
    limits = wilson(successes / count, count, Z_TWO_SIDED_95)
    assert limits == pytest.approx((lower, upper), abs=5e-5)


@pytest.mark.parametrize("count", [1, 2, 5, 20, 150, 1000])
def test_wilson_limits_touch_the_ends_exactly_and_never_leave_the_interval(count: int) -> None:
    assert wilson(0.0, count)[0] == 0.0
    assert wilson(1.0, count)[1] == 1.0
    assert all(0.0 <= wilson(k / 40, count)[0] <= k / 40 <= wilson(k / 40, count)[1] <= 1.0 for k in range(41))


@pytest.mark.parametrize(
    ("one", "other", "lower", "upper"),
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((0, 10), (0, 10), -0.2775, 0.2775),
        ((10, 10), (0, 20), 0.6791, 1.0),
        ((10, 10), (0, 10), 0.6075, 1.0),
    ],
)
def test_unpaired_limits_are_those_newcombe_printed_for_method_10(
    one: tuple[int, int], other: tuple[int, int], lower: float, upper: float
) -> None:
    # Newcombe 1998, Statistics in Medicine 17:873, table II; the upper limit is the lower one of the swapped difference
    first, second = (one[0] / one[1], one[1]), (other[0] / other[1], other[1])
    assert unpaired_margin(*first, *second, Z_TWO_SIDED_95) == pytest.approx(lower, abs=5e-5)
    assert -unpaired_margin(*second, *first, Z_TWO_SIDED_95) == pytest.approx(upper, abs=5e-5)


def test_paired_limits_are_the_published_ones_for_airway_hyper_responsiveness() -> None:
    # Bentur et al. 2009 as analysed by Fagerland, Lydersen & Laake 2014: 1, 1, 7, 12 gives -0.507 to -0.026
    assert paired_margin(1, 1, 7, 12, Z_TWO_SIDED_95) == pytest.approx(-0.507, abs=5e-4)
    assert -paired_margin(1, 7, 1, 12, Z_TWO_SIDED_95) == pytest.approx(-0.026, abs=5e-4)


@pytest.mark.parametrize(
    ("table", "phi"),
    [
        ((85, 5, 5, 5), (85 * 5 - 5 * 5 - 50) / (90 * 10)),  # over n/2: reduced by it
        ((1, 1, 7, 12), 0.0),  # between 0 and n/2: none
        ((5, 40, 30, 5), (5 * 5 - 40 * 30) / sqrt(45 * 35 * 35 * 45)),  # negative: as it is
        ((60, 0, 0, 0), 0.0),  # a marginal of 0: undefined, taken as none
    ],
)
def test_a_paired_margin_corrects_the_correlation_for_continuity(table: tuple[int, int, int, int], phi: float) -> None:
    both, only_local, only_reference, neither = table
    count = sum(table)
    p1, p2 = (both + only_local) / count, (both + only_reference) / count
    below, above = p1 - wilson(p1, count)[0], wilson(p2, count)[1] - p2
    expected = (only_local - only_reference) / count - sqrt(below**2 - 2 * phi * below * above + above**2)
    assert paired_margin(both, only_local, only_reference, neither) == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize(("share", "count", "margin"), [(1.0, 150, -0.018), (0.95, 150, -0.044), (0.95, 1000, -0.016)])
def test_an_equal_specialist_has_the_margin_its_samples_allow(share: float, count: int, margin: float) -> None:
    assert unpaired_margin(share, count, share, count) == pytest.approx(margin, abs=5e-4)


def test_a_reference_that_is_a_constant_leaves_the_wilson_limit_to_decide() -> None:
    for share, count in product((0.0, 0.5, 0.9, 1.0), (1, 20, 1000)):
        assert unpaired_margin(share, count, 0.6, 0) == pytest.approx(wilson(share, count)[0] - 0.6, abs=1e-14)


# The decision table.


def test_exactly_one_row_of_the_table_fits_every_combination_of_facts() -> None:
    assert all(len(reasons_for(facts)) == 1 for facts in product((False, True), repeat=len(FACTS)))


def test_a_private_task_never_reaches_an_escalation_in_the_table() -> None:
    rest = product((False, True), repeat=len(FACTS) - 1)
    assert {RECORDS[reasons_for((True, *facts))[0]][0] for facts in rest} == {"local", "no_op"}


# One task at a time.


def specialist(name: str, fitness: float = 0.95, samples: int = 1000, **more: Any) -> Document:
    """A specialist for the workflow, equal to its reference unless told."""
    entry = {"fitness": fitness, "samples": samples, "reference_fitness": 0.95, "reference_samples": 1000}
    return {"id": name, "engine": "llamacpp", "workflows": {W: entry}, **more}


def decide(task: Document, *specialists: Document, policy: Document | None = None, **more: Any) -> Document:
    """The oracle's answer to a public task of the workflow that may escalate, unless told otherwise."""
    asked = {"task_id": "t", "text": "x", "workflow": W, "data_classes": ["public"], "allows_escalation": True}
    given: dict[str, Any] = {"link": "up", "residual_risk": 0.0} | more
    return oracle(asked | task, registry={"specialists": list(specialists)}, policy=policy or {}, **given)


def answer(decision: Document) -> tuple[str, str]:
    return decision["reason_code"], decision["selected_model_or_stack"]


STRONG = specialist("strong")
WEAK = specialist("weak", fitness=0.8)  # at the floor, but far short of the reference
POOR = specialist("poor", fitness=0.5)
DRAFT_LOCAL = specialist("strong", tokens_per_s=50)


def lane(fitness: float = 1.0) -> Document:
    """A policy whose fallback has a complete profile and costs nothing."""
    return {"models": {CLOUD: {"fitness": fitness, "tokens_per_s": 50, "price_per_1k_tokens": 0.0}}}


@pytest.mark.parametrize("label", ["client", "patient", "student", "voice", "biometric", "code", "trade_secret"])
def test_row_1_private_data_stays_local_or_goes_to_a_person(label: str) -> None:
    private = {"data_classes": ["public", label]}
    assert answer(decide(private, WEAK)) == ("local_only", "weak")
    assert answer(decide(private, POOR)) == ("below_floor", "none")
    assert answer(decide(private)) == ("no_candidate", "none")


def test_row_2_a_repeated_task_goes_to_its_specialist() -> None:
    assert answer(decide({"kind": "repeat"}, STRONG, WEAK)) == ("margin_met", "strong")


def test_row_3_a_tool_loop_runs_a_cascade_that_is_all_local() -> None:
    stack = (
        specialist("best", size_rank=2),
        specialist("tiny", 0.8, size_rank=0),
        specialist("mid-b", 0.8, size_rank=1),
        specialist("mid-a", 0.8, size_rank=1),
        specialist("poor", 0.5, size_rank=0),
        specialist("peer", 0.8, size_rank=2),
    )
    assert answer(decide({"kind": "tool_loop"}, *stack)) == ("margin_met", "cascade:tiny+mid-a+mid-b+best")
    assert answer(decide({"kind": "tool_loop"}, *stack[:1])) == ("margin_met", "best")
    assert answer(decide({"kind": "repeat"}, *stack)) == ("margin_met", "best")


def test_row_4_synthesis_escalates_with_redaction_when_the_local_margin_is_short() -> None:
    decision = decide({"kind": "synthesis"}, WEAK)
    assert decision == {
        "selected_runtime": "cloud_escalation",
        "selected_model_or_stack": CLOUD,
        "redaction_required": True,
        "evidence_required": True,
        "fallback_target": "local_summary",
        "reason_code": "margin_short",
        "classes": ["public"],
    }


def test_row_5_public_drafting_goes_where_the_utility_is_higher() -> None:
    draft = {"kind": "drafting"}
    assert answer(decide(draft, DRAFT_LOCAL, policy=lane(0.96))) == ("utility_cloud", CLOUD)
    assert answer(decide(draft, DRAFT_LOCAL, policy=lane(0.94))) == ("utility_local", "strong")


@pytest.mark.parametrize(
    "closed", [{"link": "down"}, {"link": "portal"}, {"link": "metered"}, {"policy": {"air_gap": True}}]
)
def test_row_6_work_goes_on_without_a_network(closed: dict[str, Any]) -> None:
    decision = decide({}, WEAK, **closed)
    assert answer(decision) == ("offline_local", "weak")
    assert decision["evidence_required"]
    assert answer(decide({}, POOR, **closed)) == ("no_route", "none")


REACHED = {
    "local_only": lambda: decide({"data_classes": ["patient"]}, WEAK),
    "margin_met": lambda: decide({}, STRONG),
    "utility_local": lambda: decide({"kind": "drafting"}, DRAFT_LOCAL, policy=lane(0.5)),
    "offline_local": lambda: decide({}, WEAK, link="down"),
    "margin_short": lambda: decide({}, WEAK),
    "utility_cloud": lambda: decide({"kind": "drafting"}, DRAFT_LOCAL, policy=lane()),
    "below_floor": lambda: decide({"data_classes": ["patient"]}, POOR),
    "no_candidate": lambda: decide({"data_classes": ["patient"]}),
    "residual_risk": lambda: decide({}, WEAK, residual_risk=0.3),
    "no_route": lambda: decide({"allows_escalation": False}, WEAK),
}


@pytest.mark.parametrize("reason", RECORDS)
def test_every_reason_code_is_reached_and_carries_the_record_of_its_row(reason: str) -> None:
    decision = REACHED[reason]()
    record = ("selected_runtime", "redaction_required", "evidence_required", "fallback_target")
    assert decision["reason_code"] == reason
    assert tuple(decision[key] for key in record) == RECORDS[reason]


# Boundaries and the readings of the module docstring.


def test_a_margin_at_the_minimum_is_met_and_one_step_above_it_is_not() -> None:
    margin = rounded(entry_margin(WEAK["workflows"][W], 0.6))
    workflow = {"workflows": {W: {"minimum_margin": margin}}}
    assert decide({}, WEAK, policy=workflow)["reason_code"] == "margin_met"
    assert decide({"minimum_margin": rounded(margin + 1e-12)}, WEAK, policy=workflow)["reason_code"] == "margin_short"
    assert decide({}, WEAK, policy={"default_minimum_margin": margin})["reason_code"] == "margin_met"


def test_ties_go_to_the_smaller_size_rank_and_then_to_the_id() -> None:
    tied = (specialist("c"), specialist("b"), specialist("a", size_rank=1))
    assert answer(decide({}, *tied)) == ("margin_met", "b")


@pytest.mark.parametrize("lacking", [{"samples": 0}, {"samples": 0, "paired": {"both": 90, "neither": 10}}, {}])
def test_a_named_entry_without_samples_hides_the_general_one(lacking: Document) -> None:
    entries = {W: {"fitness": 1.0} | lacking, "*": {"fitness": 1.0, "samples": 1000}}
    hidden = {"id": "a", "engine": "llamacpp", "workflows": entries}
    assert decide({"data_classes": ["code"]}, hidden)["reason_code"] == "no_candidate"
    assert answer(decide({"data_classes": ["code"], "workflow": ""}, hidden)) == ("local_only", "a")


@pytest.mark.parametrize(
    ("needs", "has", "reason"),
    [
        ({"context_tokens": 4096}, {"max_context": 4096}, "margin_met"),
        ({"context_tokens": 4097}, {"max_context": 4096}, "margin_short"),
        ({"context_tokens": 4097}, {}, "margin_met"),
        ({"deadline_s": 1.5}, {"p95_s": 1.5}, "margin_met"),
        ({"deadline_s": 1.5}, {"p95_s": 1.6}, "margin_short"),
        ({"deadline_s": 1.5}, {}, "margin_met"),
        ({"requires": ["tools"]}, {"capabilities": ["vision", "tools"]}, "margin_met"),
        ({"requires": ["tools"]}, {}, "margin_short"),
        ({}, {"available": False}, "margin_short"),
    ],
)
def test_a_candidate_has_what_the_task_needs(needs: Document, has: Document, reason: str) -> None:
    assert decide(needs, specialist("a", **has))["reason_code"] == reason


def test_a_specialist_that_just_failed_is_no_candidate() -> None:
    assert answer(decide({}, STRONG, WEAK, unavailable=frozenset({"strong"}))) == ("margin_short", CLOUD)


@pytest.mark.parametrize(
    ("labels", "more", "reason"),
    [
        (None, {}, "local_only"),
        ([], {}, "local_only"),
        ([], {"policy": {"default_class": "public"}}, "margin_met"),
        (["Public"], {}, "local_only"),
        (["hr"], {}, "local_only"),
        (["hr"], {"policy": {"extra_classes": ["hr"]}}, "margin_met"),
        (["hr"], {"policy": {"extra_classes": ["hr"]}, "ceiling": {"local_only_classes": ["hr"]}}, "local_only"),
        (["patient"], {"policy": {"local_only_classes": []}}, "margin_met"),
        (["public"], {"policy": {"local_only_classes": ["public"]}}, "local_only"),
        (["public"], {"detected": ("code",)}, "local_only"),
        (
            ["public"],
            {"caller": ("gid:7",), "policy": {"callers": {"gid:7": {"adds_classes": ["code"]}}}},
            "local_only",
        ),
    ],
)
def test_classes_decide_whether_a_task_may_leave(labels: list[str] | None, more: dict[str, Any], reason: str) -> None:
    assert decide({"data_classes": labels}, STRONG, **more)["reason_code"] == reason


CALLERS = {
    "uid:1": {"may_escalate": False},
    "gid:2": {"workflows": [W, "other"]},
    "gid:3": {"workflows": ["other"]},
    "token:desk": {"may_escalate": True},
    "token:plain": {"adds_classes": []},
}


@pytest.mark.parametrize(
    ("caller", "reason"),
    [
        ((), "margin_short"),
        (("uid:9",), "margin_short"),
        (("uid:9", "uid:1"), "no_route"),
        (("gid:2",), "margin_short"),
        (("gid:2", "gid:3"), "no_route"),
        (("token:desk",), "margin_short"),
        (("token:plain",), "no_route"),
        (("token:unheard",), "no_route"),
        (("token:desk", "uid:1"), "no_route"),
    ],
)
def test_a_caller_escalates_only_where_all_its_profiles_permit(caller: tuple[str, ...], reason: str) -> None:
    assert decide({}, WEAK, policy={"callers": CALLERS}, caller=caller)["reason_code"] == reason


@pytest.mark.parametrize(("labels", "reason"), [(["public"], "no_route"), (["code"], "no_candidate")])
def test_a_workflow_outside_the_callers_list_has_neither_candidate_nor_escalation(
    labels: list[str], reason: str
) -> None:
    for task in ({}, {"workflow": ""}):
        decision = decide(task | {"data_classes": labels}, STRONG, policy={"callers": CALLERS}, caller=("gid:3",))
        assert decision["reason_code"] == reason


@pytest.mark.parametrize(
    ("policy", "ceiling", "reason"),
    [
        ({"default_floor": 0.7}, {}, "local_only"),
        ({"default_floor": 0.9}, {}, "below_floor"),
        ({"default_floor": 0.9, "workflows": {W: {"floor": 0.7}}}, {}, "local_only"),
        ({}, {"default_floor": 0.9}, "below_floor"),
        ({"workflows": {W: {"floor": 0.1}}}, {"default_floor": 0.9}, "below_floor"),
        ({}, {"default_floor": 0.9, "workflows": {W: {"floor": 0.1}}}, "local_only"),
    ],
)
def test_the_higher_floor_of_policy_and_ceiling_holds(policy: Document, ceiling: Document, reason: str) -> None:
    assert decide({"data_classes": ["code"]}, WEAK, policy=policy, ceiling=ceiling)["reason_code"] == reason


@pytest.mark.parametrize(
    ("risk", "ceiling", "reason"),
    [
        (0.2, {}, "margin_short"),
        (0.2 + 1e-9, {}, "residual_risk"),
        (None, {}, "residual_risk"),
        (0.2, {"maximum_residual_risk": 0.1}, "residual_risk"),
        (0.2, {"maximum_residual_risk": 0.9}, "margin_short"),
    ],
)
def test_an_escalation_stops_over_the_lower_bound_on_risk(risk: float | None, ceiling: Document, reason: str) -> None:
    assert decide({}, WEAK, residual_risk=risk, ceiling=ceiling)["reason_code"] == reason


@pytest.mark.parametrize(
    ("forbids", "reason"),
    [
        ({"policy": {"escalation": False}}, "no_route"),
        ({"policy": {"escalation": False, "air_gap": True}}, "no_route"),
        ({"ceiling": {"escalation": False}}, "no_route"),
        ({"ceiling": {"air_gap": True}}, "offline_local"),
        ({"link": "metered", "policy": {"metered_escalation": True}}, "margin_short"),
    ],
)
def test_only_the_link_and_the_air_gap_leave_continuity(forbids: dict[str, Any], reason: str) -> None:
    assert decide({}, WEAK, **forbids)["reason_code"] == reason


def test_drafting_keeps_the_local_lane_on_a_tie_and_on_a_missing_figure() -> None:
    draft = {"kind": "drafting"}
    assert decide(draft, DRAFT_LOCAL, policy=lane(0.95))["reason_code"] == "utility_local"
    assert decide(draft, STRONG, policy=lane())["reason_code"] == "utility_local"
    assert decide(draft, DRAFT_LOCAL)["reason_code"] == "utility_local"


def test_drafting_that_is_not_public_or_not_permitted_follows_the_plain_procedure() -> None:
    draft = {"kind": "drafting"}
    hr = lane() | {"extra_classes": ["hr"]}
    assert decide(draft | {"data_classes": ["hr", "public"]}, DRAFT_LOCAL, policy=hr)["reason_code"] == "margin_met"
    assert decide(draft | {"allows_escalation": False}, DRAFT_LOCAL, policy=lane())["reason_code"] == "margin_met"
    assert decide(draft, DRAFT_LOCAL, policy=lane(), link="down")["reason_code"] == "margin_met"
    assert decide(draft, WEAK, policy=lane())["reason_code"] == "margin_short"


def test_a_drafting_escalation_is_stopped_by_risk_like_any_other() -> None:
    assert decide({"kind": "drafting"}, DRAFT_LOCAL, policy=lane(), residual_risk=1.0)["reason_code"] == "residual_risk"


# The generators.


def test_random_cases_are_the_same_for_the_same_seed_and_stand_world_by_world() -> None:
    count = 2 * TASKS_PER_WORLD + 1
    cases = list(random_cases(7, count))
    assert cases == list(random_cases(7, count))
    assert [len(list(group)) for _, group in groupby(case.world for case in cases)] == [
        TASKS_PER_WORLD,
        TASKS_PER_WORLD,
        1,
    ]
    assert cases != list(random_cases(8, count))


def test_random_cases_reach_every_reason_but_the_rarest_within_a_few_worlds() -> None:
    reached = {oracle(**case.arguments())["reason_code"] for case in random_cases(1, 12 * TASKS_PER_WORLD)}
    assert set(RECORDS) - reached <= {"utility_cloud"}


def test_the_cross_product_reaches_every_reason_in_its_first_eighth() -> None:
    # its outermost dimension is eight gates, of which the first is open
    cases = (case for case in islice(exhaustive_cases(), 1_382_400 // 8) if not case.caller)
    assert {oracle(**case.arguments())["reason_code"] for case in islice(cases, 0, None, 5)} == set(RECORDS)
