"""The cloud lane whole: a real daemon, a real HTTP server in the cloud's place, and what may go wrong between them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.daemon_process import Site
from tests.support.wire_client import DaemonClient

from homebred_daemon.demo.stand_in_cloud import Fault, StandInCloud
from homebred_protocol.v1 import inference_pb2 as wire

TEXT = "Please weigh the plan of jo@example.org for us."
ANSWER, DEGRADED = wire.OUTCOME_STATUS_ANSWER, wire.OUTCOME_STATUS_DEGRADED
PATIENCE_S = 20.0
FORMATS = ("openai_chat", "openai_responses", "anthropic_messages")
HARMLESS = {Fault.SLOW_START, Fault.SLOW}


@pytest.fixture
def cloud() -> Iterator[StandInCloud]:
    with StandInCloud() as stand_in:
        yield stand_in


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    site.add_echo("generalist", samples=0)
    return site


def configured(site: Site, cloud: StandInCloud, wire_format: str = "openai_chat", more: str = "") -> str:
    file = site.folder / "daemon.toml"
    file.write_text(
        f'[cloud.endpoints."cloud/default"]\nbase_url = "{cloud.base_url}"\nwire_format = "{wire_format}"\n'
        f'model = "stand-in"\n{more}'
    )
    return str(file)


def asked(client: DaemonClient, text: str = TEXT, **task: object) -> tuple[str, bool, wire.Outcome]:
    """What counts of the answer, whether some of it was retracted, and the outcome."""
    said, retracted, outcome = "", False, wire.Outcome()
    request = wire.Task(text=text, allows_escalation=True, **{"data_classes": ["public"], **task})  # type: ignore[arg-type]  # as a test writes it
    for event in client.generate(wire.GenerateRequest(task=request)):
        if event.HasField("retraction"):
            said, retracted = "", True
        said += event.delta
        if event.HasField("outcome"):
            outcome = event.outcome
    return said, retracted, outcome


def eventually(holds: Callable[[], bool]) -> None:
    until_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < until_s
        time.sleep(0.05)


@pytest.mark.parametrize("wire_format", FORMATS)
def test_a_task_goes_out_masked_and_its_answer_comes_home_restored(
    site: Site, cloud: StandInCloud, wire_format: str
) -> None:
    with site.daemon("--config", configured(site, cloud, wire_format)) as client:
        said, retracted, outcome = asked(client)
        assert client.status().link == "up"
    assert (outcome.status, outcome.answered_by, retracted) == (ANSWER, "cloud/default", False)
    assert "jo@example.org" in said
    assert "⟦" not in said
    (request,) = cloud.received
    assert b"example.org" not in request.body
    assert "⟦email:".encode() in request.body
    assert "example.org" not in site.log


@pytest.mark.parametrize("fault", list(Fault))
def test_every_fault_ends_in_exactly_one_outcome(site: Site, cloud: StandInCloud, fault: Fault) -> None:
    request = wire.Task(text=TEXT, data_classes=["public"], allows_escalation=True, deadline_s=8.0)
    with site.daemon("--config", configured(site, cloud)) as client:
        cloud.will(*[fault] * 3)
        heard = list(client.generate(wire.GenerateRequest(task=request)))
        cloud.stopping.set()  # whoever is silent or endless ends
    kinds = [event.WhichOneof("event") for event in heard]
    assert (kinds.count("decision"), kinds.count("outcome"), kinds[-1]) == (1, 1, "outcome")
    after = kinds[kinds.index("retraction") :] if "retraction" in kinds else kinds
    said = "".join(event.delta for event in heard[len(kinds) - len(after) :])
    outcome = heard[-1].outcome
    if fault in HARMLESS:
        assert (outcome.status, outcome.answered_by, list(outcome.findings)) == (ANSWER, "cloud/default", [])
        assert "jo@example.org" in said
    else:
        assert (outcome.status, outcome.answered_by) == (DEGRADED, "generalist")
        assert (said, outcome.findings[0], len(outcome.findings)) == (TEXT, "cloud_failed", 2)


def test_what_was_cut_off_is_retracted_and_the_link_is_lost_until_probes_find_it(
    site: Site, cloud: StandInCloud
) -> None:
    with site.daemon("--config", configured(site, cloud)) as client:
        cloud.will(Fault.CUT)
        said, retracted, outcome = asked(client)
        assert (said, retracted, outcome.status) == (TEXT, True, DEGRADED)
        assert client.status().link == "down"
        _, _, kept_home = asked(client)
        sent = [request for request in cloud.received if request.method == "POST"]  # a probe may have come by now
        assert (kept_home.status, len(sent)) == (wire.OUTCOME_STATUS_REVIEW, 1)
        eventually(lambda: client.status().link == "up")
        assert asked(client)[2].status == ANSWER
    assert [request.method for request in cloud.received].count("POST") == 2
    assert all(request.body == b"" for request in cloud.received if request.method != "POST")


def test_a_local_only_task_makes_no_connection(site: Site, cloud: StandInCloud) -> None:
    with site.daemon("--config", configured(site, cloud)) as client:
        asked(client, data_classes=["patient"])
        asked(client, text="MRN 4471203 of jo@example.org")
    assert cloud.received == []


def test_a_key_that_others_can_read_keeps_the_daemon_from_starting(site: Site, cloud: StandInCloud) -> None:
    key = site.folder / "key"
    key.write_text("sk-canary")
    key.chmod(0o644)
    with pytest.raises(AssertionError), site.daemon("--config", configured(site, cloud, more=f'key_file = "{key}"\n')):
        pass
    assert "chmod 0600" in site.log
    assert "sk-canary" not in site.log


@pytest.mark.parametrize("wire_format", FORMATS)
@pytest.mark.parametrize(("runs_here", "in_arguments"), [(True, "jo@example.org"), (False, "[withheld]")])
def test_a_tool_loop_goes_round_with_nothing_but_tokens_outside(
    site: Site, cloud: StandInCloud, wire_format: str, *, runs_here: bool, in_arguments: str
) -> None:
    tool = wire.Tool(name="look_up", description="for jo@example.org", parameters='{"type": "object"}')
    tool.runs_here = runs_here
    task = wire.Task(text=TEXT, allows_escalation=True, data_classes=["public"], tools=[tool])
    with site.daemon("--config", configured(site, cloud, wire_format)) as client:
        events = list(client.generate(wire.GenerateRequest(task=task)))
        (call,) = [event.tool_call for event in events if event.HasField("tool_call")]
        assert in_arguments in json.loads(call.arguments)["text"]
        assert events[-1].outcome.finish_reason == "tool_calls"
        messages = [
            wire.Message(role="user", content=TEXT),
            wire.Message(role="assistant", tool_calls=[call]),
            wire.Message(role="tool", content="jo@example.org pays", tool_call_id=call.id),
        ]
        again = wire.Task(allows_escalation=True, data_classes=["public"], tools=[tool], messages=messages)
        said = "".join(event.delta for event in client.generate(wire.GenerateRequest(task=again)))
    assert "jo@example.org" in said
    assert len(cloud.received) == 2
    assert not any(b"example.org" in request.body or call.id.encode() in request.body for request in cloud.received)


def test_attachments_are_read_dropped_or_kept_from_leaving(site: Site, cloud: StandInCloud) -> None:
    letter = wire.Attachment(name="letter.txt", data=b"The plan of jo@example.org needs two more rooms.")
    menu = wire.Attachment(name="menu.txt", data=b"Tea and cake.")
    recording = wire.Attachment(name="call.wav", data=b"RIFF\0\0\0\0WAVEfmt \x80")
    with site.daemon("--config", configured(site, cloud)) as client:
        said, _, outcome = asked(client, "What does the letter say?", attachments=[letter, menu])
        assert (outcome.status, "two more rooms" in said, "cake" in said) == (ANSWER, True, False)
        spoken = list(
            client.generate(wire.GenerateRequest(task=wire.Task(text="What is said?", attachments=[recording])))
        )
    assert spoken[-1].outcome.status == wire.OUTCOME_STATUS_REVIEW
    assert "voice" in spoken[0].decision.classes
    assert len(cloud.received) == 1
