from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_protocol.documents.fields import DocumentError
from homebred_protocol.documents.policy import (
    EVIDENCE_FIELDS,
    LOCAL_ONLY_BY_DEFAULT,
    CallerProfile,
    DraftingWeights,
    EvidencePolicy,
    ModelProfile,
    Policy,
    RiskWeights,
    SiteCeiling,
    WorkflowPolicy,
    advice,
    bounded,
    read_ceiling,
    read_policy,
)

WORKFLOW = "intake.normalise"
WHOLE: dict[str, Any] = {
    "version": 1,
    "extra_classes": ["hr"],
    "local_only_classes": ["patient", "hr"],
    "default_class": "hr",
    "default_floor": 0.7,
    "default_minimum_margin": -0.1,
    "escalation": False,
    "metered_escalation": True,
    "air_gap": True,
    "require_recognizer": True,
    "content_export": True,
    "evidence": {"leaves": False, "fields": ["reason", "total_ms"]},
    "fallback_model": "cloud/big",
    "maximum_residual_risk": 0.1,
    "workflows": {WORKFLOW: {"floor": 0.8, "minimum_margin": 0, "latency_budget_ms": 1500, "minimum_confidence": 0.5}},
    "models": {"cloud/big": {"fitness": 0.99, "tokens_per_s": 60, "price_per_1k_tokens": 0.004}},
    "drafting": {"quality": 2, "speed": 0, "price": 1000},
    "residual_risk": {"capitalised": 0, "digits": 1, "rare": 0.5, "address": 0.3},
    "callers": {"uid:1001": {"adds_classes": ["hr"], "may_escalate": False, "workflows": [WORKFLOW]}},
    "detection": {"classes": {"EMAIL": "client"}},
}


def policy_problems(document: object) -> list[str]:
    with pytest.raises(DocumentError) as caught:
        read_policy(document, "")
    return [problem.sentence() for problem in caught.value.problems]


def test_an_empty_policy_is_the_default_one() -> None:
    assert read_policy({}, "sha256:p") == Policy(digest="sha256:p")


def test_the_defaults_are_the_contracts() -> None:
    policy = Policy()
    assert policy.local_only_classes == frozenset(LOCAL_ONLY_BY_DEFAULT)
    assert set(LOCAL_ONLY_BY_DEFAULT) == {"client", "patient", "student", "voice", "biometric", "code", "trade_secret"}
    assert (policy.default_class, policy.default_minimum_margin) == ("client", -0.05)
    assert (policy.air_gap, policy.metered_escalation, policy.content_export) == (False, False, False)


def test_everything_that_a_policy_may_say() -> None:
    assert read_policy(WHOLE, "sha256:p") == Policy(
        digest="sha256:p",
        extra_classes=frozenset({"hr"}),
        local_only_classes=frozenset({"patient", "hr"}),
        default_class="hr",
        default_floor=0.7,
        default_minimum_margin=-0.1,
        escalation=False,
        metered_escalation=True,
        air_gap=True,
        require_recognizer=True,
        content_export=True,
        evidence=EvidencePolicy(leaves=False, fields=frozenset({"reason", "total_ms"})),
        fallback_model="cloud/big",
        maximum_residual_risk=0.1,
        workflows={
            WORKFLOW: WorkflowPolicy(floor=0.8, minimum_margin=0, latency_budget_ms=1500, minimum_confidence=0.5)
        },
        models={"cloud/big": ModelProfile(fitness=0.99, tokens_per_s=60, price_per_1k_tokens=0.004)},
        drafting=DraftingWeights(quality=2, speed=0, price=1000),
        risk_weights=RiskWeights(capitalised=0, digits=1, rare=0.5, address=0.3),
        callers={"uid:1001": CallerProfile(adds_classes=("hr",), may_escalate=False, workflows=(WORKFLOW,))},
        detection_classes={"EMAIL": "client"},
    )


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ([], "(the document): is a list; write a table of keys and values"),
        ({"version": 2}, "version: is 2; this product reads version 1"),
        ({"escalate": True}, "escalate: is not a known key;"),
        ({"default_floor": 1.5}, "default_floor: is 1.5; write a finite number from 0 to 1"),
        ({"default_minimum_margin": -2}, "default_minimum_margin: is -2; write a finite number from -1 to 1"),
        ({"default_class": "hr"}, "default_class: names the unknown class 'hr'; correct it or add it to extra_classes"),
        ({"local_only_classes": ["pateint"]}, "local_only_classes: names the unknown class 'pateint'"),
        ({"workflows": {WORKFLOW: {"flor": 1}}}, f'workflows."{WORKFLOW}".flor: is not a known key;'),
        ({"models": {"m": {"price": 1}}}, "models.m.price: is not a known key;"),
        ({"drafting": {"quality": -1}}, "drafting.quality: is -1; write a finite number from 0 to 1000"),
        ({"residual_risk": {"rare": 2}}, "residual_risk.rare: is 2; write a finite number from 0 to 1"),
        ({"callers": {"1001": {}}}, "callers.1001: is not a principal; write uid:NUMBER, gid:NUMBER or token:NAME"),
        ({"callers": {"uid:": {}}}, 'callers."uid:": is not a principal;'),
        ({"callers": {"uid:root": {}}}, 'callers."uid:root": is not a principal;'),
        ({"callers": {"uid:1": {"adds_classes": ["x"]}}}, 'callers."uid:1".adds_classes: names the unknown class'),
        ({"detection": {"classes": {"EMAIL": "x"}}}, "detection.classes.EMAIL: names the unknown class 'x'"),
        ({"detection": {"class": {}}}, "detection.class: is not a known key;"),
    ],
)
def test_what_is_wrong_is_said(document: object, complaint: str) -> None:
    assert any(problem.startswith(complaint) for problem in policy_problems(document))


