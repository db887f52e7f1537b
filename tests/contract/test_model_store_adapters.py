"""What the model store takes in of adapters, and what it refuses before anything is kept."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.support.specialists import write_specialist
from tests.support.stored_specialists import measured
from tests.support.tiny_gguf import CONTEXT_TOKENS, write_tiny_adapter

from homebred_daemon.adapters.model_store import ModelStore
from homebred_daemon.errors import RequestError, StateError
from homebred_protocol.digests import digest_of

TINY_KV_BYTES = 2 * 2 * (16 + 16) * 2
OTHER_DIGEST = "sha256:" + "b" * 64


def write_adapted(folder: Path, name: str, base: str, *, seed: int = 1, **adapter: Any) -> Path:
    """A specialist with an adapter's file beside it, on a base in the store."""
    written = write_specialist(
        folder,
        name,
        engine="llamacpp",
        base=f'digest = "{base}"',
        further='[adapter]\nfile = "adapter.gguf"',
        model=None,
    )
    write_tiny_adapter(written / "adapter.gguf", seed=seed, **adapter)
    return written


def blobs_in(root: Path) -> list[str]:
    return sorted(path.name for form in ("sha256", "sha256-folders") for path in (root / "blobs" / form).glob("*"))


class TestAdapters:
    def test_many_specialists_share_one_base_and_each_has_its_adapter(
        self, store: ModelStore, root: Path, gguf: Path, tmp_path: Path
    ) -> None:
        base = store.add(gguf).specialist.base_digest
        one = store.add(write_adapted(tmp_path / "one", "one", base)).specialist
        two = store.add(write_adapted(tmp_path / "two", "two", base, seed=2)).specialist
        file = tmp_path / "one/adapter.gguf"
        assert (one.base_digest, two.base_digest) == (base, base)
        assert (one.adapter_digest, one.adapter_bytes) == (digest_of(file.read_bytes()), file.stat().st_size)
        assert Path(one.adapter_path).read_bytes() == file.read_bytes()
        assert one.adapter_digest != two.adapter_digest
        assert len(blobs_in(root)) == 3

    def test_the_store_knows_what_a_plan_of_memory_needs(self, store: ModelStore, gguf: Path) -> None:
        stored = store.add(gguf).specialist
        assert (stored.kv_bytes_per_token, stored.trained_context) == (TINY_KV_BYTES, CONTEXT_TOKENS)

    def test_an_adapter_goes_with_the_last_specialist_that_needs_it(
        self, store: ModelStore, root: Path, gguf: Path, tmp_path: Path
    ) -> None:
        base = store.add(gguf).specialist.base_digest
        for name in ("one", "two"):
            store.add(write_adapted(tmp_path / name, name, base))
        assert store.remove("one").freed_bytes == 0
        assert store.remove("two").freed_bytes == (tmp_path / "two/adapter.gguf").stat().st_size
        assert len(blobs_in(root)) == 1

    def test_an_adapter_in_the_store_is_named_by_digest(self, store: ModelStore, gguf: Path, tmp_path: Path) -> None:
        base = store.add(gguf).specialist.base_digest
        digest = store.add(write_adapted(tmp_path / "one", "one", base)).specialist.adapter_digest
        for name, adapter in (("two", digest), ("three", OTHER_DIGEST)):
            further = f'[adapter]\ndigest = "{adapter}"'
            base_line = f'digest = "{base}"'
            write_specialist(tmp_path / name, name, engine="llamacpp", base=base_line, further=further, model=None)
        assert store.add(tmp_path / "two").specialist.adapter_digest == digest
        with pytest.raises(RequestError, match="does not hold the adapter of three") as caught:
            store.add(tmp_path / "three")
        assert "beside the manifest" in caught.value.hint

    def test_a_base_beside_the_manifest_is_not_mistaken_for_the_adapter(self, store: ModelStore, gguf: Path) -> None:
        write_adapted(gguf.parent, "one", digest_of(gguf.read_bytes()))
        assert store.add(gguf.parent).specialist.is_intact

    @pytest.mark.parametrize(
        ("change", "why"),
        [
            ({"architecture": "qwen2"}, "for the architecture 'qwen2'"),
            ({"blocks": 3}, "which the base does not have"),
            ({"width": 32}, "as one of 32 x 32; the base's has 64 x 64"),
            ({"base_digest": OTHER_DIGEST}, "was made for the base sha256:bbbb"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_an_adapter_for_another_base_is_refused_before_anything_is_kept(
        self, store: ModelStore, gguf: Path, tmp_path: Path, change: dict[str, Any], why: str
    ) -> None:
        base = store.add(gguf).specialist.base_digest
        with pytest.raises(RequestError) as caught:
            store.add(write_adapted(tmp_path / "one", "one", base, **change))
        assert why in caught.value.message
        assert caught.value.message.startswith(f"the adapter {tmp_path / 'one/adapter.gguf'} is refused: ")
        assert "made for this base model" in caught.value.hint
        assert len(blobs_in(tmp_path / "models")) == 1

    def test_an_adapter_that_is_cut_short_or_none_is_refused(
        self, store: ModelStore, gguf: Path, tmp_path: Path
    ) -> None:
        folder = write_adapted(tmp_path / "one", "one", store.add(gguf).specialist.base_digest)
        adapter = folder / "adapter.gguf"
        adapter.write_bytes(adapter.read_bytes()[:-2000])
        with pytest.raises(RequestError, match="truncated"):
            store.add(folder)
        shutil.copy(gguf, adapter)
        with pytest.raises(RequestError, match="not a LoRA adapter"):
            store.add(folder)
        adapter.unlink()
        with pytest.raises(RequestError, match=r"adapter\.gguf is not there, and the manifest names it as its adapter"):
            store.add(folder)

    def test_base_and_adapter_must_have_room_together(self, root: Path, gguf: Path, tmp_path: Path) -> None:
        base_only = gguf.stat().st_size + 512 * TINY_KV_BYTES  # max_context of what these tests write
        base = ModelStore(root).add(gguf).specialist.base_digest
        folder = write_adapted(tmp_path / "one", "one", base)
        with pytest.raises(RequestError, match="may be used"):
            ModelStore(root, memory_budget_bytes=base_only).add(folder)
        adapter_bytes = (folder / "adapter.gguf").stat().st_size
        ModelStore(root, memory_budget_bytes=base_only + adapter_bytes).add(folder)

    def test_what_was_measured_is_void_with_another_adapter(
        self, store: ModelStore, gguf: Path, tmp_path: Path
    ) -> None:
        base = store.add(gguf).specialist.base_digest
        stored = store.add(write_adapted(tmp_path / "old", "one", base)).specialist
        store.record_fitness("one", {"say.again": measured(stored)})
        assert store.get("one").measurements
        new = write_adapted(tmp_path / "new", "one", base, seed=2)
        with pytest.raises(RequestError, match="holds another specialist 'one'"):
            store.add(new)
        assert store.add(new, replaces=True).specialist.measurements == {}
        with pytest.raises(StateError, match="was replaced while it was measured"):
            store.record_fitness("one", {"say.again": measured(stored)})

    def test_a_missing_or_damaged_adapter_is_noticed_and_healed(
        self, store: ModelStore, gguf: Path, tmp_path: Path
    ) -> None:
        folder = write_adapted(tmp_path / "one", "one", store.add(gguf).specialist.base_digest)
        adapter = Path(store.add(folder).specialist.adapter_path)
        adapter.chmod(0o644)
        whole = adapter.read_bytes()
        adapter.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
        one = store.contents().specialists[0]
        assert (one.manifest.id, one.is_intact) == ("one", True)
        one = store.contents(verifies=True).specialists[0]
        assert (one.base_is_intact, one.adapter_is_intact, one.is_intact) == (True, False, False)
        adapter.unlink()
        assert not store.contents().specialists[0].is_intact
        assert store.registry_document()["specialists"][0]["available"] is False
        assert store.add(folder).change == "unchanged"
        assert store.contents(verifies=True).specialists[0].is_intact

    def test_an_adapter_record_that_is_lost_or_damaged_is_told(
        self, store: ModelStore, root: Path, gguf: Path, tmp_path: Path
    ) -> None:
        store.add(write_adapted(tmp_path / "one", "one", store.add(gguf).specialist.base_digest))
        record = root / "specialists/one/adapter.json"
        record.write_text("{}")
        assert [damaged.id for damaged in store.contents().damaged] == ["one"]
        assert store.remove("tiny-model-q4").freed_bytes == 0
        record.unlink()
        (damaged,) = store.contents().damaged
        assert "another adapter than its manifest names" in damaged.why

    def test_an_adapter_is_refused_where_the_engine_serves_none(self, store: ModelStore, tmp_path: Path) -> None:
        folder = write_specialist(tmp_path / "one", engine="openai_server", further='[adapter]\nfile = "model.json"')
        with pytest.raises(RequestError, match="the engine openai_server serves no adapters") as caught:
            store.add(folder)
        assert "leave [adapter] out" in caught.value.hint

    def test_an_adapter_of_a_form_that_its_engine_does_not_take_is_refused(
        self, store: ModelStore, gguf: Path, tmp_path: Path
    ) -> None:
        folder = write_adapted(tmp_path / "one", "one", store.add(gguf).specialist.base_digest)
        manifest = folder / "specialist.toml"
        manifest.write_text(manifest.read_text().replace('file = "adapter.gguf"', 'folder = "golden"'))
        with pytest.raises(RequestError, match="is a folder, and the engine llamacpp takes a GGUF adapter file"):
            store.add(folder)
