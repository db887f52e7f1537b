"""What a release is made of, and whether a specialist and its release plan can become one.

A device would refuse later what is refused here, where its author still can mend it. It opens no file: `release_folder`
and `release_building` do.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from homebred_fleet.core.release_plan import RecipePlan, ReleasePlan
from homebred_protocol.digests import digest_of_listing
from homebred_protocol.documents.fields import Fields, Problem
from homebred_protocol.documents.release_files import frame_count
from homebred_protocol.documents.release_parts import DIGEST, check_name
from homebred_protocol.documents.release_recipes import WAYS, problem_of, way_of
from homebred_protocol.documents.release_values import (
    Gate,
    GoldenDemand,
    Recipe,
    ReleaseBase,
    ReleaseFile,
    ReleaseManifest,
)
from homebred_protocol.documents.specialist import Source, SpecialistManifest
from homebred_protocol.targets import MAX_TARGET_BYTES

SPECIALIST: Final = "specialist.toml"
ENGINES: Final = ("echo", "edgellm", "llamacpp", "openai_server", "trtllm")
"""What devices of this version have."""
_FILE_BYTES: Final = 150
"""What a manifest says of a file, its path and frames aside."""
_FRAME_BYTES: Final = 67
"""Its digest in hexadecimal, quotes, comma."""
_BUILT_FOR_ONE_GPU: Final = frozenset({"edgellm"})


class Form(enum.Enum):
    """What something beside a `specialist.toml` is."""

    FILE = "file"
    FOLDER = "folder"
    EITHER = "either"
    """Whoever names it does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Something that belongs into a release."""

    name: str
    """Path below the specialist's folder."""
    form: Form
    why: str
    """Who names it, for an error."""


def problems_between(plan: ReleasePlan, specialist: SpecialistManifest) -> tuple[Problem, ...]:
    """All that keeps the two from becoming a release; nothing: they can."""
    fields = Fields({})
    check_name(fields, family=plan.family, specialist=specialist.id, number=plan.number)
    rules = (_engine_problems, _licence_problems, _gate_problems, _source_problems, _recipe_problems)
    named = (replace(problem, path=(SPECIALIST, *problem.path)) for problem in fields.problems)
    return (*named, *(problem for rule in rules for problem in rule(plan, specialist)))


def wanted(plan: ReleasePlan, specialist: SpecialistManifest) -> tuple[Wanted, ...]:
    """What has to be beside `specialist.toml`, itself among it, each once, by name."""
    found = [Wanted(name=SPECIALIST, form=Form.FILE, why="it describes the specialist")]
    made = "" if plan.recipe is None else plan.recipe.makes
    parts = {"base": specialist.base, "adapter": specialist.adapter}
    for part, source in parts.items():
        table = f"[{part}]"
        if part != made and source is not None and not source.digest:
            form = Form.FILE if source.file else Form.FOLDER
            found.append(Wanted(name=source.file or source.folder, form=form, why=f"{table} names it"))
    for workflow, served in sorted(specialist.workflows.items()):
        if served.golden:
            found.append(Wanted(name=served.golden, form=Form.FILE, why=f"it is the golden set of {workflow}"))
    inputs = () if plan.recipe is None else (name for name in plan.recipe.inputs if not _is_digest(name))
    found += (Wanted(name=name, form=Form.EITHER, why="[recipe] builds of it") for name in inputs)
    return tuple(sorted({each.name: each for each in reversed(found)}.values(), key=lambda each: each.name))


def has_room_for(lengths: Mapping[str, int]) -> bool:
    """Whether a manifest can name files of these lengths, by path, with the digests of all their frames."""
    named = sum(len(path.encode(errors="replace")) + _FILE_BYTES for path in lengths)
    return named + sum(map(frame_count, lengths.values())) * _FRAME_BYTES < MAX_TARGET_BYTES


