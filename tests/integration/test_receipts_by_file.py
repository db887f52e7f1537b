"""Receipts that a device without a network signs, carried by file to a real controller: each counts once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support import install_scenarios
from tests.support.command_line import fleet_here, homebred
from tests.support.controller import Controller, running_controller
from tests.support.enrolled_devices import enrolled

from homebred_daemon.adapters.release_store import ReleaseStore
from homebred_daemon.cli.exits import Exit

pytestmark = pytest.mark.xdist_group("receipts by file")


@pytest.fixture(scope="module")
def controller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controller]:
    with running_controller(tmp_path_factory.mktemp("fleet") / "fleet") as running:
        yield running


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Release 1 settled, 2 rolled back, 3 refused."""
    install_scenarios.prepare(tmp_path)
    install_scenarios.act_rolled_back(tmp_path, lambda _: None)
    install_scenarios.act_refused(tmp_path, lambda _: None)
    return tmp_path


def fleet(controller: Controller, *arguments: str | Path) -> tuple[int, Any]:
    """What an admin's command says, and its status."""
    environ = {"HOMEBRED_FLEET_PROFILE": str(controller.folder.profile)}
    ended = fleet_here(*arguments, "--json", environ=environ)
    return ended.status, json.loads(ended.out)


def test_what_became_of_releases_is_carried_and_counts_once(controller: Controller, state: Path) -> None:
    alone = homebred("fleet", "receipts", "export", state / "early", "--state-dir", state)
    assert (alone.status, (state / "early").exists()) == (Exit.USAGE, False)
    assert "homebred enroll" in alone.err
    device = enrolled(controller, state).membership.device_id
    file = state / "stick.receipts"
    told = homebred("fleet", "receipts", "export", file, "--state-dir", state, "--json")
    assert (told.status, json.loads(told.out)) == (Exit.OK, {"file": str(file), "receipts": 7})
    assert fleet(controller, "receipts", "import", file) == (0, {"stored": 7, "known": 0, "refused": []})
    assert fleet(controller, "receipts", "import", file) == (0, {"stored": 0, "known": 7, "refused": []})
    _, shown = fleet(controller, "receipts", "list", "--device", device)
    assert [(one["release_number"], one["result"], one["code"]) for one in reversed(shown["receipts"])] == [
        (1, "gate_passed", ""),
        (1, "activated", ""),
        (1, "settled", ""),
        (2, "gate_passed", ""),
        (2, "activated", ""),
        (2, "rolled_back", "degraded"),
        (3, "refused", "gate_quality"),
    ]
    assert shown["receipts"][0]["facts"]["say.again:score_ppm"] == 100_000
    assert {one["came_by"] for one in shown["receipts"]} == {"file"}
    assert len(fleet(controller, "devices", "show", device)[1]["receipts"]) == 7
    people = fleet_here("devices", "show", device, environ={"HOMEBRED_FLEET_PROFILE": str(controller.folder.profile)})
    assert "say.again:score_ppm=100000" in people.out


def test_the_fleet_is_told_of_what_a_device_built_by_its_digest(controller: Controller, tmp_path: Path) -> None:
    install_scenarios.prepare_built(tmp_path)
    install_scenarios.act_built(tmp_path, lambda _: None)
    current = ReleaseStore(tmp_path / "models").in_force("parrot").current
    assert current is not None
    device = enrolled(controller, tmp_path).membership.device_id
    file = tmp_path / "stick.receipts"
    assert homebred("fleet", "receipts", "export", file, "--state-dir", tmp_path).status == Exit.OK
    assert fleet(controller, "receipts", "import", file)[0] == 0
    _, shown = fleet(controller, "receipts", "list", "--device", device)
    assert [(one["release_number"], one["result"], one["built"]) for one in shown["receipts"][:4]] == [
        (6, "settled", current.built),
        (6, "activated", current.built),
        (6, "gate_passed", current.built),
        (1, "settled", ""),
    ]
    people = fleet_here("receipts", "list", environ={"HOMEBRED_FLEET_PROFILE": str(controller.folder.profile)})
    assert f"gate_passed: built={current.built} " in people.out


def test_an_export_spoils_no_file_that_is_there(controller: Controller, state: Path) -> None:
    enrolled(controller, state)
    (state / "mine").write_text("kept")
    refused = homebred("fleet", "receipts", "export", state / "mine", "--state-dir", state)
    assert (refused.status, (state / "mine").read_text()) == (Exit.USAGE, "kept")


def test_what_was_changed_or_cut_on_the_way_is_refused_by_its_line(controller: Controller, state: Path) -> None:
    enrolled(controller, state)
    file = state / "stick.receipts"
    homebred("fleet", "receipts", "export", file, "--state-dir", state)
    lines = file.read_bytes().splitlines()
    lines[1] = lines[1].replace(b'"activated"', b'"settled"')
    lines[6] = lines[6][: len(lines[6]) // 2]
    file.write_bytes(b"\n".join([*lines, b"", b"x" * 100_000]))
    status, told = fleet(controller, "receipts", "import", file)
    assert (status, told["stored"], told["known"]) == (1, 5, 0)
    assert [(one["line"], one["code"]) for one in told["refused"]] == [
        (2, "receipt-signature"),
        (7, "receipt-malformed"),
        (9, "receipt-malformed"),
    ]
    environ = {"HOMEBRED_FLEET_PROFILE": str(controller.folder.profile)}
    people = fleet_here("receipts", "import", file, environ=environ)
    assert "line 2: receipt-signature: its signature does not hold" in people.out
