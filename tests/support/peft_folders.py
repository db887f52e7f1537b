"""Writes PEFT LoRA folders as PEFT saves them, for the generated tiny model, with weights of their own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tests.support.tiny_gguf import LAYERS, LINEAR_SHAPES

RANK, ALPHA = 4, 8
CONFIG: Mapping[str, Any] = {
    "peft_type": "LORA",
    "task_type": "CAUSAL_LM",
    "base_model_name_or_path": "homebred/tiny",
    "r": RANK,
    "lora_alpha": ALPHA,
    "lora_dropout": 0.05,
    "bias": "none",
    "use_dora": False,
    "use_rslora": False,
    "modules_to_save": None,
    "rank_pattern": {},
    "alpha_pattern": {},
    "fan_in_fan_out": False,
    "target_modules": sorted(LINEAR_SHAPES),
}
_BLOCKS = {name: "mlp" if name in ("gate_proj", "up_proj", "down_proj") else "self_attn" for name in LINEAR_SHAPES}

Factors = dict[tuple[int, str], tuple[np.ndarray, np.ndarray]]
"""By layer and module: A (rank x inputs) and B (outputs x rank), in 32 bits."""


def random_factors(seed: int = 0, rank: int = RANK, size: float = 0.5) -> Factors:
    """For every linear layer; the values fit bfloat16 and 16-bit floats alike, so that no form rounds them."""
    random = np.random.default_rng(seed)

    def matrix(rows: int, columns: int) -> np.ndarray:
        values: np.ndarray = np.round(random.standard_normal((rows, columns)) * 16) / 16 * size / np.sqrt(rank)
        return _as_bfloat16(values.astype(np.float32)).astype(np.float32)

    return {
        (layer, module): (matrix(rank, inputs), matrix(outputs, rank))
        for layer in range(LAYERS)
        for module, (inputs, outputs) in LINEAR_SHAPES.items()
    }


def write_peft_folder(
    folder: Path, factors: Factors, *, dtype: str = "F32", config: Mapping[str, Any] | None = None
) -> Path:
    """The folder, with what is given in place of the config's own."""
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text(json.dumps({**CONFIG, **(config or {})}))
    tensors = {
        f"base_model.model.model.layers.{layer}.{_BLOCKS[module]}.{module}.lora_{letter}.weight": values
        for (layer, module), pair in factors.items()
        for letter, values in zip("AB", pair, strict=True)
    }
    write_safetensors(folder / "adapter_model.safetensors", tensors, dtype=dtype)
    return folder


def write_safetensors(path: Path, tensors: Mapping[str, np.ndarray], *, dtype: str = "F32") -> Path:
    """A file of the format's own form, the names sorted as its library does."""
    head: dict[str, object] = {"__metadata__": {"format": "pt"}}
    body = b""
    for name in sorted(tensors):
        content = _bytes(tensors[name], dtype)
        shape = list(tensors[name].shape)
        head[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(body), len(body) + len(content)]}
        body += content
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)
    return path


def _bytes(values: np.ndarray, dtype: str) -> bytes:
    if dtype == "BF16":
        return (values.astype("<f4").view("<u4") >> 16).astype("<u2").tobytes()
    return values.astype({"F32": "<f4", "F16": "<f2", "F64": "<f8"}[dtype]).tobytes()


def _as_bfloat16(values: np.ndarray) -> np.ndarray:
    cut: np.ndarray = (values.view("<u4") & 0xFFFF0000).view("<f4")
    return cut
