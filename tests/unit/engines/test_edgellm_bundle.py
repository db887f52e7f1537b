from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.edgellm_bundles import BUILD, ENGINE, KV_BYTES_PER_TOKEN, write_bundle

from homebred_engines.api import ModelRefusedError
from homebred_engines.build_manifest import FILE_NAME, written
from homebred_engines.edgellm_bundle import read_bundle, refuse_foreign


def change_config(folder: Path, **changes: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))


def test_an_engine_folder_says_what_it_was_built_for(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "engine", capacity=4096, rows=2, max_input_len=1024, max_lora_rank=8)
    facts = read_bundle(folder)
    assert (facts.capacity_tokens, facts.prompt_tokens, facts.rows, facts.adapter_rank) == (4096, 1024, 2, 8)
    assert (facts.layers, facts.hidden_size, facts.kv_bytes_per_token) == (2, 64, KV_BYTES_PER_TOKEN)
    assert (facts.gpu_architecture, facts.engine_version) == ("sm_87", "0.11.0")
    assert facts.file_bytes > len(ENGINE)


def test_where_no_version_is_known_the_gpu_alone_is_compared(tmp_path: Path) -> None:
    facts = read_bundle(write_bundle(tmp_path / "engine", build=replace(BUILD, engine_version="")))
    refuse_foreign(facts, gpu_architecture="sm_87", engine_version="0.11.0")
    with pytest.raises(ModelRefusedError):
        refuse_foreign(facts, gpu_architecture="sm_110", engine_version="0.11.0")


def test_a_cache_of_bytes_and_layers_without_one_are_counted_so(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "engine")
    change_config(folder, kv_cache_dtype="fp8")
    assert read_bundle(folder).kv_bytes_per_token == KV_BYTES_PER_TOKEN // 2
    change_config(folder, kv_cache_dtype="fp16", kv_layer_configs=[{"num_kv_heads": 2, "head_dim": 16}, None])
    assert read_bundle(folder).kv_bytes_per_token == KV_BYTES_PER_TOKEN // 2


def test_an_engine_built_without_adapters_takes_none(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "engine", max_lora_rank=0)
    assert read_bundle(folder).adapter_rank == 0


def without(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


def rewritten(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (without("config.json"), "No such file"),
        (rewritten("config.json", b"{"), "config.json that is not JSON"),
        (rewritten("config.json", b"[]"), "no JSON object"),
        (rewritten("config.json", b"{}"), "builder_config"),
        (without("llm.engine"), "lacks llm.engine"),
        (rewritten("llm.engine", b""), "lacks llm.engine"),
        (without("tokenizer.json"), "lacks tokenizer.json"),
        (rewritten("spec_base.engine", ENGINE), "speculative decoding"),
        (without(FILE_NAME), f"no {FILE_NAME}"),
        (rewritten(FILE_NAME, b"{}"), "version"),
        (rewritten(FILE_NAME, written(replace(BUILD, engine="trtllm"))), f"no {FILE_NAME} that says"),
        (rewritten(FILE_NAME, written(replace(BUILD, gpu_architecture=""))), f"no {FILE_NAME} that says"),
        (lambda folder: change_config(folder, hidden_size=0), "0 for hidden_size"),
        (lambda folder: change_config(folder, hidden_size=True), "True for hidden_size"),
        (lambda folder: change_config(folder, head_dim="wide"), "'wide' for head_dim"),
    ],
)
def test_a_bad_folder_is_refused_by_name(tmp_path: Path, damage: Callable[[Path], object], named: str) -> None:
    folder = write_bundle(tmp_path / "engine")
    damage(folder)
    with pytest.raises(ModelRefusedError) as refusal:
        read_bundle(folder)
    assert named in refusal.value.why
    assert folder.name in refusal.value.why
    assert refusal.value.hint


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelRefusedError, match="absent cannot be read"):
        read_bundle(tmp_path / "absent")


@pytest.mark.parametrize(
    ("architecture", "version", "named"),
    [("sm_110", "0.11.0", "sm_87"), ("", "0.11.0", "no GPU"), ("sm_87", "0.11.1", "built by TensorRT Edge-LLM 0.11.0")],
)
def test_an_engine_for_another_gpu_or_version_is_refused_with_a_way_out(
    tmp_path: Path, architecture: str, version: str, named: str
) -> None:
    facts = read_bundle(write_bundle(tmp_path / "engine"))
    refuse_foreign(facts, gpu_architecture="sm_87", engine_version="0.11.0+local")
    with pytest.raises(ModelRefusedError, match=named) as refusal:
        refuse_foreign(facts, gpu_architecture=architecture, engine_version=version)
    assert "homebred engines build" in refusal.value.hint
