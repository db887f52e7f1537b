"""The manifest of a release: which bytes, where they may run, what they must show there. It is what is signed.

    {"version": 1, "kind": "release", "family": "clinic", "id": "intake", "number": 7, "title": "…",
     "files": [{"path": "specialist.toml", "length": 812, "digest": "sha256:…", "frames": ["…"]}], "frame_bytes": …,
     "specialist": "specialist.toml", "base": {"digest": "sha256:…", "form": "file", "length": 98394848}, …}

A manifest is canonical JSON (`canonical.py`): the same release has the same bytes, and so the same digest. It opens
none of the files and knows no signature; whether a device may take it is for the device to say.
"""

from __future__ import annotations

from typing import Any

from homebred_protocol.digests import digest_of, digest_of_listing
from homebred_protocol.documents.canonical import NotCanonicalError, canonical, from_canonical
from homebred_protocol.documents.fields import DocumentError, Fields, Problem
from homebred_protocol.documents.release_files import MAX_FILES, file_of, files_of
from homebred_protocol.documents.release_parts import (
    DIGEST,
    MAX_INPUTS,
    arguments_of,
    base_of,
    check_name,
    classes_of,
    constraints_of,
    engine_of,
    form_of,
    makes_of,
    names_of,
    number_of,
    provenance_of,
    shadow_of,
    sites_of,
    text_of,
    thresholds_of,
)
from homebred_protocol.documents.release_values import (
    FRAME_BYTES,
    MAKES,
    Constraints,
    Gate,
    GoldenDemand,
    Recipe,
    ReleaseBase,
    ReleaseFile,
    ReleaseManifest,
    Shadow,
)
from homebred_protocol.documents.specialist import SCORERS, is_specialist_id, is_workflow
from homebred_protocol.targets import MAX_TARGET_BYTES

VERSION = 1
KIND = "release"
MAX_WORKFLOWS = 256
MAX_PARENTS = 32
MAX_PROBLEMS = 20
"""Of a manifest; further ones are not told."""
_MAX_VALUES = 16 * MAX_FILES + 16_384
"""The frames that have room in a target, and what else is said."""
_BUILD_AGAIN = "build it again with `homebred-fleet release build`"


Said = Constraints | GoldenDemand | Shadow


def read_release(body: bytes) -> ReleaseManifest:
    """The manifest in a target's bytes, of which `canonical_bytes` makes the same bytes again.

    Raises:
        DocumentError: with the problems found.
    """
    try:
        document = from_canonical(body, max_bytes=MAX_TARGET_BYTES, max_values=_MAX_VALUES)
    except NotCanonicalError as error:
        raise DocumentError(KIND, [Problem(path=(), what=f"is no manifest: {error}", hint=_BUILD_AGAIN)]) from None
    fields = Fields(document)
    manifest = _manifest(fields)
    if not fields.problems and canonical_bytes(manifest) != body:
        # One release, one text: nothing that has no meaning may give it another digest.
        fields.complain((), "spells out what is left out, or leaves out what is spelt out", _BUILD_AGAIN)
    if fields.problems:
        raise DocumentError(KIND, fields.problems[:MAX_PROBLEMS])
    return manifest


def canonical_bytes(manifest: ReleaseManifest) -> bytes:
    """The bytes that are signed. Raises NotCanonicalError where a text holds a control character."""
    return canonical(document_of(manifest))


def digest_of_release(manifest: ReleaseManifest) -> str:
    """`sha256:` of the bytes that are signed: what a lease and a receipt name."""
    return digest_of(canonical_bytes(manifest))


