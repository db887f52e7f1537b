"""`homebred ask` and `status` as people run them, on a real daemon, and on a scripted one for what it rarely says."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from tests.support.command_line import COMMANDS, environment, homebred
from tests.support.daemon_process import Site
from tests.support.scripted_daemon import DRAINING, OVERLOADED, Refusal, ScriptedDaemon, refusal

from homebred_daemon.cli.exits import Exit
from homebred_protocol.v1 import inference_pb2 as wire

DECISION = wire.GenerateEvent(decision=wire.RouteDecision(route_id="r-1"))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def script(tmp_path: Path) -> Iterator[ScriptedDaemon]:
    daemon = ScriptedDaemon(tmp_path / "s")
    daemon.start()
    yield daemon
    daemon.stop()


def test_the_answer_goes_to_standard_output_and_all_else_to_the_other(site: Site) -> None:
    site.add_echo("repeater")
    with site.daemon():
        ended = homebred("ask", "hello", "there", "--class", "patient", "--socket", site.socket)
    assert (ended.status, ended.out) == (Exit.OK, "hello there\n")
    decision, outcome = ended.err.splitlines()
    assert decision == "[local_only -> repeater] private data stays on this device"
    assert outcome.startswith("[answer by repeater, ")


def test_the_answer_is_shown_as_it_is_made(site: Site) -> None:
    site.add_echo("slow", script={"token_delay_s": 0.3})
    command = [str(COMMANDS / "homebred"), "ask", "a b c d", "--class", "patient", "--socket", str(site.socket)]
    with site.daemon(), subprocess.Popen(command, stdout=subprocess.PIPE, env=environment()) as asked:
        assert asked.stdout is not None
        assert asked.stdout.read(2) == b"a "
        started_s = time.monotonic()
        assert asked.stdout.read() == b"b c d\n"
        assert time.monotonic() - started_s > 0.3


def test_as_json_there_is_one_object_at_the_end(site: Site) -> None:
    site.add_echo("repeater")
    with site.daemon():
        ended = homebred("ask", "hello", "--class", "patient", "--socket", site.socket, "--json")
    (told,) = ended.lines
    assert (ended.status, ended.err, told["answer"]) == (Exit.OK, "", "hello")
    assert told["decision"] == told["decisions"][-1]
    assert (told["decision"]["selected_runtime"], told["decision"]["fallback_target"]) == ("local", "none")
    assert [told["outcome"][name] for name in ("status", "error", "confidence")] == ["answer", None, None]
    assert 0 < told["timings"]["first_token_ms"] <= told["timings"]["total_ms"]


def test_a_task_for_a_person_says_what_next_and_ends_with_one(site: Site) -> None:
    with site.daemon():
        ended = homebred("ask", "hello", "--class", "patient", "--socket", site.socket)
        as_json = homebred("ask", "hello", "--class", "patient", "--socket", site.socket, "--json")
    assert (ended.status, ended.out) == (Exit.NEGATIVE, "")
    assert "\nnext:  " in ended.err
    (told,) = as_json.lines
    assert (as_json.status, told["outcome"]["error"]["code"], told["answer"]) == (Exit.NEGATIVE, "needs_review", "")


@pytest.mark.parametrize(
    ("refused", "status", "code"),
    [
        (refusal(grpc.StatusCode.INVALID_ARGUMENT, "bad_request"), Exit.USAGE, "bad_request"),
        (refusal(grpc.StatusCode.PERMISSION_DENIED, "not_permitted"), Exit.REFUSED, "not_permitted"),
        (OVERLOADED, Exit.REFUSED, "overloaded"),
        (DRAINING, Exit.REFUSED, "draining"),
        (Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED), Exit.REFUSED, "overloaded"),
        (refusal(grpc.StatusCode.UNAVAILABLE, "engine_unavailable"), Exit.FAILED, "engine_unavailable"),
        (refusal(grpc.StatusCode.DEADLINE_EXCEEDED, "deadline_exceeded"), Exit.FAILED, "deadline_exceeded"),
        (Refusal(grpc.StatusCode.UNAVAILABLE), Exit.UNREACHABLE, "daemon_unreachable"),
        (Refusal(grpc.StatusCode.INTERNAL), Exit.FAILED, "internal"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_refusal_is_told_once_with_its_exit_status(
    script: ScriptedDaemon, refused: Refusal, status: Exit, code: str
) -> None:
    script.will("Generate", refused)
    ended = homebred("ask", "x", "--socket", script.socket)
    as_json = homebred("ask", "x", "--socket", script.socket, "--json")
    assert (ended.status, ended.out) == (status, "")
    assert ended.err.startswith("error: ")
    assert "\nnext:  " in ended.err
    (told,) = as_json.lines
    assert (as_json.status, told["error"]["code"]) == (status, code)
    assert len(script.heard) == 2  # a person hears at once: nothing is tried again


def test_an_outcome_that_is_an_error_is_shown_whole_as_json_and_as_an_error_to_a_person(script: ScriptedDaemon) -> None:
    problem = wire.Problem(code="engine_unavailable", message="no engine", hint="wait")
    failed = wire.GenerateEvent(outcome=wire.Outcome(status=wire.OUTCOME_STATUS_ERROR, problem=problem))
    script.will("Generate", [DECISION, failed, Refusal(grpc.StatusCode.UNAVAILABLE, problem)])
    ended = homebred("ask", "x", "--socket", script.socket)
    as_json = homebred("ask", "x", "--socket", script.socket, "--json")
    assert ended.status == as_json.status == Exit.FAILED
    assert ended.err.endswith("error: no engine\nnext:  wait\n")
    (told,) = as_json.lines
    assert told["outcome"]["error"] == {"code": "engine_unavailable", "message": "no engine", "hint": "wait"}


def test_no_daemon_is_told_at_once_and_how_to_start_it(tmp_path: Path) -> None:
    for command in (("ask", "x"), ("status",)):
        ended = homebred(*command, "--socket", tmp_path / "none")
        assert ended.status == Exit.UNREACHABLE
        assert ended.err == (
            f"error: the daemon does not answer at {tmp_path / 'none'}\n"
            "next:  start it with `systemctl start homebred`, or name its socket with --socket\n"
        )


def test_status_shows_every_part(site: Site) -> None:
    site.add_echo("repeater")
    with site.daemon():
        homebred("ask", "x", "--class", "patient", "--socket", site.socket)
        shown = homebred("status", "--socket", site.socket)
        (told,) = homebred("status", "--socket", site.socket, "--json").lines
    assert shown.status == Exit.OK
    assert "recorded: 1 answer" in shown.out
    assert [one["id"] for one in told["specialists"]] == ["repeater"]


def test_the_environment_names_the_socket(site: Site) -> None:
    site.add_echo("repeater")
    with site.daemon():
        ended = homebred("ask", "x", "--class", "patient", environ={"HOMEBRED_SOCKET": str(site.socket)})
    assert (ended.status, ended.out) == (Exit.OK, "x\n")


def test_an_answer_is_held_to_constraints_and_can_be_rejected(site: Site, tmp_path: Path) -> None:
    site.add_echo("repeater")
    short, wrong = tmp_path / "short.json", tmp_path / "wrong.json"
    short.write_text('{"contains": ["tea"], "max_characters": 9}')
    wrong.write_text('{"contains": "tea"}')
    flags = ("--class", "patient", "--session", "counter", "--socket", site.socket, "--json")
    with site.daemon():
        (fits,) = homebred("ask", "two teas", "--constraints", short, *flags).lines
        (breaks,) = homebred("ask", "two teas please", "--constraints", short, *flags).lines
        (again,) = homebred("ask", "two teas", "--rejects", fits["decision"]["route_id"], *flags).lines
        unknown = homebred("ask", "two teas", "--rejects", "r-0", *flags)
        refused = homebred("ask", "two teas", "--constraints", wrong, "--socket", site.socket)
    assert (fits["answer"], fits["outcome"]["findings"]) == ("two teas", [])
    assert (breaks["outcome"]["weak"], breaks["outcome"]["findings"]) == (True, ["constraint_broken"])
    assert again["outcome"]["findings"] == ["rejected_by_caller"]
    assert again["decision"]["supersedes"] == fits["decision"]["route_id"]
    assert unknown.lines[0]["error"]["code"] == "not_found"
    assert refused.status == Exit.USAGE
    assert "constraints.contains: is a string; write a list of strings" in refused.err


def test_files_go_along_and_tools_are_asked_for(site: Site, tmp_path: Path) -> None:
    site.add_echo("reader")
    site.add_echo("doer", capabilities=["tools"])
    note, tools = tmp_path / "note.txt", tmp_path / "tools.json"
    note.write_text("two teas")
    tools.write_text('[{"name": "ring", "parameters": {"type": "object"}}]')
    private = ("--class", "patient", "--socket", site.socket)
    with site.daemon():
        read = homebred("ask", "read", "--attach", note, *private)
        rung = homebred("ask", 'ring {"times": 2}', "--tools", tools, *private)
        told = homebred("ask", 'ring {"times": 2}', "--tools", tools, *private, "--json").lines[0]
    assert read.out == "read\n\n--- note.txt ---\ntwo teas\n"
    assert rung.out.splitlines()[0] == 'ring {"times": 2}'
    assert [(call["name"], call["arguments"]) for call in told["tool_calls"]] == [("ring", '{"times": 2}')]


def test_a_reviewer_gets_what_was_attached(site: Site, tmp_path: Path) -> None:
    recording = tmp_path / "call.wav"
    recording.write_bytes(b"RIFF\0\0\0\0WAVEfmt \x80")
    with site.daemon():
        asked = homebred("ask", "who calls?", "--attach", recording, "--socket", site.socket, "--json")
        route_id = asked.lines[0]["decision"]["route_id"]
        shown = homebred("review", "show", route_id, "--save", tmp_path, "--socket", site.socket)
        again = homebred("review", "show", route_id, "--save", tmp_path, "--socket", site.socket)
    assert (asked.status, asked.lines[0]["decision"]["classes"]) == (Exit.NEGATIVE, ["client", "voice"])
    assert "[attached] call.wav, 17 bytes" in shown.out
    saved = tmp_path / "1-call.wav"
    assert (saved.read_bytes(), saved.stat().st_mode & 0o777) == (recording.read_bytes(), 0o600)
    assert "cannot be written: File exists" in again.err
