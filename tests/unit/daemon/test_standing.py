from __future__ import annotations

import pytest
from tests.support.answering_stage import WORKFLOW, Actor, Stage

from homebred_protocol.documents.policy import WorkflowPolicy


@pytest.mark.parametrize(
    ("caller", "workflow", "is_allowed"),
    [
        ((), WORKFLOW, True),
        (("uid:7",), WORKFLOW, True),
        (("uid:7",), "letter.sort", False),
        (("uid:7",), None, False),  # a task without a workflow needs an unlimited caller
        (("uid:7", "gid:8"), WORKFLOW, False),  # of two profiles, what both allow
    ],
)
def test_a_callers_profile_limits_its_workflows(
    caller: tuple[str, ...],
    workflow: str | None,
    is_allowed: bool,  # noqa: FBT001  # a case's column
) -> None:
    callers = {"uid:7": {"workflows": [WORKFLOW]}, "gid:8": {"workflows": ["letter.sort"]}}
    standing = Stage({}, {"callers": callers}).standing()
    assert standing.allows(caller, workflow) is is_allowed


def test_a_workflow_that_the_policy_does_not_name_has_no_budget_and_no_minimum() -> None:
    standing = Stage({}, {"workflows": {WORKFLOW: {"latency_budget_ms": 200}}}).standing()
    assert standing.workflow_policy(WORKFLOW) == WorkflowPolicy(latency_budget_ms=200)
    assert standing.workflow_policy("letter.sort") == standing.workflow_policy(None) == WorkflowPolicy()


def test_a_caller_is_told_the_workflows_that_it_may_use_of_those_that_policy_or_specialists_name() -> None:
    policy = {"workflows": {"letter.sort": {}}, "callers": {"token:desk": {"workflows": [WORKFLOW, "elsewhere"]}}}
    standing = Stage({"a": Actor(), "b": Actor(workflow="*")}, policy).standing()
    assert standing.workflows_for(("uid:7",)) == (WORKFLOW, "letter.sort")
    assert standing.workflows_for(("token:desk",)) == (WORKFLOW,)
