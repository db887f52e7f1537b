from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from tests.support.release_manifests import any_json
from tests.support.release_sources import FOREIGN_BASE, PLAN

from homebred_fleet.core.release_plan import NAME, RecipePlan, ReleasePlan, Threshold, read_plan
from homebred_protocol.documents.fields import DocumentError
from homebred_protocol.documents.release_values import Constraints, Provenance, ReleaseBase, Shadow

RECIPE = """
[recipe]
engine = "trtllm"
form = "folder"
inputs = ["checkpoint", "adapter"]
arguments = { slots = 4, type = "fp8" }
"""


SHADOW = "[gate.shadow]\noutcomes = 100\nlongest_s = 3600\n"


def read(text: str) -> ReleasePlan:
    return read_plan(tomllib.loads(text))


def problems_of(document: object) -> str:
    with pytest.raises(DocumentError) as caught:
        read_plan(document)
    assert caught.value.document == NAME
    return "\n".join(problem.sentence() for problem in caught.value.problems)


def test_every_part_of_a_plan_is_read() -> None:
    plan = read(
        FOREIGN_BASE[1].replace("[gate", "memory_bytes = 5\n[gate]\nmaximum_memory_bytes = 9\n" + SHADOW + "[gate", 1)
        + RECIPE
    )
    assert (plan.family, plan.number, plan.licence) == ("clinic", 7, "")
    assert (plan.classes, plan.sites) == (("patient",), ("clinic-east",))
    assert plan.base == ReleaseBase(digest="", form="file", length=20)
    assert plan.constraints == Constraints(engine="", architecture="aarch64", memory_bytes=5)
    assert plan.thresholds == {"intake.extract": Threshold(minimum_ppm=900_000, maximum_p95_ms=1_500)}
    assert plan.maximum_memory_bytes == 9
    assert plan.shadow == Shadow(outcomes=100, longest_s=3600)
    assert plan.provenance == (Provenance(name="intake notes of clinic-east", licence="LicenseRef-consent"),)
    assert plan.recipe == RecipePlan(
        engine="trtllm", form="folder", inputs=("checkpoint", "adapter"), arguments={"slots": 4, "type": "fp8"}
    )


def test_a_short_plan_says_only_what_nobody_can_guess() -> None:
    plan = read('version = 1\nfamily = "a"\nnumber = 1\nclasses = ["public"]\n[gate.golden.w]\nminimum_ppm = 1')
    assert (plan.base, plan.recipe, plan.shadow, plan.provenance, plan.sites) == (None, None, None, (), ())
    assert plan.constraints == Constraints(engine="")
    assert plan.thresholds == {"w": Threshold(minimum_ppm=1, maximum_p95_ms=0)}


def test_all_that_is_wrong_with_a_plan_is_told_at_once() -> None:
    told = problems_of({"version": 2, "family": "X", "number": 0, "nubmer": 1, "recipe": {"inputs": []}})
    for complaint in (
        "version: is not known",
        "family: is 'X'",
        "number: is 0",
        "nubmer: is not a known key",
        "classes: is missing",
        "gate: is missing",
        "recipe.inputs: names nothing",
        "recipe.engine: is missing",
        "recipe.form: is missing",
    ):
        assert complaint in told


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('classes = ["patient"]\n', "", 'classes: is missing; name what it inherits, or write ["public"]'),
        ('sites = ["clinic-east"]\n', "", "sites: is empty, and the release inherits patient"),
        ('"patient"', '"Patient"', "classes: names 'Patient'"),
        ("900_000", "0.9", 'gate.golden."intake.extract".minimum_ppm: is a number; write an integer'),
        ("900_000", "2_000_000", 'gate.golden."intake.extract".minimum_ppm: is 2000000; write millionths'),
        ("minimum_ppm = 900_000\n", "", "minimum_ppm: is missing"),
        ("architecture", "engine", "constraints.engine: is not a known key"),
        ("architecture", "base_digest", "constraints.base_digest: is not a known key"),
        ('licence = "LicenseRef-consent"\n', "", "provenance[0].licence: is missing"),
        ("[constraints]", '[base]\nform = "file"\n[constraints]', "base.length: is missing"),
        ("[constraints]", '[base]\ndigest = "x"\n[constraints]', "base.digest: is not a known key"),
    ],
)
def test_what_is_wrong_with_a_plan_is_named(old: str, new: str, complaint: str) -> None:
    assert old in PLAN
    assert complaint in problems_of(tomllib.loads(PLAN.replace(old, new)))


@pytest.mark.parametrize("name", ["../checkpoint", "a/b", ".hidden", ""])
def test_a_recipe_builds_of_what_stands_beside_alone(name: str) -> None:
    assert f"recipe.inputs: names {name!r}" in problems_of(tomllib.loads(PLAN + RECIPE.replace("checkpoint", name)))


@given(any_json())
def test_any_document_is_a_plan_or_an_error_that_says_why(document: Any) -> None:
    assert problems_of(document)