def test_all_problems_are_told_at_once() -> None:
    assert len(policy_problems({"escalation": 1, "air_gap": 1, "default_class": "x", "y": 1})) == 4


def test_a_token_may_have_any_name() -> None:
    assert "token:front desk" in read_policy({"callers": {"token:front desk": {}}}, "").callers


def test_a_caller_limited_to_no_workflows_is_not_an_unlimited_one() -> None:
    callers = read_policy({"callers": {"uid:1": {"workflows": []}, "uid:2": {}}}, "").callers
    assert (callers["uid:1"].workflows, callers["uid:2"].workflows) == ((), None)


# Floors and margins


@pytest.mark.parametrize(
    ("workflow", "floor", "margin"), [(WORKFLOW, 0.8, 0.0), ("letter.sort", 0.7, -0.1), (None, 0.7, -0.1)]
)
def test_a_workflows_own_figures_go_before_the_defaults(workflow: str | None, floor: float, margin: float) -> None:
    policy = read_policy(WHOLE, "")
    assert (policy.floor(workflow), policy.minimum_margin(workflow)) == (floor, margin)


def test_a_workflow_that_names_only_its_floor_keeps_the_default_margin() -> None:
    policy = read_policy({"workflows": {WORKFLOW: {"floor": 0.1}}}, "")
    assert (policy.floor(WORKFLOW), policy.minimum_margin(WORKFLOW)) == (0.1, -0.05)


@pytest.mark.parametrize(("workflow", "floor"), [(WORKFLOW, 0.9), ("letter.sort", 0.75), (None, 0.75)])
def test_the_ceilings_floors_hold_where_they_are_higher(workflow: str | None, floor: float) -> None:
    ceiling = read_ceiling({"default_floor": 0.75, "workflows": {WORKFLOW: {"floor": 0.9}}}, "")
    assert bounded(read_policy(WHOLE, ""), ceiling).floor(workflow) == floor
    strict = read_policy({"default_floor": 0.95}, "")
    assert bounded(strict, ceiling).floor(workflow) == 0.95


def test_evidence_has_the_fields_that_there_are() -> None:
    assert policy_problems({"evidence": {"fields": ["reason", "prompt"], "leave": True}}) == [
        f"evidence.fields: names the unknown field 'prompt'; there are {', '.join(EVIDENCE_FIELDS)}",
        "evidence.leave: is not a known key; remove it or correct its spelling; known here: fields, leaves",
    ]
    assert read_policy({"evidence": {}}, "").evidence == EvidencePolicy()
    assert read_policy({"evidence": {"fields": []}}, "").evidence.fields == frozenset()


# The ceiling


