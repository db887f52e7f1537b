from __future__ import annotations

import pytest

from homebred_engines.schema_keywords import uncommon_keywords


@pytest.mark.parametrize(
    ("schema", "uncommon"),
    [
        ({}, ()),
        (True, ()),
        ({"type": "object", "title": "T", "properties": {"not": {"type": "string"}}, "required": ["not"]}, ()),
        ({"not": {}}, ("not",)),
        ({"properties": {"a": {"if": {}, "then": {}}}}, ("if", "then")),
        ({"anyOf": [{"items": {"pattern": "x"}}]}, ("pattern",)),
        ({"$defs": {"a": {"additionalProperties": {"uniqueItems": True}}}}, ("uniqueItems",)),
        ({"const": {"not": 1}, "enum": [{"if": 1}], "default": {"else": 1}}, ()),
        ({"items": [{"not": {}}], "properties": 3, "anyOf": 3}, ()),
    ],
    ids=str,
)
def test_what_a_decoder_may_not_know_is_found_wherever_a_schema_stands(schema: object, uncommon: tuple[str]) -> None:
    assert uncommon_keywords(schema) == uncommon
