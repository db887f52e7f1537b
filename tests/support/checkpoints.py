"""A checkpoint folder that is whole as far as its files can tell: a config, a tokenizer, weights of a few bytes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from homebred_engines.checkpoint import CheckpointFacts

CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "max_position_embeddings": 8192,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "hidden_size": 64,
    "intermediate_size": 128,
}
KV_BYTES_PER_TOKEN = 2 * 2 * 2 * 16 * 2
"""Keys and values, layers, heads, width, bytes."""
WEIGHTS = "model.safetensors"
FACTS = CheckpointFacts(
    architecture="LlamaForCausalLM", context_tokens=8192, kv_bytes_per_token=KV_BYTES_PER_TOKEN, file_bytes=1000
)
"""What a reader may find."""


def write_checkpoint(folder: Path, **config: object) -> Path:
    """The folder, with what is given in place of the config's own."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(CONFIG | config))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": "{{ messages }}"}))
    head = json.dumps({"w": {"dtype": "F16", "shape": [64], "data_offsets": [0, 128]}}).encode()
    (folder / WEIGHTS).write_bytes(len(head).to_bytes(8, "little") + head + bytes(128))
    return folder


def write_damaged_checkpoints(whole: Path, half: Path, garbage: Path) -> None:
    """One whose weights end early, and one whose weights are none."""
    for folder, weights in ((half, (whole / WEIGHTS).read_bytes()[:-64]), (garbage, b"no model at all")):
        shutil.copytree(whole, folder)
        (folder / WEIGHTS).write_bytes(weights)