def manifest_of(plan: ReleasePlan, specialist: SpecialistManifest, files: Sequence[ReleaseFile]) -> ReleaseManifest:
    """The release's manifest, once it is known what its files hold; the two must fit together.

    A device's reader has the last word on it (`read_release`).
    """
    ordered = tuple(sorted(files, key=lambda file: file.path.encode()))
    is_made = plan.recipe is not None and plan.recipe.makes == "base"
    base_digest = "" if is_made else _digest_of(specialist.base, ordered)
    return ReleaseManifest(
        family=plan.family,
        id=specialist.id,
        number=plan.number,
        title=specialist.title,
        files=ordered,
        specialist=SPECIALIST,
        base=_foreign_base(plan, specialist),
        parents=specialist.parents,
        generation=specialist.generation,
        constraints=replace(plan.constraints, engine=specialist.engine, base_digest=base_digest),
        gate=_gate(plan, specialist),
        workflows=tuple(sorted(specialist.workflows)),
        licence=plan.licence or specialist.licence,
        provenance=plan.provenance,
        classes=plan.classes,
        sites=plan.sites,
        recipe=None if plan.recipe is None else _recipe(plan.recipe, ordered),
    )


def _foreign_base(plan: ReleasePlan, specialist: SpecialistManifest) -> ReleaseBase | None:
    return None if plan.base is None else replace(plan.base, digest=specialist.base.digest)


def _gate(plan: ReleasePlan, specialist: SpecialistManifest) -> Gate:
    demands = (
        GoldenDemand(
            workflow=workflow,
            path=served.golden,
            scorer=served.scorer,
            minimum_ppm=plan.thresholds[workflow].minimum_ppm,
            maximum_p95_ms=plan.thresholds[workflow].maximum_p95_ms,
        )
        for workflow, served in sorted(specialist.workflows.items())
        if served.golden
    )
    return Gate(golden=tuple(demands), maximum_memory_bytes=plan.maximum_memory_bytes, shadow=plan.shadow)


def _recipe(plan: RecipePlan, files: Sequence[ReleaseFile]) -> Recipe:
    inputs = tuple(name if _is_digest(name) else _digest_of(Source(file=name), files) for name in plan.inputs)
    return Recipe(engine=plan.engine, form=plan.form, inputs=inputs, arguments=plan.arguments, makes=plan.makes)


def _is_digest(name: str) -> bool:
    return DIGEST.fullmatch(name) is not None


def _digest_of(source: Source, files: Sequence[ReleaseFile]) -> str:
    """Of a file among the files, or of the folder that they make."""
    name = source.file or source.folder
    if source.digest:
        return source.digest
    if alone := [file.digest for file in files if file.path == name]:
        return alone[0]
    inside = [file for file in files if file.path.startswith(f"{name}/")]
    return digest_of_listing((file.path.removeprefix(f"{name}/"), file.digest, file.length) for file in inside)


def _engine_problems(plan: ReleasePlan, specialist: SpecialistManifest) -> Iterator[Problem]:
    if specialist.engine not in ENGINES:
        what, hint = f"is {specialist.engine!r}, which no device has", f"write one of: {', '.join(ENGINES)}"
        yield _problem((SPECIALIST, "engine"), what, hint)
    if specialist.engine in _BUILT_FOR_ONE_GPU and plan.recipe is None:
        for key in ("gpu_architecture", "engine_version"):
            if not getattr(plan.constraints, key):
                what = f"is missing, and {specialist.engine} serves what was built for one GPU by one version"
                yield _problem(("constraints", key), what, "write what homebred-build.json says")


def _licence_problems(plan: ReleasePlan, specialist: SpecialistManifest) -> Iterator[Problem]:
    if not (plan.licence or specialist.licence):
        yield _problem(("licence",), "is stated nowhere", "write the SPDX expression of what the release brings")
    if plan.licence and specialist.licence and plan.licence != specialist.licence:
        what = f"is {plan.licence!r}, and {SPECIALIST} says {specialist.licence!r}"
        yield _problem(("licence",), what, "leave one of them out, or have them agree")
    if specialist.generation and not plan.provenance:
        what = "is empty, and the specialist was bred"
        yield _problem(("provenance",), what, "name data, base model and teacher, each with its licence")


