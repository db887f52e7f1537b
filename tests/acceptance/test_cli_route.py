"""`homebred route`: tasks in, decisions out."""

from __future__ import annotations

import hashlib
import json
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.support.command_line import COMMANDS, TIMEOUT_S, environment, homebred
from tests.support.routing_files import POLICY, json_lines, route_arguments, task, tasks

RECORD = [
    "selected_runtime",
    "selected_model_or_stack",
    "local_reason",
    "redaction_required",
    "evidence_required",
    "fallback_target",
    "route_created_at_utc",
    "reason_code",
    "classes",
    "policy_digest",
    "trace",
    "task_id",
]


def routed(folder: Path, document: dict[str, Any], *more: str | Path, link: str = "up") -> dict[str, Any]:
    ended = homebred(*route_arguments(folder, link), *more, stdin=json_lines([document]))
    assert (ended.status, ended.err) == (0, "")
    (record,) = ended.lines
    return dict(record)


def decisions_in(ledger: Path) -> int:
    with sqlite3.connect(ledger) as connection:
        (count,) = connection.execute("SELECT count(*) FROM decisions").fetchone()
    connection.close()
    return int(count)


def test_a_decision_has_the_contract_s_fields_in_its_order(tmp_path: Path) -> None:
    record = routed(tmp_path, task("first", kind="repeat"), "--now", "2026-11-23T08:00:00Z")
    assert list(record) == RECORD
    assert record["task_id"] == "first"
    assert record["selected_runtime"] == "local"
    assert record["selected_model_or_stack"] == "norm-large"
    assert record["reason_code"] == "margin_met"
    assert record["route_created_at_utc"] == "2026-11-23T08:00:00+00:00"
    assert record["policy_digest"] == "sha256:" + hashlib.sha256(POLICY.encode()).hexdigest()


def test_a_synthesis_that_may_leave_escalates_once_its_residual_risk_is_measured(tmp_path: Path) -> None:
    words = task(kind="synthesis", workflow="plans.compare", allows_escalation=True, text="Compare two ways to bake.")
    record = routed(tmp_path, words)
    assert (record["selected_runtime"], record["reason_code"]) == ("cloud_escalation", "margin_short")
    assert any(entry.startswith("residual_risk=") for entry in record["trace"])
    assert routed(tmp_path, words, link="down")["selected_runtime"] == "no_op"


def test_what_detection_finds_keeps_a_task_at_home(tmp_path: Path) -> None:
    text = "my key is AKIAIOSFODNN7EXAMPLE and wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    record = routed(tmp_path, task(text=text, allows_escalation=True, minimum_margin=1))
    assert "code" in record["classes"]
    assert record["reason_code"] == "local_only"


def test_messages_are_read_as_text_is(tmp_path: Path) -> None:
    document = task(messages=[{"role": "user", "content": "hello"}])
    del document["text"]
    assert routed(tmp_path, document)["reason_code"] == "margin_met"


def test_without_a_given_time_a_decision_bears_the_clock_s(tmp_path: Path) -> None:
    before = datetime.now(UTC)
    created = datetime.fromisoformat(routed(tmp_path, task())["route_created_at_utc"])
    assert before <= created <= datetime.now(UTC)


def test_a_given_time_is_told_in_utc(tmp_path: Path) -> None:
    record = routed(tmp_path, task(), "--now", "2026-11-23T08:00:00+02:00")
    assert record["route_created_at_utc"] == "2026-11-23T06:00:00+00:00"


def test_a_caller_s_profile_holds(tmp_path: Path) -> None:
    record = routed(tmp_path, task(), "--caller", "uid:1001", "--caller", "gid:7")
    assert record["classes"] == ["patient", "public"]
    foreign = routed(tmp_path, task(workflow="other"), "--caller", "uid:1001")
    assert foreign["reason_code"] == "no_candidate"


def test_a_ceiling_bounds_the_policy(tmp_path: Path) -> None:
    ceiling = tmp_path / "ceiling.toml"
    ceiling.write_text('local_only_classes = ["public"]\n')
    assert routed(tmp_path, task(), "--ceiling", ceiling)["reason_code"] == "local_only"


