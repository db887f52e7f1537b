"""Releases that are built here, in the store: one suite for disk and memory; then what may not take their place."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.support.memory_installs import MemoryReleaseStore
from tests.support.release_folders import SPECIALIST, recipe_for, signed
from tests.support.shelves import stored
from tests.support.specialists import write_specialist

from homebred_daemon.adapters.blob_store import BlobStore
from homebred_daemon.adapters.model_store import ModelStore
from homebred_daemon.adapters.release_store import ReleaseStore as DiskStore
from homebred_daemon.core.activation import Activation
from homebred_daemon.core.builds import Built
from homebred_daemon.core.compatibility import Refusal
from homebred_daemon.core.releases import Release
from homebred_daemon.errors import StateError
from homebred_daemon.ports.building import BuiltForm
from homebred_daemon.ports.installs import ReleaseStore
from homebred_protocol.digests import digest_of
from homebred_protocol.documents.release_values import Constraints

DIGEST = "sha256:" + "a" * 64
BY = "homebred 1, echo 2"
ADAPTER = b'{"format": "homebred-echo", "made": true}'


def write_to_build(folder: Path, number: int = 1, *, base: str = 'file = "model.json"') -> Release:
    """A parrot whose adapter is built of its base and a folder."""
    write_specialist(folder, SPECIALIST, base=base, further='[adapter]\nfile = "adapter.json"')
    (folder / "peft").mkdir()
    (folder / "peft/weights").write_text(f"bred for {number}")
    return signed(folder, number, recipe=recipe_for(folder, "model.json", "peft"))


def form_in(folder: Path, body: bytes = ADAPTER) -> BuiltForm:
    """What a build made."""
    place = folder / "building/out"
    place.mkdir(parents=True, exist_ok=True)
    (place / "adapter.json").write_bytes(body)
    return BuiltForm(path=place / "adapter.json", built=Built(digest=digest_of(body), builder=BY), took_ms=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A store, and how a release that is to be built gets into it."""

    store: ReleaseStore
    offer: Callable[[], tuple[Path, Release]]