def _gate_problems(plan: ReleasePlan, specialist: SpecialistManifest) -> Iterator[Problem]:
    measured = {name for name, served in specialist.workflows.items() if served.golden}
    if not measured:
        what = "has nothing to measure: no workflow has a golden set"
        yield _problem(("gate",), what, f"name one in {SPECIALIST}: nothing serves that was measured nowhere")
    for workflow in sorted(measured - plan.thresholds.keys()):
        path = ("gate", "golden", workflow)
        yield _problem(
            path, "is missing, and the workflow has a golden set", "write what is to be reached: minimum_ppm"
        )
    for workflow in sorted(plan.thresholds.keys() - measured):
        is_served = workflow in specialist.workflows
        what = "has no golden set" if is_served else f"is no workflow of {specialist.id}"
        yield _problem(("gate", "golden", workflow), what, f"remove it, or name it in {SPECIALIST}")


def _source_problems(plan: ReleasePlan, specialist: SpecialistManifest) -> Iterator[Problem]:
    makes = "" if plan.recipe is None else plan.recipe.makes
    if specialist.base.digest and plan.base is None and makes != "base":
        what = f"is missing, and {SPECIALIST} names the base by its digest"
        yield _problem(("base",), what, "write its form and its length in bytes, or bring it along by its name")
    if plan.base is not None and not specialist.base.digest:
        yield _problem(("base",), "is given, and the base is brought along", "remove it")
    if specialist.adapter is not None and specialist.adapter.digest:
        what = "names the adapter by its digest, and no device need have it"
        yield _problem((SPECIALIST, "adapter"), what, "write the name of its file or folder, and bring it along")


def _recipe_problems(plan: ReleasePlan, specialist: SpecialistManifest) -> Iterator[Problem]:
    if plan.recipe is None:
        return
    if plan.recipe.engine != specialist.engine:
        what = f"is {plan.recipe.engine!r}, and {SPECIALIST} names {specialist.engine!r}"
        yield _problem(("recipe", "engine"), what, "what is built must be what is served")
    made = specialist.base if plan.recipe.makes == "base" else specialist.adapter or Source()
    result = {"file": made.file, "folder": made.folder}.get(plan.recipe.form, "")
    if not result:
        what = f"is {plan.recipe.form!r}, and [{plan.recipe.makes}] in {SPECIALIST} names no {plan.recipe.form}"
        yield _problem(("recipe", "form"), what, f"name there under {plan.recipe.form} what comes out")
    elif result in plan.recipe.inputs:
        yield _problem(("recipe", "inputs"), f"names {result!r}, which comes out", "name what it is built of")
    for name in filter(_is_digest, plan.recipe.inputs):
        if name != specialist.base.digest:
            what = f"names {name}, which is not the digest of [base] in {SPECIALIST}"
            yield _problem(("recipe", "inputs"), what, "name a file or folder beside, or that digest")
    recipe = _recipe(replace(plan.recipe, inputs=()), ())
    way = way_of(recipe)
    if way is None:
        known = "; ".join(f"{engine} makes the {makes}" for engine, makes in WAYS)
        what = f"has {plan.recipe.engine} make the {plan.recipe.makes}, which no device can"
        yield _problem(("recipe",), what, f"what can be built: {known}")
    elif told := problem_of(replace(recipe, inputs=plan.recipe.inputs), way):
        yield _problem(("recipe",), f"cannot be followed: {told}", "correct it")


def _problem(path: tuple[str, ...], what: str, hint: str) -> Problem:
    return Problem(path=path, what=what, hint=hint)
