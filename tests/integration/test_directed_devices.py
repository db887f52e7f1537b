"""What a real controller tells devices by signed metadata, judged by The Update Framework's own unmodified client."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.command_line import fleet_here
from tests.support.controller import Controller, Device
from tests.support.image_repository import SignedFleet
from tests.support.signing_controller import SigningController, signing_controller
from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface, Updater
from typing_extensions import override

pytestmark = pytest.mark.xdist_group("directed devices")
URL = "https://controller"
Ask = Callable[..., Any]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SigningController]:
    with signing_controller(tmp_path_factory.mktemp("fleet")) as running:
        yield running


@pytest.fixture
def signed(both: SigningController) -> SignedFleet:
    return both.fleet


@pytest.fixture
def controller(both: SigningController) -> Controller:
    return both.controller


@pytest.fixture
def ask(controller: Controller) -> Ask:
    def asked(*arguments: str) -> Any:
        ended = fleet_here(*arguments, "--json", environ={"HOMEBRED_FLEET_PROFILE": str(controller.folder.profile)})
        return json.loads(ended.out or ended.err)

    return asked


class OverHttps(FetcherInterface):
    """With a device's certificate."""

    def __init__(self, controller: Controller, device: Device) -> None:
        self._controller = controller
        self._device = device

    @override
    def _fetch(self, url: str) -> Iterator[bytes]:
        path = "/device/v1/" + url.removeprefix(f"{URL}/")
        reply = self._controller.ask("GET", path, credentials=self._device.credentials)
        if reply.status != 200:
            raise DownloadHTTPError(f"{path}: {reply.status}", reply.status)
        yield reply.body


class Looking:
    """One device's two looks."""

    def __init__(self, controller: Controller, device: Device, signed: SignedFleet, folder: Path) -> None:
        self._fetcher = OverHttps(controller, device)
        self._signed = signed
        self._folder = folder / device.id

    def director(self) -> Updater:
        return self._looked("director", self._signed.director_root.published)

    def image(self) -> Updater:
        return self._looked("image", self._signed.image_folder)

    def wanted(self) -> dict[str, Any]:
        """What the director names, with what is signed beside it."""
        targets = self.director()._trusted_set.targets.targets
        return {path: file.unrecognized_fields["custom"] for path, file in targets.items()}

    def _looked(self, name: str, published: Path) -> Updater:
        trusted, bodies = self._folder / name, self._folder / "bodies"
        trusted.mkdir(parents=True, exist_ok=True)
        bodies.mkdir(exist_ok=True)
        updater = Updater(
            str(trusted),
            f"{URL}/{name}/metadata/",
            str(bodies),
            f"{URL}/{name}/targets/",
            fetcher=self._fetcher,
            bootstrap=(published / "metadata" / "1.root.json").read_bytes(),
        )
        updater.refresh()
        return updater


def test_a_device_finds_what_is_assigned_to_it_in_both_repositories_and_others_find_nothing(
    controller: Controller, signed: SignedFleet, ask: Ask, tmp_path: Path
) -> None:
    signed.release("qa", "intake", 7)
    signed.publish()
    device, other = controller.enrol(), controller.enrol()
    assert ask("release", "assign", "--elsewhere", "models/qa/intake/7.json", "--device", device.id)["devices"] == 1
    looking, others = (Looking(controller, one, signed, tmp_path) for one in (device, other))
    directed = looking.director().get_targetinfo("models/qa/intake/7.json")
    held = looking.image().get_targetinfo("models/qa/intake/7.json")
    assert directed is not None
    assert held is not None
    assert (directed.length, directed.hashes) == (held.length, held.hashes)
    assert json.loads(Path(looking.image().download_target(held)).read_bytes())["number"] == 7
    custom = looking.wanted()["models/qa/intake/7.json"]
    assert custom["device"] == device.id
    assert custom["lease"]["expires_at_s"] - custom["lease"]["issued_at_s"] == 86_400
    assert others.wanted() == {}
    assert ask("release", "assigned", "--filter", f"id=={device.id}")["releases"][0]["devices"] == 1


