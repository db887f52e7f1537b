"""What was signed by the right keys and says the wrong things: the check finds it, before a device does."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.image_repository import SignedFleet, TestKey, key
from tuf.api.metadata import Metadata, MetaFile, TargetFile

from homebred_fleet.adapters.system_clock import unix_s
from homebred_fleet.adapters.tuf_repository.folder import file_name
from homebred_fleet.adapters.tuf_repository.metadata import no_delegations
from homebred_fleet.core.keyholders import Purpose
from homebred_protocol.targets import MAX_TARGETS

NOW_S = unix_s() - 60
RELEASE = "models/qa/intake-3/7.json"
SIGNERS = {"root": ("anna", "ben"), "policies": ("policies",), "models-qa": ("models-qa",)}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a release and a policy; tests take copies."""
    folder = tmp_path_factory.mktemp("made")
    fleet = SignedFleet(folder, now_s=NOW_S)
    fleet.release("qa", "intake-3", 7)
    fleet.policy("clinic-east", "main", 1, b"version = 1\n")
    fleet.publish()
    return folder


@pytest.fixture
def fleet(made: Path, tmp_path: Path) -> SignedFleet:
    shutil.copytree(made, tmp_path / "fleet", symlinks=True)
    return SignedFleet(tmp_path / "fleet", now_s=NOW_S)


def sign_over(fleet: SignedFleet, role: str, change: Callable[[Any], None], *signers: TestKey) -> list[str]:
    """Changes what is served of a role, has it signed under the same version, and checks."""
    metadata = fleet.image.contents().published[role]
    change(metadata.signed)
    metadata.signatures.clear()
    for one in signers or map(key, SIGNERS.get(role, (role,))):
        metadata.sign(one.signer, append=True)
    path = fleet.image_folder.resolve() / "metadata" / file_name(role, metadata.signed.version)
    path.unlink()
    path.write_bytes(metadata.to_bytes())
    return [f"{one.role}: {one.what}" for one in fleet.image.check(NOW_S).problems]


def another(path: str, custom: object) -> TargetFile:
    file = TargetFile.from_data(path, b"{}", ["sha256"])
    file.unrecognized_fields["custom"] = custom
    return file


@dataclass(frozen=True)
class Wrong:
    """A change that the role's own keys sign."""

    role: str
    change: Callable[[Any], object]
    said: str


def add(path: str, custom: object = None) -> Callable[[Any], object]:
    return lambda signed: signed.targets.update({path: another(path, custom)})


def many(signed: Any) -> None:
    for number in range(1, MAX_TARGETS + 1):
        add(f"models/qa/other/{number}.json")(signed)


def custom(**other: object) -> Callable[[Any], object]:
    return lambda signed: signed.targets[RELEASE].custom.update(other)


def open_ended(signed: Any) -> None:
    signed.delegations.roles["policies"].terminating = False


def broad(signed: Any) -> None:
    signed.delegations.roles["policies"].paths = ["models/*/*/*.json"]


def other_hash(signed: Any) -> None:
    signed.targets[RELEASE].hashes = {"sha512": "ab" * 64}


def delegating(signed: Any) -> None:
    signed.delegations = no_delegations()


