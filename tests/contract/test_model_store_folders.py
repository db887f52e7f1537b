"""What the model store takes in of folders, and what it refuses before anything is kept."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest
from tests.support.checkpoints import KV_BYTES_PER_TOKEN, write_checkpoint
from tests.support.specialists import write_specialist, write_specialist_of_folders
from tests.support.stored_specialists import leftovers_in, specialists_of

from homebred_daemon.adapters.model_store import ModelStore
from homebred_daemon.errors import RequestError


def write_trtllm(folder: Path, **config: object) -> Path:
    write_checkpoint(folder / "house-model", **config)
    return write_specialist(folder, engine="trtllm", base='folder = "house-model"', model=None)


def blobs_in(root: Path) -> list[str]:
    return sorted(path.name for form in ("sha256", "sha256-folders") for path in (root / "blobs" / form).glob("*"))


def hex_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class TestFolders:
    def test_a_checkpoint_folder_becomes_a_base(self, store: ModelStore, tmp_path: Path) -> None:
        folder = write_trtllm(tmp_path / "trt")
        stored = store.add(folder).specialist
        base = Path(stored.base_path)
        files = [path for path in (folder / "house-model").rglob("*") if path.is_file()]
        assert stored.base_bytes == sum(path.stat().st_size for path in files)
        assert all((base / path.name).read_bytes() == path.read_bytes() for path in files)
        assert (stored.kv_bytes_per_token, stored.trained_context) == (KV_BYTES_PER_TOKEN, 8192)
        assert stored.gpu_architecture == ""

    def test_a_folder_is_the_same_whatever_its_times_rights_and_hidden_files(
        self, store: ModelStore, root: Path, tmp_path: Path
    ) -> None:
        first = store.add(write_trtllm(tmp_path / "one")).specialist
        second = shutil.copytree(tmp_path / "one", tmp_path / "two")
        hidden = second / "house-model/.cache/download.lock"
        hidden.parent.mkdir()
        hidden.write_text("")
        (second / "house-model/empty").mkdir()
        os.utime(second / "house-model/config.json", (0, 0))
        (second / "house-model/config.json").chmod(0o600)
        assert store.add(second).change == "unchanged"
        assert [path.name for path in Path(first.base_path).iterdir() if path.name.startswith((".", "empty"))] == []
        assert len(blobs_in(root)) == 1

    @pytest.mark.parametrize("change", ["content", "name", "place", "more"])
    def test_another_content_name_or_place_is_another_folder(
        self, store: ModelStore, tmp_path: Path, change: str
    ) -> None:
        first = store.add(write_specialist_of_folders(tmp_path / "one")).specialist
        part = write_specialist_of_folders(tmp_path / "two") / "base/weights/part-2.bin"
        if change == "content":
            part.write_text("x")
        elif change == "name":
            part.rename(part.with_name("part-3.bin"))
        elif change == "place":
            part.rename(part.parent.parent / part.name)
        else:
            part.with_name("part-3.bin").write_text("")
        second = store.add(tmp_path / "two", replaces=True)
        assert second.change == "replaced"
        assert second.specialist.base_digest != first.base_digest
        assert second.specialist.adapter_digest == first.adapter_digest

    def test_a_damaged_folder_is_noticed_and_healed(self, store: ModelStore, root: Path, tmp_path: Path) -> None:
        folder = write_specialist_of_folders(tmp_path / "one")
        part = Path(store.add(folder).specialist.base_path) / "weights/part-1.bin"
        part.chmod(0o644)
        part.write_text("x" * part.stat().st_size)
        assert store.contents().specialists[0].is_intact
        assert not store.contents(verifies=True).specialists[0].is_intact
        part.unlink()
        assert not store.contents().specialists[0].is_intact
        assert store.add(folder).change == "unchanged"
        assert specialists_of(store)
        assert leftovers_in(root) == []

    def test_the_folder_may_change_or_go_afterwards(self, store: ModelStore, tmp_path: Path) -> None:
        folder = write_specialist_of_folders(tmp_path / "one")
        store.add(folder)
        (folder / "base/weights/part-1.bin").write_text("overwritten")
        shutil.rmtree(folder)
        assert specialists_of(store)

    def test_a_folder_that_changes_while_it_is_added_is_refused(
        self, store: ModelStore, root: Path, tmp_path: Path
    ) -> None:
        folder = write_specialist_of_folders(tmp_path / "one")

        def meddle(step: str, done_bytes: int, _total_bytes: int) -> None:
            if step == "copying" and not done_bytes:
                (folder / "base/weights/part-2.bin").write_text("more")

        with pytest.raises(RequestError, match="changed while it was being added"):
            store.add(folder, progress=meddle)
        assert (store.contents().specialists, blobs_in(root)) == ((), [])

    def test_an_adapter_that_changes_while_it_is_added_takes_its_base_with_it(
        self, store: ModelStore, root: Path, tmp_path: Path
    ) -> None:
        folder = write_specialist_of_folders(tmp_path / "one")

        def meddle(step: str, done_bytes: int, _total_bytes: int) -> None:
            if step == "copying" and not done_bytes:
                (folder / "adapter/adapter_config.json").write_text("{ }")

        with pytest.raises(RequestError, match="adapter changed while it was being added"):
            store.add(folder, progress=meddle)
        assert (store.contents().specialists, blobs_in(root)) == ((), [])

    def test_progress_counts_the_bytes_of_a_folder_up_to_all_of_them(self, store: ModelStore, tmp_path: Path) -> None:
        heard: list[tuple[str, int, int]] = []
        stored = store.add(write_trtllm(tmp_path / "one"), progress=lambda *step: heard.append(step)).specialist
        size = stored.base_bytes
        assert heard[0] == ("reading", 0, size)
        assert heard[-1] == ("copying", size, size)
        assert {total for _, _, total in heard} == {size}

    @pytest.mark.parametrize("planted", ["link", "folder link", "pipe", "name", "many", "deep", "nothing"])
    def test_what_has_no_place_in_a_store_is_refused(
        self, store: ModelStore, root: Path, tmp_path: Path, planted: str
    ) -> None:
        base = write_specialist_of_folders(tmp_path / "one") / "base"
        whys = {"many": "more than 1000", "deep": "more than 8 folders within", "nothing": "holds no file"}
        whys |= {"pipe": "neither a file nor a folder", "name": "unprintable name"}
        if planted == "link":
            (base / "weights.bin").symlink_to("/etc/passwd")
        elif planted == "folder link":
            (base / "further").symlink_to(tmp_path)
        elif planted == "pipe":
            os.mkfifo(base / "pipe")
        elif planted == "name":
            (base / "a\nb").write_text("")
        elif planted == "many":
            for number in range(1000):
                (base / f"{number}").touch()
        elif planted == "deep":
            base.joinpath(*"123456789").mkdir(parents=True)
        else:
            shutil.rmtree(base)
            base.mkdir()
        with pytest.raises(RequestError, match=whys.get(planted, "is a link")) as caught:
            store.add(tmp_path / "one")
        assert caught.value.hint
        assert not root.exists()

    def test_a_pipe_in_the_place_of_a_file_is_refused_without_opening_it(
        self, store: ModelStore, tmp_path: Path
    ) -> None:
        config = write_trtllm(tmp_path / "one") / "house-model/config.json"
        config.unlink()
        os.mkfifo(config)
        with pytest.raises(RequestError, match="neither a file nor a folder"):
            store.add(tmp_path / "one")

    def test_a_link_in_a_folders_place_is_refused(self, store: ModelStore, tmp_path: Path) -> None:
        base = write_specialist_of_folders(tmp_path / "one") / "base"
        base.rename(tmp_path / "elsewhere")
        base.symlink_to(tmp_path / "elsewhere")
        with pytest.raises(RequestError, match="base is not there"):
            store.add(tmp_path / "one")

    def test_a_file_that_holds_a_folders_listing_is_another_blob(self, store: ModelStore, tmp_path: Path) -> None:
        folder = write_specialist_of_folders(tmp_path / "one", "one")
        stored = store.add(folder).specialist
        files = sorted(path for path in (folder / "base").rglob("*") if path.is_file())
        lines = [f"{hex_digest(path)} {path.stat().st_size} {path.relative_to(folder / 'base')}\n" for path in files]
        write_specialist(tmp_path / "two", "two", model=None)
        (tmp_path / "two/model.json").write_text("".join(lines))
        alike = store.add(tmp_path / "two").specialist
        assert alike.base_digest == stored.base_digest  # as `docs/cli.md` says how it is made
        assert alike.base_path != stored.base_path
        store.remove("one")
        assert [each.manifest.id for each in specialists_of(store)] == ["two"]

    def test_a_folder_that_is_no_whole_checkpoint_is_refused(self, store: ModelStore, tmp_path: Path) -> None:
        folder = write_trtllm(tmp_path / "one")
        weights = folder / "house-model/model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-1])
        with pytest.raises(RequestError, match="house-model is refused"):
            store.add(folder)

    @pytest.mark.parametrize(("engine", "form"), [("llamacpp", "folder"), ("trtllm", "file")])
    def test_what_an_engine_does_not_take_is_refused(
        self, store: ModelStore, gguf: Path, tmp_path: Path, engine: str, form: str
    ) -> None:
        folder = write_trtllm(tmp_path / "one")
        shutil.copy(gguf, folder / "model.gguf")
        base = f'{form} = "{"model.gguf" if form == "file" else "house-model"}"'
        write_specialist(folder, engine=engine, base=base, model=None)
        with pytest.raises(RequestError, match=f"is a {form}, and the engine {engine} takes a") as caught:
            store.add(folder)
        assert "another engine" in caught.value.hint
