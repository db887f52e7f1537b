from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.support.keyword_detector import KeywordDetector
from tests.support.manual_clock import STARTED

from homebred_daemon.adapters.detectors.patterns import default_detector
from homebred_daemon.core.context import MinimumContext, minimum_context
from homebred_daemon.core.decision import Reason, RouteDecision, Runtime
from homebred_daemon.core.link import Link
from homebred_daemon.core.pseudonyms import KEY_BYTES, Pseudonyms
from homebred_daemon.core.routing import DecisionInputs, awaits_residual_risk, decide
from homebred_daemon.services.deciding import REDACTION, Decider
from homebred_engines.api import Message
from homebred_protocol.documents.policy import Policy, read_policy
from homebred_protocol.documents.registry import Registry, read_registry
from homebred_protocol.documents.task import Task

WORKFLOW = "letter.sort"
UNFIT = {"fitness": 0.7, "samples": 200, "reference_fitness": 0.9}
REGISTRY = read_registry(
    {"specialists": [{"id": name, "engine": "echo", "workflows": {WORKFLOW: UNFIT}} for name in ("a", "b")]}, "sha256:r"
)
NOBODY = Registry(digest="sha256:r", specialists=())
PUBLIC = Task(task_id="t", workflow=WORKFLOW, data_classes=("public",), allows_escalation=True)
PLAIN = "please sort this letter"


def decider(registry: Registry = REGISTRY, **policy: Any) -> Decider:
    detector = KeywordDetector({"sk-live": "SECRET", "Erika": "PERSON"})
    return Decider(policy=read_policy(policy, "sha256:p"), registry=registry, detector=detector)


def context(text: str) -> MinimumContext:
    return minimum_context([Message(role="user", content=text)])


def asked(decider: Decider, task: Task = PUBLIC, text: str = PLAIN) -> DecisionInputs:
    return decided(decider, task, text)[0]


def decided(decider: Decider, task: Task, text: str) -> tuple[DecisionInputs, RouteDecision]:
    considered = decider.consider(task, text, link=Link.UP, now=STARTED, caller=("uid:7",))
    return decider.measure(*considered, lambda: context(text))


def test_the_inputs_hold_exactly_what_the_decision_depended_on() -> None:
    deciding = decider()
    inputs, decision = decided(deciding, PUBLIC, "sk-live")
    assert inputs == DecisionInputs(
        task=PUBLIC,
        registry=REGISTRY,
        policy=deciding.policy,
        link=Link.UP,
        now=STARTED,
        caller=("uid:7",),
        detected=frozenset({"code"}),
        detector_digest="sha256:keywords",
    )
    assert decision == decide(inputs)
    assert decision.reason_code is Reason.LOCAL_ONLY


def test_a_risk_is_measured_only_where_an_escalation_is_considered() -> None:
    local = Task(task_id="t", workflow=WORKFLOW, data_classes=("public",))
    assert asked(decider(), local).residual_risk is None
    considered = asked(decider())
    assert (considered.context_method, considered.residual_risk) == (REDACTION, 0.0)


def test_what_redaction_leaves_decides_whether_it_may_leave() -> None:
    text = "tell Zbigniew Wolkenstein that 4711-0815-XK9 has come"
    inputs, decision = decided(decider(), PUBLIC, text)
    assert inputs.residual_risk is not None
    assert inputs.residual_risk > Policy().maximum_residual_risk
    assert decision.reason_code is Reason.RESIDUAL_RISK


def test_what_was_found_is_redacted_before_the_risk_is_measured() -> None:
    assert asked(decider(), text="please write to Erika").residual_risk == 0.0


def test_the_policy_may_have_further_entities_raise_a_class() -> None:
    raising = decider(detection={"classes": {"PERSON": "client"}})
    assert asked(raising, text="Erika").detected == {"client"}
    assert asked(decider(), text="Erika").detected == frozenset()


