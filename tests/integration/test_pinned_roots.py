"""Which roots a device pins, against a real controller: at enrolment, later, of another fleet, and after a cut."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from tests.support import image_repository
from tests.support.broker import now_s
from tests.support.command_line import Ended, fleet_here, homebred
from tests.support.controller import Controller, running_controller
from tests.support.image_repository import SignedFleet, TestKey, key, write_online_key
from tests.support.recorded_journal import RecordedJournal

from homebred_daemon.adapters.fleet_https import ControllerHttps
from homebred_daemon.adapters.identity_files import IdentityFiles
from homebred_daemon.adapters.system_clock import SystemClock
from homebred_daemon.adapters.trust.checker import ChildChecker
from homebred_daemon.adapters.trust.files import TrustFiles
from homebred_daemon.adapters.trust.offers import RootsOverHttps
from homebred_daemon.adapters.trust.sources import HttpsSource
from homebred_daemon.cli.fleet_checks import roots_finding
from homebred_daemon.core.pinning import root_name
from homebred_daemon.core.trust import Here
from homebred_daemon.ports.identity import Identity
from homebred_daemon.services.releases.pinning import Pinning
from homebred_daemon.services.releases.trusting import Trusting
from homebred_fleet.core.keyholders import Purpose

pytestmark = pytest.mark.xdist_group("pinned roots")
LINE = ControllerHttps(SystemClock())


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the controller looks for both repositories: nothing is there yet."""
    return tmp_path_factory.mktemp("signed")


@pytest.fixture(scope="module")
def controller(tmp_path_factory: pytest.TempPathFactory, signed: Path) -> Iterator[Controller]:
    folder = tmp_path_factory.mktemp("fleet")
    online = write_online_key(folder / "online.key")
    settings = {
        "RELEASES__IMAGE": str(signed / "image"),
        "RELEASES__DIRECTOR": str(signed / "director-root"),
        "RELEASES__ONLINE_KEY": str(online),
    }
    with running_controller(folder / "fleet", **settings) as running:
        yield running


@pytest.fixture(autouse=True)
def remove_signed(signed: Path) -> None:
    remove_all(signed)


def remove_all(signed: Path) -> None:
    for part in signed.iterdir():
        shutil.rmtree(part)


class Device:
    """One device's folder, and what its daemon is made of."""

    def __init__(self, controller: Controller, folder: Path) -> None:
        folder.mkdir()
        self.controller = controller
        self.folder = folder
        self.journal = RecordedJournal()

    def enroll(self, *more: str, token: str = "") -> Ended:
        pinned = self.controller.broker.authority.root_fingerprint
        words = (
            "enroll",
            self.controller.url,
            "--fingerprint",
            pinned,
            "--state-dir",
            str(self.folder),
            "--json",
            *more,
        )
        return homebred(*words, stdin=token or self.controller.token())

    @property
    def held(self) -> Identity | None:
        return IdentityFiles(self.folder, {}).current()

    @property
    def identity(self) -> Identity:
        assert self.held is not None
        return self.held

    @property
    def files(self) -> TrustFiles:
        return TrustFiles(self.folder, self.identity.membership)

    async def ready(self) -> bool:
        identity = self.identity
        offers = RootsOverHttps.of_member(LINE, lambda: identity)
        store = IdentityFiles(self.folder, {})
        pinning = Pinning(
            lambda: identity, store, self.files, offers, ChildChecker(), clock=SystemClock(), journal=self.journal
        )
        return await pinning.ready()

    async def refused(self) -> list[str]:
        """Why nothing is taken at a look; empty: it was verified whole."""
        member = self.identity.membership
        here = Here(device=member.device_id, site=member.site)
        looked = await Trusting(self.files, ChildChecker(), SystemClock(), here).look(HttpsSource(LINE, self.identity))
        return [one.reason.value for one in looked.refused]

    def pinned_image(self) -> dict[str, Any]:
        roots = self.files.pinned()
        assert roots is not None
        return asdict(root_name(roots.image))

    def status(self) -> Any:
        (told,) = homebred("fleet", "status", "--state-dir", self.folder, "--json").lines
        return told


@pytest.fixture
def device(controller: Controller, tmp_path: Path) -> Device:
    return Device(controller, tmp_path / "state")


