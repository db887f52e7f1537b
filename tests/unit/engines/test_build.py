from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from tests.support.build_orders import NOW, adapter_in, order_in
from tests.support.checkpoints import WEIGHTS, write_checkpoint

from homebred_engines.api import AdapterRefusedError, EngineError, ModelRefusedError
from homebred_engines.build import BuildOrder, build
from homebred_engines.build_errors import BuildFailedError, BuildRefusedError
from homebred_engines.build_files import digest_of_file
from homebred_engines.build_manifest import BuildManifest, read_build
from homebred_engines.gguf_adapter import read_gguf_adapter
from homebred_protocol.digests import digest_of


def built(order: BuildOrder) -> BuildManifest:
    return build(order, now=NOW, hear=print)


def specialist(order: BuildOrder) -> dict[str, Any]:
    return tomllib.loads((order.out / "specialist.toml").read_text())


def files_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_gguf_file_is_taken_as_it_is_and_its_adapter_is_converted(tmp_path: Path) -> None:
    order = order_in(tmp_path, "llamacpp", adapter=adapter_in(tmp_path))
    manifest = built(order)
    assert files_below(order.out) == ["adapter.gguf", "base.gguf", "homebred-build.json", "specialist.toml"]
    assert (order.out / "base.gguf").read_bytes() == order.source.read_bytes()
    assert read_gguf_adapter(order.out / "adapter.gguf").base_digest == manifest.source_digest
    assert manifest.source_digest == digest_of_file(order.source) == manifest.files["base.gguf"]
    assert (manifest.engine, manifest.engine_version, manifest.gpu_architecture) == ("llamacpp", "1.2.3", "")
    assert manifest.built_at_utc == "2026-11-30T12:00:00+00:00"
    assert specialist(order) == {
        "version": 1,
        "id": "house-notes",
        "title": "tiny.gguf for llamacpp",
        "engine": "llamacpp",
        "base": {"file": "base.gguf"},
        "adapter": {"file": "adapter.gguf"},
        "workflows": {"*": {}},
    }


def test_what_the_manifest_says_of_the_files_is_what_is_there(tmp_path: Path) -> None:
    order = order_in(tmp_path, "trtllm", adapter=adapter_in(tmp_path))
    manifest = built(order)
    assert read_build(order.out) == manifest
    found = {name: digest_of((order.out / name).read_bytes()) for name in files_below(order.out)}
    del found["homebred-build.json"]
    assert manifest.files == found


def test_the_same_order_makes_the_same_bytes(tmp_path: Path) -> None:
    contents = []
    for name in ("one", "other"):
        order = order_in(tmp_path / name, "llamacpp", adapter=adapter_in(tmp_path / name))
        built(order)
        contents.append([(order.out / file).read_bytes() for file in files_below(order.out)])
    assert contents[0] == contents[1]


def test_a_checkpoint_is_taken_as_it_is_without_what_is_not_served(tmp_path: Path) -> None:
    order = order_in(tmp_path, "trtllm", adapter=adapter_in(tmp_path))
    for name in ("pytorch_model.bin", "modeling_evil.py", ".gitattributes", "model.gguf", "LICENSE", "merges.txt"):
        (order.source / name).write_text(name)
    (order.source / "original").mkdir()
    built(order)
    assert files_below(order.out) == [
        "adapter/adapter_config.json",
        "adapter/adapter_model.safetensors",
        *(f"base/{name}" for name in ("LICENSE", "config.json", "merges.txt", "model.safetensors", "tokenizer.json")),
        "base/tokenizer_config.json",
        "homebred-build.json",
        "specialist.toml",
    ]
    assert specialist(order)["base"] == {"folder": "base"}
    assert specialist(order)["adapter"] == {"folder": "adapter"}


def test_without_an_adapter_none_is_named(tmp_path: Path) -> None:
    for engine in ("llamacpp", "trtllm"):
        order = order_in(tmp_path, engine, out=tmp_path / engine)
        assert built(order).adapter_source_digest == ""
        assert "adapter" not in specialist(order)


