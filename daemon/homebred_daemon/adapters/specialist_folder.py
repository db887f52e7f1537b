"""Reads a specialist's folder, or makes one for a bare model file; everything in it is checked before it is used.

It stores nothing, and reads no more of a model's file than its head.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from homebred_daemon.adapters.json_schema import JsonSchemaChecker
from homebred_daemon.errors import RequestError
from homebred_daemon.toml_lines import key_lines, line_of
from homebred_engines.gguf_file import GgufFacts
from homebred_engines.registry import ENGINES
from homebred_protocol.digests import digest_of
from homebred_protocol.documents.fields import DocumentError
from homebred_protocol.documents.golden import GoldenSet, read_golden
from homebred_protocol.documents.specialist import SpecialistManifest, is_specialist_id, read_specialist

MANIFEST_NAME = "specialist.toml"
GGUF_ENGINE = "llamacpp"
GENERALIST_CONTEXT_TOKENS = 2048
"""What a bare file is served with; its training length may cost gigabytes of cache. A manifest may say more."""
MAX_MANIFEST_BYTES = 1024 * 1024
MAX_GOLDEN_BYTES = 64 * 1024 * 1024
_CORRECT_AND_REPEAT = "correct the file and try again"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecialistFolder:
    """A specialist's folder as read, its base model aside."""

    manifest: SpecialistManifest
    files: Mapping[str, bytes]
    """The manifest and the golden sets it names, by path below the folder."""


def read_folder(folder: Path) -> SpecialistFolder:
    """The folder's manifest and golden sets, all checked.

    Raises:
        RequestError: something in it cannot be used.
    """
    body = read_bounded(folder / MANIFEST_NAME, MAX_MANIFEST_BYTES)
    manifest = _checked_manifest(folder / MANIFEST_NAME, body)
    if manifest.engine not in ENGINES:
        raise RequestError(
            f"{folder / MANIFEST_NAME} names the engine {manifest.engine!r}, which this product does not have",
            hint=f"write one of: {', '.join(sorted(ENGINES))}",
        )
    if manifest.prompt.response_schema:
        JsonSchemaChecker().check_schema(manifest.prompt.response_schema)
    files = {MANIFEST_NAME: body}
    for name, workflow in manifest.workflows.items():
        if workflow.golden:
            path = folder / workflow.golden
            if not path.resolve().is_relative_to(folder.resolve()):
                raise RequestError(f"{path} leads out of its folder", hint="put the golden set itself into the folder")
            body = read_bounded(path, MAX_GOLDEN_BYTES)
            _check_golden(path, body, manifest, name)
            files[workflow.golden] = body
    return SpecialistFolder(manifest=manifest, files=files)


def read_manifest(path: Path) -> SpecialistManifest:
    """The manifest in a file.

    Raises:
        RequestError: with every problem and its line.
    """
    return _checked_manifest(path, read_bounded(path, MAX_MANIFEST_BYTES))


def _checked_manifest(path: Path, body: bytes) -> SpecialistManifest:
    try:
        text = body.decode("utf-8")
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a number of thousands of digits is no TOMLDecodeError
        raise RequestError(f"{path} is not TOML: {error}", hint=_CORRECT_AND_REPEAT) from None
    try:
        return read_specialist(document, digest_of(body))
    except DocumentError as error:
        lines = key_lines(text)
        places = [(line_of(lines, problem.path), problem.sentence()) for problem in error.problems]
        told = [f"line {line}: {sentence}" if line else sentence for line, sentence in places]
        raise RequestError(_listed(f"{path} cannot be used", told), hint=_CORRECT_AND_REPEAT) from None


def read_golden_file(path: Path, manifest: SpecialistManifest, workflow: str) -> GoldenSet:
    """The golden set in a file, fit to measure the specialist on a workflow that its manifest names.

    Raises:
        RequestError: with the problems and their lines.
    """
    return _check_golden(path, read_bounded(path, MAX_GOLDEN_BYTES), manifest, workflow)


def generalist(model_file: Path, facts: GgufFacts, base_digest: str, specialist_id: str = "") -> SpecialistFolder:
    """A folder for a bare GGUF file: a specialist for any workflow, without a prompt and never measured.

    Raises:
        RequestError: no id can be made of the file's name, or the given one is none.
    """
    name = specialist_id or re.sub(r"[^a-z0-9._-]+", "-", model_file.stem.lower()).lstrip("._-")[:64]
    if not is_specialist_id(name):
        raise RequestError(
            f"{name!r} is no specialist's id" if name else f"{model_file.name} gives no specialist's id",
            hint="name one with --id: lower case letters, digits, `.`, `_` and `-`, 64 at most",
        )
    values = {
        "version": 1,
        "id": name,
        "title": _printable(facts.name) or name,
        "engine": GGUF_ENGINE,
        "size_rank": max(1, round(facts.parameters / 1e6)),
        "max_context": min(facts.context_tokens, GENERALIST_CONTEXT_TOKENS),
        "licence": _printable(facts.licence),
        "capabilities": ["tools"],  # whatever the model: its engine tells it of them, and guides its calls
    }
    # Printable text is written alike in JSON and TOML.
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
    body = "\n".join([*lines, "[base]", f'digest = "{base_digest}"', '[workflows."*"]', ""]).encode()
    manifest = read_specialist(tomllib.loads(body.decode()), digest_of(body))
    return SpecialistFolder(manifest=manifest, files={MANIFEST_NAME: body})


def _check_golden(path: Path, body: bytes, manifest: SpecialistManifest, workflow: str) -> GoldenSet:
    scorer = manifest.workflows[workflow].scorer
    try:
        return read_golden(body, digest_of(body), scorer=scorer, examples=manifest.prompt.examples)
    except DocumentError as error:
        told = [problem.sentence() for problem in error.problems]
        raise RequestError(_listed(f"{path} cannot be used", told), hint=_CORRECT_AND_REPEAT) from None


def _printable(text: str) -> str:
    return text.strip() if text.isprintable() else ""


def read_bounded(path: Path, max_bytes: int) -> bytes:
    """A whole file. Raises RequestError where it cannot be read or is longer."""
    try:
        with path.open("rb") as file:
            body = file.read(max_bytes + 1)
    except OSError as error:
        raise RequestError(
            f"{path} cannot be read: {error.strerror}", hint="check that it is there and may be read"
        ) from None
    if len(body) > max_bytes:
        raise RequestError(f"{path} has more than {max_bytes} bytes", hint="shorten it")
    return body


def _listed(what: str, told: list[str]) -> str:
    return f"{what}: {told[0]}" if len(told) == 1 else "\n  ".join([f"{what}:", *told])