@pytest.fixture(params=["disk", "memory"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Kept:
    def offer() -> tuple[Path, Release]:
        release = write_to_build(tmp_path / "offer")
        if isinstance(store, MemoryReleaseStore):
            store.offers[release.digest] = stored(SPECIALIST)
        return tmp_path / "offer", release

    store = DiskStore(tmp_path / "models") if request.param == "disk" else MemoryReleaseStore()
    return Kept(store=store, offer=offer)


def test_before_it_is_built_a_release_is_what_it_is_built_of_and_nothing_that_could_serve(kept: Kept) -> None:
    folder, release = kept.offer()
    assert kept.store.inputs(release) is None
    for _ in range(2):
        assert kept.store.take(folder, release) is None
    assert kept.store.stored(SPECIALIST, 1) is None
    assert kept.store.built(release) is None
    inputs = kept.store.inputs(release)
    assert inputs is not None
    assert len(inputs) == 2
    assert set(kept.store.released()[SPECIALIST]) == {1}


def test_once_it_is_built_it_is_whole_and_what_it_was_built_of_is_not_there_any_more(
    kept: Kept, tmp_path: Path
) -> None:
    folder, release = kept.offer()
    assert kept.store.take(folder, release) is None
    form = form_in(tmp_path)
    assert kept.store.take_built(release, form) is None
    found = kept.store.stored(SPECIALIST, 1)
    assert found is not None
    assert found.built == found.adapter_digest == form.built.digest
    assert kept.store.built(release) == form.built
    assert kept.store.inputs(release) is None


def test_taking_it_once_more_takes_back_what_was_built(kept: Kept, tmp_path: Path) -> None:
    folder, release = kept.offer()
    assert kept.store.take(folder, release) is None
    assert kept.store.take_built(release, form_in(tmp_path)) is None
    assert kept.store.take(folder, release) is None
    assert kept.store.built(release) is None
    assert kept.store.inputs(release) is not None


# -- the model store on the disk


@pytest.fixture
def disk(tmp_path: Path) -> DiskStore:
    return DiskStore(tmp_path / "models")


def served(disk: DiskStore, tmp_path: Path) -> Release:
    """One that is built and in force."""
    release = write_to_build(tmp_path / "offer")
    assert disk.take(tmp_path / "offer", release) is None
    assert disk.take_built(release, form_in(tmp_path)) is None
    put_in_force(disk, 1, built=digest_of(ADAPTER))
    assert disk.get(SPECIALIST).is_intact
    return release


def put_in_force(disk: DiskStore, number: int, *, built: str = "") -> None:
    activation = Activation(number=number, digest=DIGEST, activated_at_s=5, lease_expires_at_s=9, built=built)
    disk.activate(SPECIALIST, disk.in_force(SPECIALIST).activated(activation))


def code_of(refusal: Refusal | None) -> str:
    return "" if refusal is None else refusal.code


def blobs(tmp_path: Path) -> set[str]:
    root = tmp_path / "models/blobs"
    return {path.name for folder in ("sha256", "sha256-folders") for path in (root / folder).glob("*")}


def test_blobs_are_those_of_the_build_then_those_that_serve(disk: DiskStore, tmp_path: Path) -> None:
    release = write_to_build(tmp_path / "offer")
    assert release.recipe is not None
    assert disk.take(tmp_path / "offer", release) is None
    before = {digest.removeprefix("sha256:") for digest in release.recipe.inputs}
    assert blobs(tmp_path) == before
    other = DiskStore(tmp_path / "models")  # another writer removes nothing that is still to be built of
    other.add(write_specialist(tmp_path / "by_hand", "other", model={"format": "homebred-echo", "other": 1}))
    assert before < blobs(tmp_path)
    other.remove("other")
    assert disk.take_built(release, form_in(tmp_path)) is None
    base, _ = release.recipe.inputs
    assert blobs(tmp_path) == {base.removeprefix("sha256:"), digest_of(ADAPTER).removeprefix("sha256:")}
    assert disk.remove_release(SPECIALIST, 1) > 0
    assert blobs(tmp_path) == set()


@pytest.mark.parametrize("name", ["specialist.toml", "golden/say.again.jsonl", "model.json", "peft/weights"])
def test_a_file_that_is_not_the_signed_one_is_built_of_by_nobody(disk: DiskStore, tmp_path: Path, name: str) -> None:
    release = write_to_build(tmp_path / "offer")
    path = tmp_path / "offer" / name
    body = path.read_bytes()
    path.write_bytes(bytes([body[0] ^ 1]) + body[1:])
    assert code_of(disk.take(tmp_path / "offer", release)) == "damaged"
    assert disk.inputs(release) is None


def test_inputs_that_were_changed_in_the_store_are_not_built_of(
    disk: DiskStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = write_to_build(tmp_path / "offer")
    assert disk.take(tmp_path / "offer", release) is None
    inputs = disk.inputs(release)
    assert inputs is not None
    with monkeypatch.context() as reading:
        reading.setattr(BlobStore, "is_intact", None)
        assert disk.inputs(release) == inputs  # nothing touched them: they are not read once more
    weights = inputs[1] / "weights"
    weights.chmod(0o644)
    weights.write_text(weights.read_text().replace("bred", "fred"))
    assert disk.inputs(release) is None


def test_a_recipe_that_does_not_suit_its_release_is_refused(disk: DiskStore, tmp_path: Path) -> None:
    folder = tmp_path / "offer"
    release = write_to_build(folder)
    recipe = release.recipe
    assert recipe is not None
    elsewhere = replace(recipe, inputs=(digest_of(b"nowhere"), recipe.inputs[1]))
    backwards = replace(recipe, inputs=recipe.inputs[::-1])
    told = [
        code_of(disk.take(folder, replace(release, recipe=wrong)))
        for wrong in (elsewhere, backwards, replace(recipe, form="folder"))
    ]
    assert told == ["unfit", "contradiction", "contradiction"]
    other_base = Constraints(engine="echo", base_digest=digest_of(b"another"))
    assert code_of(disk.take(folder, replace(release, constraints=other_base))) == "base_digest"
    other_engine = Constraints(engine="llamacpp")
    assert code_of(disk.take(folder, replace(release, constraints=other_engine))) == "contradiction"
    assert disk.released() == {}


def test_a_base_that_the_store_has_already_is_built_of_by_its_digest(disk: DiskStore, tmp_path: Path) -> None:
    disk.add(write_specialist(tmp_path / "by_hand", "other"))
    digest = disk.get("other").base_digest
    folder = tmp_path / "offer"
    write_to_build(folder, base=f'digest = "{digest}"')
    (folder / "model.json").unlink()
    release = signed(folder, 1, recipe=recipe_for(folder, digest, "peft"))
    assert disk.take(folder, release) is None
    assert disk.take_built(release, form_in(tmp_path)) is None
    found = disk.stored(SPECIALIST, 1)
    assert found is not None
    assert found.base_digest == digest


def test_a_base_that_is_built_serves_with_the_adapter_that_was_brought(disk: DiskStore, tmp_path: Path) -> None:
    folder = tmp_path / "offer"
    write_specialist(
        folder, SPECIALIST, base='folder = "engine"', further='[adapter]\nfile = "adapter.json"', model=None
    )
    (folder / "adapter.json").write_bytes(ADAPTER)
    (folder / "checkpoint").mkdir()
    (folder / "checkpoint/weights").write_text("weights")
    release = signed(folder, 1, recipe=recipe_for(folder, "checkpoint", makes="base", form="folder"))
    assert disk.take(folder, release) is None
    made = tmp_path / "building/out/base"
    made.mkdir(parents=True)
    (made / "engine").write_text("an engine")
    digest = recipe_for(made.parent, "base").inputs[0]
    form = BuiltForm(path=made, built=Built(digest=digest, builder=BY), took_ms=5)
    assert disk.take_built(release, form) is None
    found = disk.stored(SPECIALIST, 1)
    assert found is not None
    assert (found.base_digest, found.built, found.adapter_digest) == (digest, digest, digest_of(ADAPTER))
    engine = Path(found.base_path) / "engine"
    engine.chmod(0o644)
    engine.write_text("AN engine")
    assert disk.stored(SPECIALIST, 1) is None


def test_what_is_not_what_the_builder_said_is_not_taken(disk: DiskStore, tmp_path: Path) -> None:
    release = write_to_build(tmp_path / "offer")
    assert disk.take(tmp_path / "offer", release) is None
    form = form_in(tmp_path)
    form.path.write_bytes(ADAPTER[:-1])
    with pytest.raises(StateError, match="has changed"):
        disk.take_built(release, form)
    assert disk.built(release) is None
    assert disk.inputs(release) is not None


@pytest.mark.parametrize("keeps_times", [False, True])
def test_bytes_that_were_changed_under_the_same_name_do_not_serve(
    disk: DiskStore, tmp_path: Path, *, keeps_times: bool
) -> None:
    release = served(disk, tmp_path)
    path = Path(disk.get(SPECIALIST).adapter_path)
    before = path.stat()
    path.chmod(0o644)
    path.write_bytes(ADAPTER.replace(b"true", b"null"))
    path.chmod(0o444)
    if keeps_times:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    for reader in (disk, ModelStore(tmp_path / "models")):
        assert not reader.get(SPECIALIST).adapter_is_intact
        assert reader.changed({digest_of(ADAPTER), DIGEST}) == {digest_of(ADAPTER)}
        assert reader.changed({DIGEST, ""}) == frozenset()
    assert disk.stored(SPECIALIST, 1) is None
    assert disk.built(release) is None


def test_a_start_compares_sizes_and_whoever_loads_an_engine_the_bytes(disk: DiskStore, tmp_path: Path) -> None:
    served(disk, tmp_path)
    path = Path(disk.get(SPECIALIST).adapter_path)
    path.chmod(0o644)
    path.write_bytes(ADAPTER.replace(b"true", b"null"))
    starting = ModelStore(tmp_path / "models")
    assert starting.contents().specialists[0].is_intact
    assert starting.changed({digest_of(ADAPTER)}) == {digest_of(ADAPTER)}
    assert not starting.contents(verifies=True).specialists[0].is_intact
    path.write_bytes(ADAPTER[:-1])
    assert not starting.contents().specialists[0].is_intact


def test_another_form_with_all_its_records_does_not_serve_as_the_activation_names_the_one_that_was_measured(
    disk: DiskStore, tmp_path: Path
) -> None:
    served(disk, tmp_path)
    other = ADAPTER.replace(b"true", b"null")
    slot = tmp_path / "models/specialists" / f"{SPECIALIST}@1"
    (tmp_path / "models/blobs/sha256" / digest_of(other).removeprefix("sha256:")).write_bytes(other)
    for name in ("adapter.json", "built.json"):
        record = json.loads((slot / name).read_text()) | {"digest": digest_of(other)}
        (slot / name).write_text(json.dumps(record))
    for _ in range(2):
        assert not disk.get(SPECIALIST).is_intact
        assert not disk.contents().specialists[0].is_intact
        assert disk.stored(SPECIALIST, 1) is None
        (slot / "built.json").unlink(missing_ok=True)


@pytest.mark.parametrize("body", ["", "[]", '{"digest": "x"}', '{"digest": "sha256:' + "a" * 64 + '"}'])
def test_a_record_of_what_was_built_that_cannot_be_read_is_damage(disk: DiskStore, tmp_path: Path, body: str) -> None:
    served(disk, tmp_path)
    (tmp_path / "models/specialists" / f"{SPECIALIST}@1" / "built.json").write_text(body)
    assert disk.stored(SPECIALIST, 1) is None
    assert [each.id for each in disk.contents().damaged] == [SPECIALIST]


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"inputs": [7]}', '{"inputs": [{"digest": "x"}]}'])
def test_a_record_of_what_is_to_be_built_that_cannot_be_read_is_damage_and_nothing_is_collected(
    disk: DiskStore, tmp_path: Path, body: str
) -> None:
    release = write_to_build(tmp_path / "offer")
    assert disk.take(tmp_path / "offer", release) is None
    before = blobs(tmp_path)
    (tmp_path / "models/specialists" / f"{SPECIALIST}@1" / "recipe.json").write_text(body)
    assert disk.inputs(release) is None
    DiskStore(tmp_path / "models")
    assert blobs(tmp_path) == before