BAD_LINES = {
    b"": "bad_line",
    b"   ": "bad_line",
    b"not json": "bad_line",
    b"[1, 2]": "bad_line",
    b'"text"': "bad_line",
    b'{"task_id": "a", "text": "b", "minimum_margin": NaN}': "bad_line",
    b'{"task_id": "a", "text": "b", "deadline_s": Infinity}': "bad_line",
    b'{"task_id": "a", "text": "\xff"}': "bad_line",
    b'{"task_id": "a", "text": "\\ud800"}': "bad_line",
    b'{"task_id": "a", "text": "b", "data_classes": ["patient"], "data_classes": []}': "bad_line",
    b"[" * 100_000: "bad_line",
    b'{"task_id": "a", "text": "' + b"x" * (4 * 1024 * 1024) + b'"}': "bad_line",
    b'{"task_id": "a", "text": "b", "minimum_margin": 1' + b"0" * 400 + b"}": "bad_line",
    b"{}": "bad_task",
    b'{"task_id": "a"}': "bad_task",
    b'{"task_id": "a", "text": "b", "messages": []}': None,
    b'{"task_id": 7, "text": "b"}': "bad_task",
    b'{"task_id": "a", "text": "b", "kind": "guess"}': "bad_task",
    b'{"task_id": "a", "text": "b", "minimum_margin": 1e999}': "bad_task",
    b'{"task_id": "a", "text": "b", "minimum_margin": 2}': "bad_task",
    b'{"task_id": "a", "text": "b", "data_clases": ["patient"]}': "bad_task",
    b'{"task_id": "a", "text": "b", "messages": [{"role": "user"}]}': "bad_task",
    b'{"task_id": "a", "text": "b", "own_key": {"any": ["thing"]}}': None,
}


