"""Orders for builds, for tests that change one thing of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.support.checkpoints import write_checkpoint
from tests.support.peft_folders import random_factors, write_peft_folder
from tests.support.tiny_gguf import write_tiny_gguf

from homebred_engines.build import BuildOrder
from homebred_engines.edgellm_build import EngineRoom

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
FITTING_CONFIG = {"intermediate_size": 128}
"""What makes the support's checkpoint one that the support's adapters fit."""
ROOM = EngineRoom(slots=1, input_tokens=1024, context_tokens=4096, max_rank=0)


def order_in(folder: Path, engine: str, **changes: Any) -> BuildOrder:
    """An order of a whole model of the engine's kind, without an adapter."""
    source = folder / "model"
    if engine == "llamacpp":
        source = write_tiny_gguf(folder / "tiny.gguf")
    elif not source.exists():
        write_checkpoint(source, **FITTING_CONFIG)
    order = BuildOrder(
        engine=engine,
        source=source,
        adapter=None,
        out=folder / "out",
        specialist_id="house-notes",
        engine_version="1.2.3",
        gpu_architecture="",
        tools_path="",
        room=ROOM,
    )
    return replace(order, **changes)


def adapter_in(folder: Path, **config: object) -> Path:
    """A PEFT folder that fits all of these models."""
    return write_peft_folder(folder / "notes", random_factors(), config=config)
