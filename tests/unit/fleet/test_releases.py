from __future__ import annotations

import tomllib

import pytest
from tests.support.release_manifests import SMALL, digest, file_document, written
from tests.support.release_sources import FOREIGN_BASE, PLAN, SPECIALIST

from homebred_engines.registry import ENGINES as REGISTERED
from homebred_fleet.core.release_plan import ReleasePlan, read_plan
from homebred_fleet.core.releases import ENGINES, Form, has_room_for, manifest_of, problems_between, wanted
from homebred_protocol.digests import digest_of_listing
from homebred_protocol.documents.release import canonical_bytes, read_release
from homebred_protocol.documents.release_values import FORMS, ReleaseFile
from homebred_protocol.documents.specialist import SpecialistManifest, read_specialist
from homebred_protocol.targets import MAX_TARGET_BYTES

RECIPE = '[recipe]\nengine = "edgellm"\nform = "folder"\ninputs = ["checkpoint"]\narguments = { slots = 4 }\n'
BUILT_THERE = (
    SPECIALIST.replace("llamacpp", "edgellm").replace('file = "base.gguf"', 'folder = "engine"'),
    PLAN + RECIPE,
)
OF_ADAPTERS = '[recipe]\nengine = "llamacpp"\nmakes = "adapter"\nform = "file"\ninputs = ["base.gguf", "peft"]\n'
ADAPTER_BUILT_THERE = (SPECIALIST.replace('folder = "adapter"', 'file = "adapter.gguf"'), PLAN + OF_ADAPTERS)


def both(specialist: str = SPECIALIST, plan: str = PLAN) -> tuple[ReleasePlan, SpecialistManifest]:
    return read_plan(tomllib.loads(plan)), read_specialist(tomllib.loads(specialist), digest("specialist"))


def files_at(*paths: str) -> list[ReleaseFile]:
    documents = [file_document(path) for path in paths]
    return [ReleaseFile(**{**document, "frames": tuple(document["frames"])}) for document in documents]


def told(specialist: str = SPECIALIST, plan: str = PLAN) -> list[str]:
    return [problem.sentence() for problem in problems_between(*both(specialist, plan))]


def names(specialist: str = SPECIALIST, plan: str = PLAN) -> dict[str, Form]:
    return {each.name: each.form for each in wanted(*both(specialist, plan))}


def test_the_engines_are_those_that_devices_have_and_forms_those_of_the_manifest() -> None:
    assert tuple(sorted(REGISTERED)) == ENGINES
    assert (Form.FILE.value, Form.FOLDER.value) == FORMS


@pytest.mark.parametrize("documents", [(SPECIALIST, PLAN), FOREIGN_BASE, BUILT_THERE, ADAPTER_BUILT_THERE])
def test_what_fits_together_has_no_problem(documents: tuple[str, str]) -> None:
    assert told(*documents) == []


def test_a_release_brings_what_its_specialist_names_and_nothing_else() -> None:
    assert names() == {
        "adapter": Form.FOLDER,
        "base.gguf": Form.FILE,
        "golden/intake.extract.jsonl": Form.FILE,
        "specialist.toml": Form.FILE,
    }
    assert "base.gguf" not in names(*FOREIGN_BASE)


def test_of_a_base_that_is_built_on_the_device_the_recipes_inputs_are_brought() -> None:
    assert names(*BUILT_THERE) == {
        "adapter": Form.FOLDER,
        "checkpoint": Form.EITHER,
        "golden/intake.extract.jsonl": Form.FILE,
        "specialist.toml": Form.FILE,
    }


def test_of_an_adapter_that_is_built_on_the_device_the_base_and_what_it_is_made_of_are_brought() -> None:
    assert names(*ADAPTER_BUILT_THERE) == {
        "base.gguf": Form.FILE,
        "golden/intake.extract.jsonl": Form.FILE,
        "peft": Form.EITHER,
        "specialist.toml": Form.FILE,
    }


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('"llamacpp"', '"vllm"', "\"specialist.toml\".engine: is 'vllm', which no device has; write one of: echo"),
        ('"llamacpp"', '"edgellm"', "constraints.gpu_architecture: is missing, and edgellm serves what was built for"),
        ('"llamacpp"', '"edgellm"', "constraints.engine_version: is missing"),
        ('"intake"', '"intake-"', "\"specialist.toml\".id: is 'intake-'"),
        ('licence = "Apache-2.0"\n', "", "licence: is stated nowhere"),
        ('golden = "golden/intake.extract.jsonl"\n', "", "gate: has nothing to measure"),
        ('golden = "golden/intake.extract.jsonl"\n', "", 'gate.golden."intake.extract": has no golden set'),
        (
            '"intake.extract"]',
            '"intake.other"]',
            'gate.golden."intake.other": is missing, and the workflow has a golden',
        ),
        ('"intake.extract"]', '"intake.other"]', 'gate.golden."intake.extract": is no workflow of intake'),
        (
            'file = "base.gguf"',
            f'digest = "{digest("b")}"',
            "base: is missing, and specialist.toml names the base by its",
        ),
        (
            'folder = "adapter"',
            f'digest = "{digest("a")}"',
            '"specialist.toml".adapter: names the adapter by its digest',
        ),
    ],
)
def test_what_of_a_specialist_makes_no_release_is_named(old: str, new: str, complaint: str) -> None:
    assert old in SPECIALIST
    assert [one for one in told(SPECIALIST.replace(old, new)) if one.startswith(complaint)]


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("number = 7", 'number = 7\nlicence = "MIT"', "licence: is 'MIT', and specialist.toml says 'Apache-2.0'"),
        (PLAN[PLAN.index("[[prov") :], "", "provenance: is empty, and the specialist was bred"),
        ("[gate", '[base]\nform = "file"\nlength = 1\n[gate', "base: is given, and the base is brought along"),
    ],
)
def test_what_of_a_plan_its_specialist_contradicts_is_named(old: str, new: str, complaint: str) -> None:
    assert [one for one in told(plan=PLAN.replace(old, new, 1)) if one.startswith(complaint)]


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (
            'engine = "edgellm"',
            'engine = "llamacpp"',
            "recipe.engine: is 'llamacpp', and specialist.toml names 'edgellm'",
        ),
        ('form = "folder"', 'form = "file"', "recipe.form: is 'file', and [base] in specialist.toml names no file"),
        ('"checkpoint"', '"engine"', "recipe.inputs: names 'engine', which comes out"),
        ('engine = "edgellm"', 'engine = "trtllm"', "recipe: has trtllm make the base, which no device can"),
        ('"checkpoint"', '"checkpoint", "notes.txt"', "recipe: cannot be followed: it names 2 inputs, and takes 1"),
        ("slots = 4", "slots = 65", "recipe: cannot be followed: its argument slots is 65"),
        ("slots = 4", "depth = 4", "recipe: cannot be followed: it has no argument depth"),
        ('"checkpoint"', f'"{digest("x")}"', f"recipe.inputs: names {digest('x')}, which is not the digest of [base]"),
    ],
)
def test_a_recipe_that_does_not_make_what_is_served_is_named(old: str, new: str, complaint: str) -> None:
    specialist, plan = BUILT_THERE
    assert [one for one in told(specialist, plan.replace(old, new)) if one.startswith(complaint)]


