"""One suite for whatever keeps releases: the model store on the disk and the one in memory; then what the disk adds."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import pytest
from tests.support.memory_installs import MemoryReleaseStore
from tests.support.release_folders import SAID, SPECIALIST, WORKFLOW, signed, write_release
from tests.support.shelves import stored
from tests.support.specialists import write_specialist, write_specialist_of_folders
from tests.support.stored_specialists import measured

from homebred_daemon.adapters.release_store import ReleaseStore as DiskStore
from homebred_daemon.core.activation import BY_HAND, Activation, InForce
from homebred_daemon.core.compatibility import Refusal
from homebred_daemon.core.releases import Release
from homebred_daemon.errors import RequestError, StateError
from homebred_daemon.ports.installs import ReleaseStore
from homebred_protocol.documents.release_values import Constraints

DIGEST = "sha256:" + "a" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A store, and how releases get into it."""

    store: ReleaseStore
    offer: Callable[[int], tuple[Path, Release]]


@pytest.fixture(params=["disk", "memory"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Kept:
    kind: Literal["disk", "memory"] = request.param
    if kind == "disk":
        return Kept(
            store=DiskStore(tmp_path / "models"),
            offer=lambda number: (tmp_path / str(number), write_release(tmp_path / str(number), number)),
        )
    memory = MemoryReleaseStore()

    def offer(number: int) -> tuple[Path, Release]:
        release = write_release(tmp_path / str(number), number)
        memory.offers[release.digest] = stored(SPECIALIST, base_digest=f"sha256:{number}")
        return tmp_path / str(number), release

    return Kept(store=memory, offer=offer)


def taken(kept: Kept, *numbers: int) -> None:
    for number in numbers:
        folder, release = kept.offer(number)
        assert kept.store.take(folder, release) is None


def activated(kept: Kept, number: int, *, is_good: bool = True) -> InForce:
    activation = Activation(number=number, digest=DIGEST, activated_at_s=5, lease_expires_at_s=9, is_good=is_good)
    after = kept.store.in_force(SPECIALIST).activated(activation)
    kept.store.activate(SPECIALIST, after)
    return after


def test_releases_stand_side_by_side_and_none_serves_by_being_there(kept: Kept) -> None:
    taken(kept, 1, 2)
    assert {SPECIALIST: {1, 2}} == {name: set(numbers) for name, numbers in kept.store.released().items()}
    one, two = kept.store.stored(SPECIALIST, 1), kept.store.stored(SPECIALIST, 2)
    assert one is not None
    assert two is not None
    assert (one.release, two.release) == (1, 2)
    assert one.version != two.version
    assert kept.store.stored(SPECIALIST, 3) is None
    assert kept.store.in_force(SPECIALIST) == InForce()


def test_taking_a_release_again_is_the_same(kept: Kept) -> None:
    taken(kept, 1, 1)
    assert kept.store.stored(SPECIALIST, 1) is not None


def test_an_activation_names_what_to_go_back_to_and_moving_back_ends_there(kept: Kept) -> None:
    taken(kept, 1, 2)
    activated(kept, 1)
    after = activated(kept, 2, is_good=False)
    assert kept.store.in_force(SPECIALIST) == after
    assert after.last_good is not None
    assert after.last_good.number == 1
    kept.store.move_back(SPECIALIST)
    back = kept.store.in_force(SPECIALIST)
    assert back.serves(1)
    assert back.last_good is None
    kept.store.move_back(SPECIALIST)
    assert kept.store.in_force(SPECIALIST) == InForce()


def test_what_has_settled_is_good_and_what_has_not_is_not_gone_back_to(kept: Kept) -> None:
    taken(kept, 1, 2, 3)
    activated(kept, 1, is_good=False)
    kept.store.settle(SPECIALIST, kept.store.in_force(SPECIALIST).settled())
    assert kept.store.in_force(SPECIALIST).current.is_good  # type: ignore[union-attr]
    activated(kept, 2, is_good=False)
    after = activated(kept, 3, is_good=False)
    assert after.last_good is not None
    assert after.last_good.number == 1


def test_what_is_in_force_or_gone_back_to_cannot_be_removed(kept: Kept) -> None:
    taken(kept, 1, 2, 3)
    activated(kept, 1)
    activated(kept, 2)
    for number in (1, 2, BY_HAND):
        with pytest.raises(StateError):
            kept.store.remove_release(SPECIALIST, number)
    assert kept.store.remove_release(SPECIALIST, 3) > 0
    assert kept.store.remove_release(SPECIALIST, 3) == 0
    assert set(kept.store.released()[SPECIALIST]) == {1, 2}


# -- the model store on the disk


@pytest.fixture
def disk(tmp_path: Path) -> DiskStore:
    return DiskStore(tmp_path / "models")


def put_in_force(store: DiskStore, number: int) -> None:
    activation = Activation(number=number, digest=DIGEST, activated_at_s=5, lease_expires_at_s=9)
    store.activate(SPECIALIST, store.in_force(SPECIALIST).activated(activation))


def take(store: DiskStore, folder: Path, number: int) -> Release:
    release = write_release(folder / str(number), number)
    assert store.take(folder / str(number), release) is None
    return release


def test_the_router_sees_one_specialist_the_one_in_force(disk: DiskStore, tmp_path: Path) -> None:
    disk.add(write_specialist(tmp_path / "by_hand", SPECIALIST, title="By hand"))
    for number in (1, 2):
        take(disk, tmp_path, number)
    titles = {1: SAID.format(number=1), 2: SAID.format(number=2)}
    assert [each.manifest.title for each in disk.contents().specialists] == ["By hand"]
    for number, title in titles.items():
        put_in_force(disk, number)
        (only,) = disk.contents(verifies=True).specialists
        assert (only.manifest.id, only.manifest.title, only.release, only.is_intact) == (
            SPECIALIST,
            title,
            number,
            True,
        )
        assert [each["id"] for each in disk.registry_document()["specialists"]] == [SPECIALIST]
        assert disk.get(SPECIALIST).release == number
    disk.move_back(SPECIALIST)
    assert disk.get(SPECIALIST).manifest.title == titles[1]
    disk.move_back(SPECIALIST)
    assert disk.get(SPECIALIST).manifest.title == "By hand"


def test_a_releases_fitness_is_its_own(disk: DiskStore, tmp_path: Path) -> None:
    for number in (1, 2):
        take(disk, tmp_path, number)
    candidate = disk.stored(SPECIALIST, 2)
    assert candidate is not None
    disk.record_release_fitness(candidate, {WORKFLOW: measured(candidate)})
    put_in_force(disk, 1)
    assert disk.get(SPECIALIST).measurements == {}
    put_in_force(disk, 2)
    assert set(disk.get(SPECIALIST).measurements) == {WORKFLOW}


def test_bytes_are_taken_without_a_copy_and_outlive_the_folder_they_came_in(disk: DiskStore, tmp_path: Path) -> None:
    take(disk, tmp_path, 1)
    found = disk.stored(SPECIALIST, 1)
    assert found is not None
    assert Path(found.base_path).stat().st_ino == (tmp_path / "1" / "model.json").stat().st_ino
    take(disk, tmp_path, 1)  # a rename onto the same file does nothing: no second name may stay
    assert sorted(path.name for path in Path(found.base_path).parent.iterdir()) == [Path(found.base_path).name]


def test_folders_of_a_release_are_taken_file_by_file_and_by_digest(disk: DiskStore, tmp_path: Path) -> None:
    folder = write_specialist_of_folders(tmp_path / "1", SPECIALIST)
    release = signed(folder, 1)
    assert disk.take(folder, release) is None
    found = disk.stored(SPECIALIST, 1)
    assert found is not None
    assert (Path(found.base_path) / "weights/part-1.bin").samefile(folder / "base/weights/part-1.bin")
    (folder / "base/weights/part-1.bin").chmod(0o644)
    damaged = write_specialist_of_folders(tmp_path / "2", SPECIALIST)
    (damaged / "base/weights/part-1.bin").write_text("other bytes")
    assert code_of(disk.take(damaged, release)) == "damaged"


@pytest.mark.parametrize("name", ["specialist.toml", "golden/say.again.jsonl", "model.json"])
@pytest.mark.parametrize("change", ["bit", "cut", "gone"])
def test_a_file_that_is_not_the_signed_one_is_not_taken(
    disk: DiskStore, tmp_path: Path, name: str, change: str
) -> None:
    folder = tmp_path / "1"
    release = write_release(folder, 1)
    path = folder / name
    body = path.read_bytes()
    if change == "gone":
        path.unlink()
    else:
        path.write_bytes(body[:-1] if change == "cut" else bytes([body[0] ^ 1]) + body[1:])
    refusal = disk.take(folder, release)
    assert code_of(refusal) in {"damaged", "unfit"}
    assert disk.stored(SPECIALIST, 1) is None
    assert list((tmp_path / "models").rglob("model.json")) == []
    assert disk.take(folder, write_release(folder, 1)) is None


def test_a_file_that_nobody_signed_is_not_taken_as_the_base(disk: DiskStore, tmp_path: Path) -> None:
    folder = tmp_path / "1"
    release = write_release(folder, 1)
    unsigned = replace(release, files=tuple(file for file in release.files if file.path != "model.json"))
    assert code_of(disk.take(folder, unsigned)) == "damaged"


def code_of(refusal: Refusal | None) -> str:
    return "" if refusal is None else refusal.code


def test_a_release_that_contradicts_its_own_specialist_is_refused(disk: DiskStore, tmp_path: Path) -> None:
    folder = tmp_path / "1"
    release = write_release(folder, 1)
    other_id = replace(release, id="another")
    other_engine = replace(release, constraints=Constraints(engine="llamacpp"))
    other_scorer = replace(release, golden=(replace(release.golden[0], scorer="json_equal"),))
    other_workflow = replace(release, golden=(replace(release.golden[0], workflow="x"),))
    for wrong in (other_id, other_engine, other_scorer, other_workflow):
        assert code_of(disk.take(folder, wrong)) == "contradiction"
    other_base = replace(release, constraints=Constraints(engine="echo", base_digest="sha256:other"))
    assert code_of(disk.take(folder, other_base)) == "base_digest"
    assert disk.released() == {}


def test_by_hand_nothing_is_put_over_a_release_or_pulled_from_under_it(disk: DiskStore, tmp_path: Path) -> None:
    by_hand = write_specialist(tmp_path / "by_hand", SPECIALIST, title="By hand")
    take(disk, tmp_path, 1)
    put_in_force(disk, 1)
    with pytest.raises(RequestError, match="served from release 1"):
        disk.add(by_hand)
    with pytest.raises(RequestError, match="served from release 1"):
        disk.remove(SPECIALIST)
    disk.move_back(SPECIALIST)
    disk.add(by_hand)
    assert disk.get(SPECIALIST).release == BY_HAND


def test_a_damaged_activation_record_is_a_damaged_specialist_and_hides_no_other(
    disk: DiskStore, tmp_path: Path
) -> None:
    take(disk, tmp_path, 1)
    put_in_force(disk, 1)
    disk.add(write_specialist(tmp_path / "other", "other"))
    (tmp_path / "models/serving/parrot.json").write_text("{")
    shelf = disk.contents()
    assert [each.manifest.id for each in shelf.specialists] == ["other"]
    assert [each.id for each in shelf.damaged] == [SPECIALIST]
    with pytest.raises(StateError) as caught:
        disk.in_force(SPECIALIST)
    assert "remove it" in caught.value.hint


def test_the_activation_record_says_what_by_what_right_and_since_when(disk: DiskStore, tmp_path: Path) -> None:
    take(disk, tmp_path, 1)
    put_in_force(disk, 1)
    record = json.loads((tmp_path / "models/serving/parrot.json").read_text())
    assert record == {
        "version": 1,
        "number": 1,
        "digest": DIGEST,
        "activated_at_s": 5,
        "lease_expires_at_s": 9,
        "is_good": True,
    }


def test_bases_that_releases_share_stay_as_long_as_one_of_them_does(disk: DiskStore, tmp_path: Path) -> None:
    for number in (1, 2):
        folder = tmp_path / str(number)
        assert disk.take(folder, write_release(folder, number, model={"format": "homebred-echo"})) is None
    assert disk.remove_release(SPECIALIST, 1) == 0
    assert disk.stored(SPECIALIST, 2) is not None
    assert disk.remove_release(SPECIALIST, 2) > 0
    assert list((tmp_path / "models/blobs").rglob("*.json")) == []
