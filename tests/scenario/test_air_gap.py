"""A stick for two devices that no network reaches: trust, gate and receipts as ever, whatever is on the stick."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.broker import now_s
from tests.support.command_line import fleet_here, homebred
from tests.support.daemon_process import Site
from tests.support.fleet_site import enrolled
from tests.support.release_fleet import ROWS, SPECIALIST, WORKFLOW, ReleaseFleet, history, release_fleet
from tests.support.sticks import stick
from tests.support.wire_client import DaemonClient

from homebred_protocol.v1 import inference_pb2 as wire

pytestmark = pytest.mark.xdist_group("the air gap")
CONFIG = "[transfer]\nreserve_mb = 0\n"
NUMBERS = itertools.count(1)
"""Of releases: in whatever order tests come, they rise."""
WRONG = tuple({**row, "expected": "something else"} for row in ROWS)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReleaseFleet]:
    with release_fleet(tmp_path_factory.mktemp("fleet")) as running:
        yield running


def ask(fleet: ReleaseFleet, *words: str | Path) -> tuple[int, Any]:
    """What an admin's command says, and its status."""
    environ = {"HOMEBRED_FLEET_PROFILE": str(fleet.controller.folder.profile)}
    ended = fleet_here(*words, "--json", environ=environ)
    return ended.status, json.loads(ended.out)


@contextmanager
def no_network(fleet: ReleaseFleet) -> Iterator[None]:
    """Neither controller nor broker can be reached."""
    fleet.controller.stop()
    fleet.controller.broker.stop()
    try:
        yield
    finally:
        fleet.controller.broker.start()
        fleet.controller.start()


@dataclass
class Device:
    """A device of the site, and what is asked of its daemon."""

    site: Site
    name: str
    config: Path

    @contextmanager
    def running(self) -> Iterator[DaemonClient]:
        with self.site.daemon("--config", str(self.config)) as client:
            yield client

    def takes(self, stick: Path, *, wait_s: float = 60.0) -> tuple[int, Any]:
        """What `models import` says, and its status."""
        words = ("models", "import", stick, "--wait", str(wait_s), "--socket", self.site.socket, "--json")
        ended = homebred(*words)
        return ended.status, json.loads(ended.out)

    def refuses(self, stick: Path) -> list[str]:
        """The codes of what is not taken of a stick."""
        status, told = self.takes(stick)
        assert (status, told["releases"]) == (1, []), told
        return [one["code"] for one in told["not_taken"]]

    def until(self, number: int, state: str) -> None:
        """Until a release is in a state."""
        ends_at_s = time.monotonic() + 60
        while not any((one["release"], one["state"]) == (number, state) for one in history(self.site.state)):
            assert time.monotonic() < ends_at_s, f"{history(self.site.state)}\n{self.site.log}"
            time.sleep(0.2)

    def told(self, fleet: ReleaseFleet, number: int) -> list[dict[str, Any]]:
        """Its receipts at the controller, once there are so many at least."""
        ends_at_s = time.monotonic() + 60
        while True:
            found: list[dict[str, Any]] = ask(fleet, "receipts", "list", "--device", self.name)[1]["receipts"]
            if len(found) >= number:
                return found
            assert time.monotonic() < ends_at_s, f"{found}\n{self.site.log}"
            time.sleep(0.2)

    def receipts(self, file: Path) -> Path:
        """A file with its receipts."""
        ended = homebred("fleet", "receipts", "export", file, "--state-dir", self.site.state)
        assert ended.status == 0, ended.err
        return file


def says(client: DaemonClient, text: str) -> tuple[str, str]:
    """Who answers, and what."""
    heard = list(client.generate(wire.GenerateRequest(task=wire.Task(text=text, workflow=WORKFLOW))))
    return heard[-1].outcome.answered_by, "".join(one.delta for one in heard if one.HasField("delta"))


def device(fleet: ReleaseFleet, folder: Path) -> Device:
    site, name = enrolled(fleet.controller, folder, site="clinic-east")
    config = folder / "homebred.toml"
    config.write_text(CONFIG)
    return Device(site, name, config)


def stick_for(fleet: ReleaseFleet, folder: Path, *devices: Device, leases: str = "30d") -> Path:
    """A stick that the controller has made."""
    meant = f"id in ({', '.join(one.name for one in devices)})"
    status, made = ask(fleet, "bundle", "make", "-o", folder, "--filter", meant, "--leases", leases)
    assert status == 0, made
    assert [one["device"] for one in made["devices"]] == sorted(one.name for one in devices)
    return folder


