"""What may be assigned: what is signed and whose files are here, at the sites that it is signed for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.support.directions import PaperImage
from tests.support.release_manifests import SMALL

from homebred_fleet.adapters.blob_folder import BlobFolder
from homebred_fleet.adapters.release_shelf import ReleaseShelf
from homebred_fleet.errors import ConflictError, StateError
from homebred_protocol.digests import digest_of
from homebred_protocol.targets import Kind, Target

INTAKE = Target(kind=Kind.RELEASE, group="clinic", name="intake", number=1)
POLICY = Target(kind=Kind.POLICY, group="east", name="main", number=1)
BODIES = (b'{"input": 1}\n', b"version = 1\n")


class Shelf:
    def __init__(self, folder: Path) -> None:
        self.image = PaperImage()
        self.blobs = BlobFolder(folder)
        self.shelf = ReleaseShelf(self.image, self.blobs)

    def sign(self, *, site: str = "", sites: tuple[str, ...] = (), body: bytes | None = None) -> None:
        listed = [
            {
                "path": path,
                "length": len(one),
                "digest": digest_of(one),
                "frames": [digest_of(one).removeprefix("sha256:")],
            }
            for path, one in zip(("golden/intake.jsonl", "specialist.toml"), BODIES, strict=True)
        ]
        document = SMALL | {"files": listed, "sites": list(sites)}
        canonical = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
        self.image.put(INTAKE, site=site, body=canonical if body is None else body)

    def sites(self, *, elsewhere: bool = False) -> set[str]:
        return set(self.shelf.sites_of(INTAKE, self.image.held[INTAKE], elsewhere=elsewhere))


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def test_a_release_is_assigned_once_all_of_its_files_are_here_or_lie_elsewhere(shelf: Shelf) -> None:
    shelf.sign()
    for kept, missing in ((), "2 of 2"), ((BODIES[0],), "1 of 2"):
        for body in kept:
            shelf.blobs.keep(body)
        with pytest.raises(ConflictError, match=f"{missing} files .* are not on the controller") as refused:
            shelf.sites()
        assert "release publish FOLDER" in refused.value.hint
        assert "--elsewhere" in refused.value.hint
    assert shelf.sites(elsewhere=True) == set()
    shelf.blobs.keep(BODIES[1])
    assert shelf.sites() == set()


def test_a_file_that_was_cut_short_counts_as_missing(shelf: Shelf) -> None:
    shelf.sign()
    for body in BODIES:
        shelf.blobs.keep(body)
    path = shelf.blobs.path_of(digest_of(BODIES[0]))
    assert path is not None
    path.write_bytes(BODIES[0][:-1])
    with pytest.raises(ConflictError, match="1 of 2"):
        shelf.sites()


@pytest.mark.parametrize(
    ("site", "sites", "whose"),
    [
        ("", (), set()),
        ("east", ("east",), {"east"}),
        ("", ("east", "west"), {"east", "west"}),
        ("east", (), {"east"}),
        ("east", ("east", "west"), {"east"}),
    ],
)
def test_it_may_run_at_the_site_that_it_was_signed_for_or_at_those_of_its_manifest(
    shelf: Shelf, site: str, sites: tuple[str, ...], whose: set[str]
) -> None:
    shelf.sign(site=site, sites=sites)
    for body in BODIES:
        shelf.blobs.keep(body)
    assert shelf.sites() == whose
    assert shelf.sites(elsewhere=True) == whose


def test_what_no_device_would_take_for_a_release_is_not_assigned(shelf: Shelf) -> None:
    shelf.sign(body=b'{"kind": "release"}')
    for elsewhere in (True, False):
        with pytest.raises(StateError, match="no release that a device would take"):
            shelf.sites(elsewhere=elsewhere)


def test_a_policy_has_no_files_and_is_its_sites(shelf: Shelf) -> None:
    shelf.image.put(POLICY, site="east", body=b"version = 1\n")
    assert shelf.shelf.sites_of(POLICY, shelf.image.held[POLICY], elsewhere=False) == {"east"}
