from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.support.peft_folders import ALPHA, RANK, random_factors, write_peft_folder, write_safetensors
from tests.support.tiny_gguf import LINEAR_SHAPES

from homebred_engines.api import AdapterRefusedError
from homebred_engines.peft_adapter import AdaptedLinear, read_peft_adapter, refuse_misfit


def test_a_folder_says_what_it_adapts_and_how_strongly(tmp_path: Path) -> None:
    adapter = read_peft_adapter(write_peft_folder(tmp_path / "notes", random_factors()))
    assert (adapter.rank, adapter.alpha, adapter.scale) == (RANK, ALPHA, ALPHA / RANK)
    assert adapter.base_model == "homebred/tiny"
    assert [(each.layer, each.module) for each in adapter.linears] == [
        (layer, module) for layer in (0, 1) for module in LINEAR_SHAPES
    ]
    assert all(each.shape == LINEAR_SHAPES[each.module] for each in adapter.linears)


def test_a_rank_stabilised_one_is_scaled_by_the_root_of_its_rank(tmp_path: Path) -> None:
    folder = write_peft_folder(tmp_path / "notes", random_factors(), config={"use_rslora": True})
    assert read_peft_adapter(folder).scale == ALPHA / math.sqrt(RANK)


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({"peft_type": "IA3"}, "of the kind 'IA3', not LORA"),
        ({"peft_type": None}, "of the kind None"),
        ({"r": 0}, "gives 0 for r"),
        ({"r": True}, "gives True for r"),
        ({"r": 1 << 20}, "gives 1048576 for r"),
        ({"r": 8}, "its rank is 8"),
        ({"lora_alpha": 0}, "gives 0 for lora_alpha"),
        ({"lora_alpha": float("nan")}, "gives nan for lora_alpha"),
        ({"lora_alpha": "16"}, "gives '16' for lora_alpha"),
        ({"use_dora": True}, "sets use_dora .* cannot be carried over"),
        ({"modules_to_save": ["lm_head"]}, "sets modules_to_save"),
        ({"rank_pattern": {"q_proj": 8}}, "sets rank_pattern"),
        ({"alpha_pattern": {"q_proj": 8}}, "sets alpha_pattern"),
        ({"layer_replication": [[0, 2]]}, "sets layer_replication"),
        ({"trainable_token_indices": [1]}, "sets trainable_token_indices"),
        ({"alora_invocation_tokens": [1, 2]}, "sets alora_invocation_tokens"),
        ({"arrow_config": {"top_k": 2}}, "sets arrow_config"),
        ({"use_bdlora": {"nblocks": 2}}, "sets use_bdlora"),
        ({"target_parameters": ["x"]}, "sets target_parameters"),
        ({"fan_in_fan_out": True}, "sets fan_in_fan_out"),
        ({"lora_bias": True}, "sets lora_bias"),
        ({"use_qalora": True}, "sets use_qalora"),
        ({"bias": "all"}, "sets bias"),
    ],
)
def test_what_cannot_be_carried_over_is_refused_by_name(tmp_path: Path, config: dict[str, object], why: str) -> None:
    folder = write_peft_folder(tmp_path / "notes", random_factors(), config=config)
    with pytest.raises(AdapterRefusedError, match=why) as refusal:
        read_peft_adapter(folder)
    assert refusal.value.why.startswith("notes ")
    assert refusal.value.hint