def roots_of(repository: Path) -> list[dict[str, Any]]:
    """As whoever signs is told, the newest first."""
    (told,) = fleet_here("repository", "roots", repository, "--json", environ={}).lines
    return [{"version": one["version"], "digest": one["digest"]} for one in told["roots"]]


def strangers_key(name: str, purpose: Purpose = Purpose.IMAGE) -> TestKey:
    """Another holder's key, all but the controller's own."""
    is_known = name == "online" or name.startswith("stranger-")
    return key(name if is_known else f"stranger-{name}", purpose)


def later_root(fleet: SignedFleet) -> None:
    """Carla goes."""
    fleet.director_root.rotate("root", drop=["carla"], now_s=fleet.now_s)
    for name in ("anna", "ben"):
        fleet.director_root.sign(key(name, Purpose.DIRECTOR).signer, fleet.now_s)
    fleet.director_root.publish(fleet.now_s)


async def test_at_enrolment_the_newest_roots_are_pinned_and_their_digests_are_shown_to_be_compared(
    device: Device, signed: Path
) -> None:
    later_root(SignedFleet(signed, now_s=now_s()))
    (told,) = device.enroll().lines
    image, director = roots_of(signed / "image"), roots_of(signed / "director-root")
    assert (told["image_root"], told["director_root"]) == (image[0], director[0])
    assert [one["version"] for one in director] == [2, 1]
    status = device.status()
    assert (status["image_root"], status["director_root"]) == (image[0], director[0])
    (finding,) = (one for one in status["findings"] if one["check"] == "roots")
    assert finding["status"] == "ok"
    assert image[0]["digest"] in finding["what"]
    assert await device.refused() == []
    assert await device.ready()
    assert device.journal.names == []


async def test_a_device_is_enrolled_without_repositories_and_pins_them_at_the_first_look_after_they_are_there(
    device: Device, signed: Path
) -> None:
    (told,) = device.enroll().lines
    assert (told["image_root"], told["director_root"]) == (None, None)
    finding = roots_finding(device.folder, device.identity)
    assert (finding.status, "none are pinned" in finding.what) == ("warning", True)
    assert not await device.ready()
    SignedFleet(signed, now_s=now_s())
    assert await device.ready()
    assert device.journal.names == ["roots_pinned"]
    assert device.pinned_image() == roots_of(signed / "image")[0]
    assert await device.refused() == []


async def test_another_fleets_roots_are_never_taken_for_the_pinned_ones_but_by_a_new_enrolment(
    device: Device, controller: Controller, signed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    SignedFleet(signed, now_s=now_s())
    first = device.enroll().lines[0]
    remove_all(signed)
    monkeypatch.setattr(image_repository, "key", strangers_key)
    SignedFleet(signed, now_s=now_s())
    assert await device.ready()
    assert await device.refused() == ["unsigned"]
    assert device.pinned_image() == first["image_root"]
    again = device.enroll("--replace", token=controller.token())
    assert again.lines[0]["image_root"] == roots_of(signed / "image")[0] != first["image_root"]
    assert await device.refused() == []


@pytest.mark.thorough("four commands; test_pinning proves the same without them")
def test_roots_that_a_technician_has_compared_are_pinned_or_nobody_is_enrolled(
    device: Device, controller: Controller, signed: Path
) -> None:
    token = controller.token()
    wrong = device.enroll("--image-root", "sha256:" + "0" * 64, token=token)
    assert (wrong.status, wrong.lines[0]["error"]["code"]) == (4, "controller_untrusted")
    assert "offers no signed repositories" in wrong.lines[0]["error"]["message"]
    later_root(SignedFleet(signed, now_s=now_s()))
    wrong = device.enroll("--image-root", "sha256:" + "0" * 64, token=token)
    assert "none of the newest 256 roots of the image's" in wrong.lines[0]["error"]["message"]
    assert device.enroll("--director-root", "sha256:12", token=token).status == 2
    assert device.held is None
    first = roots_of(signed / "director-root")[-1]
    ended = device.enroll("--director-root", first["digest"], token=token)
    assert ended.lines[0]["director_root"] == first
    assert first["version"] == 1


def test_what_the_controller_cannot_read_of_its_repositories_keeps_nobody_out(device: Device, signed: Path) -> None:
    SignedFleet(signed, now_s=now_s())
    root = signed / "image" / "published" / "metadata" / "1.root.json"
    root.unlink()
    root.mkdir()
    assert device.enroll().lines[0]["image_root"] is None
