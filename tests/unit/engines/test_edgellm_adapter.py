from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.support.edgellm_bundles import HIDDEN, write_adapter, write_bundle

from homebred_engines.api import AdapterRefusedError
from homebred_engines.edgellm_adapter import adapter_bytes
from homebred_engines.edgellm_bundle import BundleFacts, read_bundle


@pytest.fixture
def bundle(tmp_path: Path) -> BundleFacts:
    return read_bundle(write_bundle(tmp_path / "engine"))


def write_tensors(path: Path, shapes: dict[str, list[int]]) -> Path:
    head: dict[str, object] = {}
    at = 0
    for name, shape in shapes.items():
        size = 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        head[name] = {"dtype": "F16", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(head).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(at))
    return path


def refusal(path: Path, bundle: BundleFacts) -> AdapterRefusedError:
    with pytest.raises(AdapterRefusedError) as refused:
        adapter_bytes(path, bundle)
    assert path.name in refused.value.why
    assert refused.value.hint
    return refused.value


def test_an_adapter_that_fits_has_its_files_size(tmp_path: Path, bundle: BundleFacts) -> None:
    path = write_adapter(tmp_path / "adapter.safetensors", "aye")
    assert adapter_bytes(path, bundle) == path.stat().st_size


def test_a_layer_of_any_module_may_be_adapted(tmp_path: Path, bundle: BundleFacts) -> None:
    pair = {"lora_A.weight": [96, 8], "lora_B.weight": [8, HIDDEN]}
    down = {f"model.language_model.layers.1.mlp.down_proj.{half}": shape for half, shape in pair.items()}
    odd = {f"model.layers.0.linear_attn.in_proj.{half}": shape for half, shape in pair.items()}
    assert adapter_bytes(write_tensors(tmp_path / "adapter.safetensors", down | odd), bundle)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"rank": 32}, "rank 32, and the engine was built for adapters of rank 16"),
        ({"hidden": 2 * HIDDEN}, "width 128, and this one has 64"),
        ({"layers": 3}, "layer 2 of another base; this one has 2"),
    ],
)
def test_an_adapter_that_was_made_for_another_engine_is_refused(
    tmp_path: Path, bundle: BundleFacts, changes: dict[str, int], named: str
) -> None:
    path = write_adapter(tmp_path / "adapter.safetensors", "aye", **changes)
    assert named in refusal(path, bundle).why


@pytest.mark.parametrize(
    ("shapes", "named"),
    [
        ({"base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight": [16, HIDDEN]}, "no processed LoRA tensor"),
        ({"model.layers.0.self_attn.q_proj.lora_A.weight": [HIDDEN]}, "no processed LoRA tensor"),
        ({"model.layers.0.self_attn.q_proj.lora_A.weight": [HIDDEN, 8]}, "no lora_A and lora_B of one rank"),
        (
            {
                "model.layers.0.self_attn.q_proj.lora_A.weight": [HIDDEN, 8],
                "model.layers.0.self_attn.q_proj.lora_B.weight": [4, 32],
            },
            "no lora_A and lora_B of one rank",
        ),
    ],
)
def test_what_process_lora_did_not_make_is_refused(
    tmp_path: Path, bundle: BundleFacts, shapes: dict[str, list[int]], named: str
) -> None:
    found = refusal(write_tensors(tmp_path / "adapter.safetensors", shapes), bundle)
    assert named in found.why
    assert "process-lora" in found.hint


def test_a_file_that_is_none_or_not_there_is_refused(tmp_path: Path, bundle: BundleFacts) -> None:
    path = tmp_path / "adapter.safetensors"
    assert "No such file" in refusal(path, bundle).why
    path.write_bytes(b"no adapter at all")
    assert "truncated" in refusal(path, bundle).why