def document_of(manifest: ReleaseManifest) -> dict[str, Any]:
    """The manifest as a JSON object."""
    base, recipe = manifest.base, manifest.recipe
    return {
        "version": VERSION,
        "kind": KIND,
        "family": manifest.family,
        "id": manifest.id,
        "number": manifest.number,
        "title": manifest.title,
        "files": [
            {"path": file.path, "length": file.length, "digest": file.digest, "frames": list(file.frames)}
            for file in manifest.files
        ],
        "frame_bytes": FRAME_BYTES,
        "specialist": manifest.specialist,
        **({} if base is None else {"base": {"digest": base.digest, "form": base.form, "length": base.length}}),
        "lineage": {"parents": list(manifest.parents), "generation": manifest.generation},
        "constraints": _said(manifest.constraints, Constraints),
        "gate": {
            "golden": [_said(demand, GoldenDemand) for demand in manifest.gate.golden],
            **(
                {"maximum_memory_bytes": manifest.gate.maximum_memory_bytes}
                if manifest.gate.maximum_memory_bytes
                else {}
            ),
            **({} if manifest.gate.shadow is None else {"shadow": _said(manifest.gate.shadow, Shadow)}),
        },
        "workflows": list(manifest.workflows),
        "licence": manifest.licence,
        "provenance": [
            {"name": one.name, "licence": one.licence, **({"digest": one.digest} if one.digest else {})}
            for one in manifest.provenance
        ],
        "classes": list(manifest.classes),
        "sites": list(manifest.sites),
        "recipe": None if recipe is None else _recipe_document(recipe),
    }


def _said(value: Said, of: type[Said]) -> dict[str, Any]:
    """The fields that say something; `minimum_ppm` says something even where it is 0."""
    told = {name: getattr(value, name) for name in of.__dataclass_fields__}
    return {name: said for name, said in told.items() if said or name == "minimum_ppm"}


def _recipe_document(recipe: Recipe) -> dict[str, Any]:
    return {
        "engine": recipe.engine,
        **({} if recipe.makes == MAKES[0] else {"makes": recipe.makes}),
        "form": recipe.form,
        "inputs": list(recipe.inputs),
        "arguments": dict(recipe.arguments),
    }


def _manifest(fields: Fields) -> ReleaseManifest:
    for key, expected in (("version", VERSION), ("kind", KIND), ("frame_bytes", FRAME_BYTES)):
        if (found := fields.raw(key)) != expected or isinstance(found, bool):
            fields.complain((key,), f"is {found!r:.40}", f"this product reads {expected!r}")
    number, files = number_of(fields), files_of(fields)
    family, specialist_id = fields.text("family", required=True) or "", fields.text("id", required=True) or ""
    check_name(fields, family=family, specialist=specialist_id, number=number)
    base = _base(fields)
    classes = classes_of(fields)
    workflows = _workflows(fields)
    parents, generation = _lineage(fields)
    manifest = ReleaseManifest(
        family=family,
        id=specialist_id,
        number=number,
        title=text_of(fields, "title", required=True),
        files=files,
        specialist=file_of(fields, "specialist", files),
        base=base,
        parents=parents,
        generation=generation,
        constraints=_constraints(fields, base),
        gate=_gate(fields, files, workflows),
        workflows=workflows,
        licence=text_of(fields, "licence", required=True),
        provenance=provenance_of(fields),
        classes=classes,
        sites=sites_of(fields, classes),
        recipe=_recipe(fields, files, base),
    )
    fields.finish()
    return manifest


def _base(fields: Fields) -> ReleaseBase | None:
    table = fields.table("base")
    return None if table is None else base_of(table)


def _lineage(fields: Fields) -> tuple[tuple[str, ...], int]:
    table = _table(fields, "lineage")
    if table is None:
        return (), 0
    parents = table.texts("parents")
    if len(parents) > MAX_PARENTS or len(set(parents)) < len(parents) or not all(map(is_specialist_id, parents)):
        table.complain(
            ("parents",), "holds what is no specialist's id, one twice or too many", f"{MAX_PARENTS} at most"
        )
    generation = table.integer("generation", required=True) or 0
    table.finish()
    return parents, generation


