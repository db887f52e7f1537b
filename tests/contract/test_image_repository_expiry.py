"""Metadata that is old: refused by The Update Framework's own client, warned of before, and renewed without harm."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.image_repository import SignedFleet, key
from tests.support.tuf_client import Client
from tuf.api.exceptions import ExpiredMetadataError, RepositoryError

from homebred_fleet.adapters.system_clock import unix_s
from homebred_fleet.core.lifetimes import DAY_S
from homebred_fleet.core.repository_rules import Freshness
from homebred_fleet.errors import StateError

NOW_S = unix_s() - 60


@pytest.mark.parametrize(("days", "what"), [(31, "timestamp.json"), (91, "timestamp.json"), (366, "root.json")])
def test_what_nobody_renewed_is_refused_until_it_is(tmp_path: Path, days: int, what: str) -> None:
    fleet = SignedFleet(tmp_path, now_s=NOW_S - days * DAY_S)
    device = Client(tmp_path / "client", fleet.image_folder)
    with pytest.raises(ExpiredMetadataError, match=what):
        device.looked()
    assert any(problem.expired for problem in fleet.image.check(NOW_S).problems)
    fleet.image.renew((), NOW_S)
    fleet.publish()
    assert device.version("root") == (2 if days > 365 else 1)
    assert fleet.image.check(NOW_S).problems == ()


def test_an_expired_snapshot_alone_is_refused(tmp_path: Path) -> None:
    fleet = SignedFleet(tmp_path, now_s=NOW_S - 91 * DAY_S)
    fleet.image.renew(["timestamp"], NOW_S)
    fleet.image.sign(key("timestamp").signer, NOW_S)
    with pytest.raises(StateError, match="snapshot: version 1 has expired") as refused:
        fleet.image.publish(NOW_S)
    assert "renew" in refused.value.hint
    assert fleet.image.check(NOW_S - 80 * DAY_S).problems == ()


def test_a_delegation_that_expired_holds_up_nobody_elses_release(tmp_path: Path) -> None:
    fleet = SignedFleet(tmp_path, now_s=NOW_S - 366 * DAY_S, families=("qa", "ocr"))
    old = fleet.release("ocr", "scan", 1)
    fleet.publish()
    names = [one.role for one in fleet.image.standings(NOW_S) if one.role != "models-ocr"]
    fleet.image.renew(names, NOW_S)
    fleet.now_s = NOW_S
    release = fleet.release("qa", "intake-3", 7)
    signers = ("anna", "ben", "models-qa", "policies", "gazetteers", "runtime", "targets", "snapshot", "timestamp")
    for name in signers:
        fleet.image.sign(key(name).signer, NOW_S)
    assert [one.role for one in fleet.image.publish(NOW_S)] == ["models-ocr"]
    device = Client(tmp_path / "client", fleet.image_folder)
    assert device.target(release.path)
    with pytest.raises(ExpiredMetadataError):
        device.target(old.path)


def test_the_status_warns_role_by_role(tmp_path: Path) -> None:
    fleet = SignedFleet(tmp_path, now_s=NOW_S)
    late = {one.role: one.freshness for one in fleet.image.standings(NOW_S + 80 * DAY_S)}
    assert late["timestamp"] is Freshness.EXPIRED
    assert late["snapshot"] is Freshness.ENDING
    assert late["root"] is Freshness.GOOD
    assert fleet.image.renew((), NOW_S + 80 * DAY_S) == ("snapshot", "timestamp")


def test_an_older_timestamp_is_refused_by_a_device_that_has_a_newer_one(tmp_path: Path) -> None:
    fleet = SignedFleet(tmp_path, now_s=NOW_S)
    client = Client(tmp_path / "client", fleet.image_folder)
    old = (fleet.image_folder / "metadata/timestamp.json").read_bytes()
    fleet.release("qa", "intake-3", 7)
    fleet.publish()
    assert client.version("timestamp") == 2
    place = fleet.image_folder.resolve() / "metadata/timestamp.json"
    place.unlink()
    place.write_bytes(old)
    with pytest.raises(RepositoryError):
        client.looked()
