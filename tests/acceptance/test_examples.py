"""The examples as a developer runs them: as processes on a real daemon, or on a scripted one where it must hesitate."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from tests.support.daemon_process import Site
from tests.support.scripted_daemon import OVERLOADED, Refusal, ScriptedDaemon

from homebred_protocol.v1 import inference_pb2 as wire

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
DECISION = wire.GenerateEvent(decision=wire.RouteDecision(route_id="r-1", selected_model_or_stack="m"))
PERSON = [DECISION, wire.GenerateEvent(outcome=wire.Outcome(status=wire.OUTCOME_STATUS_REVIEW))]
ANSWERED = wire.GetReviewResponse(route_id="r-1", state=wire.REVIEW_STATE_ANSWERED, output='{"visit": "x-ray"}')
WAITING = wire.GetReviewResponse(route_id="r-1", state=wire.REVIEW_STATE_WAITING)
DECLINED = wire.GetReviewResponse(route_id="r-1", state=wire.REVIEW_STATE_DECLINED, note="unreadable")
TEA = '{"item": "tea", "quantity": 2}'


@dataclass(frozen=True, slots=True)
class Ended:
    status: int
    out: str
    err: str


def example(name: str, socket: Path, *arguments: str, stdin: str = "") -> Ended:
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), "--socket", str(socket), *arguments]
    ran = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=90, check=False)
    return Ended(ran.returncode, ran.stdout, ran.stderr)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def script(tmp_path: Path) -> Iterator[ScriptedDaemon]:
    daemon = ScriptedDaemon(tmp_path / "s")
    daemon.start()
    yield daemon
    daemon.stop()


def answer(text: str, *, weak: bool = False) -> list[wire.GenerateEvent]:
    outcome = wire.Outcome(status=wire.OUTCOME_STATUS_ANSWER, weak=weak)
    return [DECISION, wire.GenerateEvent(delta=text), wire.GenerateEvent(outcome=outcome)]


def test_the_kiosk_takes_an_order(site: Site) -> None:
    site.add_echo("kiosk-orders", workflow="order.normalise")
    with site.daemon():
        ended = example("kiosk", site.socket, TEA, "whatever")
    assert (ended.status, ended.err) == (0, "")
    assert "asking kiosk-orders" in ended.out
    assert "2 × tea, coming" in ended.out


def test_the_kiosk_sends_to_the_counter_what_no_specialist_may_answer(site: Site) -> None:
    with site.daemon():
        ended = example("kiosk", site.socket, "two teas")
    assert ended.status == 1
    assert "the person at the counter" in ended.out


def test_the_kiosk_asks_back_where_the_answer_is_weak_and_once_more_where_the_engine_was_full(
    script: ScriptedDaemon,
) -> None:
    script.will("Generate", [DECISION, OVERLOADED], answer(TEA, weak=True))
    ended = example("kiosk", script.socket, "two teas")
    assert ended.status == 0
    assert "busy, one moment" in ended.out
    assert "2 × tea? please press yes or no" in ended.out


def test_the_kiosk_without_a_daemon_is_out_of_order(tmp_path: Path) -> None:
    ended = example("kiosk", tmp_path / "s", "two teas")
    assert ended.status == 2
    assert "out of order" in ended.err
    assert "next: start it" in ended.err


def test_the_clinic_files_a_note_and_survives_a_daemon_without_feedback(site: Site) -> None:
    site.add_echo("clinic-intake", workflow="intake.extract")
    with site.daemon():
        ended = example("clinic", site.socket, "MRN 6104873, x-ray", "--correction", "{}")
    assert (ended.status, ended.err) == (0, "")
    assert "filed: MRN 6104873, x-ray" in ended.out


def test_the_clinic_corrects_what_was_read(script: ScriptedDaemon) -> None:
    script.will("Generate", answer("6104873", weak=True))
    script.will("Feedback", wire.FeedbackResponse())
    ended = example("clinic", script.socket, "a note", "--correction", "6104872")
    assert ended.status == 0
    assert "please check twice: 6104873" in ended.out
    (sent,) = script.requests("Feedback")
    assert (sent.route_id, sent.verdict, sent.corrected_output) == ("r-1", wire.VERDICT_CORRECTED, "6104872")


def test_the_clinic_waits_for_the_person_who_must_answer(script: ScriptedDaemon) -> None:
    script.will("Generate", PERSON)
    script.will("GetReview", WAITING, ANSWERED)
    ended = example("clinic", script.socket, "a note")
    assert ended.status == 0
    assert ended.out.splitlines() == ["a person must read this; it waits as r-1", 'filed: {"visit": "x-ray"}']


def test_the_clinic_comes_back_later(script: ScriptedDaemon) -> None:
    script.will("Generate", PERSON)
    script.will("GetReview", WAITING)
    first = example("clinic", script.socket, "a note", "--wait", "0.1")
    script.will("GetReview", ANSWERED)
    second = example("clinic", script.socket, "--later", "r-1")
    script.will("GetReview", DECLINED)
    third = example("clinic", script.socket, "--later", "r-1")
    script.will("GetReview", Refusal(grpc.StatusCode.NOT_FOUND))
    fourth = example("clinic", script.socket, "--later", "r-1")
    assert (first.status, first.out.splitlines()[-1]) == (3, "still waiting: come back with --later r-1")
    assert (second.status, second.out) == (0, 'filed: {"visit": "x-ray"}\n')
    assert (third.status, third.out) == (1, "not answered: unreadable\n")
    assert (fourth.status, fourth.err.splitlines()[1]) == (2, "next: check its name")


def test_the_factory_counts_every_line(site: Site) -> None:
    site.add_echo("factory-events", workflow="event.normalise")
    with site.daemon("--link", "up"):
        ended = example("factory", site.socket, stdin="lathe 4 leaks\n\npress 2 jammed\n")
        made_up = example("factory", site.socket, "--events", "50", "--in-flight", "16")
    assert (ended.status, json.loads(ended.out)) == (0, {"answered": 2})
    assert (made_up.status, json.loads(made_up.out)) == (0, {"answered": 50})


def test_the_factory_goes_on_over_a_restart_of_the_daemon(site: Site) -> None:
    site.add_echo("factory-events", workflow="event.normalise", script={"token_delay_s": 0.01})
    command = [sys.executable, str(EXAMPLES / "factory.py"), "--socket", str(site.socket), "--events", "120"]
    with (
        site.daemon(killed=True) as client,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as factory,
    ):
        ends_s = time.monotonic() + 20
        while client.status().outcomes["answer"] < 20:
            assert time.monotonic() < ends_s
            time.sleep(0.02)
        assert site.process is not None
        site.process.kill()
        site.process.wait()
        with site.daemon():
            out, _ = factory.communicate(timeout=60)
    assert (factory.returncode, json.loads(out)) == (0, {"answered": 120})


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_an_example_is_short_says_how_it_is_run_and_needs_the_library_alone(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert len(text.splitlines()) <= 80
    assert f"python docs/examples/{path.name}" in (ast.get_docstring(tree) or "")
    modules = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert {module.partition(".")[0] for module in modules} - sys.stdlib_module_names == {"homebred_protocol"}
