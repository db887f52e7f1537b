"""Looks at an offered base model and adapter by what their engine takes: whether they are whole, fit, and have room.

It reads heads and documents, no weights. Of engines that take a file of their own kind (echo, openai_server) it knows
nothing; they check it when they load it, as every engine does again.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path

from homebred_daemon.adapters.blob_store import Form
from homebred_daemon.adapters.specialist_folder import GGUF_ENGINE, read_bounded
from homebred_daemon.adapters.stored_records import Figures
from homebred_daemon.errors import RequestError
from homebred_engines.api import EngineError
from homebred_engines.checkpoint import CheckpointFacts, read_checkpoint
from homebred_engines.gguf_adapter import read_gguf_adapter, refuse_foreign
from homebred_engines.gguf_file import GgufFacts, read_gguf
from homebred_engines.model_room import refuse_oversized

BUILD_NAME = "homebred-build.json"
"""At the top of a folder that `homebred engines build` made."""
MAX_BUILD_BYTES = 64 * 1024
CHECKPOINT_ENGINE = "trtllm"
# What each engine takes; others take either.
_BASES = {
    GGUF_ENGINE: (Form.FILE, "a GGUF file"),
    CHECKPOINT_ENGINE: (Form.FOLDER, "a checkpoint folder"),
    "edgellm": (Form.FOLDER, "an engine folder"),
}
_ADAPTERS = {
    GGUF_ENGINE: (Form.FILE, "a GGUF adapter file"),
    CHECKPOINT_ENGINE: (Form.FOLDER, "a PEFT folder"),
    "edgellm": (Form.FILE, "a processed safetensors file"),
}
_WITHOUT_ADAPTERS = frozenset({"openai_server"})
_ARCHITECTURE = re.compile(r"sm_[0-9]{2,3}[a-z]?")


@dataclass(frozen=True, slots=True, kw_only=True)
class LookedAt:
    """A base model that may be stored."""

    figures: Figures
    gguf: GgufFacts | None = None
    """What its file says, where it is one in GGUF."""


def look_at_base(engine: str, base: Path, *, context_tokens: int, room_bytes: int) -> LookedAt:
    """What there is to know of a base model for an engine.

    Args:
        engine: the engine's name.
        base: its file or folder.
        context_tokens: context of one slot.
        room_bytes: what weights and a cache of that context may take, where they go into the machine's memory.

    Raises:
        RequestError: the engine takes no such thing, or it is not whole, or has no room.
    """
    _refuse_other_form(engine, base, _BASES)
    if engine == GGUF_ENGINE:
        facts = look_at_gguf(base, context_tokens=context_tokens, room_bytes=room_bytes)
        return LookedAt(figures=figures_of(facts), gguf=facts)
    try:
        figures = figures_of(read_checkpoint(base)) if engine == CHECKPOINT_ENGINE else Figures()
    except EngineError as error:
        raise RequestError(f"{base} is refused: {error.why}", hint=error.hint) from None
    return LookedAt(figures=replace(figures, gpu_architecture=_gpu_architecture(base)))


def look_at_gguf(base: Path, *, context_tokens: int, room_bytes: int) -> GgufFacts:
    """What a GGUF file says of itself, where it is sound and one slot of it has room. Raises RequestError."""
    try:
        facts = read_gguf(base)
        tokens = min(context_tokens, facts.context_tokens)
        refuse_oversized(facts, context_tokens=tokens, slots=1, memory_budget_bytes=room_bytes)
    except EngineError as error:
        raise RequestError(f"{base} is refused: {error.why}", hint=error.hint) from None
    return facts


def figures_of(facts: GgufFacts | CheckpointFacts) -> Figures:
    """What is kept of them."""
    return Figures(kv_bytes_per_token=facts.kv_bytes_per_token, trained_context=facts.context_tokens)


def look_at_adapter(engine: str, adapter: Path, base: LookedAt, base_digest: str) -> None:
    """Raises RequestError where the engine takes no such adapter, or it is not whole or was made for another base."""
    if engine in _WITHOUT_ADAPTERS:
        raise RequestError(
            f"the engine {engine} serves no adapters, and the manifest names one",
            hint="leave [adapter] out, or name another engine",
        )
    _refuse_other_form(engine, adapter, _ADAPTERS)
    if base.gguf is None:
        return
    try:
        refuse_foreign(read_gguf_adapter(adapter), base.gguf, base_digest)
    except EngineError as error:
        raise RequestError(f"the adapter {adapter} is refused: {error.why}", hint=error.hint) from None


def _refuse_other_form(engine: str, path: Path, taken: dict[str, tuple[Form, str]]) -> None:
    form, name = taken.get(engine, (None, ""))
    if form is not None and path.is_dir() != (form is Form.FOLDER):
        raise RequestError(
            f"{path} is a {'folder' if path.is_dir() else 'file'}, and the engine {engine} takes {name}",
            hint="name another one, or another engine",
        )


def _gpu_architecture(folder: Path) -> str:
    """The one that a folder was built for; empty: it does not say that it was built."""
    path = folder / BUILD_NAME
    if not path.is_file():
        return ""
    try:
        architecture = json.loads(read_bounded(path, MAX_BUILD_BYTES))["gpu_architecture"]
    except (ValueError, KeyError, TypeError, RecursionError):
        architecture = None
    if not isinstance(architecture, str) or _ARCHITECTURE.fullmatch(architecture) is None:
        raise RequestError(f"{path} does not say for which GPU the folder was built", hint="build it again")
    return architecture
