"""TensorRT Edge-LLM engine folders and processed adapters that are whole as far as their files can tell."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from homebred_engines.api import Adapter
from homebred_engines.build_manifest import FILE_NAME, BuildManifest, written

LAYERS, HIDDEN, RANK = 2, 64, 16
CONFIG = {
    "hidden_size": HIDDEN,
    "num_hidden_layers": LAYERS,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "kv_cache_dtype": "fp16",
}
KV_BYTES_PER_TOKEN = 2 * LAYERS * 2 * 16 * 2
"""Keys and values, layers, heads, width, bytes."""
BUILD = BuildManifest(
    engine="edgellm",
    engine_version="0.11.0",
    gpu_architecture="sm_87",
    source_digest="sha256:" + "0" * 64,
    adapter_source_digest="",
    files={},
    built_at_utc="2026-11-30T12:00:00+00:00",
)
ENGINE = b"a serialised engine"


def write_bundle(
    folder: Path, *, capacity: int = 2048, rows: int = 4, build: BuildManifest = BUILD, **built: object
) -> Path:
    """The folder, built for so many tokens and rows, with what is given in place of the builder's own."""
    folder.mkdir(parents=True)
    own = {"max_input_len": capacity, "max_batch_size": rows, "max_lora_rank": RANK, "max_kv_cache_capacity": capacity}
    (folder / "config.json").write_text(json.dumps({**CONFIG, "builder_config": own | built}))
    (folder / FILE_NAME).write_bytes(written(build))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "llm.engine").write_bytes(ENGINE)
    return folder


def write_damaged_bundles(whole: Path, half: Path, garbage: Path) -> None:
    """One whose config ends early, and one whose config is none."""
    config = (whole / "config.json").read_bytes()
    for folder, text in ((half, config[: len(config) // 2]), (garbage, b"no model at all")):
        shutil.copytree(whole, folder)
        (folder / "config.json").write_bytes(text)


def write_adapter(
    path: Path, says: str, *, hidden: int = HIDDEN, rank: int = RANK, layers: int = LAYERS, outputs: int = 32
) -> Path:
    """An adapter of each layer's q_proj, for a base of that width; the stand-in says its word."""
    head: dict[str, object] = {"__metadata__": {"says": says}}
    at = 0
    for layer in range(layers):
        for half, shape in (("A", [hidden, rank]), ("B", [rank, outputs])):
            size = shape[0] * shape[1] * 2
            name = f"model.layers.{layer}.self_attn.q_proj.lora_{half}.weight"
            head[name] = {"dtype": "F16", "shape": shape, "data_offsets": [at, at + size]}
            at += size
    text = json.dumps(head).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(at))
    return path


def write_adapters(folder: Path) -> tuple[Adapter, ...]:
    """Two that fit, one for a wider base."""
    paths = [
        write_adapter(folder / "first.safetensors", "first"),
        write_adapter(folder / "second.safetensors", "second"),
        write_adapter(folder / "foreign.safetensors", "foreign", hidden=2 * HIDDEN),
    ]
    return tuple(Adapter(digest=f"sha256:{path.stem}", path=str(path)) for path in paths)
