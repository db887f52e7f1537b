from __future__ import annotations

import pytest

from homebred_engines.api import UnsupportedOptionError
from homebred_engines.guided_schema import refuse_unguidable

PLAIN = {
    "title": "An order",
    "type": "object",
    "properties": {
        "kind": {"enum": ["a", "b"]},
        "count": {"type": ["integer", "null"], "minimum": 1},
        "lines": {"type": "array", "items": {"anyOf": [{"type": "string"}, {"const": 1}]}, "maxItems": 3},
        "any": True,
    },
    "required": ["kind"],
    "additionalProperties": False,
}


def test_plain_keywords_are_let_through() -> None:
    refuse_unguidable(PLAIN)


@pytest.mark.parametrize(
    ("schema", "named"),
    [
        ({"not": {}}, "not"),
        ({"type": "array", "uniqueItems": True}, "uniqueItems"),
        ({"type": "object", "properties": {"a": {"multipleOf": 2}}}, "multipleOf"),
        ({"anyOf": [{"if": {}}]}, "if"),
        ({"items": {"contains": {}}}, "contains"),
        ({"additionalProperties": {"$ref": "#"}}, r"\$ref"),
        ({"type": "no such type"}, "no such type"),
        ({"type": ["string", "words"]}, "words"),
        ({"enum": []}, "empty choice"),
        ({"items": [{}]}, "neither object nor boolean"),
    ],
    ids=str,
)
def test_what_a_decoder_might_pass_over_is_refused_by_name(schema: dict[str, object], named: str) -> None:
    with pytest.raises(UnsupportedOptionError, match=named) as refusal:
        refuse_unguidable(schema)
    assert "properties" in refusal.value.hint
    assert refusal.value.option == "json_schema"
