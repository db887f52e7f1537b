"""What the model store takes in of what was built for an engine, and of adapters in PEFT's form."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.support.build_orders import FITTING_CONFIG, NOW, adapter_in, order_in
from tests.support.checkpoints import write_checkpoint
from tests.support.edgellm_bundles import KV_BYTES_PER_TOKEN, write_adapter, write_bundle
from tests.support.peft_folders import random_factors, write_peft_folder
from tests.support.specialists import write_specialist

from homebred_daemon.adapters.model_store import ModelStore
from homebred_daemon.errors import RequestError
from homebred_engines.build import build
from homebred_engines.build_files import digest_of_files, digests_below
from homebred_engines.build_manifest import BuildManifest, written

DIGEST = "sha256:" + "a" * 64


def write_trtllm(folder: Path, *, further: str = "", built_for: str | None = None) -> Path:
    """A specialist on a checkpoint folder, with a build's manifest in it where it was built for a GPU."""
    base = write_checkpoint(folder / "model", **FITTING_CONFIG)
    if built_for is not None:
        write_build(base, built_for)
    return write_specialist(folder, engine="trtllm", base='folder = "model"', further=further, model=None)


def write_edgellm(folder: Path) -> Path:
    """A specialist on an engine folder, with an adapter that fits it."""
    write_build(write_bundle(folder / "engine"), "sm_87", engine="edgellm")
    write_adapter(folder / "notes.safetensors", "")
    further = '[adapter]\nfile = "notes.safetensors"'
    return write_specialist(folder, engine="edgellm", base='folder = "engine"', further=further, model=None)


def write_build(base: Path, gpu_architecture: str, engine: str = "trtllm") -> None:
    manifest = BuildManifest(
        engine=engine,
        engine_version="1.2.1",
        gpu_architecture=gpu_architecture,
        source_digest=DIGEST,
        adapter_source_digest="",
        files=digests_below(base),
        built_at_utc=NOW.isoformat(),
    )
    (base / "homebred-build.json").write_bytes(written(manifest))


class TestBuilds:
    @pytest.mark.parametrize("engine", ["llamacpp", "trtllm"])
    def test_what_was_built_is_taken_as_it_is(self, store: ModelStore, tmp_path: Path, engine: str) -> None:
        order = order_in(tmp_path, engine, adapter=adapter_in(tmp_path))
        build(order, now=NOW, hear=lambda _: None)
        stored = store.add(order.out).specialist
        assert (stored.manifest.id, stored.is_intact) == ("house-notes", True)
        assert stored.adapter_digest
        assert (stored.kv_bytes_per_token, stored.trained_context) == (256, 8192)

    def test_a_folder_has_the_name_in_the_store_that_its_build_wrote_down(
        self, store: ModelStore, tmp_path: Path
    ) -> None:
        order = order_in(tmp_path, "trtllm", adapter=adapter_in(tmp_path))
        manifest = build(order, now=NOW, hear=lambda _: None)
        stored = store.add(order.out).specialist
        assert (stored.base_digest, stored.adapter_digest) == (manifest.source_digest, manifest.adapter_source_digest)
        assert stored.base_digest == digest_of_files((order.out / "base").iterdir())

    def test_the_gpu_that_a_folder_was_built_for_is_kept(self, store: ModelStore, tmp_path: Path) -> None:
        assert store.add(write_trtllm(tmp_path / "one", built_for="sm_87")).specialist.gpu_architecture == "sm_87"
        assert store.get("parrot").gpu_architecture == "sm_87"
        for name, built_for in (("any", ""), ("never", None)):
            folder = write_trtllm(tmp_path / name, built_for=built_for)
            assert store.add(folder, replaces=True).specialist.gpu_architecture == ""

    @pytest.mark.parametrize("change", ["content", "name", "more", "less"])
    def test_a_folder_that_is_not_what_was_built_is_refused(
        self, store: ModelStore, root: Path, tmp_path: Path, change: str
    ) -> None:
        folder = write_trtllm(tmp_path / "one")
        notes = folder / "model/notes.txt"
        notes.write_text("one")
        (folder / "model/.hidden").write_text("left out by the store")
        write_build(folder / "model", "sm_87")
        if change == "content":
            notes.write_text("two")
        elif change == "name":
            notes.rename(notes.with_name("n.txt"))
        elif change == "more":
            notes.with_name("z.json").write_text("{}")
        else:
            notes.unlink()
        with pytest.raises(RequestError, match="is not what was built, as") as caught:
            store.add(folder)
        assert "build it again" in caught.value.hint
        assert not root.exists()

    def test_what_was_built_for_another_engine_or_says_nothing_sensible_is_refused(
        self, store: ModelStore, tmp_path: Path
    ) -> None:
        folder = write_trtllm(tmp_path / "one")
        write_build(folder / "model", "sm_87", engine="edgellm")
        with pytest.raises(
            RequestError, match="was built for the engine edgellm, and the manifest names trtllm"
        ) as caught:
            store.add(folder)
        assert caught.value.hint
        (folder / "model/homebred-build.json").write_text(json.dumps({"gpu_architecture": "sm_87"}))
        with pytest.raises(RequestError, match="is not of version 1"):
            store.add(folder)