@pytest.mark.parametrize("many", [1, pytest.param(2, marks=pytest.mark.thorough("the same once more on another"))])
def test_a_stick_brings_each_device_of_a_site_the_same_and_their_receipts_count_once(
    fleet: ReleaseFleet, tmp_path: Path, many: int
) -> None:
    devices = [device(fleet, tmp_path / f"device {number}") for number in range(many)]
    good, bad = fleet.publish(next(NUMBERS)), fleet.publish(next(NUMBERS), specialist="mimic", rows=WRONG)
    for path in (good, bad):
        for each in devices:
            fleet.assign(path, each.name)
    stick = stick_for(fleet, tmp_path / "stick", *devices)
    files = []
    with no_network(fleet):
        for each in devices:
            with each.running() as client:
                status, told = each.takes(stick)
                assert (status, told["not_taken"]) == (1, [])
                assert {found["target"]: (found["state"], found["code"]) for found in told["releases"]} == {
                    good: ("probation", ""),
                    bad: ("refused", "gate_quality"),
                }
                measured = {found["target"]: found["facts"] for found in told["releases"]}
                assert measured[good][f"{WORKFLOW}:score_ppm"] == 1_000_000
                assert says(client, "hello") == (SPECIALIST, "hello")
                _, again = each.takes(stick)
                assert [found["state"] for found in again["releases"]] == ["probation"]
                assert [found["code"] for found in again["not_taken"]] == ["tried"]
            files.append(each.receipts(tmp_path / f"{each.name}.receipts"))
    for file in files:
        assert ask(fleet, "receipts", "import", file) == (0, {"stored": 4, "known": 0, "refused": []})
        assert ask(fleet, "receipts", "import", file) == (0, {"stored": 0, "known": 4, "refused": []})
    for each in devices:
        _, kept = ask(fleet, "receipts", "list", "--device", each.name)
        assert sorted((found["specialist"], found["result"], found["code"]) for found in kept["receipts"]) == [
            ("mimic", "refused", "gate_quality"),
            ("mimic", "refused", "tried"),
            ("parrot", "activated", ""),
            ("parrot", "gate_passed", ""),
        ]
    _, audit = ask(fleet, "audit", "list", "--limit", "1000")
    noted = next(found for found in audit["audit"] if found["action"] == "bundle.make")
    assert (noted["details"]["lease_s"], noted["details"]["devices"]) == (30 * 86_400, many)


@pytest.mark.thorough("test_sticks writes to and reads from the same file systems")
@pytest.mark.parametrize("kind", ["FAT32", "exFAT"])
def test_a_real_stick_brings_a_release_and_takes_receipts_home(fleet: ReleaseFleet, tmp_path: Path, kind: str) -> None:
    one = device(fleet, tmp_path / "one")
    path = fleet.publish(next(NUMBERS))
    fleet.assign(path, one.name)
    with stick(tmp_path, kind) as mounted:
        stick_for(fleet, mounted / "bundle", one)
        with no_network(fleet), one.running():
            status, told = one.takes(mounted / "bundle")
            assert (status, told["not_taken"]) == (0, [])
            assert [(found["target"], found["state"]) for found in told["releases"]] == [(path, "probation")]
        file = one.receipts(mounted / "home.receipts")
        assert ask(fleet, "receipts", "import", file) == (0, {"stored": 2, "known": 0, "refused": []})
        names = [str(found.relative_to(mounted)) for found in mounted.rglob("*")]
    assert all(re.fullmatch(r"[A-Za-z0-9._/-]+", name) for name in names), "any FAT has them, whatever mounts it"
    assert len({name.lower() for name in names}) == len(names)


@pytest.mark.thorough("five starts of a daemon, and of a fleet")
def test_a_device_is_served_by_sticks_and_over_the_network_in_turns(fleet: ReleaseFleet, tmp_path: Path) -> None:
    one = device(fleet, tmp_path / "one")
    for turn in range(2):
        fleet.assign(fleet.publish(next(NUMBERS)), one.name)
        stick = stick_for(fleet, tmp_path / f"stick {turn}", one)
        with no_network(fleet), one.running():
            status, taken = one.takes(stick)
            assert (status, taken["releases"][0]["state"]) == (0, "probation"), taken
        number = next(NUMBERS)
        fleet.assign(fleet.publish(number), one.name)
        with one.running():
            one.until(number, "probation")
            one.told(fleet, 5 + 6 * turn)  # each that follows on another ends its probation
    told = one.told(fleet, 11)
    assert {found["came_by"] for found in told} == {"mqtt"}
    assert ask(fleet, "receipts", "import", one.receipts(tmp_path / "all")) == (
        0,
        {"stored": 0, "known": len(told), "refused": []},
    )


