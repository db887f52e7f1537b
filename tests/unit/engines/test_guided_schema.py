from __future__ import annotations

import pytest

from homebred_engines.api import UnsupportedOptionError
from homebred_engines.guided_schema import guidable

PLAIN = {
    "title": "An order",
    "type": "object",
    "properties": {
        "kind": {"type": "string", "enum": ["a", "b"]},
        "count": {"type": ["integer", "null"], "minimum": 1},
        "stars": {"type": "integer", "minimum": -1, "maximum": 1},
        "lines": {"type": "array", "items": {"anyOf": [{"type": "string"}, {"const": 1}]}, "maxItems": 3},
        "name": {"type": "string", "minLength": 0, "maxLength": 9},
        "any": True,
    },
    "required": ["kind"],
    "additionalProperties": True,
}


def test_plain_keywords_are_written_as_the_decoder_follows_them() -> None:
    assert guidable(PLAIN) == {
        "type": "object",
        "properties": {
            "kind": {"enum": ["a", "b"]},
            "count": {"type": ["integer", "null"], "minimum": 1},
            "stars": {"enum": [-1, 0, 1]},
            "lines": {"type": "array", "items": {"anyOf": [{"type": "string"}, {"enum": [1]}]}, "maxItems": 3},
            "name": {"type": "string", "maxLength": 9},
            "any": {},
        },
        "required": ["kind"],
    }


def test_an_object_without_named_properties_may_have_any_or_those_of_a_schema() -> None:
    for open_object in ({"type": "object"}, {"type": "object", "additionalProperties": {"type": "string"}}):
        assert guidable(open_object) == open_object
    closed = {"type": "object", "properties": {}, "additionalProperties": False}
    assert guidable(closed)["additionalProperties"] is False


@pytest.mark.parametrize(
    ("schema", "named"),
    [
        ({"not": {}}, "not"),
        ({"type": "array", "uniqueItems": True}, "uniqueItems"),
        ({"type": "object", "properties": {"a": {"multipleOf": 2}}}, "multipleOf"),
        ({"anyOf": [{"if": {}}]}, "if"),
        ({"type": "array", "items": {"contains": {}}}, "contains"),
        ({"type": "object", "additionalProperties": {"$ref": "#"}}, r"\$ref"),
        ({"type": "no such type"}, "no such type"),
        ({"type": ["string", "words"]}, "words"),
        ({"enum": []}, "empty choice"),
        ({"anyOf": []}, "empty choice"),
        ({"type": "array", "items": [{}]}, "neither an object nor true"),
        ({"type": "object", "properties": {"a": False}}, "neither an object nor true"),
        ({"minLength": 2}, "minLength without the type string"),
        ({"required": ["a"]}, "required without the type object"),
        ({"type": "object", "required": ["a"]}, "required a, which properties does not name"),
        ({"type": "object", "properties": {"a": {}}, "additionalProperties": {}}, "additionalProperties beside"),
        ({"type": "array", "minItems": 1}, "minItems without items"),
        ({"type": "string", "minLength": 3, "maxLength": 2}, "minLength above its maxLength"),
        ({"type": "number", "minimum": 1}, "minimum without the type integer"),
        ({"type": ["integer", "number"], "minimum": 1}, "not whole"),
        ({"type": "integer", "minimum": 0.5}, "not whole"),
        ({"type": "integer", "minimum": 2}, "range of integers that is open"),
        ({"type": "integer", "maximum": 2}, "range of integers that is open"),
        ({"type": "integer", "minimum": 0, "maximum": 256}, "more than 256"),
        ({"type": ["integer", "null"], "minimum": 0, "maximum": 2}, "beside other types"),
        ({"type": "object", "anyOf": [{}]}, "type beside anyOf"),
        ({"enum": ["a", "ab"], "minLength": 2}, "minLength beside a choice"),
        ({"enum": [1], "const": 1}, "beside a choice"),
        ({"type": "string", "enum": ["a", 1]}, "not of its type"),
        ({"type": "integer", "const": True}, "not of its type"),
    ],
    ids=str,
)
def test_what_the_decoder_would_pass_over_is_refused_by_name(schema: dict[str, object], named: str) -> None:
    with pytest.raises(UnsupportedOptionError, match=named) as refusal:
        guidable(schema)
    assert "properties" in refusal.value.hint
    assert refusal.value.option == "json_schema"


def test_a_refusal_names_the_option_that_holds_the_schema() -> None:
    with pytest.raises(UnsupportedOptionError, match="a part of tools: not") as refusal:
        guidable({"not": {}}, option="tools")
    assert refusal.value.option == "tools"
