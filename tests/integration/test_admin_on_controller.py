"""An admin at work on a real controller and broker: a device comes in by a token, is told things, is thrown out."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.command_line import fleet_here
from tests.support.controller import Controller, Device
from tests.support.mqtt_client import clients
from tests.support.signing_controller import SigningController, signing_controller
from tests.support.telemetry_messages import state

from homebred_protocol.digests import digest_of
from homebred_protocol.topics import DeviceTopic, Down, Up
from homebred_protocol.v1 import fleet_pb2 as wire

pytestmark = pytest.mark.xdist_group("an admin on a controller")
POLICY = b"version = 1\n# ours\n"
NAMES = '{"text": "Ada Nilsson", "class": "patient"}\n'
Ask = Callable[..., Any]


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SigningController]:
    with signing_controller(tmp_path_factory.mktemp("fleet")) as running:
        yield running


@pytest.fixture
def controller(signed: SigningController) -> Controller:
    return signed.controller


@pytest.fixture
def ask(controller: Controller) -> Ask:
    """A command with the profile that `init` wrote."""

    def asked(*arguments: str | Path) -> Any:
        ended = fleet_here(*arguments, "--json", environ={"HOMEBRED_FLEET_PROFILE": str(controller.folder.profile)})
        assert ended.err == "", ended
        return json.loads(ended.out)

    return asked


def enrolled(controller: Controller, ask: Ask, site: str) -> Device:
    return controller.enrol(ask("tokens", "create", "--site", site, "--label", "role=kiosk")["token"])


def test_a_device_comes_in_by_a_token_and_is_known_at_once(controller: Controller, ask: Ask) -> None:
    token = ask("tokens", "create", "--site", "clinic-east", "--label", "role=kiosk")
    device = controller.enrol(token["token"])
    (known,) = ask("devices", "list", "--filter", f"id=={device.id} and certificate>60d")["devices"]
    assert (known["site"], known["labels"], known["state"]) == ("clinic-east", {"role": "kiosk"}, "enrolled")
    (used,) = [one for one in ask("tokens", "list")["tokens"] if one["id"] == token["id"]]
    assert (used["state"], used["used_by"]) == ("used", device.id)
    assert ask("tokens", "withdraw", token["id"])["withdrawn"] is False


def test_a_sites_documents_reach_its_devices_and_nobody_elses(
    signed: SigningController, ask: Ask, tmp_path: Path
) -> None:
    controller = signed.controller
    east, west = enrolled(controller, ask, "clinic-a"), enrolled(controller, ask, "clinic-b")
    policies = {device.id: signed.policy(site, POLICY) for device, site in ((east, "clinic-a"), (west, "clinic-b"))}
    for name, path in policies.items():
        assert ask("policy", "assign", path, "--device", name)["devices"] == 1
    names, manifest = tmp_path / "names.jsonl", tmp_path / "names.toml"
    names.write_text(NAMES)
    digest = ask("gazetteer", "add", names, "--site", "clinic-a", "-o", manifest)["digest"]
    path = signed.gazetteer("clinic-a", manifest.read_bytes())
    assert ask("gazetteer", "assign", path)["devices"] == 1

    def fetched(device: Device, digest: str) -> int:
        return controller.ask("GET", f"/device/v1/documents/{digest}", credentials=device.credentials).status

    assert [fetched(one, digest) for one in (east, west)] == [200, 404]
    assert [fetched(one, digest_of(POLICY)) for one in (east, west)] == [404, 404]
    assert ask("policy", "show", east.id) == {"path": policies[east.id], "text": POLICY.decode()}


def test_a_device_hears_what_an_admin_says_and_its_answer_is_seen(signed: SigningController, ask: Ask) -> None:
    controller = signed.controller
    device = enrolled(controller, ask, "clinic-e")
    policy, digest = signed.policy("clinic-e", POLICY), digest_of(POLICY)
    desired, command = (DeviceTopic(device.id, *kind).text for kind in ((Down.DESIRED,), (Down.COMMAND, "ping")))
    with clients(controller.broker.port) as make:
        client = make(device.id, device.credentials)
        client.connected()
        client.subscribe(desired, command)
        client.publish(DeviceTopic(device.id, Up.STATE).text, state(device.id, online=True).payload, retain=True)
        ask("policy", "assign", policy, "--device", device.id)
        told = wire.Desired.FromString(client.arrived(desired, within_s=5).payload)
        assert (told.version, told.policy.digest) == (1, digest)
        refused = wire.PartReport(name="policy", digest=digest, state="refused", problem="no\x1b[2J")
        report = wire.Reported(
            schema=1, boot_id="1" * 32, boot_number=1, revision=1, desired_version=1, highest_version=1, parts=[refused]
        )
        client.publish(DeviceTopic(device.id, Up.REPORTED).text, report.SerializeToString(), retain=True)
        identity = ask("commands", "send", "ping", "--device", device.id)["commands"][0]["id"]
        given = wire.Command.FromString(client.arrived(command, within_s=5).payload)
        assert (given.id, given.op, given.issued_by) == (identity, "ping", "admin")
        answer = wire.CommandResult(schema=1, id=identity, op="ping", state="done", answer={"version": "0.1.0"})
        client.publish(DeviceTopic(device.id, Up.COMMAND_RESULT).text, answer.SerializeToString())
        shown = ask("commands", "show", identity, "--wait", "10")
        assert (shown["state"], shown["result"]["answer"]) == ("done", {"version": "0.1.0"})
    why = {one["rule"]: one for one in ask("devices", "why", device.id)["findings"]}
    assert (why["presence"]["verdict"], why["desired"]["verdict"], why["parts"]["verdict"]) == (
        "ok",
        "problem",
        "problem",
    )
    assert ask("devices", "list", "--filter", f"id=={device.id} and online==true and desired==refused")["devices"]
    environ = {"HOMEBRED_FLEET_PROFILE": str(controller.folder.profile)}
    assert "policy: no\\x1b[2J" in fleet_here("devices", "why", device.id, environ=environ).out


def test_a_revoked_device_is_out_over_https_at_once_and_at_the_broker_soon(controller: Controller, ask: Ask) -> None:
    device = enrolled(controller, ask, "clinic-c")
    whoami = "/device/v1/enrolment"
    assert controller.ask("GET", whoami, credentials=device.credentials).status == 200
    assert ask("devices", "revoke", device.id, "--reason", "stolen")["revoked"] is True
    assert controller.ask("GET", whoami, credentials=device.credentials).error == "device_revoked"
    in_force = "revocation_in_force"
    deadline_s = time.monotonic() + 10
    while not any(in_force in line.values() for line in controller.log) and time.monotonic() < deadline_s:
        time.sleep(0.05)
    assert any(in_force in line.values() for line in controller.log)
    found = {one["rule"]: one for one in ask("devices", "why", device.id)["findings"]}
    assert (found["enrolment"]["verdict"], "stolen" in found["enrolment"]["what"]) == ("problem", True)


def test_a_devices_certificate_and_none_open_no_door_for_admins(controller: Controller, ask: Ask) -> None:
    device = enrolled(controller, ask, "clinic-d")
    for credentials in (None, device.credentials):
        reply = controller.ask("GET", "/api/v1/devices", credentials=credentials)
        assert (reply.status, reply.error) == (401, "certificate_needed")


def test_an_admin_of_a_lesser_role_is_made_on_the_machine_and_held_to_it(controller: Controller, ask: Ask) -> None:
    settings = str(controller.folder.settings)
    enrolled(controller, ask, "clinic-f")
    made = json.loads(
        fleet_here("admins", "add", "ben", "--role", "operator", "--config", settings, "--json", environ={}).out
    )
    refused = fleet_here("tokens", "create", "--site", "a", "--profile", made["profile"], environ={})
    assert (refused.status, "needs the role admin" in refused.err) == (4, True)
    assert fleet_here("stop", "on", "--reason", "drill", "--profile", made["profile"], environ={}).status == 0
    assert ask("stop", "off", "--reason", "drill-over")["stopped"] is False
    here = ("--config", settings, "--json")
    admins = json.loads(fleet_here("admins", "list", *here, environ={}).out)["admins"]
    assert admins == [{"name": "admin", "role": "admin"}, {"name": "ben", "role": "operator"}]
    for was_one in (True, False):
        assert json.loads(fleet_here("admins", "remove", "ben", *here, environ={}).out)["removed"] is was_one
    out = fleet_here("devices", "list", "--profile", made["profile"], environ={})
    assert (out.status, "no admin is known by this certificate" in out.err) == (4, True)
    assert fleet_here("admins", "remove", "nobody", *here, environ={}).status == 2
    checked = ask("audit", "verify")
    assert checked["whole"] is True
    actors = {row["actor"] for row in ask("audit", "list")["audit"]}
    assert {"admin", "ben", "console", "enrolment"} <= actors
