"""What is published is taken by The Update Framework's own client, and what may not be published is not.

The client is python-tuf's, unmodified, by the clock of the wall: what must be expired was signed long ago.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.support.image_repository import (
    ADMINS,
    SignedFleet,
    TestKey,
    director_signing,
    image_signing,
    key,
    manifest,
    signing,
)
from tests.support.tuf_client import Client
from tuf.api.exceptions import UnsignedMetadataError

from homebred_fleet.adapters.system_clock import unix_s
from homebred_fleet.adapters.tuf_repository import editing
from homebred_fleet.adapters.tuf_repository import folder as folder_module
from homebred_fleet.adapters.tuf_repository.editing import ONLINE
from homebred_fleet.adapters.tuf_repository.repository import Repository
from homebred_fleet.core.keyholders import Purpose
from homebred_fleet.errors import ConflictError, NotFoundError, RequestError, StateError
from homebred_protocol.targets import MAX_TARGETS, Kind

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


@pytest.fixture
def client(fleet: SignedFleet, tmp_path: Path) -> Client:
    return Client(tmp_path / "client", fleet.image_folder)


def waiting(there: Repository) -> dict[str, set[str]]:
    """Who must still sign what, by name."""
    return {
        one.role: {holder.name for quorum in one.quorums for holder in quorum.waiting(one.signed)}
        for one in there.standings(NOW_S)
        if one.prepared and not one.is_complete
    }


def sign(there: Repository, *keys: TestKey) -> None:
    for one in keys:
        there.sign(one.signer, NOW_S)


def test_a_release_and_a_policy_are_taken_with_what_is_signed_beside_them(
    fleet: SignedFleet, client: Client, tmp_path: Path
) -> None:
    release = fleet.release("qa", "intake-3", 7, site="clinic-east")
    policy = fleet.policy("clinic-east", "main", 1, b"version = 1\n")
    assert client.target(release.path) is None
    fleet.publish()
    taken = client.target(release.path)
    assert taken is not None
    assert taken[1] == manifest("qa", "intake-3", 7)
    assert taken[0].custom == {"kind": "release", "site": "clinic-east", "number": 7}
    taken = client.target(policy.path)
    assert taken is not None
    assert taken[0].custom == {"kind": "policy", "site": "clinic-east", "number": 1}
    assert fleet.image.check(NOW_S).problems == ()
    copied = shutil.copytree(fleet.image_folder, tmp_path / "stick")
    assert Repository(copied).check(NOW_S) == fleet.image.check(NOW_S)
    assert Repository(tmp_path / "nowhere").check(NOW_S).problems


def test_what_is_removed_is_gone_and_its_number_is_never_given_again(fleet: SignedFleet, client: Client) -> None:
    release = fleet.release("qa", "intake-3", 7)
    fleet.publish()
    assert client.target(release.path)
    fleet.image.remove(release.path, NOW_S)
    fleet.publish()
    assert client.target(release.path) is None
    for number in (6, 7):
        with pytest.raises(ConflictError, match="had the number 7 already"):
            fleet.release("qa", "intake-3", number)
    fleet.release("qa", "intake-3", 8)


def test_a_client_in_the_middle_of_a_look_finds_what_was_served_when_it_began(
    fleet: SignedFleet, client: Client
) -> None:
    release = fleet.release("qa", "intake-3", 7)
    fleet.publish()
    looking = client.looked()
    fleet.release("qa", "intake-3", 8)
    fleet.image.remove(release.path, NOW_S)
    fleet.publish()
    found = looking.get_targetinfo(release.path)
    assert found is not None
    assert Path(looking.download_target(found)).read_bytes() == manifest("qa", "intake-3", 7)


def test_a_root_is_followed_over_three_changes_of_holders_and_threshold(
    fleet: SignedFleet, client: Client, tmp_path: Path
) -> None:
    assert client.version("root") == 1
    there = fleet.image
    there.rotate("root", add=[key("dora").public], threshold=3, now_s=NOW_S)
    assert waiting(there)["root"] == {"anna", "ben", "carla", "dora"}
    sign(there, key("anna"), key("ben"))
    assert waiting(there)["root"] == {"carla", "dora"}
    sign(there, key("dora"))
    there.publish(NOW_S)
    there.rotate("root", drop=["anna", "ben"], add=[key("emil").public], threshold=2, now_s=NOW_S)
    sign(there, key("carla"), key("emil"))
    with pytest.raises(ConflictError, match=r"root needs 2 of anna .*, ben .*, dora"):
        there.publish(NOW_S)
    sign(there, key("anna"), key("ben"))
    there.publish(NOW_S)
    there.rotate("root", drop=["dora", "emil"], threshold=1, now_s=NOW_S)
    sign(there, key("dora"), key("carla"))
    there.publish(NOW_S)
    for device in (client, Client(tmp_path / "new", fleet.image_folder)):
        assert device.version("root") == 4
    assert there.check(NOW_S).roots == 4
    assert there.check(NOW_S).problems == ()


@pytest.mark.parametrize("signers", [("carla", "dora"), ("anna", "ben")])
def test_a_root_that_only_the_old_or_only_the_new_holders_signed_is_not_published(
    fleet: SignedFleet, signers: tuple[str, str]
) -> None:
    fleet.image.rotate("root", drop=["anna", "ben"], add=[key("dora").public], now_s=NOW_S)
    sign(fleet.image, *map(key, signers))
    with pytest.raises(ConflictError, match="signatures are missing: root needs"):
        fleet.image.publish(NOW_S)


def test_a_familys_stolen_key_is_good_for_nothing_after_its_revocation(fleet: SignedFleet, client: Client) -> None:
    release = fleet.release("qa", "intake-3", 7)
    fleet.publish()
    assert client.target(release.path)
    thief = key("models-qa")
    had = fleet.image.revoke(thief.holder.key_id[:10], key("new-qa").public, NOW_S)
    assert had == ("models-qa",)
    assert waiting(fleet.image) == {
        "targets": {"targets"},
        "models-qa": {"new-qa"},
        "snapshot": {"snapshot"},
        "timestamp": {"timestamp"},
    }
    with pytest.raises(NotFoundError, match="signs nothing here"):
        fleet.image.sign(thief.signer, NOW_S)
    fleet.publish()
    assert client.target(release.path)
    assert thief.holder.key_id not in (fleet.image_folder / "metadata/2.targets.json").read_text()
    served = fleet.image.contents().published["models-qa"]
    served.signed.version += 1
    served.sign(thief.signer)
    with pytest.raises(UnsignedMetadataError):
        fleet.image.contents().targets.verify_delegate("models-qa", served.signed_bytes, served.signatures)


def test_a_key_that_signs_for_several_roles_is_revoked_in_all_of_them_or_in_none(fleet: SignedFleet) -> None:
    there = fleet.image
    there.rotate("snapshot", add=[key("timestamp").public], now_s=NOW_S)
    there.rotate("policies", add=[key("timestamp").public], now_s=NOW_S)
    fleet.publish()
    with pytest.raises(ConflictError, match="too few could sign timestamp"):
        there.revoke("timestamp", None, NOW_S)
    assert there.contents().prepared == {}
    had = there.revoke("timestamp", key("newest").public, NOW_S)
    assert set(had) == {"snapshot", "timestamp", "policies"}
    fleet.publish()
    for one in there.standings(NOW_S):
        assert "timestamp" not in {holder.name for quorum in one.quorums for holder in quorum.holders}


def test_other_keys_of_the_top_roles_are_followed_by_a_device(fleet: SignedFleet, client: Client) -> None:
    release = fleet.release("qa", "intake-3", 7)
    fleet.publish()
    assert client.target(release.path)
    for role in ("targets", "snapshot", "timestamp"):
        fleet.image.rotate(role, add=[key(f"new-{role}").public], drop=[role], now_s=NOW_S)
    before = {role: client.version(role) for role in ("root", "targets", "snapshot", "timestamp")}
    fleet.publish()
    assert {role: client.version(role) for role in before} == {role: one + 1 for role, one in before.items()}
    assert client.target(release.path)


def test_a_full_role_takes_no_more_and_a_device_takes_all_of_a_full_one(fleet: SignedFleet, client: Client) -> None:
    with fleet.image._edited(NOW_S) as contents:
        for number in range(1, MAX_TARGETS + 1):
            path, body = f"models/qa/intake-3/{number}.json", manifest("qa", "intake-3", number)
            fleet.image._folder.keep_target(body, editing.add_target(contents, path, body, "", NOW_S))
    with pytest.raises(ConflictError, match="at most 200"):
        fleet.release("qa", "intake-3", MAX_TARGETS + 1)
    fleet.publish()
    assert client.target(f"models/qa/intake-3/{MAX_TARGETS}.json")


def test_nobody_signs_for_another_family_or_for_what_was_not_delegated(fleet: SignedFleet) -> None:
    with pytest.raises(NotFoundError, match="nobody signs for models-ocr yet"):
        fleet.release("ocr", "scan", 1)
    with pytest.raises(ConflictError, match="delegated already"):
        fleet.image.delegate(Kind.RELEASE, "qa", signing("other"), NOW_S)
    with pytest.raises(RequestError, match="no family's name"):
        fleet.image.delegate(Kind.RELEASE, "Q A", signing("other"), NOW_S)


def test_a_change_of_what_waits_takes_the_signatures_that_it_had(fleet: SignedFleet) -> None:
    fleet.release("qa", "intake-3", 7)
    sign(fleet.image, key("models-qa"))
    assert "models-qa" not in waiting(fleet.image)
    fleet.release("qa", "intake-3", 8)
    assert waiting(fleet.image)["models-qa"] == {"models-qa"}


def test_what_is_discarded_leaves_what_is_published(fleet: SignedFleet, client: Client) -> None:
    fleet.release("qa", "intake-3", 7)
    fleet.image.discard()
    assert fleet.image.contents().prepared == {}
    with pytest.raises(ConflictError, match="nothing waits"):
        fleet.image.publish(NOW_S)
    assert client.version("targets") == 1


def test_nothing_is_published_of_which_a_byte_is_missing(fleet: SignedFleet) -> None:
    file = fleet.release("qa", "intake-3", 7)
    sign(fleet.image, *map(key, ("models-qa", "snapshot", "timestamp")))
    kept = fleet.image_folder.parent / "incoming" / file.hashes["sha256"]
    body = kept.read_bytes()
    kept.write_bytes(body[:-1] + b"!")
    with pytest.raises(StateError, match="its bytes are not those that were signed"):
        fleet.image.publish(NOW_S)
    kept.unlink()
    with pytest.raises(StateError, match="are gone"):
        fleet.image.publish(NOW_S)
    kept.write_bytes(body)
    fleet.image.publish(NOW_S)


def test_keys_of_one_repository_sign_nothing_of_the_other(fleet: SignedFleet, tmp_path: Path) -> None:
    """Else the director's next root, signed by the same holders, would pass for the image repository's."""
    with pytest.raises(NotFoundError, match="signs nothing here"):
        fleet.director_root.sign(key("anna").signer, NOW_S)
    root = (fleet.director_root.published / "metadata/1.root.json").read_bytes()
    assert b'"x-homebred-repository":"director"' in root
    fleet.director_root.rotate(ONLINE, add=[key("thief", Purpose.ONLINE).public], now_s=NOW_S)
    sign(fleet.director_root, *(key(name, Purpose.DIRECTOR) for name in ADMINS))
    fleet.director_root.publish(NOW_S)
    mixed = tmp_path / "mixed"
    (mixed / "metadata").mkdir(parents=True)
    for path in (fleet.image_folder / "metadata").iterdir():
        (mixed / "metadata" / path.name).write_bytes(path.read_bytes())
    stolen = (fleet.director_root.published / "metadata/2.root.json").read_bytes()
    (mixed / "metadata/2.root.json").write_bytes(stolen)
    with pytest.raises(UnsignedMetadataError):
        Client(tmp_path / "client", mixed).looked()


def test_a_second_repository_is_not_begun_in_the_same_folder(fleet: SignedFleet, tmp_path: Path) -> None:
    with pytest.raises(ConflictError, match="there is a repository"):
        fleet.image.init(Purpose.IMAGE, image_signing("anna", threshold=1), NOW_S)
    with pytest.raises(NotFoundError, match="no repository"):
        Repository(tmp_path / "nowhere").contents()
    with pytest.raises(RequestError, match="director's folder"):
        fleet.director_root.add("models/qa/intake-3/7.json", manifest("qa", "intake-3", 7), "", NOW_S)


def test_what_was_never_published_cannot_be_discarded(tmp_path: Path) -> None:
    there = Repository(tmp_path / "director")
    there.init(Purpose.DIRECTOR, director_signing("anna", threshold=1), NOW_S)
    with pytest.raises(ConflictError, match="nothing is published yet"):
        there.discard()


def test_two_at_once_do_not_change_one_folder(fleet: SignedFleet) -> None:
    busy = folder_module.RepositoryFolder(fleet.image_folder.parent)
    with busy.locked(), pytest.raises(ConflictError, match="somebody else changes"):
        fleet.release("qa", "intake-3", 7)


def test_the_signature_of_a_key_that_was_dropped_since_is_not_published(fleet: SignedFleet) -> None:
    fleet.release("qa", "intake-3", 7)
    sign(fleet.image, key("models-qa"))
    fleet.image.rotate("models-qa", add=[key("new-qa").public], drop=["models-qa"], now_s=NOW_S)
    assert waiting(fleet.image)["models-qa"] == {"new-qa"}
    fleet.publish()
    served = fleet.image.contents().published["models-qa"]
    assert set(served.signatures) == {key("new-qa").holder.key_id}
