"""Specialists' folders with their `release.toml`, small ones, that a release can be built of."""

from __future__ import annotations

import json
from pathlib import Path

from homebred_protocol.digests import digest_of

BASE = b"a base model's bytes"
WORKFLOW = "intake.extract"
ROWS = tuple({"input": f"note {number}", "expected": {"name": f"Ann {number}"}} for number in range(3))
SPECIALIST = """\
version = 1
id = "intake"
title = "Reads an intake note into fields"
engine = "llamacpp"
licence = "Apache-2.0"
[base]
file = "base.gguf"
[adapter]
folder = "adapter"
[lineage]
parents = ["intake.0"]
generation = 1
[prompt]
template = "Note: {input}"
response_schema = '''{"type": "object"}'''
[workflows."intake.extract"]
golden = "golden/intake.extract.jsonl"
scorer = "json_equal"
"""
PLAN = """\
version = 1
family = "clinic"
number = 7
classes = ["patient"]
sites = ["clinic-east"]
[constraints]
architecture = "aarch64"
[gate.golden."intake.extract"]
minimum_ppm = 900_000
maximum_p95_ms = 1_500
[[provenance]]
name = "intake notes of clinic-east"
licence = "LicenseRef-consent"
"""
FOREIGN_BASE = (
    SPECIALIST.replace('file = "base.gguf"', f'digest = "{digest_of(BASE)}"'),
    PLAN.replace("[constraints]", f'[base]\nform = "file"\nlength = {len(BASE)}\n[constraints]'),
)
"""Both documents, where the base is not brought along."""


def write_source(
    folder: Path, *, specialist: str = SPECIALIST, plan: str = PLAN, base: bytes = BASE, backwards: bool = False
) -> Path:
    """A specialist's folder; `backwards` writes its files in the other order."""
    files = {
        "specialist.toml": specialist.encode(),
        "release.toml": plan.encode(),
        "base.gguf": base,
        "adapter/adapter_config.json": b'{"r": 8}',
        "adapter/adapter_model.safetensors": b"an adapter's bytes",
        "adapter/empty.txt": b"",
        "golden/intake.extract.jsonl": b"\n".join(json.dumps(row).encode() for row in ROWS) + b"\n",
    }
    for path, body in sorted(files.items(), reverse=backwards):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(body)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """All files below a folder, by path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