@pytest.mark.parametrize(
    ("engine", "changes", "why"),
    [
        ("echo", {}, "Nothing is built for the engine 'echo'"),
        ("llamacpp", {"source": "model"}, "is a folder; llamacpp serves a GGUF file"),
        ("llamacpp", {"source": "nowhere"}, "nowhere cannot be read: No such file"),
        ("llamacpp", {"source": "model/config.json"}, "config.json is not a GGUF file"),
        ("llamacpp", {"adapter": "model"}, "model cannot be read as a PEFT folder"),
        ("trtllm", {"source": "tiny.gguf"}, "is a file; trtllm takes a checkpoint folder"),
        ("trtllm", {"source": "nowhere"}, "nowhere cannot be read as a checkpoint folder"),
        ("trtllm", {"adapter": "nowhere"}, "nowhere cannot be read as a PEFT folder"),
        ("edgellm", {"source": "tiny.gguf"}, "is a file; edgellm takes a checkpoint folder"),
        ("edgellm", {}, "tensorrt-edgellm-export and llm_build cannot be found"),
    ],
)
def test_what_cannot_be_built_is_refused_and_nothing_is_left(
    tmp_path: Path, engine: str, changes: dict[str, str], why: str
) -> None:
    order_in(tmp_path, "llamacpp")
    write_checkpoint(tmp_path / "model")
    order = order_in(tmp_path, engine, **{name: tmp_path / value for name, value in changes.items()})
    before = files_below(tmp_path)
    with pytest.raises(EngineError, match=why) as refusal:
        built(order)
    assert refusal.value.hint
    assert not order.out.exists()
    assert files_below(tmp_path) == before
    assert list(tmp_path.glob(".*")) == []


@pytest.mark.parametrize("engine", ["trtllm", "edgellm"])
@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({"num_hidden_layers": 1}, "adapts q_proj of layer 1, which model does not have"),
        ({"num_key_value_heads": 4}, "takes k_proj of layer 0 as one from 64 to 32; in model it is one from 64 to 64"),
        ({"intermediate_size": 256}, "takes gate_proj of layer 0 as one from 64 to 128"),
        ({"intermediate_size": None}, "adapts gate_proj of layer 0, which model does not have"),
    ],
)
def test_an_adapter_for_another_checkpoint_is_refused_before_anything_is_made(
    tmp_path: Path, engine: str, config: dict[str, object], why: str
) -> None:
    write_checkpoint(tmp_path / "model", **{"intermediate_size": 128, **config})
    with pytest.raises(AdapterRefusedError, match=why):
        built(order_in(tmp_path, engine, adapter=adapter_in(tmp_path)))


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    order = order_in(tmp_path, "trtllm")
    (order.source / WEIGHTS).write_bytes(b"no weights at all")
    with pytest.raises(ModelRefusedError, match="truncated or no safetensors file"):
        built(order)


def test_a_folder_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    order = order_in(tmp_path, "llamacpp")
    built(order)
    before = (order.out / "homebred-build.json").read_bytes()
    with pytest.raises(BuildRefusedError, match="is there already"):
        built(order)
    assert (order.out / "homebred-build.json").read_bytes() == before


def test_a_file_that_the_disk_does_not_give_is_told(tmp_path: Path) -> None:
    order = order_in(tmp_path, "trtllm")
    (order.source / "note.json").symlink_to("/proc/self/mem")
    with pytest.raises(BuildFailedError, match="out: Input/output error"):
        built(order)
    assert list(tmp_path.glob("*out*")) == []


def test_what_a_person_would_not_print_is_no_title(tmp_path: Path) -> None:
    order = order_in(tmp_path, "llamacpp")
    odd = order.source.rename(tmp_path / "a\nb.gguf")
    built(order_in(tmp_path, "llamacpp", source=odd))
    assert json.loads((order.out / "homebred-build.json").read_text())["engine"] == "llamacpp"
    assert specialist(order)["title"] == "house-notes"