def test_under_a_stop_nobody_is_given_a_lease(
    controller: Controller, signed: SignedFleet, ask: Ask, tmp_path: Path
) -> None:
    signed.release("qa", "stopped", 1)
    signed.publish()
    device = controller.enrol()
    looking = Looking(controller, device, signed, tmp_path)
    ask("release", "assign", "--elsewhere", "models/qa/stopped/1.json", "--device", device.id)
    before = looking.wanted()["models/qa/stopped/1.json"]["lease"]["stop_epoch"]
    assert ask("stop", "on", "--reason", "recall")["stopped"]
    assert "lease" not in looking.wanted()["models/qa/stopped/1.json"]
    assert not ask("stop", "off", "--reason", "over")["stopped"]
    assert looking.wanted()["models/qa/stopped/1.json"]["lease"]["stop_epoch"] > before


def test_what_was_told_is_told_again_after_a_crash_and_never_under_an_older_version(
    controller: Controller, signed: SignedFleet, ask: Ask, tmp_path: Path
) -> None:
    device = controller.enrol()
    looking = Looking(controller, device, signed, tmp_path)
    versions = [looking.director()._trusted_set.timestamp.version for _ in range(2)]
    controller.kill()
    controller.start()
    assert looking.director()._trusted_set.timestamp.version > versions[0] == versions[1]


def test_what_is_not_signed_is_not_assigned_and_no_number_falls(
    controller: Controller, signed: SignedFleet, ask: Ask
) -> None:
    device = controller.enrol()
    for number in (1, 2):
        signed.release("qa", "triage", number)
    signed.policy("elsewhere", "main", 1, b"version = 1\n")
    signed.publish()
    whom = ("--device", device.id)

    def refusal(path: str) -> str:
        return str(ask("release", "assign", "--elsewhere", path, *whom)["error"]["message"])

    assert "is not in the image repository" in refusal("models/qa/triage/3.json")
    assert "names no target" in refusal("models/../triage/2.json")
    assert ask("release", "assign", "--elsewhere", "models/qa/triage/2.json", *whom)["devices"] == 1
    assert "have a newer one already" in refusal("models/qa/triage/1.json")
    assert "is signed for site elsewhere" in refusal("policies/elsewhere/main/1.toml")
    assert ask("release", "withdraw", "models/qa/triage", *whom)["devices"] == 1


def test_a_release_goes_to_devices_of_its_own_sites_alone_and_not_before_its_files_are_there(
    controller: Controller, signed: SignedFleet, ask: Ask
) -> None:
    devices = [controller.enrol(controller.token(site=site)) for site in ("east", "west", "north")]
    signed.release("qa", "bound", 1, site="east", sites=["east"])
    signed.release("qa", "bound", 2, sites=["east", "west"])
    signed.publish()
    every = f"id in ({', '.join(device.id for device in devices)})"
    for number, sites, strangers in ((1, "site east", "north, west"), (2, "sites east, west", "north")):
        path = f"models/qa/bound/{number}.json"
        told = ask("release", "assign", "--elsewhere", path, "--filter", every)["error"]
        assert told["message"] == f"{path} is signed for {sites}, and some devices are at {strangers}"
        assert "narrow whom you mean, such as with `site" in told["hint"]
    path = "models/qa/bound/2.json"
    own = f"{every} and site in (east, west)"
    told = ask("release", "assign", path, "--filter", own)["error"]
    assert "2 of 2 files of models/qa/bound/2.json are not on the controller" in told["message"]
    assert ask("release", "assign", path, "--filter", own, "--elsewhere")["devices"] == 2


def test_nobody_without_a_devices_certificate_learns_anything_and_no_name_leads_elsewhere(
    controller: Controller, signed: SignedFleet
) -> None:
    device = controller.enrol()
    names = ["image/metadata/timestamp.json", "director/metadata/timestamp.json", "director/metadata/1.root.json"]
    for name in names:
        assert controller.ask("GET", f"/device/v1/{name}", credentials=device.credentials).status == 200
        assert controller.ask("GET", f"/device/v1/{name}").status == 401
    for name in (
        "image/metadata/..%2f..%2fprepared.json",
        "image/metadata/prepared.json",
        "image/targets/..%2f..%2fprepared.json",
        "image/targets/models/qa/intake/7.json",
        "director/metadata/99.root.json",
        "director/metadata/1.targets.json",
        "director/metadata/..%2fonline.key",
    ):
        assert controller.ask("GET", f"/device/v1/{name}", credentials=device.credentials).status == 404, name