@pytest.mark.thorough("a dozen commands on two devices")
def test_no_stick_brings_what_is_not_for_this_device_now_and_what_serves_goes_on(
    fleet: ReleaseFleet, tmp_path: Path
) -> None:
    one, other = device(fleet, tmp_path / "one"), device(fleet, tmp_path / "other")
    path = fleet.publish(next(NUMBERS))
    fleet.assign(path, one.name)
    first = stick_for(fleet, tmp_path / "first", one)
    newer = fleet.publish(next(NUMBERS))
    fleet.assign(newer, one.name)
    fleet.assign(newer, other.name)
    second = stick_for(fleet, tmp_path / "second", one)
    others = stick_for(fleet, tmp_path / "others", other)
    late = fleet.signed.direct(other.name, [], now_s=now_s() - 100, life_s=60)
    assert late is not None

    renamed = copy(second, tmp_path / "renamed")
    shutil.copytree(renamed / "trust" / "director" / one.name, renamed / "trust" / "director" / other.name)
    old_image = copy(second, tmp_path / "old image")
    shutil.rmtree(old_image / "trust" / "image")
    shutil.copytree(first / "trust" / "image", old_image / "trust" / "image")
    expired = copy(others, tmp_path / "expired")
    shutil.rmtree(expired / "trust" / "director" / other.name)
    shutil.copytree(fleet.signed.director_folder(other.name), expired / "trust" / "director" / other.name)
    with no_network(fleet):
        with other.running() as client:
            assert says(client, "hello") == (SPECIALIST, "hello")
            assert other.refuses(second) == ["absent"]
            assert other.refuses(renamed) == ["other_device"]
            assert other.refuses(expired) == ["expired"]
            assert homebred("models", "import", tmp_path, "--socket", other.site.socket).status == 2
        with one.running() as client:
            cut = copy(second, tmp_path / "cut")
            for blob in (cut / "blobs" / "sha256").iterdir():
                os.truncate(blob, blob.stat().st_size // 2)
            status, told = one.takes(cut, wait_s=3)
            assert (status, told["releases"][0]["state"]) == (1, "downloading")
            assert says(client, "still here") == (SPECIALIST, "still here")
            (second / "blobs").rename(second / "pulled")
            assert one.takes(second, wait_s=2)[1]["releases"][0]["state"] == "downloading"
            (second / "pulled").rename(second / "blobs")
            status, told = one.takes(second)
            assert (status, told["releases"][0]["state"]) == (0, "probation"), told
            assert one.refuses(first)[0] == "rollback"
            assert one.refuses(old_image)[0] in {"rollback", "mismatched"}
            assert says(client, "and now") == (SPECIALIST, "and now")
    carried = other.receipts(tmp_path / "refusals")
    assert ask(fleet, "receipts", "import", carried)[1]["refused"] == []
    _, kept = ask(fleet, "receipts", "list", "--device", other.name)
    refusals = [(found["specialist"], found["code"]) for found in reversed(kept["receipts"])]
    assert refusals[-3:] == [("director", "absent"), ("director", "other_device"), ("director", "expired")]


def copy(stick: Path, to: Path) -> Path:
    shutil.copytree(stick, to)
    return to


def test_what_cannot_be_carried_is_said_and_nothing_is_written_over(fleet: ReleaseFleet, tmp_path: Path) -> None:
    one = device(fleet, tmp_path / "one")
    whom = ("--device", one.name)
    status, told = ask(fleet, "bundle", "make", "-o", tmp_path / "empty", *whom)
    assert (status, "nothing is assigned" in told["error"]["message"]) == (2, True)
    fleet.assign(fleet.publish(next(NUMBERS)), one.name)
    assert ask(fleet, "bundle", "make", "-o", tmp_path / "long", "--leases", "100d", *whom)[0] == 2
    stick = stick_for(fleet, tmp_path / "stick", one)
    before = {path: path.read_bytes() for path in stick.rglob("*") if path.is_file()}
    ask(fleet, "stop", "on", "--reason", "recall")
    try:
        status, told = ask(fleet, "bundle", "make", "-o", stick, *whom)
        assert (status, "stopped" in told["error"]["message"]) == (4, True)
    finally:
        ask(fleet, "stop", "off", "--reason", "over")
    assert {path: path.read_bytes() for path in stick.rglob("*") if path.is_file()} == before
    readme = (stick / "README.txt").read_text()
    assert one.name in readme
    assert "cannot be called back" in readme
    environ = {"HOMEBRED_FLEET_PROFILE": str(fleet.controller.folder.profile)}
    people = fleet_here("bundle", "make", "-o", stick, "--leases", "60d", *whom, environ=environ)
    assert (people.status, "cannot be called back" in people.out) == (0, True), people
    assert "What people have signed expires before the leases" in people.out
