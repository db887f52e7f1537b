"""The director's signatures for one device: taken by The Update Framework's own client, for that device alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.support.image_repository import SignedFleet, key
from tests.support.tuf_client import Client
from tuf.api.exceptions import UnsignedMetadataError
from tuf.api.metadata import TargetFile

from homebred_fleet.adapters.system_clock import unix_s
from homebred_fleet.adapters.tuf_repository.director import OnlineDirector
from homebred_fleet.adapters.tuf_repository.editing import ONLINE
from homebred_fleet.core.keyholders import Purpose
from homebred_fleet.core.lifetimes import DAY_S
from homebred_fleet.errors import RequestError, StateError

NOW_S = unix_s() - 60
DEVICE = "kiosk-1"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> SignedFleet:
    return SignedFleet(tmp_path_factory.mktemp("made"), now_s=NOW_S)


@pytest.fixture(scope="module")
def release(fleet: SignedFleet) -> TargetFile:
    file = fleet.release("qa", "intake-3", 7)
    fleet.publish()
    return file


def test_a_device_is_told_word_for_word_what_the_image_repository_holds_and_under_which_lease(
    fleet: SignedFleet, release: TargetFile, tmp_path: Path
) -> None:
    signed = fleet.direct("of-lease", [release], now_s=NOW_S, stop_epoch=4)
    assert signed is not None
    device = Client(tmp_path / "device", fleet.director_folder("of-lease"))
    told = device.looked().get_targetinfo(release.path)
    assert told is not None
    assert (told.length, told.hashes) == (release.length, release.hashes)
    lease = {"stop_epoch": 4, "issued_at_s": NOW_S, "expires_at_s": NOW_S + DAY_S}
    assert told.custom == {"device": "of-lease", "lease": lease}


def test_each_of_the_three_pieces_names_its_device(fleet: SignedFleet, release: TargetFile) -> None:
    signed = fleet.direct("of-name", [release], now_s=NOW_S)
    assert signed is not None
    for body in (signed.timestamp, signed.snapshot, signed.targets):
        assert json.loads(body)["signed"]["x-homebred-device"] == "of-name"
        assert json.loads(body)["signed"]["version"] == signed.standing.version


def test_versions_rise_with_what_is_wanted_and_a_device_follows_them(
    fleet: SignedFleet, release: TargetFile, tmp_path: Path
) -> None:
    assert fleet.direct("of-steps", [], now_s=NOW_S)
    device = Client(tmp_path / "device", fleet.director_folder("of-steps"))
    versions = [device.version("targets")]
    for files, epoch, stopped in (([release], 0, False), ([release], 1, True), ([release], 2, False), ([], 2, False)):
        assert fleet.direct("of-steps", files, now_s=NOW_S, stop_epoch=epoch, stopped=stopped)
        assert fleet.direct("of-steps", files, now_s=NOW_S + 60, stop_epoch=epoch, stopped=stopped) is None
        versions.append(device.version("targets"))
        assert device.version("timestamp") == versions[-1]
        told = device.looked().get_targetinfo(release.path)
        assert told is None or ("lease" in told.custom) is not stopped
    assert versions == sorted(set(versions))


def test_another_key_than_the_roots_signs_nothing_that_a_device_takes(
    fleet: SignedFleet, release: TargetFile, tmp_path: Path
) -> None:
    with pytest.raises(StateError, match="does not let the key") as refused:
        fleet.direct("of-thief", [release], now_s=NOW_S, online="thief")
    assert "rotate" in refused.value.hint
    with pytest.raises(StateError, match="is the image repository"):
        OnlineDirector(fleet.image_folder, key("online", Purpose.ONLINE).signer, started_at_s=NOW_S)
    with pytest.raises(StateError, match="holds no root"):
        OnlineDirector(tmp_path, key("online", Purpose.ONLINE).signer, started_at_s=NOW_S)
    with pytest.raises(RequestError, match="no device's name"):
        fleet.direct("../kiosk", [release], now_s=NOW_S)


def test_after_the_online_key_was_stolen_and_replaced_a_device_takes_the_new_one_alone(tmp_path: Path) -> None:
    fleet = SignedFleet(tmp_path, now_s=NOW_S)
    assert fleet.direct(DEVICE, [], now_s=NOW_S)
    device = Client(tmp_path / "device", fleet.director_folder(DEVICE))
    stolen = device.version("targets")
    there = fleet.director_root
    there.rotate(ONLINE, add=[key("newer", Purpose.ONLINE).public], drop=["online"], now_s=NOW_S)
    for name in ("anna", "carla"):
        there.sign(key(name, Purpose.DIRECTOR).signer, NOW_S)
    there.publish(NOW_S)
    assert there.check(NOW_S).problems == ()
    forged = fleet.director_folder(DEVICE) / "metadata"
    (forged / "2.root.json").write_bytes((there.published / "metadata/2.root.json").read_bytes())
    with pytest.raises(UnsignedMetadataError):
        device.looked()
    assert fleet.direct(DEVICE, [], now_s=NOW_S + DAY_S, online="newer")
    assert device.version("targets") > stolen
    assert device.version("root") == 2


def test_what_goes_to_a_site_by_hand_holds_for_as_long_as_its_admin_chose(
    fleet: SignedFleet, release: TargetFile
) -> None:
    signed = fleet.direct("of-stick", [release], now_s=NOW_S, life_s=60 * DAY_S)
    assert signed is not None
    assert signed.standing.expires_at_s == NOW_S + 60 * DAY_S
    assert json.loads(signed.targets)["signed"]["targets"][release.path]["custom"]["lease"]["expires_at_s"] == (
        NOW_S + 60 * DAY_S
    )


def test_the_same_wish_at_the_same_moment_is_the_same_bytes(fleet: SignedFleet, release: TargetFile) -> None:
    director = OnlineDirector(fleet.director_root.published, key("online", Purpose.ONLINE).signer, started_at_s=NOW_S)
    signed = fleet.direct("of-bytes", [release], now_s=NOW_S)
    assert signed is not None
    assert director.root_expires_at_s == NOW_S + 365 * DAY_S
    assert len(signed.timestamp) < 1000
