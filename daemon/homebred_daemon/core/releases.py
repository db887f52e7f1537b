"""A trusted release as this device installs it, and the record of it that outlives a kill.

It is what the signed manifest says and installing needs, no more: whoever fetches the bytes knows their frames, whoever
trusted the manifest checked its signatures, site and classes. Nothing is read, hashed or decided here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from homebred_protocol.documents.fields import DocumentError, Fields
from homebred_protocol.documents.release_parts import arguments_of, engine_of, form_of, makes_of
from homebred_protocol.documents.release_values import Constraints, GoldenDemand, Recipe, ReleaseManifest, Shadow

Record = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseFile:
    """One file of a release."""

    path: str
    """Below the specialist's folder, with `/`."""
    digest: str
    """`sha256:` of its bytes."""
    length: int
    """In bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One release of one specialist."""

    id: str
    """The specialist's."""
    number: int
    """From 1; the higher is the newer."""
    title: str
    target: str
    """The path that both repositories signed."""
    digest: str
    """`sha256:` of the manifest's bytes: what a lease names."""
    files: tuple[ReleaseFile, ...]
    """All that belongs into the specialist's folder."""
    constraints: Constraints
    golden: tuple[GoldenDemand, ...]
    """At least one: a release without a gate is none."""
    maximum_memory_bytes: int = 0
    """What its engine's process may take on the gate; 0: no bound."""
    shadow: Shadow | None = None
    """How it is compared with what serves, on this device's own tasks; None: it is not."""
    recipe: Recipe | None = None
    """What makes its base or its adapter here; None: all that serves is among its files, or here already."""
    digests: Mapping[str, str] = field(init=False, repr=False, compare=False)
    """Digest by path."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "digests", {file.path: file.digest for file in self.files})

    @property
    def length(self) -> int:
        """Bytes of all its files."""
        return sum(file.length for file in self.files)


def release_of(manifest: ReleaseManifest, target: str, digest: str) -> Release:
    """The release that a trusted manifest describes; `target` is its signed path, `digest` that of its bytes."""
    return Release(
        id=manifest.id,
        number=manifest.number,
        title=manifest.title,
        target=target,
        digest=digest,
        files=tuple(ReleaseFile(path=one.path, digest=one.digest, length=one.length) for one in manifest.files),
        constraints=manifest.constraints,
        golden=manifest.gate.golden,
        maximum_memory_bytes=manifest.gate.maximum_memory_bytes,
        shadow=manifest.gate.shadow,
        recipe=manifest.recipe,
    )


def release_record(release: Release) -> Record:
    """The release as a JSON value."""
    constraints, golden = release.constraints, release.golden
    return {
        "id": release.id,
        "number": release.number,
        "title": release.title,
        "target": release.target,
        "digest": release.digest,
        "files": [{"path": each.path, "digest": each.digest, "length": each.length} for each in release.files],
        "constraints": {name: getattr(constraints, name) for name in _CONSTRAINTS},
        "golden": [{name: getattr(each, name) for name in _GOLDEN} for each in golden],
        "maximum_memory_bytes": release.maximum_memory_bytes,
        **({} if release.recipe is None else {"recipe": _recipe_record(release.recipe)}),
        **({} if release.shadow is None else {"shadow": {name: getattr(release.shadow, name) for name in _SHADOW}}),
    }


def read_release(document: object) -> Release:
    """The release in a record that `release_record` made.

    Raises:
        DocumentError: it is none.
    """
    fields = Fields(document)
    constraints, shadow, recipe = fields.table("constraints"), fields.table("shadow"), fields.table("recipe")
    release = Release(
        id=fields.text("id", required=True) or "",
        number=fields.integer("number", required=True) or 0,
        title=fields.text("title", "") or "",
        target=fields.text("target", required=True) or "",
        digest=fields.text("digest", required=True) or "",
        files=tuple(_file(entry) for entry in fields.listed("files")),
        constraints=Constraints(engine="") if constraints is None else _constraints(constraints),
        golden=tuple(_golden(entry) for entry in fields.listed("golden")),
        maximum_memory_bytes=fields.integer("maximum_memory_bytes", 0) or 0,
        shadow=None if shadow is None else _shadow(shadow),
        recipe=None if recipe is None else _recipe(recipe),
    )
    fields.finish()
    if fields.problems:
        raise DocumentError("release", fields.problems)
    return release


_CONSTRAINTS = tuple(Constraints.__dataclass_fields__)
_GOLDEN = tuple(GoldenDemand.__dataclass_fields__)
_SHADOW = tuple(Shadow.__dataclass_fields__)


def _file(fields: Fields) -> ReleaseFile:
    file = ReleaseFile(
        path=fields.text("path", required=True) or "",
        digest=fields.text("digest", required=True) or "",
        length=fields.integer("length", required=True) or 0,
    )
    fields.finish()
    return file


def _constraints(fields: Fields) -> Constraints:
    constraints = Constraints(
        engine=fields.text("engine", required=True) or "",
        memory_bytes=fields.integer("memory_bytes", 0) or 0,
        **{name: fields.text(name, "") or "" for name in _CONSTRAINTS if name not in {"engine", "memory_bytes"}},
    )
    fields.finish()
    return constraints


def _shadow(fields: Fields) -> Shadow:
    shadow = Shadow(**{name: fields.integer(name, required=True) or 0 for name in _SHADOW})
    fields.finish()
    return shadow


def _recipe_record(recipe: Recipe) -> Record:
    return {
        "engine": recipe.engine,
        "makes": recipe.makes,
        "form": recipe.form,
        "inputs": list(recipe.inputs),
        "arguments": dict(recipe.arguments),
    }


def _recipe(fields: Fields) -> Recipe:
    recipe = Recipe(
        engine=engine_of(fields),
        form=form_of(fields),
        inputs=fields.texts("inputs"),
        arguments=arguments_of(fields),
        makes=makes_of(fields),
    )
    fields.finish()
    return recipe


def _golden(fields: Fields) -> GoldenDemand:
    demand = GoldenDemand(
        workflow=fields.text("workflow", required=True) or "",
        path=fields.text("path", required=True) or "",
        scorer=fields.text("scorer", required=True) or "",
        minimum_ppm=fields.integer("minimum_ppm", required=True) or 0,
        maximum_p95_ms=fields.integer("maximum_p95_ms", 0) or 0,
    )
    fields.finish()
    return demand
