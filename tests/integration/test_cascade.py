"""A tool loop over real gRPC: its steps are asked of real workers, the small one first, and never leave the device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.daemon_process import Site
from tests.support.wire_client import DaemonClient

from homebred_daemon.adapters.store.ledger import SqliteLedger
from homebred_daemon.errors import HomebredError
from homebred_daemon.services.replaying import replay
from homebred_protocol.client import Client, Constraints, Task
from homebred_protocol.client import NotFoundError as NotFound
from homebred_protocol.v1 import inference_pb2 as wire

LOOP: Mapping[str, Any] = {
    "text": "two teas",
    "kind": "tool_loop",
    "workflow": "order.take",
    "data_classes": ("public",),
    "allows_escalation": True,
    "session_id": "counter",
}
COFFEE = {"replies": {"two teas": "one coffee"}}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def furnish(site: Site, *, small: Mapping[str, Any] | None = None, large: Mapping[str, Any] | None = None) -> None:
    """A small specialist and a large one, both fit for the loop."""
    site.add_echo("small", workflow="order.take", fitness=0.95, size_rank=0, script=small)
    site.add_echo("large", workflow="order.take", size_rank=1, script=large)


def step(client: DaemonClient, **more: Any) -> Iterator[wire.GenerateEvent]:
    task = wire.Task(**LOOP, **more)
    return client.generate(wire.GenerateRequest(task=task))


def told(events: Iterator[wire.GenerateEvent]) -> tuple[str, str, list[str]]:
    """The answer, who gave it, and what was found."""
    heard = list(events)
    assert all(event.decision.selected_runtime != wire.RUNTIME_CLOUD_ESCALATION for event in heard)
    outcome = heard[-1].outcome
    return "".join(event.delta for event in heard), outcome.answered_by, list(outcome.findings)


def test_what_the_small_one_says_counts_where_it_keeps_to_the_constraints(site: Site) -> None:
    furnish(site, small=COFFEE)
    with site.daemon("--link", "up") as client:
        assert told(step(client)) == ("one coffee", "small", [])
        no_coffee = wire.Constraints(excludes=["coffee"], matches="^two", max_characters=8)
        assert told(step(client, constraints=no_coffee)) == ("two teas", "large", [])
        no_tea = wire.Constraints(excludes=["tea", "coffee", "not"])
        answer, by, findings = told(step(client, constraints=no_tea))
        assert (by, findings) == ("large", ["constraint_broken"])
        assert answer.startswith("That does not fit")  # an echo of what it was told
        with pytest.raises(HomebredError, match=r"constraints\.matches"):
            told(step(client, constraints=wire.Constraints(matches="(?=a)")))


def test_an_answer_is_weighed_by_its_probabilities_where_the_policy_says_so(site: Site) -> None:
    furnish(site, small={"logprob": -3.0})
    policy = site.folder / "policy.toml"
    policy.write_text('version = 1\n[workflows."order.take"]\nminimum_confidence = 0.5\n')
    with site.daemon("--link", "up", "--policy", str(policy)) as client:
        assert told(step(client)) == ("two teas", "large", [])


def test_an_application_rejects_an_answer_and_hears_a_larger_specialist(site: Site) -> None:
    furnish(site, small=COFFEE)
    task = Task(**LOOP)
    with site.daemon("--link", "up"), Client(site.socket) as client:
        first = client.ask(task)
        second = client.ask(replace(task, rejects=first.route_id))
        third = client.ask(replace(task, rejects=second.route_id))
        assert [(one.text, one.outcome.answered_by) for one in (first, second, third)] == [
            ("one coffee", "small"),
            ("two teas", "large"),
            ("two teas", "large"),
        ]
        assert [one.outcome.findings for one in (first, second)] == [(), ("rejected_by_caller",)]
        assert [one.decision.supersedes for one in (first, second, third)] == ["", first.route_id, second.route_id]
        with pytest.raises(NotFound, match=first.route_id) as refused:
            client.ask(replace(task, session_id="another", rejects=first.route_id))
        assert "same session_id" in refused.value.hint
        assert client.ask(replace(task, constraints=Constraints(matches="^two"))).text == "two teas"


def test_once_the_calls_of_a_loop_are_spent_the_best_answers_at_once(site: Site) -> None:
    furnish(site, small={"fail_after": 0})
    with site.daemon("--link", "up") as client:
        heard = [told(step(client, expected_calls=1)) for _ in range(2)]
    assert heard == [("two teas", "large", []), ("two teas", "large", ["cascade_budget_spent"])]


def test_a_small_one_that_hangs_leaves_the_best_its_time(site: Site) -> None:
    furnish(site, small={"hang_after": 0})
    with site.daemon("--link", "up") as client:
        assert told(step(client, deadline_s=4.0)) == ("two teas", "large", [])


def test_a_loop_that_is_answered_here_stays_here_whatever_fails(site: Site) -> None:
    furnish(site, small={"fail_after": 0}, large={"crash_after": 0})
    with site.daemon("--link", "up") as client:
        events = list(step(client))
        told(iter(events))
        decided = [event.decision for event in events if event.HasField("decision")]
        assert [one.reason_code for one in decided] == ["margin_met", "margin_met", "no_route"]
        assert "link_cause=tool_loop" in decided[-1].trace
        assert events[-1].outcome.status == wire.OUTCOME_STATUS_REVIEW
        with pytest.raises(HomebredError, match="can be rejected"):  # there was no answer
            told(step(client, rejects=decided[0].route_id))
    ledger = SqliteLedger(site.state / "ledger.sqlite")
    assert replay(ledger).mismatches == ()
    ledger.close()
