"""Writes specialist folders, by default for the echo engine: whole, tiny, and different where a test says so."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ECHO_MODEL = {"format": "homebred-echo"}
GOLDEN_ROWS = ({"input": "a", "expected": "a"}, {"input": "b", "expected": "b"}, {"input": "c", "expected": "other"})


def write_specialist(
    folder: Path,
    specialist_id: str = "parrot",
    *,
    title: str = "Says it again",
    engine: str = "echo",
    base: str = 'file = "model.json"',
    workflow: str = "say.again",
    rows: tuple[Mapping[str, Any], ...] = GOLDEN_ROWS,
    scorer: str = "exact",
    further: str = "",
    model: Mapping[str, Any] | None = ECHO_MODEL,
) -> Path:
    """A folder with manifest, golden set and model file; `further` is TOML before the workflow's table."""
    folder.mkdir(parents=True, exist_ok=True)
    golden = f"golden/{workflow}.jsonl"
    manifest = f"""version = 1
id = "{specialist_id}"
title = "{title}"
engine = "{engine}"
size_rank = 7
max_context = 512
[base]
{base}
{further}
[workflows."{workflow}"]
golden = "{golden}"
scorer = "{scorer}"
"""
    (folder / "specialist.toml").write_text(manifest)
    (folder / "golden").mkdir(exist_ok=True)
    (folder / golden).write_text("".join(json.dumps(row) + "\n" for row in rows))
    if model is not None:
        (folder / "model.json").write_text(json.dumps(model))
    return folder


def write_specialist_of_folders(folder: Path, specialist_id: str = "parrot", *, title: str = "Says it again") -> Path:
    """One whose base model and adapter are folders, the base another for each title; its engine could not load it."""
    further = '[adapter]\nfolder = "adapter"'
    write_specialist(folder, specialist_id, title=title, base='folder = "base"', further=further, model=None)
    for name, body in {
        "base/config.json": "{}",
        "base/weights/part-1.bin": title * 100,
        "base/weights/part-2.bin": "",
        "adapter/adapter_config.json": "{}",
        "adapter/adapter_model.safetensors": "the same for all",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(body)
    return folder