def test_deciding_again_changes_who_is_available_and_the_time_and_nothing_else() -> None:
    deciding = decider()
    first = asked(deciding, Task(task_id="t", workflow=WORKFLOW), "sk-live")
    later = STARTED.replace(minute=1)
    second, _ = deciding.consider_again(first, failed=frozenset("a"), now=later)
    third, decision = deciding.consider_again(second, failed=frozenset("b"), now=later)
    assert (second.unavailable, third.unavailable) == (frozenset("a"), frozenset("ab"))
    assert (third.now, third.detected, third.caller) == (later, first.detected, first.caller)
    assert decision.reason_code is Reason.NO_CANDIDATE


def test_a_task_decided_again_that_now_considers_an_escalation_has_its_risk_measured() -> None:
    fit = {"fitness": 0.95, "samples": 400, "reference_fitness": 0.9}
    registry = read_registry({"specialists": [{"id": "a", "engine": "echo", "workflows": {WORKFLOW: fit}}]}, "sha256:r")
    deciding = decider(registry)
    first = asked(deciding)
    again = deciding.consider_again(first, failed=frozenset("a"), now=STARTED)
    second, decision = deciding.measure(*again, lambda: context(PLAIN))
    assert (first.residual_risk, second.residual_risk) == (None, 0.0)
    assert decision.reason_code is Reason.MARGIN_SHORT


@pytest.mark.parametrize(("text", "looks"), [("", 2), ("sk-live", 1), (PLAIN, 2)])
def test_a_text_is_looked_through_once_and_again_only_where_it_may_leave(text: str, looks: int) -> None:
    deciding = decider(NOBODY)
    asked(deciding, text=text)
    assert isinstance(deciding.detector, KeywordDetector)
    assert deciding.detector.asked == looks


def test_for_a_text_that_could_not_be_searched_the_way_out_is_closed() -> None:
    considered, _ = decider().consider(PUBLIC, PLAIN, link=Link.UP, now=STARTED)
    inputs, decision = decider().consider_unsearched(considered)
    assert (inputs.link, decision.selected_runtime) == (Link.DOWN, Runtime.LOCAL)
    assert not awaits_residual_risk(inputs, decision)


def test_for_a_tool_loop_that_only_a_failure_would_send_away_it_is_closed_too() -> None:
    fit = {"fitness": 0.95, "samples": 400, "reference_fitness": 0.9}
    registry = read_registry({"specialists": [{"id": "a", "engine": "echo", "workflows": {WORKFLOW: fit}}]}, "sha256:r")
    deciding, loop = decider(registry), replace(PUBLIC, kind="tool_loop")
    first, _ = deciding.consider(loop, PLAIN, link=Link.UP, now=STARTED)
    inputs, decision = deciding.consider_again(first, failed=frozenset("a"), now=STARTED)
    assert (inputs.link, inputs.link_cause, decision) == (Link.DOWN, "tool_loop", decide(inputs))
    assert decision.reason_code is Reason.NO_ROUTE
    resting = deciding.consider(loop, PLAIN, link=Link.UP, now=STARTED, unavailable=frozenset("a"))
    assert resting == (inputs, decision)


def test_the_last_look_finds_what_may_not_leave_but_not_in_a_token() -> None:
    deciding = decider()
    assert deciding.forbidden_types("Erika wrote sk-live") == {"SECRET"}
    assert deciding.forbidden_types("Erika wrote") == frozenset()
    masked = Pseudonyms(bytes(KEY_BYTES)).masked("sk-live", deciding.leaving_spans("sk-live"))
    assert deciding.forbidden_types(f"use {masked}") == frozenset()


@pytest.mark.parametrize("kind", sorted(default_detector().entity_types))
def test_no_token_looks_like_what_it_stands_for(kind: str) -> None:
    real = replace(decider(), detector=default_detector())
    token = Pseudonyms(bytes(KEY_BYTES)).token(kind.lower(), "value")
    for sentence in (f"{token}", f"password: {token}, MRN {token} and key={token}", f"ask {token} why"):
        assert real.forbidden_types(sentence) == frozenset()