@pytest.mark.parametrize(
    ("lengths", "has_room"),
    [
        ({}, True),
        ({"x.gguf": 60 * 10**9}, True),
        ({"x.gguf": 66 * 10**9}, False),
        ({f"part-{number}": 0 for number in range(1_000)}, True),
        ({f"part-{number}": 45 * 10**6 for number in range(1_000)}, True),
        ({f"part-{number}": 66 * 10**6 for number in range(1_000)}, False),
    ],
)
def test_what_one_manifest_can_name_is_known_beforehand(lengths: dict[str, int], *, has_room: bool) -> None:
    assert has_room_for(lengths) is has_room
    if lengths and has_room:
        files = [file_document(path, length) for path, length in sorted(lengths.items())]
        document = SMALL | {"files": sorted([*SMALL["files"], *files], key=lambda file: file["path"])[:1_000]}
        assert len(written(document)) <= MAX_TARGET_BYTES


def test_a_manifest_says_what_specialist_plan_and_files_say() -> None:
    files = files_at("specialist.toml", "golden/intake.extract.jsonl", "base.gguf", "adapter/b", "adapter/a")
    manifest = manifest_of(*both(), files)
    assert read_release(canonical_bytes(manifest)) == manifest
    assert [file.path for file in manifest.files] == sorted(file.path for file in files)
    assert manifest.base is None
    assert manifest.constraints.base_digest == digest("base.gguf")
    assert (manifest.constraints.engine, manifest.licence, manifest.generation) == ("llamacpp", "Apache-2.0", 1)
    (demand,) = manifest.gate.golden
    assert (demand.path, demand.scorer) == ("golden/intake.extract.jsonl", "json_equal")
    assert (demand.minimum_ppm, demand.maximum_p95_ms) == (900_000, 1_500)


def test_a_base_that_is_not_brought_along_is_named_by_digest_form_and_length() -> None:
    manifest = manifest_of(
        *both(*FOREIGN_BASE), files_at("specialist.toml", "golden/intake.extract.jsonl", "adapter/a")
    )
    assert read_release(canonical_bytes(manifest)) == manifest
    assert manifest.base is not None
    assert (manifest.base.form, manifest.base.length) == ("file", 20)
    assert manifest.base.digest == manifest.constraints.base_digest


def test_a_recipe_names_its_inputs_by_what_they_hold() -> None:
    files = files_at("specialist.toml", "golden/intake.extract.jsonl", "adapter/a", "checkpoint/x")
    manifest = manifest_of(*both(*BUILT_THERE), files)
    assert read_release(canonical_bytes(manifest)) == manifest
    assert manifest.recipe is not None
    assert manifest.recipe.inputs == (digest_of_listing([("x", digest("checkpoint/x"), 100)]),)
    assert manifest.constraints.base_digest == ""


def test_a_recipe_of_an_adapter_names_the_base_that_devices_have_by_its_digest() -> None:
    specialist, plan = FOREIGN_BASE
    base = both(specialist, plan)[1].base.digest
    documents = (
        specialist.replace('folder = "adapter"', 'file = "adapter.gguf"'),
        plan + OF_ADAPTERS.replace("base.gguf", base),
    )
    assert told(*documents) == []
    manifest = manifest_of(*both(*documents), files_at("specialist.toml", "golden/intake.extract.jsonl", "peft/a"))
    assert read_release(canonical_bytes(manifest)) == manifest
    assert manifest.recipe is not None
    assert (manifest.recipe.makes, manifest.recipe.inputs[0]) == ("adapter", base)
    assert manifest.constraints.base_digest == base
