"""Which keywords a JSON Schema uses, for decoders that drop without a word those that they do not know. Pure.

It judges no schema: a keyword's value is looked into only where a schema may stand in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

ANNOTATIONS = frozenset({"$schema", "$id", "$comment", "title", "description", "default", "examples"})
COMMON = frozenset(
    {
        "$ref", "$defs", "definitions", "type", "properties", "required", "additionalProperties", "items", "minItems",
        "maxItems", "enum", "const", "minLength", "maxLength", "minimum", "maximum", "anyOf", "oneOf", "allOf",
    }
)  # fmt: skip
"""What grammars of JSON Schema follow everywhere."""
_OF_SCHEMAS_BY_NAME = ("properties", "$defs", "definitions")
_OF_SCHEMAS = ("anyOf", "oneOf", "allOf")
_OF_A_SCHEMA = ("items", "additionalProperties")


def uncommon_keywords(schema: object) -> tuple[str, ...]:
    """Those that a decoder may not follow, sorted."""
    return tuple(sorted({*_keywords(schema)} - COMMON - ANNOTATIONS))


def _keywords(schema: Any) -> Iterator[str]:
    if not isinstance(schema, dict):
        return
    yield from schema
    for keyword, value in schema.items():
        if keyword in _OF_SCHEMAS_BY_NAME and isinstance(value, dict):
            below = [*value.values()]
        elif keyword in _OF_SCHEMAS and isinstance(value, list):
            below = value
        else:
            below = [value] if keyword in _OF_A_SCHEMA else []
        for part in below:
            yield from _keywords(part)
