"""A repository that was signed on another machine: what a device would refuse is never served, and nothing older."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support import image_repository
from tests.support.broker import now_s
from tests.support.image_repository import SignedFleet, TestKey, key
from tests.support.killed_steps import killed_before
from tests.support.tuf_client import Client

from homebred_fleet.adapters.blob_folder import BlobFolder
from homebred_fleet.adapters.tuf_repository import receiving
from homebred_fleet.adapters.tuf_repository.receiving import Taken, listing_of, served, take
from homebred_fleet.adapters.tuf_repository.repository import Repository
from homebred_fleet.core.keyholders import Purpose
from homebred_fleet.errors import ConflictError, FleetError, RequestError, StateError
from homebred_protocol.digests import digest_of

NOW_S = now_s()
"""The client judges by the clock."""
DAY_S = 86_400
INTAKE = "models/qa/intake/{}.json"


class Desk:
    """Where somebody signs, and the controller's folder."""

    def __init__(self, folder: Path) -> None:
        """`signed` in the folder has what was signed so far."""
        self.signed = SignedFleet(folder / "signed", now_s=NOW_S)
        self.arrived = BlobFolder(folder / "arrived")
        self.there = folder / "there"
        self.now_s = NOW_S

    def published(self, purpose: Purpose) -> Path:
        of = {Purpose.IMAGE: self.signed.image, Purpose.DIRECTOR: self.signed.director_root}
        return of[purpose].published.resolve()

    def bring(self, folder: Path | None = None, purpose: Purpose = Purpose.IMAGE) -> Taken:
        """Sends all of a published folder, and has it served."""
        listing, files = listing_of(folder or self.published(purpose))
        for file in files.values():
            self.arrived.keep_file(file)
        return self.take(listing, purpose)

    def take(self, listing: bytes, purpose: Purpose = Purpose.IMAGE) -> Taken:
        return take(self.there / purpose.value, purpose, listing, self.arrived, self.now_s)

    def release(self, number: int) -> None:
        self.signed.release("qa", "intake", number)
        self.signed.publish()

    def sees(self, folder: Path) -> set[str]:
        """What The Update Framework's own client sees of what is served."""
        client = Client(folder, self.there / "image" / "published")
        return {path for path in map(INTAKE.format, range(1, 9)) if client.target(path) is not None}

    def copy(self, folder: Path) -> Path:
        return Path(shutil.copytree(self.published(Purpose.IMAGE), folder))


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both repositories with one release, signed once for all tests."""
    folder = tmp_path_factory.mktemp("begun")
    Desk(folder).release(1)
    return folder / "signed"


@pytest.fixture
def desk(begun: Path, tmp_path: Path) -> Desk:
    shutil.copytree(begun, tmp_path / "signed", symlinks=True)
    return Desk(tmp_path)


def test_what_was_published_elsewhere_is_served_and_devices_take_it(desk: Desk, tmp_path: Path) -> None:
    taken = desk.bring()
    assert (taken.roots, taken.targets, taken.changed) == (1, 1, True)
    assert desk.sees(tmp_path / "first") == {INTAKE.format(1)}
    desk.release(2)
    assert desk.bring().targets == 2
    assert desk.sees(tmp_path / "second") == {INTAKE.format(1), INTAKE.format(2)}
    assert desk.bring().changed is False
    shown = served(desk.there / "image")
    (root,) = desk.signed.image.roots()
    assert (shown.root, shown.root_digest) == (root.version, root.digest)
    assert shown.versions is not None
    assert shown.versions["timestamp"] == desk.signed.image.contents().must("timestamp").signed.version


def test_the_directors_root_is_brought_the_same_way(desk: Desk) -> None:
    assert desk.bring(purpose=Purpose.DIRECTOR).roots == 1
    assert served(desk.there / "director").root == 1
    assert served(desk.there / "nothing").root == 0


def test_one_repository_is_never_taken_for_the_other(desk: Desk) -> None:
    with pytest.raises(ConflictError, match="not the director repository"):
        desk.bring(desk.published(Purpose.IMAGE), Purpose.DIRECTOR)
    with pytest.raises(ConflictError, match="not the image repository"):
        desk.bring(desk.published(Purpose.DIRECTOR), Purpose.IMAGE)
    assert not (desk.there / "image" / "published").exists()


def newest(folder: Path, role: str) -> Path:
    return max((folder / "metadata").glob(f"*.{role}.json"), key=lambda path: int(path.name.partition(".")[0]))


def unsigned_timestamp(folder: Path) -> None:
    said = json.loads((folder / "metadata/timestamp.json").read_text())
    said["signatures"][0]["sig"] = "00"
    (folder / "metadata/timestamp.json").write_text(json.dumps(said))


def another_target(folder: Path) -> None:
    (file,) = (folder / "targets").rglob("*.json")
    file.write_bytes(file.read_bytes() + b" ")


def no_target(folder: Path) -> None:
    (file,) = (folder / "targets").rglob("*.json")
    file.unlink()


def no_root(folder: Path) -> None:
    (folder / "metadata/1.root.json").unlink()


def a_gap_in_roots(folder: Path) -> None:
    root = folder / "metadata/1.root.json"
    (folder / "metadata/3.root.json").write_bytes(root.read_bytes())


def no_snapshot(folder: Path) -> None:
    newest(folder, "snapshot").unlink()


def half_a_file(folder: Path) -> None:
    file = newest(folder, "models-qa")
    file.write_bytes(file.read_bytes()[:100])


SPOILS = [unsigned_timestamp, another_target, no_target, no_root, a_gap_in_roots, no_snapshot, half_a_file]


@pytest.mark.parametrize("spoil", SPOILS, ids=lambda one: one.__name__)
def test_what_no_device_would_take_is_refused_and_what_was_served_still_is(
    desk: Desk, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    desk.bring()
    before = (desk.there / "image" / "published").resolve()
    spoilt = desk.copy(tmp_path / "spoilt")
    spoil(spoilt)
    with pytest.raises(FleetError) as refused:
        desk.bring(spoilt)
    assert refused.value.hint
    assert (desk.there / "image" / "published").resolve() == before
    assert desk.sees(tmp_path / "client") == {INTAKE.format(1)}
    desk.release(2)
    assert desk.bring().changed


def test_nothing_older_than_what_is_served_is_taken(desk: Desk, tmp_path: Path) -> None:
    older = desk.copy(tmp_path / "older")
    desk.release(2)
    desk.bring()
    with pytest.raises(ConflictError, match="is older here than what is served") as refused:
        desk.bring(older)
    assert "newest folder" in refused.value.hint
    assert desk.sees(tmp_path / "client") == {INTAKE.format(1), INTAKE.format(2)}


def test_two_that_were_signed_apart_under_the_same_versions_are_not_exchanged(desk: Desk, tmp_path: Path) -> None:
    shutil.copytree(tmp_path / "signed", tmp_path / "apart", symlinks=True)
    desk.release(2)
    desk.bring()
    apart = SignedFleet(tmp_path / "apart", now_s=NOW_S)
    apart.release("qa", "other", 1)
    apart.publish()
    with pytest.raises(ConflictError, match="or another of the same version"):
        desk.bring(apart.image.published.resolve())


def strangers_key(name: str, purpose: Purpose = Purpose.IMAGE) -> TestKey:
    return key(name if name.startswith("stranger-") else f"stranger-{name}", purpose)


def test_another_fleets_repository_does_not_replace_this_ones(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.bring()
    monkeypatch.setattr(image_repository, "key", strangers_key)
    strangers = SignedFleet(tmp_path / "strangers", now_s=NOW_S)
    for number in range(1, 4):
        strangers.release("qa", "intake", number)
        strangers.publish()
    with pytest.raises(ConflictError, match="root 1 is not the one that devices know"):
        desk.bring(strangers.image.published.resolve())
    assert desk.sees(tmp_path / "client") == {INTAKE.format(1)}


def test_a_newer_root_follows_and_versions_may_begin_anew_with_other_keys_of_the_timestamp(
    desk: Desk, tmp_path: Path
) -> None:
    older = tmp_path / "older"
    shutil.copytree(tmp_path / "signed", older, symlinks=True)
    for number in (2, 3):
        desk.release(number)
    desk.bring()
    lost = SignedFleet(older, now_s=NOW_S)  # the newest folder is lost, and the daily keys may be stolen
    for role in ("timestamp", "snapshot"):
        lost.image.rotate(role, add=[key(f"later-{role}").public], drop=[role], now_s=NOW_S)
    lost.release("qa", "intake", 2)
    lost.publish()
    with pytest.raises(ConflictError, match="has forgotten that models/qa/intake had a higher number"):
        desk.bring(lost.image.published.resolve())
    lost.release("qa", "intake", 4)
    lost.publish()
    assert desk.bring(lost.image.published.resolve()).roots == 2
    assert desk.sees(tmp_path / "client") == {INTAKE.format(number) for number in (1, 2, 4)}


def test_an_expired_family_holds_up_nobody_else_and_an_expired_timestamp_is_not_served(desk: Desk) -> None:
    desk.now_s = NOW_S + 31 * DAY_S
    with pytest.raises(StateError, match="has expired"):
        desk.bring()
    desk.now_s = NOW_S + 366 * DAY_S
    desk.signed.now_s = desk.now_s
    roles = [one.role for one in desk.signed.image.standings(desk.now_s) if one.role != "models-qa"]
    desk.signed.image.renew(roles, desk.now_s)
    desk.signed.publish()
    assert desk.bring().stale == ("models-qa: version 2 has expired",)


WRONG = [
    b"",
    b"[]",
    b"{}",
    b"[" * 100_000,
    b'{"version": 2, "files": {}}',
    b'{"version": 1, "files": []}',
    b'{"version": 1, "files": {"metadata/../../x.json": "sha256:' + b"a" * 64 + b'"}}',
    b'{"version": 1, "files": {"/etc/passwd": "sha256:' + b"a" * 64 + b'"}}',
    b'{"version": 1, "files": {"targets/models/qa/intake/1.json": "sha256:' + b"a" * 64 + b'"}}',
    b'{"version": 1, "files": {"metadata/1.root.json": "x"}}',
    b'{"version": 1, "files": {"metadata/1.root.json": 5}}',
    b'{"version": 1, "files": {"metadata/1.root.json": "sha256:' + b"a" * 64 + b'"}}',
]


@pytest.mark.parametrize("listing", WRONG, ids=range(len(WRONG)))
def test_a_listing_of_no_meaning_or_of_what_did_not_come_leaves_nothing(desk: Desk, listing: bytes) -> None:
    with pytest.raises(RequestError):
        desk.take(listing)
    assert not (desk.there / "image" / "published").exists()


def test_where_somebody_signs_nothing_is_brought(desk: Desk) -> None:
    listing, files = listing_of(desk.published(Purpose.IMAGE))
    for file in files.values():
        desk.arrived.keep_file(file)
    desk.signed.release("qa", "intake", 2)  # waits for signatures
    with pytest.raises(ConflictError, match="where somebody signs"):
        take(desk.published(Purpose.IMAGE).parents[1], Purpose.IMAGE, listing, desk.arrived, NOW_S)


def test_what_is_served_and_was_damaged_since_is_mended_by_the_next(desk: Desk, tmp_path: Path) -> None:
    desk.bring()
    generation = (desk.there / "image" / "published").resolve()
    (generation / "metadata" / "timestamp.json").write_bytes(b"damage")
    assert desk.bring().changed
    assert desk.sees(tmp_path / "client") == {INTAKE.format(1)}
    root = (desk.there / "image" / "published").resolve() / "metadata" / "1.root.json"
    root.write_bytes(root.read_bytes() + b" ")
    with pytest.raises(ConflictError, match="root 1 is not the one"):
        desk.bring()


def test_a_kill_before_any_step_leaves_the_old_repository_or_the_new_one_served_and_it_comes_again(
    desk: Desk,
    tmp_path: Path,
    thorough: bool,  # noqa: FBT001 - a fixture
) -> None:
    desk.bring()
    template = Path(shutil.copytree(desk.there / "image", tmp_path / "template", symlinks=True))
    desk.release(2)
    listing, files = listing_of(desk.published(Purpose.IMAGE))
    for file in files.values():
        desk.arrived.keep_file(file)
    number, survived, left = 0, False, list[int]()
    while not survived:
        number += 1 if thorough else 8
        root = Path(shutil.copytree(template, tmp_path / str(number), symlinks=True))

        def act(root: Path = root) -> Taken:
            return take(root, Purpose.IMAGE, listing, desk.arrived, NOW_S)

        survived = killed_before(number, root, act)
        found = Repository(root).check(NOW_S)
        assert found.problems == ()
        left.append(found.targets)
        assert act().targets == 2
        assert Repository(root).check(NOW_S).targets == 2
        shutil.rmtree(root)
    assert number > 60
    assert (left == sorted(left), set(left)) == (True, {1, 2})


def test_what_lies_beside_a_published_repository_is_not_sent(desk: Desk, tmp_path: Path) -> None:
    copy = desk.copy(tmp_path / "copy")
    (copy / "metadata" / "notes.txt").write_text("x")
    with pytest.raises(RequestError, match="is no part of a published repository"):
        listing_of(copy)


def test_the_folder_of_what_was_brought_can_be_checked_as_any_other(desk: Desk) -> None:
    desk.bring()
    assert Repository(desk.there / "image").check(NOW_S).problems == ()
    assert digest_of(b"") not in receiving.names_in((desk.there / "image" / "published").resolve()).values()
