"""What TensorRT-LLM's output is guided by, on the real decoder: xgrammar as TensorRT-LLM 1.2 requires it, no model.

It proves what the decoder makes of what is asked of it, and nothing of how TensorRT-LLM hands that on.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.xgrammar import WHY_NOT, XGrammar, binding

from homebred_engines.api import GenerateOptions, Tool, UnsupportedOptionError
from homebred_engines.guided_schema import guidable
from homebred_engines.json_instance import smallest_instance
from homebred_engines.xgrammar_guidance import guidance_for

PATH = binding()
pytestmark = pytest.mark.skipif(PATH is None, reason=WHY_NOT)

RING = {
    "type": "object",
    "properties": {"times": {"type": "integer", "minimum": 1, "maximum": 3}},
    "required": ["times"],
}
TOOLS = GenerateOptions(tools=(Tool(name="ring", parameters=json.dumps(RING)), Tool(name="wait")))
DONE = '{"type": "object", "properties": {"done": {"type": "boolean"}}, "required": ["done"]}'
RUNG = '<tool_call>{"name": "ring", "arguments": {"times": 2}}</tool_call>'
WAITED = '<tool_call>{"name": "wait", "arguments": {}}</tool_call>'
NO_CALLS = (
    "",
    RUNG + " and",
    RUNG + RUNG,
    RUNG.replace("2", "9"),
    RUNG.replace("ring", "sing"),
    RUNG[:-1],
    WAITED.replace("{}", '{"for": 1}'),
    "Well. <tool_call> is how",
)


@pytest.fixture(scope="module")
def xgrammar() -> XGrammar:
    assert PATH is not None
    return XGrammar(PATH)


def allowed(xgrammar: XGrammar, options: GenerateOptions, *texts: str) -> list[bool]:
    guidance = guidance_for(options)
    assert guidance.structural_tag is not None
    grammar = xgrammar.structural_tag(guidance.structural_tag)
    return [xgrammar.accepts(grammar, text) for text in texts]


def test_left_to_the_model_it_is_text_or_text_and_one_whole_call_at_its_end(xgrammar: XGrammar) -> None:
    assert all(allowed(xgrammar, TOOLS, "", "No <tool then.", RUNG, "At once: " + RUNG, WAITED))
    assert not any(allowed(xgrammar, TOOLS, *NO_CALLS[1:]))


def test_a_call_that_must_be_made_is_all_of_it(xgrammar: XGrammar) -> None:
    required = replace(TOOLS, tool_choice="required")
    assert all(allowed(xgrammar, required, RUNG, WAITED))
    assert not any(allowed(xgrammar, required, *NO_CALLS, "At once: " + RUNG))
    assert allowed(xgrammar, replace(TOOLS, tool_choice="wait"), RUNG, WAITED) == [False, True]


def test_an_answer_with_a_schema_is_an_instance_or_a_call(xgrammar: XGrammar) -> None:
    options = replace(TOOLS, json_schema=DONE)
    assert all(allowed(xgrammar, options, '{"done": true}', RUNG, WAITED))
    assert not any(allowed(xgrammar, options, *NO_CALLS, '{"done": 1}', '{"done": true}' + RUNG))


TYPES = st.sampled_from(["object", "array", "string", "integer", "number", "boolean", "null"])
SCALARS = st.sampled_from([None, True, 0, 1, 7, -3, 0.5, "", "a", "ab"])
SMALL = st.integers(-3, 12)
FEW = st.integers(0, 3)


def plain(kind: str, **optional: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Schemas of one type, which they seldom share with another or leave out."""
    types = st.one_of(st.just(kind), st.just(kind), st.just(kind), TYPES, st.tuples(st.just(kind), TYPES).map(unique))
    return st.fixed_dictionaries({"type": types}, optional={**optional, "title": st.just("T"), "minimum": SMALL})


def unique(names: tuple[str, ...]) -> list[str]:
    return sorted(set(names))


LEAVES = st.one_of(
    plain("string", minLength=FEW, maxLength=FEW),
    plain("integer", maximum=SMALL),
    plain("array", minItems=FEW, maxItems=FEW),
    plain("string", enum=st.lists(SCALARS, min_size=1, max_size=3)),
    st.fixed_dictionaries({"const": SCALARS}, optional={"maximum": SMALL}),
    TYPES.map(lambda kind: {"type": kind}),
    st.just({"minLength": 2}),
)


def larger(schemas: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    names = st.sampled_from(["a", "b", "c"])
    objects = st.fixed_dictionaries(
        {"type": st.just("object"), "properties": st.dictionaries(names, schemas, max_size=2)},
        optional={
            "required": st.lists(names, max_size=2, unique=True),
            "additionalProperties": st.one_of(st.booleans(), schemas),
            "minimum": SMALL,
        },
    )
    arrays = st.fixed_dictionaries(
        {"type": st.just("array"), "items": schemas}, optional={"minItems": FEW, "maxItems": FEW}
    )
    choices = st.fixed_dictionaries({"anyOf": st.lists(schemas, min_size=1, max_size=2)}, optional={"type": TYPES})
    return st.one_of(objects, arrays, choices)


SCHEMAS = st.recursive(LEAVES, larger, max_leaves=4)


def handed_on(schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """The schema as it is written for the decoder; None: it is refused."""
    try:
        return guidable(schema)
    except UnsupportedOptionError:
        return None


@given(SCHEMAS, st.integers(0, 1 << 32))
def test_whatever_a_guided_output_is_it_fits_the_schema(xgrammar: XGrammar, schema: dict[str, Any], seed: int) -> None:
    if (written := handed_on(schema)) is None:
        return
    chance, grammar = random.Random(seed), xgrammar.schema(written)
    checked = jsonschema_rs.validator_for(schema)
    for text in filter(None, (xgrammar.walk(grammar, chance, max_bytes=60) for _ in range(4))):
        assert checked.is_valid(json.loads(text, parse_float=lambda _: 0.5)), text  # it may be above all floats


@given(SCHEMAS)
def test_a_schema_that_is_handed_on_leaves_an_answer_to_give(xgrammar: XGrammar, schema: dict[str, Any]) -> None:
    if (written := handed_on(schema)) is None:
        return
    instance = json.dumps(smallest_instance(written))
    assert xgrammar.accepts(xgrammar.schema(written), instance), instance
