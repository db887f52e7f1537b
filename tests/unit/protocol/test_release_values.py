from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.release_manifests import SMALL, WHOLE, written

from homebred_protocol.documents.release import read_release
from homebred_protocol.targets import read_target, role_of

MANIFEST = read_release(written(WHOLE))


def test_a_release_is_signed_by_its_family_under_its_id_and_number() -> None:
    target = MANIFEST.target
    assert target.path == "models/clinic/intake/7.json"
    assert read_target(target.path) == target
    assert role_of(target.kind, target.group) == "models-clinic"


def test_files_with_the_same_bytes_are_kept_once() -> None:
    first, *others = MANIFEST.files
    twin = replace(first, path="adapter/copy.json")
    assert replace(MANIFEST, files=(first, twin, *others)).total_bytes == MANIFEST.total_bytes
    assert MANIFEST.total_bytes == sum(file.length for file in MANIFEST.files)


@pytest.mark.parametrize(
    ("document", "sites"),
    [(WHOLE, {"clinic-east", "clinic-west"}), (SMALL, {"clinic-east", "clinic-west", "north"})],
)
def test_a_release_that_names_sites_may_run_there_alone(document: object, sites: set[str]) -> None:
    manifest = read_release(written(document))
    assert {site for site in ("clinic-east", "clinic-west", "north") if manifest.may_run_at(site)} == sites