def renamed(old: str, new: str) -> Callable[[str], str]:
    return lambda name: name.replace(old, new)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (renamed("q_proj", "qkv_proj"), "adapts .*qkv_proj.* can be adapted"),
        (renamed("self_attn.q_proj", "mlp.q_proj"), "adapts .*mlp.q_proj"),
        (renamed("layers.1.", "layers.01."), "adapts .*layers.01"),
        (renamed("lora_A.weight", "lora_A.bias"), "adapts .*bias"),
        (renamed("lora_B.weight", "lora_magnitude_vector"), "adapts .*magnitude"),
        (renamed("base_model.model.model.layers", "base_model.model.model.vision.layers"), "adapts .*vision"),
        (
            renamed("layers.1.self_attn.q_proj.lora_B", "layers.7.self_attn.q_proj.lora_B"),
            "lacks lora_B for q_proj of layer 1",
        ),
    ],
)
def test_weights_that_are_no_pairs_of_known_layers_are_refused(
    tmp_path: Path, change: Callable[[str], str], why: str
) -> None:
    folder = write_peft_folder(tmp_path / "notes", {})
    tensors = {
        change(f"base_model.model.model.layers.{layer}.self_attn.q_proj.lora_{letter}.weight"): np.zeros(
            (RANK, 64) if letter == "A" else (64, RANK)
        )
        for layer in (0, 1)
        for letter in "AB"
    }
    write_safetensors(folder / "adapter_model.safetensors", tensors)
    with pytest.raises(AdapterRefusedError, match=why):
        read_peft_adapter(folder)


@pytest.mark.parametrize(
    ("first", "dtype", "why"),
    [
        (np.zeros((RANK, 64)), "F64", "as F64 of 2 dimensions"),
        (np.zeros((RANK, 64, 1)), "F32", "as F32 of 3 dimensions"),
        (np.zeros((RANK + 1, 64)), "F32", "pairs factors of 5x64 and 64x4"),
        (np.zeros((RANK, 0)), "F32", "pairs factors of 4x0 and 64x4"),
    ],
)
def test_factors_that_do_not_belong_together_are_refused(
    tmp_path: Path, first: np.ndarray, dtype: str, why: str
) -> None:
    folder = write_peft_folder(tmp_path / "notes", {(0, "q_proj"): (first, np.zeros((64, RANK)))}, dtype=dtype)
    with pytest.raises(AdapterRefusedError, match=why):
        read_peft_adapter(folder)


def test_pickled_weights_are_refused_and_never_opened(tmp_path: Path) -> None:
    folder = write_peft_folder(tmp_path / "notes", random_factors())
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    with pytest.raises(AdapterRefusedError, match="runs what somebody put into it"):
        read_peft_adapter(folder)


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("adapter_config.json", b"[]", "no JSON object"),
        ("adapter_config.json", b"{", "no JSON object"),
        ("adapter_config.json", b" " * (1 << 21), "more than 1048576 bytes"),
        ("adapter_model.safetensors", b"no weights at all", "truncated or no safetensors file"),
    ],
)
def test_a_damaged_folder_is_refused(tmp_path: Path, name: str, content: bytes, why: str) -> None:
    folder = write_peft_folder(tmp_path / "notes", random_factors())
    (folder / name).write_bytes(content)
    with pytest.raises(AdapterRefusedError, match=why):
        read_peft_adapter(folder)


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AdapterRefusedError, match="cannot be read as a PEFT folder: No such file"):
        read_peft_adapter(tmp_path / "nowhere")


def shape_of(linear: AdaptedLinear) -> tuple[int, int] | None:
    return LINEAR_SHAPES[linear.module] if linear.layer < 2 else None


def test_an_adapter_for_this_base_fits_it(tmp_path: Path) -> None:
    refuse_misfit(read_peft_adapter(write_peft_folder(tmp_path / "notes", random_factors())), "tiny", shape_of)


@pytest.mark.parametrize(
    ("layer", "shape", "why"),
    [
        (2, (64, 64), "adapts q_proj of layer 2, which tiny does not have"),
        (0, (32, 64), "takes q_proj of layer 0 as one from 32 to 64; in tiny it is one from 64 to 64"),
        (0, (64, 32), "as one from 64 to 32; in tiny"),
    ],
)
def test_an_adapter_for_another_base_is_refused_and_says_what_it_was_bred_on(
    tmp_path: Path, layer: int, shape: tuple[int, int], why: str
) -> None:
    factors = {(layer, "q_proj"): (np.zeros((RANK, shape[0])), np.zeros((shape[1], RANK)))}
    with pytest.raises(AdapterRefusedError, match=why) as refusal:
        refuse_misfit(read_peft_adapter(write_peft_folder(tmp_path / "notes", factors)), "tiny", shape_of)
    assert "bred on 'homebred/tiny'" in refusal.value.why
