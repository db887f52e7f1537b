"""Files of a repository that were changed, cut short or lost: found, said in words, and taken by no client."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.image_repository import SignedFleet, key
from tests.support.spoilt_documents import spoilt
from tests.support.tuf_client import Client
from tuf.api.metadata import Metadata

from homebred_fleet.adapters.system_clock import unix_s
from homebred_fleet.errors import FleetError, StateError

NOW_S = unix_s() - 60


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both repositories, published; tests take copies."""
    folder = tmp_path_factory.mktemp("made")
    SignedFleet(folder, now_s=NOW_S)
    return folder


@pytest.fixture
def fleet(made: Path, tmp_path: Path) -> SignedFleet:
    shutil.copytree(made, tmp_path / "fleet", symlinks=True)
    return SignedFleet(tmp_path / "fleet", now_s=NOW_S)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "cannot be read as what waits"),
        (b"[]", "cannot be read as what waits"),
        (b'{"prepared": {"root": {}}}', "is no metadata"),
        (b'{"prepared": {"root": {"signed": 0.5, "signatures": []}}}', "is no metadata"),
        (b"[" * 100_000, "cannot be read as what waits"),
    ],
)
def test_what_waits_and_was_damaged_is_refused_with_what_to_do(fleet: SignedFleet, body: bytes, why: str) -> None:
    (fleet.image_folder.parent / "prepared.json").write_bytes(body)
    with pytest.raises(StateError, match=why) as refused:
        fleet.image.contents()
    assert refused.value.hint
    fleet.image.discard()
    assert fleet.image.contents().prepared == {}


def every_file(fleet: SignedFleet) -> list[Path]:
    return [path for path in fleet.image_folder.resolve().rglob("*") if path.is_file()]


def test_whatever_served_file_is_spoilt_or_missing_the_check_says_so_and_the_client_refuses(
    fleet: SignedFleet, tmp_path: Path
) -> None:
    release = fleet.release("qa", "intake-3", 7)
    policy = fleet.policy("clinic-east", "main", 1, b"version = 1\n")
    fleet.publish()
    current = {f"{one.published}.{one.role}.json" for one in fleet.image.standings(NOW_S)} | {"timestamp.json"}
    looked_at = 0
    for path in every_file(fleet):
        if path.name not in current and "targets" not in path.parts[-5:-1]:
            continue
        body = path.read_bytes()
        looked_at += 1
        path.unlink()
        for other in (None, b"", body[:-2], changed(body)):
            if other is not None:
                path.write_bytes(other)
            assert fleet.image.check(NOW_S).problems, path
        path.write_bytes(body)
    assert looked_at == 10
    assert fleet.image.check(NOW_S).problems == ()
    assert Client(tmp_path / "client", fleet.image_folder).target(release.path)
    assert Client(tmp_path / "client", fleet.image_folder).target(policy.path)


def changed(body: bytes) -> bytes:
    """Another content under the same signatures."""
    try:
        document = json.loads(body)
        document["signed"]["version"] += 1
    except (ValueError, KeyError):
        return body + b" "
    return json.dumps(document).encode()


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_whatever_stands_in_served_metadata_the_check_ends_with_what_is_wrong(
    fleet: SignedFleet, data: st.DataObject
) -> None:
    folder = fleet.image_folder.resolve() / "metadata"
    path = folder / data.draw(st.sampled_from(sorted(one.name for one in folder.iterdir())))
    body = path.read_bytes()
    try:
        path.write_bytes(spoilt(body, data))
        found = fleet.image.check(NOW_S)
        if not found.problems:
            before, after = (Metadata.from_bytes(one).signed_bytes for one in (body, path.read_bytes()))
            assert after == before
    finally:
        path.write_bytes(body)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_whatever_stands_in_what_waits_it_is_read_or_refused_in_words(fleet: SignedFleet, data: st.DataObject) -> None:
    fleet.image.renew(["root", "targets", "policies"], NOW_S)
    path = fleet.image_folder.parent / "prepared.json"
    path.write_bytes(spoilt(path.read_bytes(), data))
    try:
        fleet.image.standings(NOW_S)
        fleet.image.sign(key("anna").signer, NOW_S)
        fleet.image.publish(NOW_S)
    except FleetError as refused:
        assert refused.hint  # noqa: PT017  # one of two ends
    finally:
        fleet.image.discard()
