"""What an admin types: `homebred-fleet` against a controller's API over HTTPS, and what each command prints."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from tests.support.admin_server import AdminServer, running_admin_server
from tests.support.broker import now_s
from tests.support.command_line import Ended, fleet_here, homebred_fleet
from tests.support.fleet_rows import add_boot, add_device, add_gap, add_hour, add_presence, add_route
from tests.support.free_ports import free_port
from tests.support.stop_orders import DIRECTOR

from homebred_fleet.adapters.store import tables
from homebred_fleet.adapters.store.database import Database
from homebred_fleet.cli.mounting import COMMANDS, loaded
from homebred_fleet.core.device_filters import DesiredFacts, DeviceFacts
from homebred_protocol.compression import compressed
from homebred_protocol.targets import Target, read_target

pytestmark = pytest.mark.xdist_group("the commands of admins")
Ask = Callable[..., Ended]
EAST, WEST = "clinic-east-00000001", "clinic-west-00000002"
PLAIN = DeviceFacts(
    id=EAST,
    site="clinic-east",
    state="enrolled",
    labels={"role": "kiosk"},
    online=False,
    heard_at_s=None,
    software_version="",
    policy_digest="",
    desired=DesiredFacts(version=None, reported_version=None),
    certificate_ends_at_s=None,
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdminServer]:
    folder = tmp_path_factory.mktemp("controller")
    database = Database(f"sqlite:///{folder}/fleet.db")
    database.upgrade()
    with running_admin_server(folder, database) as running:
        yield running
    database.close()


@pytest.fixture
def ask(server: AdminServer, tmp_path: Path) -> Ask:
    """Runs a command as an admin of a role; two devices are there, and nothing of an earlier test."""
    with server.database.writing() as connection:
        for table in reversed(tables.metadata.sorted_tables):
            if table is not tables.admins:
                connection.execute(table.delete())
        east = add_device(connection, PLAIN)
        add_presence(connection, east, online=True, heard_at_s=now_s() - 200)
        add_device(connection, replace(PLAIN, id=WEST, site="clinic-west", labels={}))
        add_hour(connection, east, now_s() // 3600, 5)
        boot = add_boot(connection, east)
        for seq in range(1, 4):
            add_route(connection, boot, seq, received_at_s=now_s())
        add_gap(connection, boot, 9, events=7, reason=1)

    def asked(*arguments: str | Path, role: str = "admin") -> Ended:
        profile = tmp_path / f"{role}.toml"
        server.write_profile(profile, role)
        return fleet_here(*arguments, environ={"HOMEBRED_FLEET_PROFILE": str(profile)})

    return asked


def document(ended: Ended) -> Any:
    assert (ended.status, ended.err) == (0, ""), ended
    return json.loads(ended.out)


ADMINS_COMMANDS = [name for name in COMMANDS if name not in {"init", "serve", "broker", "admins"}]


def test_every_command_explains_itself_and_is_documented_with_the_role_it_needs() -> None:
    page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text().partition("\n## homebred-fleet\n")[2]
    for name in ADMINS_COMMANDS:
        group = loaded(name)
        for nested, command in group.commands.items():
            assert f"`{name} {nested}" in page, f"{name} {nested}"
            assert "--json" in {option for param in command.params for option in param.opts}, f"{name} {nested}"
            assert command.help.endswith("."), f"{name} {nested}"


def test_devices_are_listed_shown_and_explained(ask: Ask) -> None:
    listed = ask("devices", "list", "--filter", "label.role==kiosk and online==true")
    assert listed.status == 0
    assert listed.out.splitlines()[1].split()[:5] == [EAST, "clinic-east", "enrolled", "yes", "3"]
    assert WEST not in listed.out
    assert [one["id"] for one in document(ask("devices", "list", "--json"))["devices"]] == [EAST, WEST]
    assert "lost events  7 quota" in ask("devices", "show", EAST).out
    why = ask("devices", "why", EAST).out.splitlines()
    assert "! certificate it has no certificate" in why[1].replace("  ", " ")
    assert len(document(ask("devices", "why", EAST, "--json"))["findings"]) == 10


def test_a_filter_that_cannot_be_read_says_where(ask: Ask) -> None:
    ended = ask("devices", "list", "--filter", "site=clinic")
    assert (ended.status, ended.out) == (2, "")
    assert ended.err == (
        "error: the filter at column 5: '=' begins nothing that a filter has\nnext:  write `==` to compare\n"
    )


def test_labels_and_cohorts_are_set_and_removed(ask: Ask) -> None:
    assert ask("labels", "set", WEST, "role=press", "ward=2").out == f"{WEST}: role=press ward=2\n"
    assert ask("labels", "remove", WEST, "ward").out == f"{WEST}: role=press\n"
    assert ask("cohorts", "set", "presses", "label.role==press").out == "presses means 1 device now\n"
    assert document(ask("cohorts", "list", "--json"))["cohorts"][0]["selector"] == "label.role==press"
    assert ask("cohorts", "remove", "presses").status == 0
    assert ask("cohorts", "remove", "presses").status == 2


def test_a_token_stands_alone_on_standard_output(ask: Ask) -> None:
    made = ask("tokens", "create", "--site", "clinic-east", "--label", "role=kiosk", "--ttl", "2h")
    assert made.out.startswith("hbt_")
    assert made.out.count("\n") == 1
    listed = document(ask("tokens", "list", "--json"))["tokens"]
    assert (listed[0]["state"], listed[0]["labels"]) == ("open", {"role": "kiosk"})
    assert ask("tokens", "withdraw", listed[0]["id"]).out == f"{listed[0]['id']} is withdrawn\n"
    assert "withdrawn" in ask("tokens", "list").out


def test_a_policy_is_assigned_shown_and_given_back(ask: Ask, server: AdminServer) -> None:
    policy = server.image.put(read("policies/clinic-east/main/3.toml"), b"version = 1\n# ours\n").path
    ended = ask("policy", "assign", policy, "--filter", "site==clinic-east", role="publisher")
    assert f"{policy} is assigned to 1 device" in ended.out
    assert ask("policy", "show", EAST).out == ask("policy", "show", policy).out == "version = 1\n# ours\n"
    assert [one["path"] for one in document(ask("policy", "list", "--json"))["policies"]] == [policy]
    assert ask("policy", "reset", "--device", EAST).out.startswith("their own policy is given back to 1 device\n")
    assert ask("policy", "show", EAST).err.startswith("error: no policy is assigned")
    assert ask("policy", "list").out == "no policy is assigned\n"
    for path, words in (
        ("policies/clinic-east/main/4.toml", "is not in the image repository"),
        ("policy.toml", "names no policy"),
        ("models/qa/intake/7.json", "names no policy"),
    ):
        assert words in ask("policy", "assign", path, "--device", EAST).err
    assert "and some devices are at clinic-west" in ask("policy", "assign", policy, "--device", WEST).err
    assert ask("policy", "assign", policy).err.startswith("error: this needs one of --device, --filter and --cohort")


def test_a_gazetteer_goes_to_its_site_once_its_manifest_is_signed(
    ask: Ask, server: AdminServer, tmp_path: Path
) -> None:
    names, manifest = tmp_path / "names.jsonl", tmp_path / "names.toml"
    names.write_text('{"text": "Ada Nilsson", "class": "patient"}\n')
    added = ask("gazetteer", "add", names, "--site", "clinic-west", "-o", manifest)
    assert f"repository add FOLDER {manifest} --path gazetteers/clinic-west/NAME/NUMBER.toml" in added.out
    assert "Nilsson" not in manifest.read_text()
    assert "there already" in ask("gazetteer", "add", names, "--site", "clinic-west", "-o", manifest).err
    path = server.image.put(read("gazetteers/clinic-west/names/1.toml"), manifest.read_bytes()).path
    assert document(ask("gazetteer", "assign", path, "--json"))["devices"] == 1
    ended = ask("gazetteer", "assign", path, "--device", EAST)
    assert (ended.status, "signed for site clinic-west" in ended.err) == (2, True)
    assert "clinic-west" in ask("gazetteer", "list").out
    assert "given back to 1 device" in ask("gazetteer", "reset", "--device", WEST).out
    names.write_text("Ada Nilsson\n")
    wrong = ask("gazetteer", "add", names, "--site", "clinic-west", "-o", tmp_path / "other.toml")
    assert (wrong.status, "line 1: it is no JSON object" in wrong.err, "Nilsson" in wrong.err) == (2, True, False)
    assert "cannot be read: No such file" in ask("gazetteer", "add", tmp_path / "none", "--site", "a", "-o", "x").err


def read(path: str) -> Target:
    target = read_target(path)
    assert target is not None
    return target


def test_a_command_is_given_and_its_bundle_saved(ask: Ask, server: AdminServer, tmp_path: Path) -> None:
    given = document(ask("commands", "send", "diagnostics", "--device", EAST, "--json"))
    identity = given["commands"][0]["id"]
    assert identity in ask("commands", "list").out
    assert document(ask("commands", "show", identity, "--json"))["state"] == "queued"
    bundle = tmp_path / "bundle.json"
    assert "nothing came with an answer" in ask("commands", "fetch", identity, "--save", bundle).err
    with server.database.writing() as connection:
        connection.execute(update(tables.commands).values(attachment=compressed(b"{}"), state="done"))
    assert ask("commands", "fetch", identity, "--save", bundle).status == 0
    assert bundle.read_bytes() == b"{}"
    assert "cannot be written: File exists" in ask("commands", "fetch", identity, "--save", bundle).err
    with server.database.writing() as connection:
        connection.execute(update(tables.commands).values(state="refused", result={"problem": "no\x1b[2J"}))
    refused = ask("commands", "show", identity, "--wait", "5")
    assert (refused.status, "\x1b" in refused.out) == (1, False)


def test_the_fleet_is_stopped_and_let_go_on(ask: Ask) -> None:
    assert ask("stop", "status").out == "no stop is in force\n"
    assert ask("stop", "on", "--reason", "recall", role="operator").out == "the fleet is stopped: epoch 1\n"
    refused = ask("stop", "off", "--reason", "checked", role="operator")
    assert (refused.status, "stop.off needs the role publisher" in refused.err) == (4, True)
    assert "(recall), epoch 1" in ask("stop", "status").out
    lifted = {"epoch": 2, "stopped": False, "unsigned_because": ""}
    assert document(ask("stop", "off", "--reason", "checked", "--json")) == lifted


def test_a_stop_that_no_director_can_sign_is_kept_with_a_warning(ask: Ask, server: AdminServer) -> None:
    server.signer.key = ""
    ordered, shown = ask("stop", "on", "--reason", "recall"), ask("stop", "status")
    server.signer.key = DIRECTOR
    warning = "warning: no device hears this order before it can be signed: there is no director here; make one\n"
    assert (ordered.status, ordered.out, ordered.err) == (0, "the fleet is stopped: epoch 1\n", warning)
    assert "(recall), epoch 1" in shown.out
    assert shown.err == warning
    assert ask("stop", "status").err == ""


def test_telemetry_is_asked_for(ask: Ask) -> None:
    counted = document(ask("telemetry", "routes", "--by", "site,status", "--json"))["routes"]
    assert [(one["site"], one["status"], one["routes"]) for one in counted] == [("clinic-east", "answer", 5)]
    assert "intake.normalise  margin_met" in ask("telemetry", "routes").out
    assert len(document(ask("telemetry", "events", "--limit", "2", "--json"))["events"]) == 2
    assert "intake.normalise" in ask("telemetry", "events", "route").out
    assert "quota" in ask("telemetry", "gaps").out
    assert document(ask("telemetry", "accounts", "--json")) == {"accounts": []}
    assert ask("telemetry", "quarantine").out == "everything could be taken\n"
    assert ask("telemetry", "events", "nothing").status == 2


def test_the_audit_is_read_and_checked(ask: Ask, server: AdminServer) -> None:
    ask("labels", "set", WEST, "role=press")
    assert "device.label" in ask("audit", "list").out
    assert document(ask("audit", "verify", "--json"))["whole"] is True
    with server.database.writing() as connection:
        connection.execute(update(tables.audit).values(actor="eve"))
    assert ask("audit", "verify").status == 1


def test_a_device_is_revoked(ask: Ask) -> None:
    assert ask("devices", "revoke", EAST, "--reason", "stolen").out == f"{EAST} is revoked\n"
    assert ask("devices", "revoke", EAST, "--reason", "stolen").out == f"{EAST} was out already\n"
    assert ask("devices", "revoke", WEST, "--reason", "x", role="viewer").status == 4


def test_a_controller_that_is_away_and_a_profile_that_is_not_there_are_said_plainly(
    server: AdminServer, tmp_path: Path
) -> None:
    away = tmp_path / "away.toml"
    server.write_profile(away, "viewer", port=free_port())
    ended = homebred_fleet("devices", "list", "--profile", away, "--json")
    assert ended.status == 3
    assert json.loads(ended.out)["error"]["code"] == "controller_unreachable"
    missing = homebred_fleet("devices", "list", "--profile", tmp_path / "none.toml")
    assert (missing.status, "HOMEBRED_FLEET_PROFILE" in missing.err) == (2, True)
    away.write_text('url = "http://fleet"\nkey = 1\n')
    wrong = homebred_fleet("devices", "list", "--profile", away)
    assert (wrong.status, "not https://HOST:PORT" in wrong.err, "key is missing or no text" in wrong.err) == (
        2,
        True,
        True,
    )
