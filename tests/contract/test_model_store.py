"""What the model store promises, on real files."""

from __future__ import annotations

import json
import resource
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.support.specialists import write_specialist

from homebred_daemon.adapters.model_store import ModelStore
from homebred_daemon.core.measurements import Measurement
from homebred_daemon.core.shelf import StoredSpecialist
from homebred_daemon.errors import RequestError, StateError
from homebred_protocol.documents.registry import read_registry


def ids_in(store: ModelStore) -> list[str]:
    return [stored.manifest.id for stored in store.contents().specialists]


def blobs_in(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "blobs/sha256").iterdir()) if (root / "blobs").exists() else []


def measured(stored: StoredSpecialist, fitness: float = 0.75) -> Measurement:
    return Measurement(
        fitness=fitness,
        samples=3,
        golden_digest="sha256:g",
        manifest_digest=stored.manifest.digest,
        base_digest=stored.base_digest,
        measured_at_utc=datetime(2026, 11, 23, tzinfo=UTC),
        engine="echo",
        engine_version="1",
        tokens_per_s=50.0,
        p95_s=0.25,
    )


class TestAddingAgain:
    def test_the_same_content_twice_changes_nothing_and_keeps_its_fitness(
        self, store: ModelStore, folder: Path, tmp_path: Path
    ) -> None:
        stored = store.add(folder).specialist
        store.record_fitness("parrot", {"say.again": measured(stored)})
        again = store.add(shutil.copytree(folder, tmp_path / "copy"))
        assert again.change == "unchanged"
        assert again.specialist.measurements["say.again"].samples == 3

    def test_other_content_under_the_same_id_is_refused(self, store: ModelStore, folder: Path, tmp_path: Path) -> None:
        store.add(folder)
        with pytest.raises(RequestError, match="holds another specialist 'parrot'") as caught:
            store.add(write_specialist(tmp_path / "new", title="Other"))
        assert "--replace" in caught.value.hint
        assert store.get("parrot").manifest.title == "Says it again"

    @pytest.mark.parametrize("part", ["title", "rows", "model"])
    def test_other_content_replaces_it_where_asked_and_voids_its_fitness(
        self, store: ModelStore, root: Path, folder: Path, tmp_path: Path, part: str
    ) -> None:
        stored = store.add(folder).specialist
        store.record_fitness("parrot", {"say.again": measured(stored)})
        other: dict[str, object] = {
            "title": "Other",
            "rows": ({"input": "x", "expected": "x"},),
            "model": {"format": "homebred-echo", "logprob": -1.0},
        }
        new = write_specialist(tmp_path / "new", **{part: other[part]})  # type: ignore[arg-type]  # one of three types
        replaced = store.add(new, replaces=True)
        assert (replaced.change, replaced.specialist.measurements) == ("replaced", {})
        assert blobs_in(root) == [replaced.specialist.base_digest.removeprefix("sha256:")]

    def test_adding_the_same_again_heals_a_damaged_base(self, store: ModelStore, folder: Path) -> None:
        base = Path(store.add(folder).specialist.base_path)
        base.chmod(0o644)
        base.write_bytes(b"x" * base.stat().st_size)
        assert not store.contents(verifies=True).specialists[0].base_is_intact
        assert store.add(folder).change == "unchanged"
        assert store.contents(verifies=True).specialists[0].base_is_intact

    def test_a_damaged_specialist_is_replaced_only_where_asked(
        self, store: ModelStore, root: Path, folder: Path
    ) -> None:
        store.add(folder)
        (root / "specialists/parrot/base.json").write_text("{")
        with pytest.raises(RequestError, match="another specialist"):
            store.add(folder)
        assert store.add(folder, replaces=True).change == "replaced"
        assert store.get("parrot").base_is_intact


