"""Killed before any step of publishing: what is served is the old repository or the new one, and it can be gone on."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from tests.support.image_repository import SignedFleet, key
from tests.support.killed_steps import killed_before
from tests.support.tuf_client import Client

from homebred_fleet.adapters.system_clock import unix_s
from homebred_fleet.adapters.tuf_repository.folder import RepositoryFolder
from homebred_fleet.adapters.tuf_repository.repository import Repository
from homebred_fleet.errors import ConflictError

NOW_S = unix_s() - 60
NEW = "models/qa/intake-3/8.json"
OLD = "models/qa/intake-3/7.json"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository that is published, with a root, a release and a removal that wait, signed by all."""
    fleet = SignedFleet(tmp_path_factory.mktemp("template"), now_s=NOW_S)
    fleet.release("qa", "intake-3", 7)
    fleet.publish()
    fleet.release("qa", "intake-3", 8)
    fleet.image.remove(OLD, NOW_S)
    fleet.image.rotate("timestamp", add=[key("other").public], drop=["timestamp"], now_s=NOW_S)
    for name in ("anna", "ben", "models-qa", "snapshot", "other"):
        fleet.image.sign(key(name).signer, NOW_S)
    return fleet.image_folder.parent


def served(root: Path) -> dict[str, bytes]:
    published = (root / "published").resolve()
    return {str(path.relative_to(published)): path.read_bytes() for path in published.rglob("*") if path.is_file()}


def went_on(root: Path) -> None:
    """Whoever comes next brings it to its end."""
    try:
        Repository(root).publish(NOW_S)
    except ConflictError as refused:
        assert "nothing waits" in refused.message  # noqa: PT017  # one of two ends


def test_a_kill_before_any_step_leaves_the_old_repository_or_the_new_one(
    template: Path,
    tmp_path: Path,
    thorough: bool,  # noqa: FBT001 - a fixture
) -> None:
    before = served(template)
    left: list[bool] = []
    number, survived = 0, False
    while not survived:
        number += 1
        root = tmp_path / str(number)
        shutil.copytree(template, root, symlinks=True)
        survived = killed_before(number, root, lambda root=root: Repository(root).publish(NOW_S))  # type: ignore[misc]
        is_new = served(root) != before
        assert Repository(root).check(NOW_S).problems == ()
        if thorough or number % 10 == 0 or is_new not in left:
            device = Client(tmp_path / f"{number}-device", root / "published")
            assert (device.target(NEW) is not None) is is_new
            assert (device.target(OLD) is None) is is_new
            went_on(root)
            assert device.target(NEW)
            kept = sorted(path.name for path in (root / "generations").iterdir())
            assert kept[-2:] == ["000002", "000003"]
            assert len(kept) <= 3  # who was killed while tidying up leaves that to the next publication
        left.append(is_new)
        shutil.rmtree(root)
    assert number > 75
    assert left == sorted(left)
    assert set(left) == {False, True}


def test_nothing_is_served_of_which_the_disk_has_not_every_byte_and_every_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of each file and folder of a generation the last flush came after its last change."""
    flushed: dict[int, int] = {}
    flush, serve, generations = os.fsync, RepositoryFolder._serve, []

    def flushing(descriptor: int) -> None:
        flush(descriptor)
        flushed[os.fstat(descriptor).st_ino] = os.fstat(descriptor).st_mtime_ns

    def serving(folder: RepositoryFolder, generation: Path) -> None:
        inside = [generation, *generation.rglob("*")]
        late = [path for path in inside if flushed.get(path.stat().st_ino) != path.stat().st_mtime_ns]
        assert late == []
        assert flushed[generation.parent.stat().st_ino] == generation.parent.stat().st_mtime_ns
        generations.append(generation.name)
        serve(folder, generation)
        assert flushed[folder.path.stat().st_ino] == folder.path.stat().st_mtime_ns

    monkeypatch.setattr(os, "fsync", flushing)
    monkeypatch.setattr(RepositoryFolder, "_serve", serving)
    fleet = SignedFleet(tmp_path, now_s=NOW_S)
    fleet.release("qa", "intake-3", 7)
    fleet.publish()
    fleet.release("qa", "intake-3", 8)
    fleet.publish()
    assert generations == ["000001", "000001", "000002", "000003"]


def test_a_kill_while_something_is_prepared_leaves_what_waited_before_or_after(template: Path, tmp_path: Path) -> None:
    number, survived, seen = 0, False, set()
    while not survived:
        number += 1
        root = tmp_path / str(number)
        shutil.copytree(template, root, symlinks=True)
        there = Repository(root)
        survived = killed_before(number, root, lambda there=there: there.renew(["targets"], NOW_S))  # type: ignore[misc]
        waits = {one.role: one.is_complete for one in there.standings(NOW_S) if one.prepared}
        seen.add("targets" in waits)
        assert ("targets" in waits) is not waits.get("targets", True)
        assert all(complete for role, complete in waits.items() if role not in {"targets", "snapshot"})
        assert served(root) == served(template)
    assert seen == {False, True}