def _table(fields: Fields, key: str) -> Fields | None:
    """A table that must be there."""
    table = fields.table(key)
    if table is None:
        fields.complain((key,), "is missing", _BUILD_AGAIN)
    return table


def _workflows(fields: Fields) -> tuple[str, ...]:
    form = "write names of workflows, or `*`"
    workflows = names_of(fields, "workflows", is_workflow, form, most=MAX_WORKFLOWS)
    if not workflows and not fields.problems:
        fields.complain(("workflows",), "names no workflow", _BUILD_AGAIN)
    return workflows


def _constraints(fields: Fields, base: ReleaseBase | None) -> Constraints:
    table = _table(fields, "constraints")
    if table is None:
        return Constraints(engine="")
    constraints = constraints_of(table)
    if base is not None and constraints.base_digest != base.digest:
        table.complain(("base_digest",), "is not that of the base", "both name the same base model")
    return constraints


def _gate(fields: Fields, files: tuple[ReleaseFile, ...], workflows: tuple[str, ...]) -> Gate:
    table = _table(fields, "gate")
    if table is None:
        return Gate(golden=())
    demands: list[GoldenDemand] = []
    for entry in table.listed("golden"):
        demands.append(_demand(entry, files))
        if demands[-1].workflow not in workflows:
            entry.complain(("workflow",), f"is {demands[-1].workflow!r:.100}", "name one of the release's workflows")
        if len(fields.problems) >= MAX_PROBLEMS:
            break
    names = [demand.workflow for demand in demands]
    if not names or names != sorted(set(names)):
        table.complain(("golden",), "is empty, not sorted by workflow, or names one twice", "name each workflow once")
    maximum_memory_bytes, shadow = table.integer("maximum_memory_bytes", low=1) or 0, shadow_of(table)
    table.finish()
    return Gate(golden=tuple(demands), maximum_memory_bytes=maximum_memory_bytes, shadow=shadow)


def _demand(entry: Fields, files: tuple[ReleaseFile, ...]) -> GoldenDemand:
    minimum_ppm, maximum_p95_ms = thresholds_of(entry)
    if not entry.has("scorer"):
        entry.complain(("scorer",), "is missing", f"write one of: {', '.join(SCORERS)}")
    demand = GoldenDemand(
        workflow=entry.text("workflow", required=True) or "",
        path=file_of(entry, "path", files),
        scorer=entry.choice("scorer", SCORERS) or SCORERS[0],
        minimum_ppm=minimum_ppm,
        maximum_p95_ms=maximum_p95_ms,
    )
    entry.finish()
    return demand


def _recipe(fields: Fields, files: tuple[ReleaseFile, ...], base: ReleaseBase | None) -> Recipe | None:
    table = fields.table("recipe")
    if table is None:
        return None
    inputs = table.texts("inputs")
    if not 0 < len(inputs) <= MAX_INPUTS or not all(map(DIGEST.fullmatch, inputs)):
        table.complain(("inputs",), "holds none, too many, or what is no digest", f"write 1 to {MAX_INPUTS} digests")
    elif unknown := sorted(set(inputs) - inputs_of(files, base)):
        table.complain(("inputs",), f"names {unknown[0]}", "name what the release brings: a file, a folder, its base")
    recipe = Recipe(
        engine=engine_of(table),
        form=form_of(table),
        inputs=inputs,
        arguments=arguments_of(table),
        makes=makes_of(table),
    )
    table.finish()
    return recipe


def inputs_of(files: tuple[ReleaseFile, ...], base: ReleaseBase | None) -> set[str]:
    """Digests of all that a recipe may build of: each file, each folder at the top, the base."""
    folders: dict[str, list[tuple[str, str, int]]] = {}
    for file in files:
        top, slash, below = file.path.partition("/")
        if slash:
            folders.setdefault(top, []).append((below, file.digest, file.length))
    found = {file.digest for file in files} | {digest_of_listing(listing) for listing in folders.values()}
    return found if base is None else found | {base.digest}