WRONG = [
    Wrong("targets", add(RELEASE), "targets: it holds targets itself"),
    Wrong("targets", open_ended, "policies: its delegation is not terminating"),
    Wrong("targets", broad, "are not the paths of such a role"),
    Wrong("models-qa", add("policies/clinic-east/main/9.toml"), "models-qa may not sign for it"),
    Wrong("models-qa", add("models/ocr/scan/1.json"), "models-qa may not sign for it"),
    Wrong("models-qa", add("models/qa/../1.json"), "it is no target's name"),
    Wrong("models-qa", add("models/qa/new/1.json"), "is not what is signed beside such a target"),
    Wrong("models-qa", add("models/qa/new/1.json"), "its number is above the highest"),
    Wrong("models-qa", custom(number=8), "is not what is signed beside"),
    Wrong("models-qa", custom(site=None), "is not what is signed beside"),
    Wrong("models-qa", custom(site="No Site"), "no site's name"),
    Wrong("models-qa", custom(more=1), "is not what is signed beside"),
    Wrong("models-qa", other_hash, "it has other digests than SHA-256"),
    Wrong("models-qa", many, "201 targets are more than 200"),
    Wrong("models-qa", delegating, "it delegates further"),
    Wrong("models-qa", lambda signed: signed.unrecognized_fields.update(x="y" * 600_000), "more than a device takes"),
    Wrong("models-qa", lambda signed: setattr(signed, "expires", signed.expires.replace(year=2001)), "has expired"),
    Wrong("snapshot", lambda signed: signed.meta.pop("policies.json"), "snapshot: it does not list"),
    Wrong("snapshot", lambda signed: signed.meta.update({"x.json": MetaFile(1)}), "does not list exactly"),
    Wrong("snapshot", lambda signed: signed.meta.update({"policies.json": MetaFile(1)}), ""),
    Wrong("timestamp", lambda signed: setattr(signed, "snapshot_meta", MetaFile(9)), "9.snapshot.json cannot be read"),
    Wrong("root", lambda signed: setattr(signed, "consistent_snapshot", False), "no consistent snapshots"),
    Wrong("root", lambda signed: setattr(signed, "expires", signed.expires.replace(year=2001)), "root: version 1 has"),
    Wrong("root", lambda signed: signed.unrecognized_fields.clear(), "where `image` or `director` belongs"),
]


@pytest.mark.parametrize("wrong", WRONG, ids=[f"{one.role}-{number}" for number, one in enumerate(WRONG)])
def test_what_the_right_keys_signed_and_no_device_takes_is_found(fleet: SignedFleet, wrong: Wrong) -> None:
    found = sign_over(fleet, wrong.role, wrong.change)  # type: ignore[arg-type]
    assert any(wrong.said in one for one in found) if wrong.said else found == []


@pytest.mark.parametrize("role", ["root", "targets", "snapshot", "timestamp", "models-qa"])
def test_what_another_key_signed_is_found(fleet: SignedFleet, role: str) -> None:
    found = sign_over(fleet, role, lambda signed: None, key("stranger"), key("policies"))
    assert any(one.startswith(f"{role}: ") and "signatures" in one for one in found)


def test_a_root_that_follows_without_the_holders_before_it_is_found(fleet: SignedFleet) -> None:
    root = fleet.image.contents().published["root"]
    root.signed.version = 2
    root.signed.add_key(key("dora").public, "root")
    for name in ("anna", "ben"):
        root.signed.revoke_key(key(name).holder.key_id, "root")
    root.signatures.clear()
    for name in ("carla", "dora"):
        root.sign(key(name).signer, append=True)
    folder = fleet.image_folder.resolve() / "metadata"
    (folder / "2.root.json").write_bytes(root.to_bytes())
    (found,) = fleet.image.check(NOW_S).problems
    assert (found.role, found.what) == ("root", "root 2 lacks 1 signatures that the root before it asks for")
    (folder / "2.root.json").rename(folder / "3.root.json")
    assert "without a gap" in fleet.image.check(NOW_S).problems[0].what


def test_a_root_of_the_other_repository_in_the_chain_is_found(fleet: SignedFleet) -> None:
    root = fleet.image.contents().published["root"]
    root.signed.version = 2
    root.signed.unrecognized_fields["x-homebred-repository"] = Purpose.DIRECTOR.value
    root.signatures.clear()
    for name in ("anna", "ben"):
        root.sign(key(name).signer, append=True)
    Metadata.from_bytes(root.to_bytes())
    (fleet.image_folder.resolve() / "metadata/2.root.json").write_bytes(root.to_bytes())
    assert "is of the repository director" in fleet.image.check(NOW_S).problems[0].what
