"""Stand-ins for NVIDIA's commands that build an engine: they take the arguments that are recorded, and no others.

Recorded of the published package tensorrt-edgellm 0.11.0 (its scripts' argument parsers) and of llm_build's sources.
They write files of the names that the real ones write, with their arguments for content; an engine's config and an
adapter are such that they fit each other. Nothing here is NVIDIA's.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.support.edgellm_bundles import CONFIG, write_adapter
from tests.support.peft_folders import RANK

_PROGRAM = """#!{python}
import argparse, json, os, pathlib, sys, time

CONFIG, PREPARED = {config!r}, {prepared!r}

def parser(*options, positional=()):
    made = argparse.ArgumentParser(allow_abbrev=False)
    for name in positional:
        made.add_argument(name)
    for name, kind, needed in options:
        made.add_argument(name, type=kind, required=needed)
    return made.parse_args()

def make(path):
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(sys.argv[1:]))

print("begins", flush=True)
{trouble}
{body}
"""
_BODIES = {
    "tensorrt-edgellm-export": """
given = parser(("--dtype", str, False), positional=("model", "output_dir"))
for name in ("model.onnx", "config.json"):
    make(os.path.join(given.output_dir, "llm", name))
""",
    "tensorrt-edgellm-insert-lora": """
given = parser(("--onnx_dir", str, True))
assert os.path.exists(os.path.join(given.onnx_dir, "model.onnx"))
make(os.path.join(given.onnx_dir, "lora_model.onnx"))
""",
    "tensorrt-edgellm-process-lora": """
given = parser(("--input_dir", str, True), ("--output_dir", str, True))
assert os.path.exists(os.path.join(given.input_dir, "adapter_config.json"))
make(os.path.join(given.output_dir, "config.json"))
prepared = pathlib.Path(sys.argv[0]).with_name(PREPARED)
pathlib.Path(given.output_dir, "processed_adapter_model.safetensors").write_bytes(prepared.read_bytes())
""",
    "llm_build": """
figures = ("--maxInputLen", "--maxKVCacheCapacity", "--maxBatchSize", "--maxLoraRank")
given = parser(("--onnxDir", str, True), ("--engineDir", str, True), *((name, int, False) for name in figures))
graph = "lora_model.onnx" if given.maxLoraRank else "model.onnx"
assert os.path.exists(os.path.join(given.onnxDir, graph))
for name in ("llm.engine", "tokenizer.json"):
    make(os.path.join(given.engineDir, name))
built = {
    "max_input_len": given.maxInputLen,
    "max_kv_cache_capacity": given.maxKVCacheCapacity,
    "max_batch_size": given.maxBatchSize,
    "max_lora_rank": given.maxLoraRank or 0,
}
config = json.dumps({**CONFIG, "builder_config": built})
pathlib.Path(given.engineDir, "config.json").write_text(config)
""",
}
_PREPARED = "prepared.safetensors"
COMMANDS = tuple(_BODIES)
_NVIDIA_SMI = "#!/bin/sh\necho {capability}\n"


def write_commands(folder: Path, *, without: str = "", trouble: dict[str, str] | None = None) -> Path:
    """A folder for the path; `trouble` is what a command does before its work, as a line of Python."""
    folder.mkdir(parents=True)
    write_adapter(folder / _PREPARED, "notes", rank=RANK)
    for name, body in _BODIES.items():
        if name != without:
            line = (trouble or {}).get(name, "")
            program = _PROGRAM.format(python=sys.executable, body=body, trouble=line, config=CONFIG, prepared=_PREPARED)
            _write(folder / name, program)
    return folder


def write_nvidia_smi(folder: Path, capability: str) -> Path:
    """NVIDIA's tool as far as it tells a GPU's architecture: `8.7`."""
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "nvidia-smi", _NVIDIA_SMI.format(capability=capability))
    return folder


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
