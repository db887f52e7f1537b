"""`release.toml`, which stands beside a `specialist.toml` and says what a release of that specialist is to be.

It reads the document alone. What of it the specialist contradicts, `releases.py` says; what a device would refuse of
the finished manifest, `homebred_protocol.documents.release`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from homebred_protocol.documents.fields import DocumentError, Fields
from homebred_protocol.documents.release_files import path_problem
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
    number_of,
    provenance_of,
    shadow_of,
    sites_of,
    text_of,
    thresholds_of,
)
from homebred_protocol.documents.release_values import MAKES, Constraints, Provenance, ReleaseBase, Shadow

VERSION: Final = 1
NAME: Final = "release.toml"
_FILLED_IN_LATER: Final = ""
_SOUND: Final = "a"


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """What is to be reached on one golden set."""

    minimum_ppm: int
    """Score, in millionths."""
    maximum_p95_ms: int
    """95th percentile of a row's time, in milliseconds; 0: no bound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipePlan:
    """What a device builds itself, of what stands beside."""

    engine: str
    form: str
    """What comes out: `file` or `folder`."""
    inputs: tuple[str, ...]
    """Files and folders beside, by name, or the base by the digest that `specialist.toml` says; in order."""
    arguments: Mapping[str, str | int]
    makes: str = MAKES[0]
    """What of the specialist comes out: its base or its adapter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasePlan:
    """What a release is to be, as its author says."""

    family: str
    number: int
    licence: str
    """Empty: what `specialist.toml` says."""
    classes: tuple[str, ...]
    """At least one: `public` where it inherits nothing that is protected."""
    sites: tuple[str, ...]
    base: ReleaseBase | None
    """Form and length of a base that is not brought along, its digest still empty; None: it is brought along."""
    constraints: Constraints
    """Engine and base still empty."""
    thresholds: Mapping[str, Threshold]
    """By workflow."""
    maximum_memory_bytes: int
    """Of the worker on the gate; 0: no bound."""
    shadow: Shadow | None
    """How it is compared with what serves, on a device's own tasks; None: it is not."""
    provenance: tuple[Provenance, ...]
    recipe: RecipePlan | None


def read_plan(document: object) -> ReleasePlan:
    """The plan in one parsed TOML document.

    Raises:
        DocumentError: with every problem found.
    """
    fields = Fields(document)
    if fields.integer("version", required=True) not in (None, VERSION):
        fields.complain(("version",), "is not known", f"this product reads version {VERSION}")
    family, number = fields.text("family", required=True) or "", number_of(fields)
    check_name(fields, family=family or _SOUND, specialist=_SOUND, number=number)
    classes = classes_of(fields)
    if not classes and not any(problem.path == ("classes",) for problem in fields.problems):
        fields.complain(
            ("classes",), "is missing", 'name what it inherits, or write ["public"] if nothing is protected'
        )
    thresholds, maximum_memory_bytes, shadow = _gate(fields)
    plan = ReleasePlan(
        family=family,
        number=number,
        licence=text_of(fields, "licence"),
        classes=classes,
        sites=sites_of(fields, classes),
        base=_base(fields.table("base")),
        constraints=_constraints(fields.table("constraints")),
        thresholds=thresholds,
        maximum_memory_bytes=maximum_memory_bytes,
        shadow=shadow,
        provenance=provenance_of(fields),
        recipe=_recipe(fields.table("recipe")),
    )
    fields.finish()
    if fields.problems:
        raise DocumentError(NAME, fields.problems)
    return plan


def _base(table: Fields | None) -> ReleaseBase | None:
    return None if table is None else base_of(table, digest=_FILLED_IN_LATER)


def _constraints(table: Fields | None) -> Constraints:
    if table is None:
        return Constraints(engine=_FILLED_IN_LATER)
    return constraints_of(table, engine=_FILLED_IN_LATER, base_digest=_FILLED_IN_LATER)


def _gate(fields: Fields) -> tuple[Mapping[str, Threshold], int, Shadow | None]:
    gate = fields.table("gate")
    if gate is None:
        fields.complain(("gate",), "is missing", 'write [gate.golden."WORKFLOW"] with minimum_ppm for each golden set')
        return {}, 0, None
    found = {}
    for workflow, entry in gate.tables("golden"):
        minimum_ppm, maximum_p95_ms = thresholds_of(entry)
        found[workflow] = Threshold(minimum_ppm=minimum_ppm, maximum_p95_ms=maximum_p95_ms)
        entry.finish()
    maximum_memory_bytes, shadow = gate.integer("maximum_memory_bytes", low=1) or 0, shadow_of(gate)
    gate.finish()
    return found, maximum_memory_bytes, shadow


def _recipe(table: Fields | None) -> RecipePlan | None:
    if table is None:
        return None
    inputs = table.texts("inputs")
    if not 0 < len(inputs) <= MAX_INPUTS:
        table.complain(("inputs",), "names nothing, or too much", f"name 1 to {MAX_INPUTS} files or folders beside")
    for name in inputs:
        if not DIGEST.fullmatch(name) and ("/" in name or path_problem(name)):
            table.complain(("inputs",), f"names {name!r:.100}", "write a file or folder beside release.toml")
    recipe = RecipePlan(
        engine=engine_of(table),
        form=form_of(table),
        inputs=inputs,
        arguments=arguments_of(table),
        makes=makes_of(table),
    )
    table.finish()
    return recipe
