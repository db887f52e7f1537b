"""Specialists for benches: one base model, an adapter of its own for each, all rank 16 on every linear layer.

The adapters are random and weak: they cost what a bred one costs, and the answers stay long.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import gguf
import numpy as np
from tests.bench.daemons import Home

from homebred_engines.gguf_file import read_gguf

RANK = 16
_SIZE = 0.01
_LINEAR = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")


def write_adapter(path: Path, base: Path, *, seed: int) -> Path:
    """A GGUF LoRA adapter for the base."""
    facts = read_gguf(base)
    random = np.random.default_rng(seed)

    def matrix(rows: int, columns: int) -> np.ndarray:
        values: np.ndarray = random.standard_normal((rows, columns)) * _SIZE
        return values.astype(np.float16)

    writer = gguf.GGUFWriter(path, facts.architecture)
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, float(RANK))
    for layer in range(facts.layers):
        for name in _LINEAR:
            target = f"blk.{layer}.{name}.weight"
            inputs, outputs = facts.shapes[target]
            writer.add_tensor(f"{target}.lora_a", matrix(RANK, inputs))
            writer.add_tensor(f"{target}.lora_b", matrix(outputs, RANK))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def keep_adapted(home: Home, base: Path, names: Sequence[str]) -> None:
    """Puts specialists into the model store, each named for its workflow."""
    for name in names:
        offered = home.folder / f"offered-{name}"
        offered.mkdir()
        (offered / base.name).symlink_to(base)
        write_adapter(offered / "adapter.gguf", base, seed=sum(name.encode()))
        home.keep(offered, name, base=base.name, workflow=name, adapter="adapter.gguf")
