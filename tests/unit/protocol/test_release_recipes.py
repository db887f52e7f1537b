from __future__ import annotations

from typing import Any

import pytest
from tests.support.release_manifests import digest

from homebred_engines.build import ENGINES
from homebred_protocol.documents.release_recipes import WAYS, arguments_of, problem_of, way_of
from homebred_protocol.documents.release_values import FORMS, MAKES, Recipe


def recipe(engine: str = "edgellm", **said: Any) -> Recipe:
    values = {"form": "folder", "inputs": (digest("checkpoint"),), "arguments": {}, **said}
    return Recipe(engine=engine, **values)


def test_what_can_be_built_has_a_builder_and_a_form_that_a_manifest_knows() -> None:
    for (engine, makes), way in WAYS.items():
        assert engine in ENGINES
        assert makes in MAKES
        assert way.form in FORMS
        assert all(least <= standard <= most for least, most, standard in way.arguments.values())


def test_a_recipe_that_nobody_follows_has_no_way() -> None:
    assert way_of(recipe()) is not None
    assert way_of(recipe("llamacpp")) is None
    assert way_of(recipe("llamacpp", makes="adapter")) is not None
    assert way_of(recipe("trtllm")) is None


def test_what_a_recipe_does_not_say_holds_as_its_builder_has_it() -> None:
    way = WAYS["edgellm", "base"]
    said = recipe(arguments={"slots": 4})
    assert problem_of(said, way) == ""
    assert arguments_of(said, way) == {
        "slots": 4,
        "input_tokens": 2048,
        "context_tokens": 4096,
        "max_lora_rank": 0,
    }


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"form": "file"}, "its form is file, and a folder comes out"),
        ({"inputs": ()}, "it names 0 inputs, and takes 1: a checkpoint folder"),
        ({"arguments": {"depth": 1}}, "it has no argument depth; known: slots, input_tokens"),
        ({"arguments": {"slots": 0}}, "its argument slots is 0, and 1 to 64 is possible"),
        ({"arguments": {"slots": "4"}}, "its argument slots is '4'"),
    ],
)
def test_what_a_builder_does_not_take_is_said(said: dict[str, Any], told: str) -> None:
    assert problem_of(recipe(**said), WAYS["edgellm", "base"]).startswith(told)