class TestEngineFolders:
    def test_one_is_kept_with_its_gpu_and_what_it_was_built_for(self, store: ModelStore, tmp_path: Path) -> None:
        stored = store.add(write_edgellm(tmp_path / "one")).specialist
        assert (stored.gpu_architecture, stored.trained_context) == ("sm_87", 2048)
        assert stored.kv_bytes_per_token == KV_BYTES_PER_TOKEN
        assert stored.adapter_bytes == (tmp_path / "one/notes.safetensors").stat().st_size

    @pytest.mark.parametrize(
        ("change", "why"),
        [
            ({"hidden": 128}, "adapts a base of width 128, and this one has 64"),
            ({"layers": 3}, "adapts layer 2 of another base"),
            ({"rank": 17}, "has rank 17, and the engine was built for adapters of rank 16"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_an_adapter_for_another_base_is_refused(
        self, store: ModelStore, root: Path, tmp_path: Path, change: dict[str, int], why: str
    ) -> None:
        folder = write_edgellm(tmp_path / "one")
        write_adapter(folder / "notes.safetensors", "", **change)
        with pytest.raises(RequestError) as caught:
            store.add(folder)
        assert why in caught.value.message
        assert caught.value.message.startswith(f"the adapter {folder / 'notes.safetensors'} is refused: ")
        assert not root.exists()

    def test_one_that_is_not_whole_is_refused(self, store: ModelStore, tmp_path: Path) -> None:
        folder = write_edgellm(tmp_path / "one")
        (folder / "engine/llm.engine").unlink()
        with pytest.raises(RequestError, match="engine is refused: engine lacks llm") as caught:
            store.add(folder)
        assert caught.value.hint


class TestPeftAdapters:
    def test_one_that_fits_its_checkpoint_is_kept(self, store: ModelStore, tmp_path: Path) -> None:
        folder = write_trtllm(tmp_path / "one", further='[adapter]\nfolder = "notes"')
        files = list(adapter_in(folder).iterdir())
        stored = store.add(folder).specialist
        assert stored.adapter_digest == digest_of_files(files)
        assert stored.adapter_bytes == sum(path.stat().st_size for path in files)

    @pytest.mark.parametrize(
        ("config", "why"),
        [
            ({"num_hidden_layers": 1}, "of layer 1, which model does not have"),
            ({"hidden_size": 32}, "in model it is one from 32 to 32"),
            ({"intermediate_size": None}, "adapts gate_proj of layer 0, which model does not have"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_one_for_another_base_is_refused(
        self, store: ModelStore, tmp_path: Path, config: dict[str, object], why: str
    ) -> None:
        write_checkpoint(tmp_path / "model", **{**FITTING_CONFIG, **config})
        adapter_in(tmp_path)
        further = '[adapter]\nfolder = "notes"'
        write_specialist(tmp_path, engine="trtllm", base='folder = "model"', further=further, model=None)
        with pytest.raises(RequestError) as caught:
            store.add(tmp_path)
        assert caught.value.message.startswith(f"the adapter {tmp_path / 'notes'} is refused: ")
        assert why in caught.value.message
        assert "bred on" in caught.value.hint

    def test_one_that_cannot_be_served_is_refused(self, store: ModelStore, tmp_path: Path) -> None:
        folder = write_trtllm(tmp_path / "one", further='[adapter]\nfolder = "notes"')
        write_peft_folder(folder / "notes", random_factors(), config={"use_dora": True})
        with pytest.raises(RequestError, match="DoRA") as caught:
            store.add(folder)
        assert "plain LoRA" in caught.value.hint
