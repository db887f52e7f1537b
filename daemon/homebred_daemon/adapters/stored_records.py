"""What the model store writes beside a specialist: base.json and adapter.json (which blobs), fitness.json (measured).

Of a release that is built here recipe.json names the blobs that go into the build, until built.json says what came out.

It knows the files' form; when they are written is the store's affair.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from homebred_daemon.adapters.blob_store import Blob, Form
from homebred_daemon.core.builds import NOT_BUILT, Built
from homebred_daemon.core.measurements import Measurement, measurements_record, read_measurements
from homebred_daemon.errors import StateError
from homebred_protocol.documents.fields import DocumentError

BASE_NAME = "base.json"
ADAPTER_NAME = "adapter.json"
FITNESS_NAME = "fitness.json"
BUILT_NAME = "built.json"
RECIPE_NAME = "recipe.json"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A base model or an adapter that a stored specialist runs with."""

    blob: Blob
    size_bytes: int
    """Its size when it was put in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What a base model's files said of it when it was put in; each empty where they said nothing."""

    kv_bytes_per_token: int = 0
    """What one token of context costs in a 16-bit cache."""
    trained_context: int = 0
    """Tokens that it was trained for."""
    gpu_architecture: str = ""
    """The only one that it runs on, such as `sm_87`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a stored specialist runs with."""

    base: Part
    figures: Figures
    """Of the base."""
    adapter: Part | None
    """None: the base alone."""

    @property
    def blobs(self) -> tuple[Blob, ...]:
        """Those that it needs: the base, then the adapter."""
        return (self.base.blob,) if self.adapter is None else (self.base.blob, self.adapter.blob)


def parts_files(parts: Parts) -> dict[str, bytes]:
    """base.json, and adapter.json where there is an adapter, by name."""
    figures = {key: value for key, value in asdict(parts.figures).items() if value}
    files = {BASE_NAME: _json_body(_part_record(parts.base) | figures)}
    if parts.adapter is not None:
        files[ADAPTER_NAME] = _json_body(_part_record(parts.adapter))
    return files


def read_parts(folder: Path) -> Parts:
    """What a stored specialist's base.json and adapter.json say. Raises StateError."""
    record = _record(folder / BASE_NAME)
    figures = Figures(**{each.name: record.get(each.name, each.default) for each in fields(Figures)})
    counts = (figures.kv_bytes_per_token, figures.trained_context)
    if not all(isinstance(count, int) for count in counts) or not isinstance(figures.gpu_architecture, str):
        raise StateError(f"{folder / BASE_NAME} holds figures that are none")
    adapter_path = folder / ADAPTER_NAME
    return Parts(
        base=_part(folder / BASE_NAME, record),
        figures=figures,
        adapter=_part(adapter_path, _record(adapter_path)) if adapter_path.exists() else None,
    )


def _record(path: Path) -> Mapping[str, Any]:
    try:
        record = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise StateError(f"{path} cannot be read: {error}") from None
    if not isinstance(record, dict):
        raise StateError(f"{path} cannot be read: it is no JSON object")
    return record


def _part_record(part: Part) -> dict[str, Any]:
    return {"digest": part.blob.digest, "form": part.blob.form.value, "size_bytes": part.size_bytes}


def _part(path: Path, record: Mapping[str, Any]) -> Part:
    digest, size_bytes, form = record.get("digest"), record.get("size_bytes"), record.get("form", Form.FILE.value)
    is_named = isinstance(digest, str) and _DIGEST.fullmatch(digest) and form in {each.value for each in Form}
    if not (is_named and isinstance(size_bytes, int)):
        raise StateError(f"{path} names nothing that the store could hold")
    return Part(blob=Blob(Form(form), str(digest)), size_bytes=size_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToBuild:
    """What a stored specialist that is not built yet is kept with."""

    inputs: tuple[Part, ...]
    """What its recipe builds of, in order."""
    beside: Part | None
    """An adapter that was brought for a base that is built; None: there is none."""

    @property
    def blobs(self) -> tuple[Blob, ...]:
        """Those that it needs."""
        return tuple(part.blob for part in (*self.inputs, *filter(None, [self.beside])))


def to_build_body(to_build: ToBuild) -> bytes:
    """The content of recipe.json."""
    beside = {} if to_build.beside is None else {"beside": _part_record(to_build.beside)}
    return _json_body({"inputs": [_part_record(part) for part in to_build.inputs], **beside})


def read_to_build(folder: Path) -> ToBuild | None:
    """What a stored specialist's recipe.json says; None: it is not to be built. Raises StateError."""
    path = folder / RECIPE_NAME
    if not path.exists():
        return None
    record = _record(path)
    inputs, beside = record.get("inputs"), record.get("beside")
    if not isinstance(inputs, list) or not all(isinstance(each, dict) for each in [*inputs, beside or {}]):
        raise StateError(f"{path} names nothing that the store could hold")
    return ToBuild(inputs=tuple(_part(path, each) for each in inputs), beside=_part(path, beside) if beside else None)


def needed_blobs(folder: Path) -> tuple[Blob, ...]:
    """What a stored specialist runs with, or is built of. Raises StateError."""
    to_build = read_to_build(folder)
    return read_parts(folder).blobs if to_build is None else to_build.blobs


def built_body(built: Built) -> bytes:
    """The content of built.json."""
    return _json_body({"digest": built.digest, "builder": built.builder})


def read_built(folder: Path) -> Built:
    """What a stored specialist's built.json says was built; NOT_BUILT: nothing was. Raises StateError."""
    path = folder / BUILT_NAME
    if not path.exists():
        return NOT_BUILT
    record = _record(path)
    digest, builder = record.get("digest"), record.get("builder")
    if not (isinstance(digest, str) and _DIGEST.fullmatch(digest) and isinstance(builder, str)):
        raise StateError(f"{path} names nothing that was built")
    return Built(digest=digest, builder=builder)


def fitness_body(measurements: Mapping[str, Measurement]) -> bytes:
    """The content of fitness.json, from measurements by workflow."""
    return _json_body(measurements_record(measurements))


def read_fitness(folder: Path) -> dict[str, Measurement]:
    """The measurements by workflow in a stored specialist's fitness.json, if it has one. Raises StateError."""
    path = folder / FITNESS_NAME
    try:
        return read_measurements(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError, DocumentError) as error:
        raise StateError(f"{path} cannot be read: {error}") from None


def _json_body(record: Mapping[str, Any]) -> bytes:
    return (json.dumps(record, indent=2, sort_keys=True, allow_nan=False) + "\n").encode()