def test_an_empty_ceiling_bounds_nothing() -> None:
    policy = read_policy(WHOLE, "sha256:p")
    assert bounded(policy, SiteCeiling()) == policy


def test_a_ceiling_says_where_it_is_wrong() -> None:
    with pytest.raises(DocumentError) as caught:
        read_ceiling({"version": 3, "fallback_model": "x", "workflows": {"w": {"floor": 2, "x": 1}}}, "")
    assert [problem.sentence().partition(";")[0] for problem in caught.value.problems] == [
        "version: is 3",
        "workflows.w.floor: is 2",
        "workflows.w.x: is not a known key",
        "fallback_model: is not a known key",
    ]


EVIDENCE = st.builds(EvidencePolicy, leaves=st.booleans(), fields=st.frozensets(st.sampled_from(EVIDENCE_FIELDS)))
CEILINGS = st.builds(
    SiteCeiling,
    local_only_classes=st.frozensets(st.sampled_from(["hr", "lab", "public", "patient"])),
    escalation=st.booleans(),
    content_export=st.booleans(),
    evidence=EVIDENCE,
    air_gap=st.booleans(),
    require_recognizer=st.booleans(),
    maximum_residual_risk=st.floats(0, 1),
    default_floor=st.floats(0, 1),
    floors=st.dictionaries(st.sampled_from([WORKFLOW, "letter.sort"]), st.floats(0, 1)),
)
POLICIES = st.builds(
    Policy,
    local_only_classes=st.frozensets(st.sampled_from(["hr", "patient", "client"])),
    escalation=st.booleans(),
    content_export=st.booleans(),
    evidence=EVIDENCE,
    air_gap=st.booleans(),
    require_recognizer=st.booleans(),
    maximum_residual_risk=st.floats(0, 1),
    default_floor=st.floats(0, 1),
)


@given(policy=POLICIES, ceiling=CEILINGS, workflow=st.sampled_from([WORKFLOW, "letter.sort", None]))
def test_no_policy_loosens_a_site(policy: Policy, ceiling: SiteCeiling, workflow: str | None) -> None:
    held = bounded(policy, ceiling)
    assert held.local_only_classes == policy.local_only_classes | ceiling.local_only_classes
    assert held.escalation is (policy.escalation and ceiling.escalation)
    assert held.content_export is (policy.content_export and ceiling.content_export)
    assert held.evidence.leaves is (policy.evidence.leaves and ceiling.evidence.leaves)
    assert held.evidence.fields == policy.evidence.fields & ceiling.evidence.fields
    assert held.air_gap is (policy.air_gap or ceiling.air_gap)
    assert held.require_recognizer is (policy.require_recognizer or ceiling.require_recognizer)
    assert held.maximum_residual_risk == min(policy.maximum_residual_risk, ceiling.maximum_residual_risk)
    bound = ceiling.default_floor if workflow is None else ceiling.floors.get(workflow, ceiling.default_floor)
    assert held.floor(workflow) == max(policy.floor(workflow), bound)
    assert all(held.knows_class(name) for name in ceiling.local_only_classes)


def test_which_labels_are_known() -> None:
    policy = read_policy(WHOLE, "")
    assert all(policy.knows_class(name) for name in ("public", "voice", "hr"))
    assert not any(policy.knows_class(name) for name in ("Public", "", "lab"))


# Advice


def test_a_policy_that_may_not_mean_what_it_says_is_warned_of() -> None:
    policy = Policy(air_gap=True, default_class="public", local_only_classes=frozenset({"patient"}))
    warnings = advice(policy, ())
    assert [warning.split(" ")[0] for warning in warnings] == ["air_gap", "default_class", "local_only_classes"]
    assert "client" in warnings[2]


def test_an_entity_type_that_nobody_finds_and_a_cloud_model_without_a_profile_are_warned_of() -> None:
    policy = Policy(detection_classes={"EMAIL": "client", "EMIAL": "client"})
    warnings = advice(policy, ("EMAIL",))
    assert "'EMIAL'" in warnings[0]
    assert "no [models] profile" in warnings[1]


def test_a_sound_policy_is_not_warned_of() -> None:
    assert advice(Policy(models={"cloud/default": ModelProfile()}), ()) == ()
