"""The admin API over real HTTPS with real certificates: who may do what, what is answered, what the audit has of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute
from sqlalchemy import update
from tests.support.admin_server import AdminServer, running_admin_server
from tests.support.broker import found, now_s
from tests.support.fleet_rows import add_boot, add_device, add_hour, add_route
from tests.support.free_ports import free_port
from tests.support.stop_orders import DIRECTOR

from homebred_fleet.adapters.admin_client import AdminClient
from homebred_fleet.adapters.http_api.administration.context import May
from homebred_fleet.adapters.http_api.administration.mounting import PARTS
from homebred_fleet.adapters.store import tables
from homebred_fleet.adapters.store.database import Database
from homebred_fleet.core.admin_actions import ROLE_OF
from homebred_fleet.core.admins import ROLES
from homebred_fleet.core.device_filters import DesiredFacts, DeviceFacts
from homebred_fleet.errors import ConfigurationError, ControllerUnreachableError, FleetError
from homebred_protocol.digests import digest_of
from homebred_protocol.documents.gazetteer_manifest import GazetteerManifest, gazetteer_manifest
from homebred_protocol.targets import Kind, Target

pytestmark = pytest.mark.xdist_group("the admin API")
EAST, WEST = "clinic-east-00000001", "clinic-west-00000002"
POLICY = b"version = 1\n"
NAMES = b'{"text": "Ada Nilsson", "class": "patient"}\n'
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


@pytest.fixture(autouse=True)
def _fleet(server: AdminServer) -> None:
    """Two devices with some telemetry, and nothing of an earlier test."""
    kept = {tables.admins}
    with server.database.writing() as connection:
        for table in reversed(tables.metadata.sorted_tables):
            if table not in kept:
                connection.execute(table.delete())
        east = add_device(connection, PLAIN)
        add_device(connection, replace(PLAIN, id=WEST, site="clinic-west"))
        add_hour(connection, east, now_s() // 3600, 5)
        boot = add_boot(connection, east)
        for seq in range(1, 6):
            add_route(connection, boot, seq, received_at_s=now_s())


def refusal(client: AdminClient, method: str, *path: str, body: object = None) -> FleetError:
    with pytest.raises(FleetError) as refused:
        client.send(method, *path, body=body)
    return refused.value


def routes() -> list[tuple[str, tuple[str, ...], str]]:
    """Method, path and action of everything that there is."""
    names = {"device": EAST, "kind": "policy", "stream": "route"}
    found = []
    for route in (route for part in PARTS for route in part.router.routes):
        assert isinstance(route, APIRoute)
        actions = [one.call.action for one in route.dependant.dependencies if isinstance(one.call, May)]
        assert (len(actions), len(route.methods or ())) == (1, 1), route.path
        levels = [
            names.get(level[1:-1], "nothing") if level.startswith("{") else level
            for level in route.path.strip("/").split("/")
        ]
        found.append((next(iter(route.methods or ())), tuple(levels), actions[0]))
    return found


def test_every_path_needs_a_role_of_the_table_and_is_closed_below_it_and_to_strangers(server: AdminServer) -> None:
    asked = routes()
    assert {action for _, _, action in asked} | {"stop.off", "document.read-names"} == set(ROLE_OF)
    clients = {role: server.client(role) for role in ROLES}
    stranger = server.client("admin", known=False)
    for method, path, action in asked:
        assert refusal(stranger, method, *path).code == "certificate_needed", path
        rank = ROLES.index(ROLE_OF[action])
        if rank:
            refused = refusal(clients[ROLES[rank - 1]], method, *path, body={})
            assert (refused.code, ROLE_OF[action] in refused.message) == ("not_permitted", True), path
        for role in {ROLES[rank], ROLES[-1]}:
            try:
                clients[role].send(method, *path, body={})
            except FleetError as error:
                assert error.code != "not_permitted", (path, role)  # noqa: PT017  # some are refused for what they lack


def test_devices_are_listed_by_filter_and_in_pages(server: AdminServer) -> None:
    client = server.client("viewer")
    page = client.get("devices", limit=1)
    assert ([one["id"] for one in page["devices"]], page["after"]) == ([EAST], EAST)
    assert [one["id"] for one in client.pages("devices", "after", "devices", limit=10)] == [EAST, WEST]
    assert [one["id"] for one in client.get("devices", filter="site==clinic-west")["devices"]] == [WEST]
    with pytest.raises(FleetError) as refused:
        client.get("devices", filter="site=clinic-west")
    assert refused.value.record() == {
        "code": "bad_filter",
        "message": "the filter at column 5: '=' begins nothing that a filter has",
        "hint": "write `==` to compare",
    }


def test_a_device_is_shown_and_explained(server: AdminServer) -> None:
    client = server.client("viewer")
    assert client.get("devices", EAST)["boots"][0]["boot_number"] == 1
    why = client.get("devices", EAST, "why")
    assert next(one for one in why["findings"] if one["rule"] == "heard")["verdict"] == "problem"
    for path in (("devices", "nobody"), ("devices", "nobody", "why"), ("nothing",)):
        assert refusal(client, "GET", *path).code == "not_found"
    assert refusal(client, "GET", "devices", "../../etc").code == "not_found"


def path_of(target: Target) -> list[str]:
    return target.path.split("/")


def test_a_signed_policy_travels_to_desired_and_is_given_back(server: AdminServer) -> None:
    client = server.client("publisher")
    signed = [Target(kind=Kind.POLICY, group=site, name="main", number=3) for site in ("clinic-east", "clinic-west")]
    for policy in signed:
        server.image.put(policy, POLICY)
        body = {"filter": f"site=={policy.group}", "path": policy.path}
        assert client.send("POST", "releases", "assignments", body=body) == {"path": policy.path, "devices": 1}
    assert server.client("viewer").fetch("releases", "targets", *path_of(signed[0])) == POLICY
    assigned = client.get("devices", EAST)["assigned"]
    assert (assigned["policy_digest"], assigned["policy_length"]) == (digest_of(POLICY), len(POLICY))
    reset = {"filter": "site==*", "kind": "policy"}
    assert client.send("POST", "releases", "resets", body=reset) == {"kind": "policy", "devices": 2}
    assert client.get("devices", EAST)["assigned"]["policy_digest"] == ""
    assert refusal(client, "GET", "releases", "targets", "policies", "x").code == "bad_request"
    assert refusal(client, "GET", "releases", "targets", *path_of(signed[0])[:-1], "4.toml").code == "not_found"


def test_what_no_device_would_take_is_not_assigned_though_it_is_signed(server: AdminServer) -> None:
    client = server.client("publisher")
    unread = server.image.put(Target(kind=Kind.POLICY, group="clinic-east", name="main", number=3), b"verson = 1")
    body = {"device": EAST, "path": unread.path}
    refused = refusal(client, "POST", "releases", "assignments", body=body)
    assert (refused.code, "verson: is not a known key" in refused.message) == ("bad_request", True)
    assert client.get("devices", EAST)["assigned"] is None


def test_policies_are_not_taken_as_bytes(server: AdminServer) -> None:
    client = server.client("publisher")
    with pytest.raises(FleetError, match="Method Not Allowed"):
        client.upload("documents", "policy", body=POLICY)


def test_a_gazetteer_is_assigned_where_the_controller_has_the_list_of_that_site(server: AdminServer) -> None:
    client = server.client("publisher")
    manifest = gazetteer_manifest(GazetteerManifest(digest=digest_of(NAMES), length=len(NAMES)))
    signed = {
        site: server.image.put(Target(kind=Kind.GAZETTEER, group=site, name="names", number=1), manifest)
        for site in ("clinic-east", "clinic-west")
    }

    def assigned(site: str, device: str) -> dict[str, Any]:
        body = {"device": device, "path": signed[site].path}
        return client.send("POST", "releases", "assignments", body=body)

    with pytest.raises(FleetError, match="has no list"):
        assigned("clinic-east", EAST)
    added = client.upload("documents", "gazetteer", body=NAMES, site="clinic-east")
    assert added == {"digest": digest_of(NAMES), "site": "clinic-east", "length": len(NAMES)}
    assert [one["digest"] for one in client.get("documents")["documents"]] == [digest_of(NAMES)]
    assert assigned("clinic-east", EAST)["devices"] == 1
    with pytest.raises(FleetError, match="of the site clinic-west"):
        assigned("clinic-west", WEST)
    with pytest.raises(FleetError, match="line 1: it is no JSON object"):
        client.upload("documents", "gazetteer", body=b"Ada Nilsson", site="clinic-east")


def test_a_gazetteers_names_are_not_for_everybody(server: AdminServer) -> None:
    added = server.client("publisher").upload("documents", "gazetteer", body=NAMES, site="clinic-east")
    assert server.client("publisher").fetch("documents", added["digest"]) == NAMES
    with pytest.raises(FleetError) as refused:
        server.client("operator").fetch("documents", added["digest"])
    assert refused.value.code == "not_permitted"


def test_commands_are_given_and_followed(server: AdminServer) -> None:
    client = server.client("operator")
    given = client.send("POST", "commands", body={"device": EAST, "op": "diagnostics", "wait_s": 60})
    (command,) = given["commands"]
    assert client.get("commands", device=EAST)["commands"][0]["id"] == command["id"]
    assert client.get("commands", command["id"])["device"] == EAST
    assert refusal(client, "GET", "commands", command["id"], "attachment").code == "not_found"
    with server.database.writing() as connection:
        connection.execute(update(tables.commands).values(attachment=b"\x00bundle", result={"state": "done"}))
    assert client.fetch("commands", command["id"], "attachment") == b"\x00bundle"
    shown = client.get("commands", command["id"])
    assert (shown["has_attachment"], shown["result"]) == (True, {"state": "done"})
    assert "attachment" not in shown
    refused = refusal(client, "POST", "commands", body={"device": EAST, "op": "shell"})
    assert refused.code == "bad_request"


def test_a_stop_is_an_operators_and_its_end_a_publishers(server: AdminServer) -> None:
    operator = server.client("operator")
    assert operator.get("stop")["stopped"] is False
    assert operator.send("PUT", "stop", body={"stopped": True, "reason_code": "recall"})["epoch"] == 1
    lift = {"stopped": False, "reason_code": "checked"}
    assert refusal(operator, "PUT", "stop", body=lift).code == "not_permitted"
    assert operator.get("stop")["stopped"] is True
    assert server.client("publisher").send("PUT", "stop", body=lift)["epoch"] == 2


def test_an_order_that_cannot_be_signed_is_kept_and_says_so(server: AdminServer) -> None:
    server.signer.key = ""
    client = server.client("publisher")
    told = client.send("PUT", "stop", body={"stopped": True, "reason_code": "recall"})
    assert (told["stopped"], told["unsigned_because"]) == (True, "there is no director here; make one")
    assert client.get("stop")["unsigned_because"] == told["unsigned_because"]
    server.signer.key = DIRECTOR
    assert client.get("stop")["unsigned_because"] == ""


def test_a_token_is_made_listed_and_withdrawn(server: AdminServer) -> None:
    client = server.client("admin")
    made = client.send("POST", "tokens", body={"site": "clinic-east", "labels": {"role": "kiosk"}})
    assert made["token"].startswith("hbt_")
    listed = client.get("tokens")["tokens"]
    assert [(one["id"], one["state"]) for one in listed] == [(made["id"], "open")]
    assert made["token"] not in json.dumps(listed)
    assert client.send("DELETE", "tokens", made["id"]) == {"id": made["id"], "withdrawn": True}
    assert client.get("tokens")["tokens"][0]["state"] == "withdrawn"
    assert refusal(client, "DELETE", "tokens", "nothing").code == "not_found"


def test_a_device_is_revoked(server: AdminServer) -> None:
    client = server.client("admin")
    assert client.send("POST", "devices", EAST, "revoke", body={"reason": "stolen"})["revoked"] is True
    assert client.send("POST", "devices", EAST, "revoke", body={"reason": "stolen"})["revoked"] is False
    assert client.get("devices", EAST)["revoke_reason"] == "stolen"
    assert refusal(client, "POST", "devices", EAST, "revoke", body={"reason": ""}).code == "bad_request"


def test_telemetry_is_queried(server: AdminServer) -> None:
    client = server.client("viewer")
    counted = client.get("telemetry", "routes", by="device,reason", hours=1)
    assert [(one["device"], one["reason"], one["routes"]) for one in counted["routes"]] == [(EAST, "margin_met", 5)]
    events = list(client.pages("events", "before", "telemetry", "events", "route", limit=10))
    assert [one["seq"] for one in events] == [5, 4, 3, 2, 1]
    assert client.get("telemetry", "gaps") == {"gaps": []}
    assert client.get("telemetry", "quarantine") == {"quarantine": []}
    for params in ({"by": "colour"}, {"hours": 0}):
        with pytest.raises(FleetError) as refused:
            client.get("telemetry", "routes", **params)
        assert refused.value.code == "bad_request"
    with pytest.raises(FleetError, match="no place in a list"):
        client.get("telemetry", "events", "route", before="1; drop")


def test_every_change_is_in_the_audit_and_a_changed_past_shows(server: AdminServer) -> None:
    client = server.client("operator")
    client.send("PATCH", "devices", EAST, "labels", body={"ward": "2"})
    client.send("PUT", "cohorts", "kiosks", body={"selector": "label.role==kiosk"})
    assert client.get("cohorts")["cohorts"][0]["devices"] == 2
    client.send("DELETE", "cohorts", "kiosks")
    rows = [row for row in client.pages("audit", "before", "audit", limit=10) if row["actor"] != "test"]
    assert [(one["action"], one["actor"]) for one in rows] == [
        ("cohort.remove", "operator-known"),
        ("cohort.put", "operator-known"),
        ("device.label", "operator-known"),
    ]
    checked = client.get("audit", "verification")
    assert (checked["whole"], checked["digest"]) == (True, rows[0]["digest"])
    with server.database.writing() as connection:
        connection.execute(update(tables.audit).where(tables.audit.c.action == "cohort.put").values(actor="eve"))
    assert client.get("audit", "verification")["first_broken"] == rows[1]["number"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", ("devices", EAST, "labels"), {"a": 1}),
        ("PATCH", ("devices", EAST, "labels"), ["a"]),
        ("PUT", ("cohorts", "a"), {"selector": "site==a", "more": 1}),
        ("POST", ("releases", "resets"), {"kind": "model", "device": EAST}),
        ("POST", ("commands",), {"device": EAST, "op": "ping", "wait_s": "60"}),
        ("PUT", ("stop",), {"stopped": 1, "reason_code": "x"}),
        ("POST", ("tokens",), {"site": "a", "labels": {"a": None}}),
    ],
)
def test_a_body_of_another_form_is_refused_without_its_values(
    server: AdminServer, method: str, path: tuple[str, ...], body: Any
) -> None:
    refused = refusal(server.client("admin"), method, *path, body=body)
    assert (refused.code, bool(refused.hint)) == ("bad_request", True)


def test_a_controller_that_does_not_answer_is_told_from_one_that_is_another(
    server: AdminServer, tmp_path: Path
) -> None:
    profile = server.profile("viewer")
    away = replace(profile, url=f"https://127.0.0.1:{free_port()}")
    with pytest.raises(ControllerUnreachableError, match="does not answer: Connection refused") as refused:
        AdminClient(away).get("devices")
    assert "homebred-fleet serve" in refused.value.hint
    other = found(tmp_path / "other", broker_port=1)
    with pytest.raises(ControllerUnreachableError, match="not your controller's"):
        AdminClient(replace(profile, authorities=other.authorities)).get("devices")
    pair = other.admin("admin")
    with pytest.raises(ControllerUnreachableError):
        AdminClient(replace(profile, certificate=pair.certificate, key=pair.key)).get("devices")
    with pytest.raises(ConfigurationError, match="cannot be used"):
        AdminClient(replace(profile, key=tmp_path / "none.pem"))
