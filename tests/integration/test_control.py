"""What operators do with a running daemon, through the library and the command line."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.command_line import COMMANDS, Ended, homebred
from tests.support.daemon_process import Site

from homebred_protocol.client import Client, Control, DrainingError, RequestError, Status, Task

STRICT = 'version = 1\nlocal_only_classes = ["client", "public"]\nescalation = false\n'
PUBLIC = Task("hello", data_classes=("public",))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path)
    made.add_echo("repeater")
    return made


@pytest.fixture
def control(site: Site) -> Iterator[Control]:
    with site.daemon(), Control(site.socket, patience_s=0) as connected:
        yield connected


def asked(site: Site, *arguments: str | Path) -> Ended:
    return homebred(*arguments, "--socket", site.socket)


def reason(site: Site) -> str:
    with Client(site.socket) as client:
        return client.route(PUBLIC).reason_code


def test_a_policy_is_set_shown_and_reset_and_outlives_a_restart(site: Site, tmp_path: Path) -> None:
    policy = tmp_path / "strict.toml"
    policy.write_text(STRICT)
    with site.daemon():
        assert reason(site) == "margin_met"
        change = json.loads(asked(site, "policy", "set", policy, "--json").out)
        assert (change["in_force"], reason(site)) == (True, "local_only")
    with site.daemon() as control:
        assert reason(site) == "local_only"
        shown = json.loads(asked(site, "policy", "show", "--json").out)
        assert (shown["origin"], shown["digest"], shown["document"]) == ("set", change["digest"], STRICT)
        assert asked(site, "policy", "reset").status == 0
        assert (reason(site), control.status().policy_origin) == ("margin_met", "default")


def test_a_wrong_policy_is_refused_with_its_line_and_the_old_one_stays(site: Site, control: Control) -> None:
    before = control.get_policy().digest
    with pytest.raises(RequestError) as refusal:
        control.set_policy(b"version = 1\nescalation = 7\n")
    assert "policy:2: escalation" in refusal.value.message
    assert refusal.value.hint
    assert control.get_policy().digest == before


def test_every_decision_replays_whichever_policy_it_was_made_under(site: Site) -> None:
    with site.daemon() as control, Client(site.socket) as client:
        client.ask(PUBLIC)
        control.set_policy(STRICT.encode())
        client.ask(PUBLIC)
        control.set_policy(b"")
        client.ask(PUBLIC)
    replayed = homebred("replay", "--ledger", site.state / "ledger.sqlite")
    assert json.loads(replayed.out) == {"decisions": 3, "mismatches": 0}


def test_a_drained_daemon_refuses_tasks_says_when_to_come_again_and_takes_them_when_resumed(
    site: Site, control: Control
) -> None:
    assert json.loads(asked(site, "drain", "--json").out) == {"draining": True, "streams": 0}
    assert control.status().draining
    with Client(site.socket, patience_s=0) as client:
        with pytest.raises(DrainingError) as refusal:
            client.ask(PUBLIC)
        assert refusal.value.retry_after_s > 0
        asked(site, "drain", "--resume")
        assert client.ask(PUBLIC).status is Status.ANSWER


def test_a_patient_client_outwaits_a_drain(site: Site, control: Control) -> None:
    control.drain()
    with Client(site.socket, patience_s=30) as client:
        later = threading.Timer(0.5, control.resume)
        later.start()
        assert client.ask(PUBLIC).text == "hello"
        later.join()


def test_a_live_status_shows_the_daemon_and_outlives_its_restart(site: Site) -> None:
    with site.daemon():
        first = json.loads(asked(site, "status", "--json").out)
        assert (first["draining"], first["log_level"], first["reviews"]["waiting"]) == (False, "info", 0)
        command = [str(COMMANDS / "homebred"), "status", "--watch", "--interval", "0.1", "--json"]
        watching = subprocess.Popen([*command, "--socket", str(site.socket)], stdout=subprocess.PIPE, text=True)
        assert watching.stdout is not None
        assert json.loads(watching.stdout.readline())["version"]
    assert any("unreachable" in json.loads(line) for line in watching.stdout)
    with site.daemon():
        assert any("version" in json.loads(line) for line in watching.stdout)
    watching.terminate()
    assert watching.wait(10) == 130
    watching.stdout.close()
