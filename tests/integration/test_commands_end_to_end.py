"""An administrator's commands to a real device over a real broker: given, carried out once, and told of."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.support.command_line import Ended, fleet_here, homebred
from tests.support.controller import Controller, running_controller
from tests.support.daemon_process import Site
from tests.support.wire_client import DaemonClient

from homebred_daemon.adapters.identity_files import IdentityFiles

pytestmark = pytest.mark.xdist_group("commands end to end")
DAY_S = 86_400
PATIENCE_S = 90.0


@pytest.fixture(scope="module")
def controller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controller]:
    with running_controller(tmp_path_factory.mktemp("fleet") / "fleet") as running:
        yield running


@contextmanager
def enrolled(controller: Controller, folder: Path) -> Iterator[tuple[Site, str]]:
    """A device that has enrolled, its daemon not started."""
    site = Site(folder)
    site.state.mkdir(parents=True)
    pinned = controller.broker.authority.root_fingerprint
    ended = homebred(
        "enroll",
        controller.url,
        "--fingerprint",
        pinned,
        "--state-dir",
        site.state,
        "--json",
        stdin=controller.token(site="clinic-east"),
    )
    assert ended.status == 0, ended.out
    yield site, ended.lines[0]["device_id"]


def admin(controller: Controller, *arguments: str | Path) -> Ended:
    environ = {"HOMEBRED_FLEET_PROFILE": str(controller.folder.profile)}
    return fleet_here(*arguments, environ=environ)


def send(controller: Controller, device: str, *command: str) -> str:
    ended = admin(controller, "commands", "send", *command, "--device", device, "--json")
    assert ended.status == 0, ended.err
    identity: str = json.loads(ended.out)["commands"][0]["id"]
    return identity


def shown(controller: Controller, command: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(admin(controller, "commands", "show", command, "--json").out)
    return told


def waited(controller: Controller, site: Site, command: str, *states: str) -> dict[str, Any]:
    """The command once it is in one of these states."""
    ends_s = time.monotonic() + PATIENCE_S
    while (told := shown(controller, command))["state"] not in states:
        assert time.monotonic() < ends_s, (told, site.log)
        time.sleep(0.2)
    return told


def until(holds: Callable[[], object], site: Site) -> None:
    ends_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < ends_s, site.log
        time.sleep(0.1)


def bundles(client: DaemonClient) -> list[str]:
    return [one.command_id for one in client.list_bundles().bundles]


def test_commands_reach_a_device_are_done_once_and_a_bundle_leaves_only_from_the_site(
    controller: Controller, tmp_path: Path
) -> None:
    with enrolled(controller, tmp_path) as (site, device), site.daemon() as client:
        ping = waited(controller, site, send(controller, device, "ping"), "done")
        assert ping["result"]["answer"]["version"]
        level = waited(controller, site, send(controller, device, "log-level", "level=debug"), "done")
        assert level["result"]["answer"] == {"previous": "info"}
        assert client.status().log_level == "debug"
        waited(controller, site, send(controller, device, "drain"), "done")
        assert client.status().draining
        waited(controller, site, send(controller, device, "resume"), "done")
        assert not client.status().draining

        asked = send(controller, device, "diagnostics")
        waited(controller, site, asked, "waiting")
        until(lambda: bundles(client) == [asked], site)
        nothing = admin(controller, "commands", "fetch", asked, "--save", tmp_path / "early.json")
        assert nothing.status != 0
        document = client.show_bundle(asked).document
        client.decide_bundle(asked, lets_go=True)
        waited(controller, site, asked, "done")
        fetched = admin(controller, "commands", "fetch", asked, "--save", tmp_path / "bundle.json")
        assert fetched.status == 0, fetched.err
        assert (tmp_path / "bundle.json").read_bytes() == document

        refused = send(controller, device, "diagnostics")
        waited(controller, site, refused, "waiting")
        until(lambda: bundles(client) == [refused], site)
        client.decide_bundle(refused, lets_go=False)
        assert waited(controller, site, refused, "refused")["result"]["problem_code"] == "declined"


def test_a_command_waits_for_a_device_that_is_away(controller: Controller, tmp_path: Path) -> None:
    with enrolled(controller, tmp_path) as (site, device):
        first = send(controller, device, "ping")
        with site.daemon():
            waited(controller, site, first, "done")
        second = send(controller, device, "log-level", "level=warning")
        with site.daemon() as client:
            waited(controller, site, second, "done")
            assert client.status().log_level == "warning"


def test_a_certificate_that_is_due_is_renewed_and_the_link_goes_on_with_it(
    controller: Controller, tmp_path: Path
) -> None:
    with enrolled(controller, tmp_path) as (site, device):
        files = IdentityFiles(site.state, {})
        first = files.current()
        assert first is not None
        record_file = first.credentials.certificate.with_name("identity.json")
        record = json.loads(record_file.read_text())
        record["certificate"] |= {"begins_s": first.certificate.begins_s - 70 * DAY_S}
        record["certificate"] |= {"ends_s": first.certificate.ends_s - 70 * DAY_S}
        record_file.write_text(json.dumps(record))
        with site.daemon():
            until(lambda: '"certificate_renewed"' in site.log, site)
            waited(controller, site, send(controller, device, "ping"), "done")
        second = files.current()
    assert second is not None
    assert (second.membership, second.generation) == (first.membership, "000002")
    assert second.certificate.serial != first.certificate.serial
    assert "certificate_not_renewed" not in site.log
    why = json.loads(admin(controller, "devices", "why", device, "--json").out)
    assert {one["rule"]: one["verdict"] for one in why["findings"]}["certificate"] == "ok"
