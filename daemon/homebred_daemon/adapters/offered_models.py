"""Looks at an offered base model and adapter by what their engine takes: whether they are whole, fit, and have room.

It reads heads and documents, no weights. Of engines that take a file of their own kind (echo, openai_server) it knows
nothing; they check it when they load it, as every engine does again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from homebred_daemon.adapters.blob_folders import is_left_out
from homebred_daemon.adapters.blob_store import Form
from homebred_daemon.adapters.specialist_folder import GGUF_ENGINE
from homebred_daemon.adapters.stored_records import Figures
from homebred_daemon.errors import RequestError
from homebred_engines.api import EngineError
from homebred_engines.build_manifest import FILE_NAME, read_build
from homebred_engines.checkpoint import CheckpointFacts, read_checkpoint
from homebred_engines.edgellm_adapter import adapter_bytes
from homebred_engines.edgellm_bundle import read_bundle
from homebred_engines.gguf_adapter import read_gguf_adapter, refuse_foreign
from homebred_engines.gguf_file import GgufFacts, read_gguf
from homebred_engines.model_room import refuse_oversized
from homebred_engines.peft_adapter import read_peft_adapter, refuse_other_checkpoint

_WITHOUT_ADAPTERS = frozenset({"openai_server"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What a base model may take where it goes into the machine's memory."""

    context_tokens: int
    """Of its one slot."""
    size_bytes: int
    """For weights, adapter and cache."""
    adapter_bytes: int = 0
    """Size of the adapter's file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookedAt:
    """A base model that may be stored."""

    figures: Figures
    refuse_misfit: Callable[[Path, str], object]
    """Takes an adapter and the base's digest; raises EngineError where the one does not fit the other."""


def look_at_base(engine: str, base: Path, room: Room) -> LookedAt:
    """What there is to know of a base model for an engine.

    Raises:
        RequestError: the engine takes no such thing, or it is not whole, or has no room.
    """
    kind = _KINDS.get(engine)
    if kind is None:
        return LookedAt(figures=Figures(gpu_architecture=_built_for(engine, base)), refuse_misfit=lambda *_: None)
    _refuse_other_form(engine, base, kind.base_form, kind.base_name)
    with _told_of(str(base)):
        looked_at = kind.look(base, room)
    return replace(looked_at, figures=replace(looked_at.figures, gpu_architecture=_built_for(engine, base)))


def look_at_gguf(base: Path, room: Room) -> GgufFacts:
    """What a GGUF file says of itself, where it is sound and has room. Raises RequestError."""
    with _told_of(str(base)):
        return _gguf_facts(base, room)


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
    kind = _KINDS.get(engine)
    if kind is not None:
        _refuse_other_form(engine, adapter, kind.adapter_form, kind.adapter_name)
    with _told_of(f"the adapter {adapter}"):
        base.refuse_misfit(adapter, base_digest)


def refuse_changed_build(folder: Path, found: Mapping[str, str]) -> None:
    """Raises RequestError where a folder that was built does not hold just what was built, as far as it is kept.

    Args:
        folder: any folder.
        found: the digest of each of its files, by path below it.
    """
    with _told_of(str(folder)):
        build = read_build(folder)
    if build is None:
        return
    kept = {name: digest for name, digest in build.files.items() if not is_left_out(name)}
    changed = sorted({name for name, _ in found.items() ^ kept.items()} - {FILE_NAME})
    if changed:
        raise RequestError(
            f"{folder / changed[0]} is not what was built, as {FILE_NAME} tells",
            hint="copy the whole folder again, or build it again",
        )


def _gguf_facts(base: Path, room: Room) -> GgufFacts:
    facts = read_gguf(base)
    refuse_oversized(
        facts,
        context_tokens=min(room.context_tokens, facts.context_tokens),
        slots=1,
        adapter_bytes=room.adapter_bytes,
        memory_budget_bytes=room.size_bytes,
    )
    return facts


def _look_at_gguf(base: Path, room: Room) -> LookedAt:
    facts = _gguf_facts(base, room)
    return LookedAt(
        figures=figures_of(facts),
        refuse_misfit=lambda adapter, base_digest: refuse_foreign(read_gguf_adapter(adapter), facts, base_digest),
    )


def _look_at_checkpoint(base: Path, _: Room) -> LookedAt:
    return LookedAt(
        figures=figures_of(read_checkpoint(base)),
        refuse_misfit=lambda adapter, _: refuse_other_checkpoint(read_peft_adapter(adapter), base),
    )


def _look_at_bundle(base: Path, _: Room) -> LookedAt:
    facts = read_bundle(base)
    return LookedAt(
        figures=Figures(kv_bytes_per_token=facts.kv_bytes_per_token, trained_context=facts.capacity_tokens),
        refuse_misfit=lambda adapter, _: adapter_bytes(adapter, facts),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """What an engine takes."""

    base_form: Form
    base_name: str
    """For people."""
    adapter_form: Form
    adapter_name: str
    look: Callable[[Path, Room], LookedAt]
    """Raises EngineError for a base that cannot be taken."""


_KINDS: Mapping[str, _Kind] = {
    GGUF_ENGINE: _Kind(
        base_form=Form.FILE,
        base_name="a GGUF file",
        adapter_form=Form.FILE,
        adapter_name="a GGUF adapter file",
        look=_look_at_gguf,
    ),
    "trtllm": _Kind(
        base_form=Form.FOLDER,
        base_name="a checkpoint folder",
        adapter_form=Form.FOLDER,
        adapter_name="a PEFT folder",
        look=_look_at_checkpoint,
    ),
    "edgellm": _Kind(
        base_form=Form.FOLDER,
        base_name="an engine folder",
        adapter_form=Form.FILE,
        adapter_name="a processed safetensors file",
        look=_look_at_bundle,
    ),
}


def _refuse_other_form(engine: str, path: Path, form: Form, name: str) -> None:
    if path.is_dir() != (form is Form.FOLDER):
        raise RequestError(
            f"{path} is a {'folder' if path.is_dir() else 'file'}, and the engine {engine} takes {name}",
            hint="name another one, or another engine",
        )


def _built_for(engine: str, base: Path) -> str:
    """The only GPU's architecture that a base runs on; empty: on any."""
    with _told_of(str(base)):
        build = read_build(base) if base.is_dir() else None
    if build is None:
        return ""
    if build.engine != engine:
        raise RequestError(
            f"{base} was built for the engine {build.engine}, and the manifest names {engine}",
            hint="name that engine, or build it for this one",
        )
    return build.gpu_architecture


@contextmanager
def _told_of(what: str) -> Iterator[None]:
    """An engine's refusal as the store's, with the path that its author knows."""
    try:
        yield
    except EngineError as error:
        raise RequestError(f"{what} is refused: {error.why}", hint=error.hint) from None
