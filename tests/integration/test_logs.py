"""What a real daemon writes about itself: entries of the catalogue, whatever it is asked, and never a word of it."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.support.daemon_process import Site
from tests.support.wire_client import DaemonClient

from homebred_daemon.errors import HomebredError
from homebred_daemon.messages import EVENTS
from homebred_protocol.v1 import inference_pb2 as wire

BY_NAME = {event.name: event for event in EVENTS}
CANARY = "Xylophonia"
GUISES = (
    "{} has the canary",
    "{}",
    "line one\n{}\nline three",
    '{{"name": "{}"}}',
    "/srv/{}/homebred.sock",
    "uid:{}",
    "%s %(x)s {{}} {}",
    "\x1b[31m{}\x00",
    "MRN 4471203 {}",
    "sha256:{}",
)
"""How the canary is dressed up."""
Way = Callable[[DaemonClient, str], object]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def entries(site: Site) -> list[dict[str, Any]]:
    """Every line of the log; each is an entry of the catalogue."""
    lines = [json.loads(line) for line in site.log.splitlines()]
    for line in lines:
        event = BY_NAME[line["event"]]
        assert (line["message_id"], line["level"]) == (event.message_id, event.severity.name.lower())
        assert "refused_fields" not in line
    return lines


def names(site: Site) -> list[str]:
    return [entry["event"] for entry in entries(site)]


def generate(**task: Any) -> Way:
    """A task with the words in its text, and in whatever of it is written WORDS."""

    def asked(client: DaemonClient, words: str) -> object:
        filled = {name: words if value == "WORDS" else value for name, value in task.items()}
        return list(client.generate(wire.GenerateRequest(task=wire.Task(**{"text": words} | filled))))

    return asked


def left_early(client: DaemonClient, words: str) -> None:
    stream = client.generate(wire.GenerateRequest(task=wire.Task(text=words * 20, workflow="slow")))
    next(stream)
    stream.close()


def reviewed(client: DaemonClient, words: str) -> None:
    list(client.generate(wire.GenerateRequest(task=wire.Task(text=words, requires=["vision"]))))
    claim = client.claim_review()
    client.show_review(claim.review.route_id)
    client.release_review(claim.review.route_id, claim.claim_id)
    claim = client.claim_review(claim.review.route_id)
    client.resolve_review(claim.review.route_id, claim.claim_id, output=words)


PATHS: dict[str, Way] = {
    "answered": generate(data_classes=["patient"]),
    "named by the caller": generate(task_id="WORDS", workflow="WORDS", data_classes=["WORDS"]),
    "of an unknown kind": generate(kind="WORDS"),
    "with a schema that nothing fits": generate(response_schema='{"type": "integer"}'),
    "with a schema that is none": generate(response_schema="WORDS"),
    "in turns": generate(text="", messages=[wire.Message(role="user", content="x")]),
    "of a speaker that is none": generate(text="", messages=[wire.Message(role=CANARY, content=CANARY)]),
    "broken before the first word": generate(workflow="broken"),
    "broken in the middle": generate(workflow="torn"),
    "without time": generate(deadline_s=0.001),
    "too big": lambda client, words: generate(text=words + "x" * (5 << 20))(client, words),
    "left by its caller": left_early,
    "for a person": reviewed,
    "only decided": lambda client, words: client.route(wire.Task(text=words)),
    "policy": lambda client, words: client.set_policy(words.encode()),
    "log level": lambda client, words: client.set_log_level(words),
    "loaded": lambda client, words: client.load_model(words),
    "review that is none": lambda client, words: client.show_review(words),
    "drained": lambda client, _: (client.drain(), client.resume()),
    "reloaded": lambda client, _: client.reload_models(),
}


@pytest.mark.parametrize("seed", range(3))
def test_no_line_holds_a_tasks_content_whatever_way_it_takes(site: Site, seed: int) -> None:
    site.add_echo("wordy")
    site.add_echo("slow", workflow="slow", script={"token_delay_s": 0.05})
    site.add_echo("broken", workflow="broken", script={"crash_after": 0})
    site.add_echo("torn", workflow="torn", script={"crash_after": 2, "token_delay_s": 0.05})
    chosen = random.Random(seed)
    ways = chosen.sample(list(PATHS), len(PATHS))
    with site.daemon("--log-level", "debug") as client:
        for way in ways:
            with suppress(HomebredError):
                PATHS[way](client, chosen.choice(GUISES).format(CANARY))
        assert client.status().version
    assert CANARY.lower() not in site.log.lower()
    assert {"worker_ended", "draining", "models_reloaded", "review_filed", "review_ended"} <= set(names(site))
    assert "defect" not in names(site)


def test_the_life_of_a_daemon_is_told_in_order(site: Site) -> None:
    site.add_echo("repeater")
    with site.daemon() as client:
        generate(data_classes=["patient"])(client, "hello")
    told = names(site)
    assert [told[0], told[-1]] == ["starting", "stopped"]
    in_order = ["starting", "ready", "worker_started", "stopping", "draining", "worker_gone", "stopped"]
    assert [name for name in told if name in in_order] == in_order


def test_a_second_daemon_says_that_it_gives_way(site: Site) -> None:
    with site.daemon():
        second = subprocess.run(site.command(), capture_output=True, text=True, timeout=30, check=False)
    events = [json.loads(line)["event"] for line in second.stderr.splitlines() if line.startswith("{")]
    assert events == ["starting", "second_daemon_refused"]


def test_a_start_that_is_refused_says_why_by_its_code(site: Site) -> None:
    site.state.parent.mkdir(exist_ok=True)
    site.state.write_text("in the way")
    refused = subprocess.run(site.command(), capture_output=True, text=True, timeout=30, check=False)
    assert '"error_code": "bad_state"' in refused.stderr
    assert "next:" in refused.stderr


def test_a_kill_is_told_by_the_next_start(site: Site) -> None:
    site.add_echo("slow", script={"token_delay_s": 0.05})
    with site.daemon(killed=True) as client:
        stream = client.generate(wire.GenerateRequest(task=wire.Task(text="word " * 50, data_classes=["patient"])))
        while not next(stream).HasField("delta"):
            pass
    with suppress(HomebredError):
        stream.close()
    with site.daemon():
        pass
    (recovered,) = [entry for entry in entries(site) if entry["event"] == "recovered"]
    assert recovered["interrupted"] == 1


CRASHING = """
import sys
from homebred_daemon.app import running
from homebred_daemon.errors import HomebredError
async def breaks(*_):
    raise RuntimeError("Xylophonia has the canary")
running._until_stopped = breaks
sys.exit(running.run(sys.argv[1:]))
"""


def test_a_crash_of_the_whole_daemon_says_type_and_place_and_nothing_else(site: Site) -> None:
    site.folder.mkdir(exist_ok=True)
    command = [sys.executable, "-c", CRASHING, *site.command()[3:]]
    crashed = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert crashed.returncode == 70
    assert CANARY not in crashed.stdout + crashed.stderr
    last = json.loads(crashed.stderr.splitlines()[-1])
    assert (last["event"], last["error_type"]) == ("crashed", "RuntimeError")
    assert "running.py" in last["where"]


def test_a_loop_that_is_blocked_shows_where_when_it_is_aborted(site: Site) -> None:
    """As the watchdog does it: places of every thread, no values."""
    site.add_echo("repeater")
    with site.daemon(killed=True) as client:
        generate(data_classes=["patient"])(client, f"{CANARY} has the canary")
        assert site.process is not None
        site.process.send_signal(signal.SIGABRT)
        site.process.wait(10)
    assert "Fatal Python error: Aborted" in site.log
    assert "most recent call first" in site.log
    assert CANARY not in site.log
