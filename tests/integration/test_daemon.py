"""The daemon as a real process, called over its socket; its engines are real echo workers."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status
from tests.support.daemon_process import Site
from tests.support.wire_client import DaemonClient

from homebred_daemon.adapters.store.ledger import SqliteLedger
from homebred_daemon.errors import HomebredError
from homebred_daemon.ports.ledger import LedgerCheck
from homebred_daemon.services.replaying import replay
from homebred_protocol.v1 import inference_pb2 as wire
from homebred_protocol.v1 import inference_pb2_grpc


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonClient]:
    """A daemon for all that it refuses."""
    with Site(tmp_path_factory.mktemp("site")).daemon() as client:
        yield client


def events(client: DaemonClient, **task: object) -> list[wire.GenerateEvent]:
    return list(client.generate(wire.GenerateRequest(task=wire.Task(**task))))  # type: ignore[arg-type]  # as a test writes it


def told(events: list[wire.GenerateEvent]) -> tuple[list[str], str, wire.Outcome]:
    """Reasons decided, text streamed, outcome."""
    reasons = [event.decision.reason_code for event in events if event.HasField("decision")]
    return reasons, "".join(event.delta for event in events), events[-1].outcome


def test_a_task_is_decided_then_streamed_then_ended(site: Site) -> None:
    site.add_echo("repeater")
    with site.daemon() as client:
        heard = events(client, text="one two three", data_classes=["patient"])
        kinds = [event.WhichOneof("event") for event in heard]
    assert kinds[0] == "decision"
    assert kinds[-1] == "outcome"
    assert set(kinds[1:-1]) == {"delta"}
    reasons, text, outcome = told(heard)
    assert (reasons, text) == (["local_only"], "one two three")
    assert outcome.status == wire.OUTCOME_STATUS_ANSWER
    assert outcome.answered_by == "repeater"
    assert outcome.usage.completion_tokens >= 3
    assert 0 < outcome.first_token_ms <= outcome.total_ms


def test_every_answered_task_stands_in_the_ledger_and_replays(site: Site) -> None:
    site.add_echo("repeater")
    with site.daemon() as client:
        for number in range(5):
            events(client, text=f"task {number}", data_classes=["patient"])
        assert dict(client.status().outcomes) == {"answer": 5}
    ledger = SqliteLedger(site.state / "ledger.sqlite")
    report = replay(ledger)
    ledger.close()
    assert (report.decisions, report.mismatches, report.check) == (5, (), LedgerCheck())


def test_the_ledger_and_the_log_hold_no_content(site: Site) -> None:
    site.add_echo("repeater")
    with site.daemon("--log-level", "debug") as client:
        events(client, text="Xylophonia Quartermain has the canary", data_classes=["patient"])
    written = [path.read_bytes() for path in site.state.iterdir() if path.is_file()]
    assert not any(b"canary" in body or b"Xylophonia" in body for body in (*written, site.log.encode()))


def test_a_crash_before_the_first_word_is_decided_again_with_another_specialist(site: Site) -> None:
    site.add_echo("broken", size_rank=0, script={"crash_after": 0})
    site.add_echo("sound", size_rank=1, fitness=0.95)
    with site.daemon() as client:
        heard = events(client, text="hold on", data_classes=["patient"])
    reasons, text, outcome = told(heard)
    first, second = (event.decision for event in heard if event.HasField("decision"))
    assert reasons == ["local_only", "local_only"]
    assert second.supersedes == first.route_id
    assert (text, outcome.answered_by, list(outcome.findings)) == ("hold on", "sound", ["fallback"])


def test_a_crash_after_the_first_word_is_an_error_that_the_caller_sees(site: Site) -> None:
    site.add_echo("broken", script={"crash_after": 2, "token_delay_s": 0.3})  # the words before it get away
    heard: list[wire.GenerateEvent] = []
    with site.daemon() as client:
        stream = client.generate(wire.GenerateRequest(task=wire.Task(text="a b c d", data_classes=["patient"])))
        with pytest.raises(HomebredError) as failure:
            heard.extend(stream)
    assert failure.value.code == "engine_unavailable"
    assert heard[-1].outcome.status == wire.OUTCOME_STATUS_ERROR
    assert "".join(event.delta for event in heard).startswith("a")


def test_a_task_that_nobody_may_answer_goes_to_a_person(site: Site) -> None:
    with site.daemon() as client:
        reasons, text, outcome = told(events(client, text="hello", data_classes=["patient"]))
    assert (reasons, text, outcome.status) == (["no_candidate"], "", wire.OUTCOME_STATUS_REVIEW)
    assert outcome.problem.code == "needs_review"
    assert outcome.problem.hint


def test_an_escalation_is_answered_degraded_while_there_is_no_cloud_lane(site: Site) -> None:
    site.add_echo("generalist", samples=0)
    with site.daemon("--link", "up") as client:
        reasons, text, outcome = told(events(client, text="weigh it", data_classes=["public"], allows_escalation=True))
    assert (reasons, text) == (["margin_short"], "weigh it")
    assert (outcome.status, list(outcome.findings)) == (wire.OUTCOME_STATUS_DEGRADED, ["no_cloud_lane"])


def test_a_caller_who_declares_public_over_a_patient_that_the_site_knows_stays_local(site: Site) -> None:
    site.add_echo("generalist", samples=0)
    known, config = site.folder / "known.jsonl", site.folder / "daemon.toml"
    known.write_text('{"text": "Ottilie Grünwald", "class": "patient"}\n')
    config.write_text(f'[detection]\ngazetteer_file = "{known}"\n')
    task = {"data_classes": ["public"], "allows_escalation": True}
    with site.daemon("--link", "up", "--config", str(config)) as client:
        stranger, _, _ = told(events(client, text="How is the weather?", **task))
        patient, _, outcome = told(events(client, text="How is GRUENWALD, Ottilie?", **task))
    assert (stranger, patient) == (["margin_short"], ["no_candidate"])
    assert outcome.status == wire.OUTCOME_STATUS_REVIEW
    assert "Ottilie" not in site.log


def test_a_wrong_gazetteer_keeps_the_daemon_from_starting(site: Site) -> None:
    known, config = site.folder / "known.jsonl", site.folder / "daemon.toml"
    known.write_text('{"text": "Zorblatt", "class": "Patient"}\n')
    config.write_text(f'[detection]\ngazetteer_file = "{known}"\n')
    ended = subprocess.run(site.command("--config", str(config)), capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "known.jsonl: 1 lines are wrong" in ended.stderr
    assert "Zorblatt" not in ended.stderr


def test_a_schema_holds_the_answer_back_until_it_fits(site: Site) -> None:
    site.add_echo("repeater", script={"token_delay_s": 0.01})
    schema = '{"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}'
    with site.daemon() as client:
        heard = events(client, text='{"n": 3}', data_classes=["patient"], response_schema=schema)
    assert sum(event.HasField("delta") for event in heard) == 1
    assert told(heard)[1] == '{"n": 3}'


def test_a_dry_run_explains_itself_and_leaves_no_record(site: Site) -> None:
    site.add_echo("repeater")
    with site.daemon() as client:
        decision = client.route(wire.Task(text="MRN 4471203 needs a form", data_classes=["public"]))
        assert dict(client.status().outcomes) == {}
    assert decision.reason_code == "local_only"
    assert list(decision.classes) == ["patient", "public"]
    assert "local_only_class=patient" in decision.trace
    assert decision.route_id == ""


def test_a_dry_run_shows_what_would_leave(site: Site) -> None:
    task = wire.Task(text="weigh it for jo@example.org", data_classes=["public"], allows_escalation=True)
    with site.daemon("--link", "up") as client:
        context = client.routed(task).context
        task.allows_escalation = False
        assert not client.routed(task).HasField("context")
    (message,) = context.messages
    assert message.content.startswith("weigh it for ⟦email:")
    assert "example.org" not in message.content


@pytest.mark.parametrize(
    ("task", "named"),
    [
        ({"text": ""}, "text"),
        ({"text": "x", "kind": "poem"}, "kind"),
        ({"text": "x", "requires": ["wings"]}, "requires"),
        ({"text": "x", "response_schema": "{"}, "response_schema"),
        ({"text": "x", "response_schema": '{"type": "poem"}'}, "response_schema"),
        ({"text": "x", "minimum_margin": 7.0}, "minimum_margin"),
        ({"messages": [wire.Message(role="wizard", content="x")]}, "role"),
    ],
)
def test_a_bad_task_is_refused_with_what_why_and_what_next(
    refusing: DaemonClient, task: dict[str, object], named: str
) -> None:
    with pytest.raises(HomebredError) as refusal:
        events(refusing, **task)
    assert refusal.value.code == "bad_request"
    assert named in refusal.value.message or named == "text"
    assert refusal.value.hint


def test_an_error_carries_rich_status_for_programs_and_people(site: Site) -> None:
    with site.daemon(), grpc.insecure_channel(f"unix:{site.socket}") as channel:
        with pytest.raises(grpc.RpcError) as refusal:
            inference_pb2_grpc.InferenceStub(channel).Route(wire.RouteRequest(task=wire.Task(text="x", kind="poem")))
        status = rpc_status.from_call(refusal.value)
    assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    info, problem = error_details_pb2.ErrorInfo(), wire.Problem()
    assert status.details[0].Unpack(info)
    assert (info.reason, info.domain) == ("bad_request", "homebred")
    assert status.details[1].Unpack(problem)
    assert "kind" in problem.message


def test_health_and_reflection_answer(site: Site) -> None:
    with site.daemon(), grpc.insecure_channel(f"unix:{site.socket}") as channel:
        health = health_pb2_grpc.HealthStub(channel).Check(
            health_pb2.HealthCheckRequest(service="homebred.v1.Inference")
        )
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        listed = next(reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter([request])))
    assert health.status == health_pb2.HealthCheckResponse.SERVING
    names = {service.name for service in listed.list_services_response.service}
    assert {"homebred.v1.Inference", "homebred.v1.Control", "grpc.health.v1.Health"} <= names


def test_a_second_daemon_is_refused_and_the_first_keeps_serving(site: Site) -> None:
    with site.daemon() as client:
        second = subprocess.run(site.command(), capture_output=True, text=True, timeout=30, check=False)
        assert second.returncode == 2
        assert "another daemon serves" in second.stderr
        assert client.status().version


def test_a_killed_daemon_leaves_nothing_that_stops_the_next(site: Site) -> None:
    site.add_echo("repeater")
    with site.daemon(killed=True) as client:
        events(client, text="before", data_classes=["patient"])
    with site.daemon() as client:
        assert told(events(client, text="after", data_classes=["patient"]))[1] == "after"


def test_stopping_ends_the_workers_too(site: Site) -> None:
    site.add_echo("repeater")
    with site.daemon() as client:
        events(client, text="x", data_classes=["patient"])
        (worker,) = client.status().workers
        assert Path(f"/proc/{worker.process_id}").exists()
    assert not Path(f"/proc/{worker.process_id}").exists()
    assert not site.socket.exists()


def test_a_caller_that_goes_away_stops_the_engine_and_leaves_a_record(site: Site) -> None:
    site.add_echo("slow", script={"token_delay_s": 0.05})
    with site.daemon() as client:
        stream = client.generate(wire.GenerateRequest(task=wire.Task(text="word " * 200, data_classes=["patient"])))
        while not next(stream).HasField("delta"):
            pass
        stream.close()
        deadline_s = time.monotonic() + 10
        while client.status().streams and time.monotonic() < deadline_s:
            time.sleep(0.02)
        (worker,) = client.status().workers
        assert (client.status().streams, worker.running) == (0, 0)
        assert dict(client.status().outcomes) == {"error": 1}


def test_a_deadline_ends_a_task_with_an_error_of_its_own(site: Site) -> None:
    site.add_echo("hanging", script={"hang_after": 1})
    with site.daemon() as client, pytest.raises(HomebredError) as failure:
        events(client, text="a b c", data_classes=["patient"], deadline_s=0.5)
    assert failure.value.code == "deadline_exceeded"


def test_models_added_while_it_runs_are_taken_up(site: Site) -> None:
    with site.daemon() as client:
        site.add_echo("late")
        assert client.reload_models().specialists == 1
        assert told(events(client, text="now", data_classes=["patient"]))[1] == "now"


def test_only_its_own_user_can_reach_the_socket_and_the_state(site: Site) -> None:
    with site.daemon():
        assert stat.S_IMODE(site.socket.stat().st_mode) == 0o600
        assert stat.S_IMODE(site.state.stat().st_mode) & 0o077 == 0


def test_a_regular_file_in_the_sockets_place_is_not_removed(site: Site) -> None:
    site.socket.parent.mkdir(parents=True)
    site.socket.write_text("precious")
    refused = subprocess.run(site.command(), capture_output=True, text=True, timeout=30, check=False)
    assert refused.returncode == 2
    assert "is not a socket" in refused.stderr
    assert site.socket.read_text() == "precious"


def test_sigterm_in_the_middle_of_an_answer_still_ends_cleanly(site: Site) -> None:
    site.add_echo("slow", script={"token_delay_s": 0.01})
    with site.daemon() as client:
        stream = client.generate(wire.GenerateRequest(task=wire.Task(text="word " * 50, data_classes=["patient"])))
        while not next(stream).HasField("delta"):
            pass
        assert site.process is not None
        os.kill(site.process.pid, signal.SIGTERM)
        outcome = list(stream)[-1].outcome
    assert outcome.status == wire.OUTCOME_STATUS_ANSWER


def test_daemon_and_command_line_look_at_the_same_text(site: Site) -> None:
    with site.daemon() as client:
        decision = client.route(
            wire.Task(text="x", data_classes=["public"], response_schema=r'{"title": "\u004dRN 4471203"}')
        )
    assert "patient" in decision.classes


def test_profiles_of_the_callers_own_groups_apply(site: Site, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(f'[callers."gid:{os.getegid()}"]\nadds_classes = ["patient"]\n')
    with site.daemon("--policy", str(policy)) as client:
        assert "patient" in client.route(wire.Task(text="x", data_classes=["public"])).classes


def test_status_answers_while_every_stream_is_taken(site: Site, tmp_path: Path) -> None:
    site.add_echo("hanging", script={"hang_after": 1})
    config = tmp_path / "homebred.toml"
    config.write_text("[requests]\nmax_streams = 4\n[engine]\nslots = 4\n")
    with site.daemon("--config", str(config)) as client:
        request = wire.GenerateRequest(task=wire.Task(text="a b", data_classes=["patient"], deadline_s=20))
        streams = [client.generate(request) for _ in range(4)]
        for stream in streams:
            next(stream)
        with pytest.raises(HomebredError) as refusal:
            next(client.generate(request))
        assert refusal.value.code == "overloaded"
        assert client.status().streams == 4
        for stream in streams:
            stream.close()


def test_a_message_over_the_limit_is_a_bad_request_not_overload(site: Site) -> None:
    with site.daemon() as client, pytest.raises(HomebredError) as refusal:
        events(client, text="x" * (5 << 20), data_classes=["patient"])
    assert refusal.value.code == "bad_request"


def test_a_long_text_is_looked_through_while_others_are_answered(site: Site) -> None:
    site.add_echo("repeater")
    with site.daemon() as client:
        decision = client.route(wire.Task(text="word " * 200_000 + "MRN 4471203", data_classes=["public"]))
    assert "patient" in decision.classes


def test_nobody_may_dump_the_daemons_memory(site: Site) -> None:
    with site.daemon():
        assert site.process is not None
        limits = Path(f"/proc/{site.process.pid}/limits").read_text().splitlines()
        owner = Path(f"/proc/{site.process.pid}/mem").stat().st_uid
    assert next(line.split()[4:6] for line in limits if line.startswith("Max core file size")) == ["0", "0"]
    assert owner == 0


@pytest.mark.parametrize("task", [{"task_id": "x" * 200}, {"workflow": "a\nb"}, {"data_classes": ["x" * 100]}])
def test_names_leave_no_room_for_content(site: Site, task: dict[str, object]) -> None:
    with site.daemon() as client, pytest.raises(HomebredError) as refusal:
        events(client, text="x", **task)
    assert refusal.value.code == "bad_request"


@pytest.mark.parametrize("deadline_s", [0.0005, 0.001, 0.0015, 0.003])
def test_a_deadline_in_the_middle_of_a_write_still_ends_the_call(site: Site, deadline_s: float) -> None:
    site.add_echo("repeater")
    request = wire.GenerateRequest(task=wire.Task(text="a b c", data_classes=["patient"], deadline_s=deadline_s))
    with site.daemon() as client:
        for _ in range(25):
            heard: list[wire.GenerateEvent] = []
            with suppress(HomebredError):  # some are answered in time
                heard.extend(client.generate(request))
            assert heard[-1].HasField("outcome")
            assert sum(event.HasField("outcome") for event in heard) == 1
        assert client.status().streams == 0