class TestListing:
    def test_specialists_come_by_id_with_base_size_and_fitness(
        self, store: ModelStore, folder: Path, gguf: Path
    ) -> None:
        store.add(gguf)
        stored = store.add(folder).specialist
        store.record_fitness("parrot", {"say.again": measured(stored)})
        parrot, tiny = store.contents().specialists
        assert (parrot.manifest.id, tiny.manifest.id) == ("parrot", "tiny-model-q4")
        assert (parrot.base_bytes, tiny.base_bytes) == ((folder / "model.json").stat().st_size, gguf.stat().st_size)
        assert parrot.measurements == {"say.again": measured(stored)}

    def test_a_store_that_was_never_written_is_empty(self, store: ModelStore, root: Path) -> None:
        assert store.contents().specialists == ()
        assert store.registry_document() == {"specialists": []}
        assert not root.exists()

    def test_a_missing_or_shortened_base_is_noticed_at_once_and_a_flipped_bit_when_verifying(
        self, store: ModelStore, folder: Path
    ) -> None:
        base = Path(store.add(folder).specialist.base_path)
        whole = base.read_bytes()
        base.chmod(0o644)
        base.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
        assert store.contents().specialists[0].base_is_intact
        assert not store.contents(verifies=True).specialists[0].base_is_intact
        base.write_bytes(whole[:-1])
        assert not store.contents().specialists[0].base_is_intact
        base.unlink()
        assert not store.contents(verifies=True).specialists[0].base_is_intact
        (entry,) = store.registry_document()["specialists"]
        assert entry["available"] is False

    def test_a_damaged_specialist_is_told_apart_and_hides_no_other(
        self, store: ModelStore, root: Path, folder: Path, gguf: Path
    ) -> None:
        store.add(gguf)
        store.add(folder)
        (root / "specialists/parrot/specialist.toml").write_text("id = ")
        shelf = store.contents()
        assert [stored.manifest.id for stored in shelf.specialists] == ["tiny-model-q4"]
        assert [(damaged.id, "is not TOML" in damaged.why) for damaged in shelf.damaged] == [("parrot", True)]
        with pytest.raises(StateError, match="is not TOML"):
            store.get("parrot")

    def test_no_base_is_given_up_while_a_damaged_specialist_may_need_it(
        self, store: ModelStore, root: Path, folder: Path, gguf: Path
    ) -> None:
        store.add(gguf)
        store.add(folder)
        (root / "specialists/parrot/base.json").unlink()
        assert store.remove("tiny-model-q4").freed_bytes == 0
        assert len(blobs_in(root)) == 2
        store.remove("parrot")
        assert blobs_in(root) == []

    def test_a_folder_under_a_foreign_name_is_not_taken_for_its_specialist(
        self, store: ModelStore, root: Path, folder: Path
    ) -> None:
        store.add(folder)
        shutil.copytree(root / "specialists/parrot", root / "specialists/raven")
        assert [damaged.id for damaged in store.contents().damaged] == ["raven"]


class TestRemoving:
    def test_a_base_goes_with_the_last_specialist_that_needs_it(
        self, store: ModelStore, root: Path, folder: Path, tmp_path: Path
    ) -> None:
        store.add(folder)
        store.add(write_specialist(tmp_path / "raven", "raven"))
        assert store.remove("parrot").freed_bytes == 0
        assert len(blobs_in(root)) == 1
        assert store.remove("raven").freed_bytes == (folder / "model.json").stat().st_size
        assert blobs_in(root) == []
        assert ids_in(store) == []

    @pytest.mark.parametrize("unknown", ["raven", "../models", "", "/", ".", ".lock"])
    def test_an_unknown_specialist_is_refused_and_those_there_are_named(
        self, store: ModelStore, folder: Path, unknown: str
    ) -> None:
        store.add(folder)
        with pytest.raises(RequestError, match="has no specialist") as caught:
            store.remove(unknown)
        assert "parrot" in caught.value.hint
        assert ids_in(store) == ["parrot"]


class TestFitness:
    def test_it_is_kept_by_workflow_and_reaches_the_registry(self, store: ModelStore, folder: Path) -> None:
        stored = store.add(folder).specialist
        store.record_fitness("parrot", {"say.again": measured(stored)})
        registry = read_registry(store.registry_document(), "")
        ((specialist, fitness),) = registry.measured_for("say.again")
        assert (specialist.id, fitness.fitness, fitness.samples) == ("parrot", 0.75, 3)
        assert (specialist.tokens_per_s, specialist.p95_s) == (50.0, 0.25)

    def test_it_is_void_once_the_manifest_is_another(self, store: ModelStore, root: Path, folder: Path) -> None:
        stored = store.add(folder).specialist
        store.record_fitness("parrot", {"say.again": measured(stored)})
        manifest = root / "specialists/parrot/specialist.toml"
        manifest.write_text(manifest.read_text().replace("Says it again", "Says it better"))
        changed = store.get("parrot")
        assert changed.measurements == {}
        assert "run `homebred models evaluate parrot`" in changed.note

    def test_it_is_not_kept_for_a_specialist_that_was_replaced_meanwhile(
        self, store: ModelStore, folder: Path, tmp_path: Path
    ) -> None:
        before = store.add(folder).specialist
        store.add(write_specialist(tmp_path / "new", title="Other"), replaces=True)
        with pytest.raises(StateError, match="was replaced while it was measured"):
            store.record_fitness("parrot", {"say.again": measured(before)})
        assert store.get("parrot").measurements == {}

    def test_a_second_measurement_takes_the_place_of_the_first_and_of_no_other(
        self, store: ModelStore, folder: Path
    ) -> None:
        stored = store.add(folder).specialist
        store.record_fitness("parrot", {"say.again": measured(stored), "other": measured(stored)})
        store.record_fitness("parrot", {"say.again": measured(stored, 0.5)})
        figures = {name: each.fitness for name, each in store.get("parrot").measurements.items()}
        assert figures == {"say.again": 0.5, "other": 0.75}

    @pytest.mark.parametrize("body", ["", "{", '{"workflows": {"w": {"fitness": 2}}}', "[" * 100_000])
    def test_a_damaged_file_costs_the_figures_and_not_the_specialist(
        self, store: ModelStore, root: Path, folder: Path, body: str
    ) -> None:
        store.add(folder)
        (root / "specialists/parrot/fitness.json").write_text(body)
        stored = store.get("parrot")
        assert stored.measurements == {}
        assert "fitness.json cannot be read" in stored.note

    def test_a_golden_set_is_found_by_workflow_or_refused(self, store: ModelStore, folder: Path, gguf: Path) -> None:
        store.add(folder)
        store.add(gguf)
        with pytest.raises(RequestError, match="has no workflow 'other'") as caught:
            store.golden_path("parrot", "other")
        assert "say.again" in caught.value.hint
        with pytest.raises(RequestError, match="brings no golden set") as caught:
            store.golden_path("tiny-model-q4", "*")
        assert "--golden" in caught.value.hint


