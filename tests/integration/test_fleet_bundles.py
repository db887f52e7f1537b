"""A real daemon of an enrolled device: bundles that wait, who may look at them, and an identity that cannot be used."""

from __future__ import annotations

import json
import time
from contextlib import closing, suppress
from pathlib import Path

from tests.support import identity_scenarios
from tests.support.canaries import CONTENT, NAME, Canaries, found_in
from tests.support.command_line import homebred
from tests.support.daemon_process import Site
from tests.support.fleet_authority import MEMBERSHIP
from tests.support.wire_client import DaemonClient

from homebred_daemon.adapters.identity_files import IdentityFiles
from homebred_daemon.adapters.store.commands import SqliteCommandStore
from homebred_daemon.app.membership import COMMANDS_NAME
from homebred_daemon.core.commands import Command, CommandResult, State
from homebred_daemon.errors import HomebredError
from homebred_protocol.compression import decompressed
from homebred_protocol.v1 import inference_pb2

READY_WITHIN_S = 90.0
NOW_S = time.time_ns() // 1_000_000_000
ASKED = Command(id="c" * 32, op="diagnostics", deadline_s=NOW_S + 3600, issued_by="anna")


def enrolled(folder: Path) -> Site:
    """A device that its controller has asked for diagnostics, and that was killed before it made them."""
    site = Site(folder)
    site.state.mkdir(parents=True)
    identity_scenarios.enrolled(IdentityFiles(site.state, {}), at_s=NOW_S)
    with closing(SqliteCommandStore(site.state / COMMANDS_NAME)) as store:
        accepted = CommandResult(id=ASKED.id, op=ASKED.op, state=State.ACCEPTED, at_s=NOW_S)
        assert store.add(ASKED, accepted)
    return site


def bundles_of(site: Site) -> list[str]:
    ended = homebred("fleet", "diagnostics", "list", "--socket", site.socket, "--json")
    assert ended.status == 0, ended.err
    return [one["id"] for one in ended.lines[0]["bundles"]]


def wait_for_bundle(site: Site, client: DaemonClient) -> None:
    ends_s = time.monotonic() + READY_WITHIN_S
    while not client.list_bundles().bundles:
        assert time.monotonic() < ends_s, site.log
        time.sleep(0.1)


def stored(site: Site) -> CommandResult:
    with closing(SqliteCommandStore(site.state / COMMANDS_NAME)) as store:
        found = store.find(ASKED.id)
        assert found is not None
        return found


def test_a_bundle_is_made_shown_and_let_go_and_what_was_shown_is_what_leaves(tmp_path: Path) -> None:
    site = enrolled(tmp_path)
    with site.daemon() as client:
        wait_for_bundle(site, client)
        (status,) = homebred("status", "--socket", site.socket, "--json").lines
        assert (status["membership"]["certificate"], status["membership"]["waiting_bundles"]) == ("good", 1)
        assert status["membership"]["device_id"] == MEMBERSHIP.device_id
        shown = homebred("fleet", "diagnostics", "show", ASKED.id[:4], "--socket", site.socket)
        document = json.loads(shown.out)
        assert document["fleet"]["device_id"] == MEMBERSHIP.device_id
        assert {one["check"] for one in document["checks"]} >= {"clock", "identity", "certificate", "broker"}
        assert document["events"]["counts"]["enrolled"] == 1
        assert document["settings"]["paths.state_dir"] == "set"
        assert str(tmp_path) not in json.dumps({**document, "checks": []})
        decided = homebred("fleet", "diagnostics", "approve", ASKED.id[:4], "--socket", site.socket, "--json")
        assert decided.lines[0]["let_go"] is True
        assert bundles_of(site) == []
        again = homebred("fleet", "diagnostics", "refuse", ASKED.id, "--socket", site.socket, "--json")
        assert again.lines[0]["error"]["code"] == "not_found"
    result = stored(site)
    assert result.state is State.DONE
    assert decompressed(result.attachment, max_bytes=1_000_000).decode() == shown.out
    assert "bundle_decided" in site.log


def send(client: DaemonClient, canary: Canaries) -> None:
    """A local-only task with a canary in every field that a caller fills; a person must answer it."""
    task = inference_pb2.Task(
        task_id=canary(NAME),
        workflow=canary(NAME),
        text=f"patient record of {canary(CONTENT)}",
        data_classes=["patient", canary(NAME)],
        session_id=canary(NAME),
    )
    with suppress(HomebredError):
        for _ in client.generate(inference_pb2.GenerateRequest(task=task)):
            pass


def test_no_canary_of_a_local_only_task_is_in_a_bundle(tmp_path: Path) -> None:
    site, canary = enrolled(tmp_path), Canaries("bundles")
    site.add_echo("echoes", workflow="intake")
    gazetteer = tmp_path / "gazetteer.jsonl"
    gazetteer.write_text(json.dumps({"text": canary(CONTENT), "class": "patient"}) + "\n")
    with site.daemon("--config", str(configured(tmp_path, gazetteer))) as client:
        for _ in range(200):
            send(client, canary)
            if client.list_bundles().bundles:
                break
        wait_for_bundle(site, client)
        document = client.show_bundle(ASKED.id).document
        assert client.status().outcomes
    assert json.loads(document)["events"]["counts"]["review_filed"] >= 1
    words = [CONTENT, NAME, *(tail for kind in (CONTENT, NAME) for tail in canary.sample(kind)[:3])]
    found = [place for word in words for place in found_in(document, word)]
    assert found == []


def configured(folder: Path, gazetteer: Path) -> Path:
    """Settings whose own texts are canaries' neighbours: paths and names."""
    path = folder / "homebred.toml"
    path.write_text(f'[detection]\ngazetteer_file = "{gazetteer}"\n')
    return path


def test_a_refused_bundle_is_deleted(tmp_path: Path) -> None:
    site = enrolled(tmp_path)
    with site.daemon() as client:
        wait_for_bundle(site, client)
        refused = homebred("fleet", "diagnostics", "refuse", ASKED.id[:4], "--socket", site.socket)
        assert refused.out.startswith("refused and deleted: cccccccc")
    assert (stored(site).state, stored(site).attachment) == (State.REFUSED, b"")


def test_an_identity_that_cannot_be_used_is_said_and_the_daemon_serves(tmp_path: Path) -> None:
    site = enrolled(tmp_path)
    next(site.state.rglob("key.pem")).chmod(0o644)
    with site.daemon() as client:
        assert client.status().version
        assert bundles_of(site) == []
    assert "identity_unusable" in site.log


def test_a_device_in_no_fleet_has_no_commands_file(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.state.mkdir(parents=True)
    with site.daemon():
        assert bundles_of(site) == []
        shown = homebred("fleet", "diagnostics", "show", "c" * 32, "--socket", site.socket)
        assert "this device is in no fleet" in shown.err
    assert not (site.state / COMMANDS_NAME).exists()
