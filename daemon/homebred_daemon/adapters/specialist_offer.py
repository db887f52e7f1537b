"""What somebody offers to the model store, checked whole: its folder, its base model's file, that file's digest.

A GGUF file that is truncated, wrong or too large for this machine is refused here, before it is stored or loaded. The
files of other engines are checked by their engine when it loads them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from homebred_daemon.adapters.blob_store import Progress, digest_of_file
from homebred_daemon.adapters.specialist_folder import (
    GENERALIST_CONTEXT_TOKENS,
    GGUF_ENGINE,
    SpecialistFolder,
    generalist,
    read_folder,
)
from homebred_daemon.errors import RequestError
from homebred_engines.api import ModelRefusedError
from homebred_engines.gguf_file import GgufFacts, read_gguf
from homebred_engines.model_room import refuse_oversized
from homebred_protocol.documents.specialist import SpecialistManifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A specialist that may go into the store."""

    folder: SpecialistFolder
    base_digest: str
    """`sha256:` of its base model."""
    base_file: Path | None
    """Where to copy the base from; None: the store has it."""


def offer_of_file(model_file: Path, specialist_id: str, memory_budget_bytes: int, progress: Progress) -> Offer:
    """A bare GGUF file, as a generalist. Raises RequestError."""
    facts = _facts(model_file, GENERALIST_CONTEXT_TOKENS, memory_budget_bytes)
    digest = _digest(model_file, progress)
    return Offer(folder=generalist(model_file, facts, digest, specialist_id), base_digest=digest, base_file=model_file)


def offer_of_folder(
    folder: Path, memory_budget_bytes: int, *, has_base: Callable[[str], bool], progress: Progress
) -> Offer:
    """A specialist's folder; `has_base` says whether the store holds a base, whole. Raises RequestError."""
    read = read_folder(folder)
    manifest = read.manifest
    base_file = _base_file(folder, manifest, has_base)
    if base_file is None:
        return Offer(folder=read, base_digest=manifest.base_digest, base_file=None)
    if manifest.engine == GGUF_ENGINE:
        _facts(base_file, manifest.max_context or GENERALIST_CONTEXT_TOKENS, memory_budget_bytes)
    digest = _digest(base_file, progress)
    if manifest.base_digest not in ("", digest):
        raise RequestError(
            f"{base_file} has the digest {digest}, and the manifest names {manifest.base_digest}",
            hint="put the right file beside the manifest, or correct [base]",
        )
    return Offer(folder=read, base_digest=digest, base_file=base_file)


def _base_file(folder: Path, manifest: SpecialistManifest, has_base: Callable[[str], bool]) -> Path | None:
    if manifest.base_file:
        named = folder / manifest.base_file
        if not named.is_file():
            raise RequestError(
                f"{named} is not there, and the manifest names it as its base",
                hint="put the model's file beside the manifest",
            )
        return named
    if has_base(manifest.base_digest):
        return None
    beside = sorted(folder.glob("*.gguf"))
    if len(beside) != 1:
        raise RequestError(
            f"the store does not hold the base model of {manifest.id}, {manifest.base_digest}",
            hint="add the model's GGUF file first, or put it, and no other, beside the manifest",
        )
    return beside[0]


def _facts(model_file: Path, context_tokens: int, memory_budget_bytes: int) -> GgufFacts:
    """What a GGUF file says of itself, where it is sound and one slot of it fits into memory. Raises RequestError."""
    try:
        facts = read_gguf(model_file)
        refuse_oversized(
            facts,
            context_tokens=min(context_tokens, facts.context_tokens),
            slots=1,
            memory_budget_bytes=memory_budget_bytes,
        )
    except ModelRefusedError as error:
        raise RequestError(f"{model_file} is refused: {error.why}", hint=error.hint) from None
    return facts


def _digest(file: Path, progress: Progress) -> str:
    try:
        return digest_of_file(file, "reading", progress)
    except OSError as error:
        raise RequestError(
            f"{file} cannot be read: {error.strerror}", hint="check that it is there and may be read"
        ) from None
