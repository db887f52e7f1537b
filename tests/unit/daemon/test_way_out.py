from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from tests.support.scripted_cloud import ScriptedCloud

from homebred_daemon.core.decision import RouteDecision, Runtime
from homebred_daemon.core.link import Link
from homebred_daemon.core.routing import DecisionInputs, decide
from homebred_daemon.services.way_out import NO_WAY_OUT, WayOut
from homebred_protocol.documents.policy import Policy, read_policy
from homebred_protocol.documents.registry import read_registry
from homebred_protocol.documents.task import read_task

LANE = ScriptedCloud([])
DOOR = WayOut(lane=LANE)


def policy(**fields: object) -> Policy:
    return read_policy(fields, "sha256:policy")


def escalation() -> RouteDecision:
    task = {"task_id": "t", "text": "x", "data_classes": ["public"], "allows_escalation": True}
    inputs = DecisionInputs(
        task=read_task(task),
        registry=read_registry({"specialists": []}, "sha256:registry"),
        policy=policy(),
        link=Link.UP,
        now=datetime(2026, 1, 1, tzinfo=UTC),
        residual_risk=0.0,
        detector_digest="sha256:detector",
    )
    return decide(inputs)


def test_an_escalation_gets_the_lane() -> None:
    assert DOOR.opened_for(escalation(), policy()) is LANE
    assert NO_WAY_OUT.opened_for(escalation(), policy()) is None


@pytest.mark.parametrize("runtime", [Runtime.LOCAL, Runtime.NO_OP])
def test_nothing_else_does(runtime: Runtime) -> None:
    with pytest.raises(AssertionError, match="only an escalation"):
        DOOR.opened_for(replace(escalation(), selected_runtime=runtime), policy())


def test_a_local_only_class_never_does_whatever_was_decided() -> None:
    with pytest.raises(AssertionError, match="local-only"):
        DOOR.opened_for(replace(escalation(), classes=("patient",)), policy())


def test_the_air_gap_closes_it() -> None:
    with pytest.raises(AssertionError, match="only an escalation"):
        DOOR.opened_for(escalation(), policy(air_gap=True))
