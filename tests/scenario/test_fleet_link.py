"""A daemon, a broker and a controller, all real: in step through assignments, stops, kills and restarts of each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from tests.support.broker import now_s
from tests.support.controller import Controller
from tests.support.daemon_process import Site
from tests.support.fleet_site import Sight, admin, enrolled
from tests.support.signing_controller import SigningController, signing_controller
from tests.support.wire_client import DaemonClient

from homebred_fleet.adapters.store import assignments, desired, devices
from homebred_fleet.ports.intents import DocumentRef
from homebred_protocol.digests import digest_of
from homebred_protocol.targets import read_target
from homebred_protocol.v1 import inference_pb2 as wire

OURS = b'version = 1\n# ours\nlocal_only_classes = ["patient"]\n'


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SigningController]:
    with signing_controller(tmp_path_factory.mktemp("fleet")) as running:
        yield running


@pytest.fixture(scope="module")
def controller(signed: SigningController) -> Controller:
    return signed.controller


@pytest.fixture(scope="module")
def device(signed: SigningController, tmp_path_factory: pytest.TempPathFactory) -> tuple[Site, str]:
    return enrolled(signed.controller, tmp_path_factory.mktemp("device"))


def ask(client: DaemonClient, times: int = 1) -> None:
    for number in range(times):
        list(client.generate(wire.GenerateRequest(task=wire.Task(text=f"hello {number}"))))


def test_what_happens_on_a_device_is_in_the_controllers_tables(
    controller: Controller, device: tuple[Site, str]
) -> None:
    site, _ = device
    sight = Sight(controller)
    with site.daemon() as client:
        sight.until(Sight.is_online, bool)
        before = sight.rows("route_events")  # of what other tests asked this device
        ask(client, 7)
        sight.until(lambda each: each.rows("route_events"), lambda count: count == before + 7)
    sight.until(Sight.is_online, lambda online: not online)
    assert sight.events()[1:] == (0, 0)


def test_a_policy_and_a_gazetteer_are_assigned_hold_and_still_hold_without_the_fleet(
    signed: SigningController, device: tuple[Site, str], tmp_path: Path
) -> None:
    site, name = device
    controller, sight = signed.controller, Sight(signed.controller)
    names, manifest = tmp_path / "names.jsonl", tmp_path / "names.toml"
    names.write_text(json.dumps({"text": "Marigold Quince", "class": "patient"}) + "\n")
    with site.daemon() as client:
        admin(controller, "policy", "assign", signed.policy("clinic", OURS), "--device", name)
        admin(controller, "gazetteer", "add", names, "--site", "clinic", "-o", manifest)
        admin(controller, "gazetteer", "assign", signed.gazetteer("clinic", manifest.read_bytes()), "--device", name)
        sight.until(Sight.parts, lambda parts: parts == {"policy": "applied", "gazetteer": "applied"})
        assert client.status().policy_origin == "set"
        decision = client.route(wire.Task(text="About Marigold Quince, please.", allows_escalation=True))
        assert decision.reason_code == "local_only"
        held = sight.reported()["policy_digest"]
        assert held == digest_of(OURS)
    controller.broker.stop()
    with site.daemon() as client:
        assert client.status().policy_digest == held
        decision = client.route(wire.Task(text="About Marigold Quince, please.", allows_escalation=True))
        assert decision.reason_code == "local_only"
    controller.broker.start()


def test_under_a_stop_nothing_is_taken_up_until_it_is_lifted(
    signed: SigningController, device: tuple[Site, str]
) -> None:
    site, name = device
    controller, sight = signed.controller, Sight(signed.controller)
    policy = signed.policy("clinic", OURS + b"# another\n")
    with site.daemon():
        admin(controller, "stop", "on", "--reason", "recall")
        sight.until(Sight.reported, lambda reported: reported.get("stopped"))
        admin(controller, "policy", "assign", policy, "--device", name)
        sight.until(Sight.parts, lambda parts: parts.get("policy") == "stopped")
        admin(controller, "stop", "off", "--reason", "checked")
        sight.until(Sight.parts, lambda parts: parts.get("policy") == "applied")


def test_a_policy_that_is_given_back_leaves_the_devices_own(
    signed: SigningController, device: tuple[Site, str]
) -> None:
    site, name = device
    controller, sight = signed.controller, Sight(signed.controller)
    with site.daemon() as client:
        admin(controller, "policy", "assign", signed.policy("clinic", OURS, "night"), "--device", name)
        sight.until(Sight.reported, lambda reported: reported.get("policy_digest") == digest_of(OURS))
        admin(controller, "policy", "reset", "--device", name)
        sight.until(Sight.reported, lambda reported: reported.get("policy_digest") != digest_of(OURS))
        assert client.status().policy_origin == "default"


def test_kills_of_all_three_lose_nothing_and_double_nothing(controller: Controller, device: tuple[Site, str]) -> None:
    site, _ = device
    sight = Sight(controller)
    before = sight.until(lambda each: each.rows("route_events"), lambda _: True)
    with site.daemon(killed=True) as client:
        sight.until(Sight.is_online, bool)
        ask(client, 3)
        controller.kill()
        ask(client, 3)
        controller.broker.kill()
        ask(client, 3)
        controller.broker.start()
        controller.start()
        ask(client, 3)
    with site.daemon() as client:
        ask(client, 3)
        sight.until(lambda each: each.rows("route_events"), lambda count: count == before + 15)
    assert sight.events()[1:] == (0, 0)
    assert sight.rows("quarantine") == 0


def test_a_link_whose_files_cannot_be_used_at_the_start_comes_about_once_they_can(
    controller: Controller, device: tuple[Site, str]
) -> None:
    site, _ = device
    sight = Sight(controller)
    before = sight.rows("route_events")
    with site.daemon() as client:
        ask(client)
        sight.until(lambda each: each.rows("route_events"), lambda count: count == before + 1)
    folder, aside = site.state / "fleet", site.state / "aside"
    folder.rename(aside)
    folder.touch()  # what stands there is no folder
    with site.daemon() as client:
        ask(client, 2)
        assert "cannot read or write its files" in site.log
        folder.unlink()
        aside.rename(folder)
        sight.until(lambda each: each.rows("route_events"), lambda count: count == before + 3)


@pytest.mark.thorough(
    "a thief of a real controller waits for its reconciler; tests/contract/test_stolen_controller.py has the same"
)
def test_a_thief_of_the_controller_gives_no_other_sites_policy_and_nothing_older(
    signed: SigningController, device: tuple[Site, str]
) -> None:
    site, name = device
    controller, sight = signed.controller, Sight(signed.controller)
    bodies = {signed.policy("clinic", body, "thief"): body for body in (OURS + b"# older\n", OURS + b"# newer\n")}
    (older, newer), theirs = bodies, signed.policy("factory", OURS)
    with site.daemon() as client:
        admin(controller, "policy", "assign", newer, "--device", name)
        sight.until(Sight.reported, lambda reported: reported.get("policy_digest") == digest_of(bodies[newer]))
        for path, body, code in ((theirs, OURS, "other_site"), (older, bodies[older], "number_fell")):
            directed_by_a_thief(controller, name, path, body)
            sight.until(partial(has_problem, code), bool)
            assert client.status().policy_digest == digest_of(bodies[newer])


def has_problem(code: str, sight: Sight) -> bool:
    return sight.problems().get("policy") == code


def directed_by_a_thief(controller: Controller, device: str, path: str, body: bytes) -> None:
    """Whoever has the controller's database and keys has it say what it would refuse to say."""
    target, database = read_target(path), controller.database()
    assert target is not None
    with database.writing() as connection:
        number = devices.number_of(connection, device)
        assert number is not None
        assignments.withdraw_kind(connection, [number], target.kind)
        assignments.assign(connection, [number], target, by="thief", now_s=now_s())
        policy = DocumentRef(digest=digest_of(body), length=len(body))
        desired.assign(connection, device_numbers=[number], by="thief", now_s=now_s(), policy=policy)
    database.close()
