"""A real device takes releases that a real controller's people have signed: verified, gated, served, and taken back."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.controller import Controller
from tests.support.cutting_proxy import CuttingProxy
from tests.support.daemon_process import Site
from tests.support.fleet_site import admin, enrolled
from tests.support.release_fleet import ROWS, SPECIALIST, WORKFLOW, ReleaseFleet, history, release_fleet
from tests.support.wire_client import DaemonClient

from homebred_daemon.services.releases.shadowing import ONE_IN
from homebred_protocol.digests import digest_of
from homebred_protocol.v1 import inference_pb2 as wire

pytestmark = pytest.mark.xdist_group("released devices")
PATIENCE_S = 60.0
NUMBERS = itertools.count(1)
"""Of releases of the one specialist: they rise, in whatever order the tests run."""
WRONG = tuple({**row, "expected": "something else"} for row in ROWS)
MUTE = {"format": "homebred-echo", "replies": {f"say nothing {number}": "" for number in range(40)}}
CONFIG = "[transfer]\nreserve_mb = 0\n[probation]\nsoak_h = 0\nleast_outcomes = 20\n"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReleaseFleet]:
    with release_fleet(tmp_path_factory.mktemp("fleet")) as running:
        yield running


class Device:
    """A device, with what its installs say."""

    def __init__(self, site: Site, name: str, config: Path) -> None:
        self.site = site
        self.name = name
        self.flags = ("--config", str(config))

    def installs(self) -> list[dict[str, Any]]:
        if not (self.site.state / "installs.sqlite").exists():
            return []
        return history(self.site.state)

    def until(self, number: int, *states: str) -> dict[str, Any]:
        """The install of a release, once it is in one of these states."""
        return self._until(
            lambda: next((one for one in self.installs() if one["release"] == number and one["state"] in states), None)
        )

    def until_it_holds(self, look: Callable[[], bool]) -> None:
        """Waits for it."""
        self._until(lambda: {} if look() else None)

    def _until(self, look: Callable[[], dict[str, Any] | None]) -> dict[str, Any]:
        ends_at_s = time.monotonic() + PATIENCE_S
        while (found := look()) is None:
            assert time.monotonic() < ends_at_s, f"{self.installs()}\n{self.site.log}"
            time.sleep(0.2)
        return found

    def ask(self, client: DaemonClient, text: str) -> tuple[str, str]:
        """Who answered, and what."""
        heard = list(client.generate(wire.GenerateRequest(task=wire.Task(text=text, workflow=WORKFLOW))))
        said = "".join(one.delta for one in heard if one.HasField("delta"))
        return heard[-1].outcome.answered_by, said


def enrolled_device(controller: Controller, folder: Path) -> Device:
    site, name = enrolled(controller, folder / "device")
    config = folder / "homebred.toml"
    config.write_text(CONFIG)
    return Device(site, name, config)


@pytest.fixture
def device(fleet: ReleaseFleet, tmp_path: Path) -> Device:
    return enrolled_device(fleet.controller, tmp_path)


def test_a_release_is_taken_gated_and_serves_a_worse_one_is_refused_and_one_that_degrades_is_taken_back(
    fleet: ReleaseFleet, device: Device
) -> None:
    device_id, site = device.name, device.site
    first, worse, third = (next(NUMBERS) for _ in range(3))
    with site.daemon(*device.flags) as client:
        fleet.assign(fleet.publish(first), device_id)
        device.until(first, "probation")
        for number in range(25):
            assert device.ask(client, f"hello {number}") == (SPECIALIST, f"hello {number}")
        settled = device.until(first, "settled")
        assert settled["outcomes"] == {"good": 25, "seen": 25}

        fleet.assign(fleet.publish(worse, rows=WRONG), device_id)
        refused = device.until(worse, "refused")
        assert refused["code"] == "gate_quality"
        assert device.ask(client, "still here") == (SPECIALIST, "still here")

        fleet.assign(fleet.publish(third, model=MUTE), device_id)
        device.until(third, "probation")
        for number in range(40):
            device.ask(client, f"say nothing {number}")
            if device.installs()[0]["state"] != "probation":
                break
        rolled_back = device.until(third, "rolled_back")
        assert rolled_back["code"] == "degraded"
        assert device.ask(client, "as before") == (SPECIALIST, "as before")
    with site.daemon(*device.flags) as client:
        assert device.ask(client, "after a restart") == (SPECIALIST, "after a restart")
    assert [one["state"] for one in device.installs()] == ["rolled_back", "refused", "settled"]


@pytest.fixture
def recluse(fleet: ReleaseFleet, tmp_path: Path) -> Device:
    """A device that reaches nothing but the broker: nobody listens where it was enrolled any more."""
    with CuttingProxy(fleet.controller.port, cuts=0, seed=0, limit=lambda _: 0) as https:
        return enrolled_device(replace(fleet.controller, port=https.port), tmp_path)


def test_a_device_that_reaches_nothing_but_the_broker_takes_policy_and_names_all_the_same(
    fleet: ReleaseFleet, recluse: Device, tmp_path: Path
) -> None:
    policy, names, manifest = b"version = 1\n# ours\n", tmp_path / "names.jsonl", tmp_path / "names.toml"
    entries = [
        {"text": "Marigold Quince", "class": "patient"},
        *({"text": f"Name {n:04}", "class": "a"} for n in range(9000)),
    ]
    names.write_text("".join(json.dumps(entry) + "\n" for entry in entries))  # 300 kB: several blocks
    admin(fleet.controller, "gazetteer", "add", names, "--site", "clinic", "-o", manifest)
    signed = [
        fleet.signed.policy("clinic", "main", 1, policy).path,
        fleet.signed.gazetteer("clinic", "names", 1, manifest.read_bytes()).path,
    ]
    fleet.signed.publish()
    with recluse.site.daemon(*recluse.flags) as client:
        for command, path in zip(("policy", "gazetteer"), signed, strict=True):
            admin(fleet.controller, command, "assign", path, "--device", recluse.name)
        recluse.until_it_holds(lambda: client.status().policy_digest == digest_of(policy))
        task = wire.Task(text="About Marigold Quince, please.", allows_escalation=True)
        recluse.until_it_holds(lambda: "patient" in client.route(task).classes)


def test_a_device_that_reaches_nothing_but_the_broker_takes_a_release_all_the_same(
    fleet: ReleaseFleet, recluse: Device
) -> None:
    device = recluse
    with device.site.daemon(*device.flags) as client:
        fleet.assign(fleet.publish(21, specialist="recluse"), device.name)
        device.until(21, "probation")
        assert device.ask(client, "over the broker")[1] == "over the broker"


def test_a_release_is_built_on_the_device_and_the_fleet_hears_which_form_of_it_serves(
    fleet: ReleaseFleet, device: Device
) -> None:
    with device.site.daemon(*device.flags):
        fleet.assign(fleet.publish_to_build(31, "bred"), device.name)
        install = device.until(31, "probation", "refused")
        assert install["state"] == "probation", install
        digest = install["built"]["digest"]

        def told() -> list[dict[str, Any]]:
            printed = admin(fleet.controller, "receipts", "list", "--device", device.name, "--json")
            found: list[dict[str, Any]] = json.loads(printed)["receipts"]
            return found

        device.until_it_holds(lambda: len(told()) == 2)
    assert [(one["result"], one["built"]) for one in told()] == [("activated", digest), ("gate_passed", digest)]
    blobs = device.site.state / "models/blobs/sha256"
    assert digest.removeprefix("sha256:") in {path.name for path in blobs.iterdir()}
    assert [step["event"] for step in install["steps"]][3:5] == ["fits_to_build", "built"]


@pytest.mark.thorough("it waits for dozens of answers to be given twice; tests/integration/test_shadowing.py is short")
def test_one_that_passes_its_gate_and_fails_at_the_devices_own_tasks_is_refused_before_it_answers_a_caller(
    fleet: ReleaseFleet, device: Device
) -> None:
    mute = {"format": "homebred-echo", "replies": {f"say nothing {number}": "" for number in range(200)}}
    shadow = "[gate.shadow]\noutcomes = 20\nlongest_s = 3600"
    first, second = next(NUMBERS), next(NUMBERS)
    with device.site.daemon(*device.flags) as client:
        fleet.assign(fleet.publish(first), device.name)
        device.until(first, "probation")
        fleet.assign(fleet.publish(second, model=mute, shadow=shadow), device.name)
        device.until(second, "shadowing")
        for number in range(200):
            text = f"say nothing {number}"
            assert device.ask(client, text) == (SPECIALIST, text), "what serves answers, and nobody else"
            if number % ONE_IN == ONE_IN - 1:
                time.sleep(0.5)  # no caller comes
                if device.installs()[0]["state"] != "shadowing":
                    break
        refused = device.until(second, "refused")
        assert refused["code"] == "shadow_worse"
        assert refused["shadow"]["only_serving_good"] == 11
    assert [(one["release"], one["serves"]) for one in device.installs()] == [(second, False), (first, True)]