class TestFaultsAndNeighbours:
    def test_a_full_disk_is_said_and_leaves_the_store_as_it_was(
        self, store: ModelStore, root: Path, gguf: Path
    ) -> None:
        with files_of_at_most(100_000), pytest.raises(StateError, match="cannot be used: File too large") as caught:
            store.add(gguf)
        assert "room" in caught.value.hint
        assert (ids_in(store), blobs_in(root)) == ([], [])

    def test_a_full_disk_under_a_replacement_leaves_the_old_specialist(
        self, store: ModelStore, root: Path, folder: Path, tmp_path: Path
    ) -> None:
        store.add(folder)
        rows = tuple({"input": f"{number}", "expected": "x"} for number in range(1000))
        new = write_specialist(tmp_path / "new", title="Other", rows=rows)
        with files_of_at_most(1000), pytest.raises(StateError):
            store.add(new, replaces=True)
        assert store.get("parrot").manifest.title == "Says it again"
        assert [path.name for path in (root / "specialists").iterdir()] == ["parrot"]

    def test_a_store_whose_place_is_taken_by_a_file_says_so(self, root: Path, folder: Path) -> None:
        root.write_text("")
        with pytest.raises(StateError, match="cannot be used") as caught:
            ModelStore(root).add(folder)
        assert "check that its folder" in caught.value.hint

    def test_writers_take_turns(self, root: Path, tmp_path: Path) -> None:
        names = [f"parrot-{number}" for number in range(6)]
        folders = [write_specialist(tmp_path / name, name, model={"format": "homebred-echo"}) for name in names]
        with ThreadPoolExecutor(len(names)) as pool:
            changes = list(pool.map(lambda folder: ModelStore(root).add(folder).change, folders))
        assert changes == ["added"] * len(names)
        assert ids_in(ModelStore(root)) == names

    def test_a_reader_beside_a_writer_at_work_sees_the_old_and_breaks_nothing(
        self, store: ModelStore, root: Path, folder: Path, gguf: Path
    ) -> None:
        store.add(folder)
        seen: list[list[str]] = []

        def look(step: str, _done_bytes: int, _total_bytes: int) -> None:
            if step == "copying":
                seen.append(ids_in(ModelStore(root)))

        store.add(gguf, progress=look)
        assert seen
        assert all(ids == ["parrot"] for ids in seen)
        assert ids_in(store) == ["parrot", "tiny-model-q4"]

    def test_the_registry_document_is_the_same_for_the_same_content(
        self, store: ModelStore, folder: Path, gguf: Path, tmp_path: Path
    ) -> None:
        other = ModelStore(tmp_path / "other")
        for source in (folder, gguf):
            store.add(source)
        for source in (gguf, folder):
            other.add(source)
        assert json.dumps(store.registry_document()) == json.dumps(other.registry_document())

    def test_verifying_two_specialists_on_one_base_reads_it_once(
        self, store: ModelStore, folder: Path, tmp_path: Path
    ) -> None:
        store.add(folder)
        store.add(write_specialist(tmp_path / "raven", "raven"))
        heard: list[str] = []
        shelf = store.contents(verifies=True, progress=lambda step, done, _total: heard.append(f"{step} {done}"))
        assert heard.count("verifying 0") == 1
        assert all(stored == replace(stored, base_is_intact=True) for stored in shelf.specialists)


@contextmanager
def files_of_at_most(max_bytes: int) -> Iterator[None]:
    """The kernel refuses longer files: the nearest thing to a full disk that needs no disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (max_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