def test_a_bad_line_is_answered_as_an_error_in_its_place(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    lines = [line for bad in BAD_LINES for line in (bad, json.dumps(task("good")).encode())]
    ended = homebred(*route_arguments(tmp_path), "--ledger", ledger, stdin=b"\n".join(lines))
    assert (ended.status, ended.err) == (0, "")
    answers = ended.lines
    assert len(answers) == len(lines)
    assert [answer.get("error", {}).get("code") for answer in answers[::2]] == list(BAD_LINES.values())
    assert [answer["task_id"] for answer in answers[1::2]] == ["good"] * len(BAD_LINES)
    for answer in answers[::2]:
        if "error" in answer:
            assert list(answer) == ["error"]
            assert list(answer["error"]) == ["code", "message", "hint"]
            assert all(answer["error"].values())
    assert decisions_in(ledger) == sum("task_id" in answer for answer in answers)


def test_no_lines_are_no_answers(tmp_path: Path) -> None:
    ended = homebred(*route_arguments(tmp_path))
    assert (ended.status, ended.out, ended.err) == (0, "", "")


@pytest.mark.thorough("ten thousand commits")
def test_ten_thousand_tasks_are_recorded_and_all_come_out_again(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    ended = homebred(*route_arguments(tmp_path), "--ledger", ledger, stdin=json_lines(tasks(10_000)))
    assert (ended.status, ended.err) == (0, "")
    answers = ended.lines
    assert [answer["task_id"] for answer in answers] == [f"task-{number}" for number in range(10_000)]
    assert len({answer["reason_code"] for answer in answers}) == 6
    replayed = homebred("replay", "--ledger", ledger)
    assert (replayed.status, replayed.lines) == (0, [{"decisions": 10_000, "mismatches": 0}])


def test_a_ledger_is_appended_to(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    for _ in range(2):
        routed(tmp_path, task(), "--ledger", ledger)
    assert homebred("replay", "--ledger", ledger).lines == [{"decisions": 2, "mismatches": 0}]


@contextmanager
def started(folder: Path, *more: str | Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [COMMANDS / "homebred", *route_arguments(folder), *more]
    streams = subprocess.PIPE
    with subprocess.Popen(command, stdin=streams, stdout=streams, stderr=streams, env=environment()) as process:
        try:
            yield process
        finally:
            process.kill()


def sent(process: subprocess.Popen[bytes], document: dict[str, Any]) -> dict[str, Any]:
    """Sends one task and waits for its answer."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json_lines([document]).encode())
    process.stdin.flush()
    return dict(json.loads(process.stdout.readline()))


def test_each_line_is_answered_before_the_next_one_is_sent(tmp_path: Path) -> None:
    with started(tmp_path) as process:
        for name in ("a", "b", "c"):
            assert sent(process, task(name))["task_id"] == name
        process.communicate(timeout=TIMEOUT_S)
        assert process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_quietly_with_every_answered_task_recorded(tmp_path: Path, number: signal.Signals) -> None:
    ledger = tmp_path / "ledger"
    with started(tmp_path, "--ledger", ledger) as process:
        for name in ("a", "b", "c"):
            sent(process, task(name))
        process.send_signal(number)
        out, err = process.communicate(timeout=TIMEOUT_S)
        assert (process.returncode, out, err) == (130, b"", b"")
    assert homebred("replay", "--ledger", ledger).lines == [{"decisions": 3, "mismatches": 0}]


def test_a_reader_that_goes_away_ends_it_quietly_with_every_decision_recorded(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    with started(tmp_path, "--ledger", ledger) as process:
        assert process.stdout is not None
        sent(process, task("a"))
        process.stdout.close()
        _, err = process.communicate(json_lines([task("b")]).encode(), timeout=TIMEOUT_S)
        assert (process.returncode, err) == (141, b"")
    assert homebred("replay", "--ledger", ledger).lines == [{"decisions": 2, "mismatches": 0}]


def refused(*arguments: str | Path) -> str:
    ended = homebred(*arguments, stdin=json_lines([task()]))
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith("error: ")
    assert "\nnext:  " in ended.err
    return ended.err


def test_a_wrong_policy_is_refused_with_its_line(tmp_path: Path) -> None:
    arguments = route_arguments(tmp_path)
    (tmp_path / "policy.toml").write_text("version = 1\nescalaton = true\n")
    assert f"{tmp_path / 'policy.toml'}:2: escalaton is not a known key" in refused(*arguments)


def test_a_wrong_registry_is_refused(tmp_path: Path) -> None:
    arguments = route_arguments(tmp_path)
    (tmp_path / "registry.json").write_text('{"specialists": [{"id": "a", "engine": "e", "workflows": 3}]}')
    assert "specialists[0].workflows" in refused(*arguments)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--now", "2026-11-23T08:00:00"], "has no time zone"),
        (["--now", "yesterday"], "is not a time"),
        (["--caller", "uid1001"], "is not a principal"),
        (["--caller", "uid:joe"], "is not a principal"),
        (["--caller", "token:"], "is not a principal"),
        (["--link", "sideways"], "Invalid value for '--link'"),
        (["--policy", "/nonexistent"], "/nonexistent cannot be read"),
        (["--ceiling", "/nonexistent"], "/nonexistent cannot be read"),
        (["--frobnicate"], "No such option"),
    ],
)
def test_a_wrong_option_is_refused(tmp_path: Path, more: list[str], message: str) -> None:
    assert message in refused(*route_arguments(tmp_path), *more)


def test_other_input_than_json_lines_is_refused(tmp_path: Path) -> None:
    assert "--jsonl" in refused(*route_arguments(tmp_path)[:-1])


@pytest.mark.parametrize("content", [b"my notes\n" * 400, b""])
def test_a_file_that_is_no_ledger_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    notes = tmp_path / "notes"
    notes.write_bytes(content)
    refused(*route_arguments(tmp_path), "--ledger", notes)
    assert notes.read_bytes() == content
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes", "policy.toml", "registry.json"]


def test_another_program_s_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    database = tmp_path / "other.db"
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE decisions (id INTEGER)")
    connection.close()
    content = database.read_bytes()
    assert "not a ledger" in refused(*route_arguments(tmp_path), "--ledger", database)
    assert database.read_bytes() == content


def test_a_ledger_that_cannot_be_written_ends_it_with_an_error(tmp_path: Path) -> None:
    ended = homebred(*route_arguments(tmp_path), "--ledger", tmp_path / "absent" / "ledger", stdin=json_lines([task()]))
    assert (ended.status, ended.out) == (5, "")
    assert "absent" in ended.err


def test_it_answers_the_same_in_any_locale(tmp_path: Path) -> None:
    document = task("Zoë \N{GRINNING FACE}", text="Grüße")
    line = json.dumps(document, ensure_ascii=False).encode()
    ended = homebred(*route_arguments(tmp_path), stdin=line, environ={"LC_ALL": "C", "PYTHONIOENCODING": "ascii"})
    assert ended.lines[0]["task_id"] == document["task_id"]


def test_it_needs_no_home_and_writes_nothing_but_its_ledger(tmp_path: Path) -> None:
    arguments = route_arguments(tmp_path)
    home = tmp_path / "home"
    home.mkdir()
    homebred(*arguments, stdin=json_lines([task()]), environ={"HOME": str(home), "XDG_CONFIG_HOME": str(home)})
    assert list(home.iterdir()) == []


def test_the_caller_sees_exactly_what_an_escalation_would_send(tmp_path: Path) -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "My neighbour is at jo@example.org."},
        {"role": "assistant", "content": "Noted."},
        {
            "role": "user",
            "content": "Compare two ways to keep vaccines cool, and mail kim@example.org what a clinic should buy.",
        },
    ]
    document = {
        "task_id": "t",
        "kind": "synthesis",
        "messages": messages,
        "data_classes": ["public"],
        "allows_escalation": True,
    }
    context = routed(tmp_path, document, "--show-context")["context"]
    assert (context["system"], context["response_schema"], context["dropped_messages"]) == ("Be brief.", "", 2)
    (sent,) = context["messages"]
    assert sent["role"] == "user"
    assert "and mail ⟦email:" in sent["content"]
    assert "example.org" not in sent["content"]


def test_what_stays_has_no_context_to_show(tmp_path: Path) -> None:
    assert routed(tmp_path, task("t", data_classes=["patient"]), "--show-context")["context"] is None


def test_tools_and_attached_texts_are_shown_as_they_would_leave_and_a_recording_closes_the_way(tmp_path: Path) -> None:
    asked = "Compare two ways to keep vaccines cool, by what the letter says."
    document = {
        "task_id": "t",
        "text": asked,
        "data_classes": ["public"],
        "allows_escalation": True,
        "tools": [{"name": "mail", "description": "to kim@example.org", "parameters": {"type": "object"}}],
        "attachments": [
            {"name": "letter.txt", "text": "Ask jo@example.org."},
            {"name": "menu.txt", "text": "Two teas."},
        ],
    }
    record = routed(tmp_path, document, "--show-context")
    (sent,), (tool,) = record["context"]["messages"], record["context"]["tools"]
    assert sent["content"].startswith(f"{asked}\n\n--- letter.txt ---\nAsk ⟦email:")
    assert tool["description"].startswith("to ⟦email:")
    assert record["context"]["dropped_attachments"] == 1
    recording = {"name": "a.wav", "data": "UklGRgAAAABXQVZF"}
    record = routed(tmp_path, document | {"attachments": [recording]}, "--show-context")
    assert (record["classes"], record["context"], record["reason_code"]) == (["public", "voice"], None, "no_candidate")


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"tools": [{"name": "no name"}]}, "A tool is called"),
        ({"tools": [{"name": "a", "parameters": []}]}, "is not a JSON Schema object"),
        ({"attachments": [{"name": "a.wav", "data": "?"}]}, "no base64"),
        ({"attachments": [{"nome": "a.wav"}]}, "not a known key"),
        ({"text": None, "messages": [{"role": "tool", "content": "x"}]}, "tool_call_id"),
    ],
)
def test_a_tool_or_an_attachment_that_makes_no_sense_is_an_error_line(
    tmp_path: Path, wrong: dict[str, Any], why: str
) -> None:
    error = routed(tmp_path, task("t") | wrong)["error"]
    assert why in error["message"]
    assert error["hint"]
