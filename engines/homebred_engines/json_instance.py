"""Checks a value against simple JSON Schemas and makes the smallest instance of one, for the echo engine. Pure.

It knows the keywords that it lists and refuses every other: half-checked would be wrong. It is no JSON Schema library.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from homebred_engines.api import UnsupportedOptionError

_ANNOTATIONS = {"$schema", "$id", "title", "description", "default", "examples"}
_CHECKED = {
    "type", "properties", "required", "additionalProperties", "items", "minItems", "maxItems",
    "enum", "const", "minLength", "maxLength", "minimum", "maximum", "anyOf",
}  # fmt: skip
PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


def fits(value: object, schema: Mapping[str, Any]) -> bool:
    """Whether the value is an instance of the schema. Raises UnsupportedOptionError for keywords beyond the known."""
    _refuse_unknown_keywords(schema)
    if "anyOf" in schema and not any(fits(value, branch) for branch in schema["anyOf"]):
        return False
    if "const" in schema and not _same(value, schema["const"]):
        return False
    if "enum" in schema and not any(_same(value, allowed) for allowed in schema["enum"]):
        return False
    if "type" in schema and not any(has_type(value, name) for name in _type_names(schema)):
        return False
    return _fits_inside(value, schema)


def smallest_instance(schema: Mapping[str, Any]) -> object:
    """An instance with only what the schema demands. Raises UnsupportedOptionError where it finds none."""
    _refuse_unknown_keywords(schema)
    candidates = [schema["const"]] if "const" in schema else list(schema.get("enum", ()))
    if "anyOf" in schema and not candidates:
        candidates = [smallest_instance(branch) for branch in schema["anyOf"]]
    if not candidates:
        candidates = [_smallest_of_type(name, schema) for name in _type_names(schema)]
    for candidate in candidates:
        if fits(candidate, schema):
            return candidate
    raise _unsupported("Echo finds no instance of the json_schema.")


def _unsupported(why: str) -> UnsupportedOptionError:
    return UnsupportedOptionError(why, option="json_schema")


def _refuse_unknown_keywords(schema: Mapping[str, Any]) -> None:
    if not isinstance(schema, Mapping):
        raise _unsupported("Echo reads json_schema only where every schema in it is an object.")
    unknown = sorted(set(schema) - _ANNOTATIONS - _CHECKED)
    if unknown:
        raise _unsupported(f"Echo does not know these keywords of json_schema: {', '.join(unknown)}.")


def _type_names(schema: Mapping[str, Any]) -> Sequence[str]:
    declared = schema.get("type", "object" if "properties" in schema else "null")
    return [declared] if isinstance(declared, str) else declared


def _same(value: object, other: object) -> bool:
    return isinstance(value, bool) == isinstance(other, bool) and value == other


def has_type(value: object, name: str) -> bool:
    """Whether JSON Schema says that a value is of the type."""
    if isinstance(value, bool):
        return name == "boolean"
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, PYTHON_TYPES.get(name, ()))


def _fits_inside(value: object, schema: Mapping[str, Any]) -> bool:
    if isinstance(value, str):
        return _in_range(len(value), schema, "minLength", "maxLength")
    if isinstance(value, list):
        each = schema.get("items", {})
        return _in_range(len(value), schema, "minItems", "maxItems") and all(fits(item, each) for item in value)
    if isinstance(value, dict):
        return _object_fits(value, schema)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _in_range(value, schema, "minimum", "maximum")
    return True


def _in_range(value: float, schema: Mapping[str, Any], lowest: str, highest: str) -> bool:
    return bool(schema.get(lowest, value) <= value <= schema.get(highest, value))


def _object_fits(value: Mapping[str, object], schema: Mapping[str, Any]) -> bool:
    if any(name not in value for name in schema.get("required", ())):
        return False
    properties, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    for name, member in value.items():
        member_schema = properties.get(name, others)
        if member_schema is False or (member_schema is not True and not fits(member, member_schema)):
            return False
    return True


def _smallest_of_type(name: str, schema: Mapping[str, Any]) -> object:
    if name == "object":
        properties = schema.get("properties", {})
        return {member: smallest_instance(properties.get(member, {})) for member in schema.get("required", ())}
    if name == "array":
        count = schema.get("minItems", 0)
        return [smallest_instance(schema.get("items", {}))] * count if count else []
    if name == "string":
        return "x" * schema.get("minLength", 0)
    if name in ("integer", "number"):
        nearest = min(max(0, schema.get("minimum", 0)), schema.get("maximum", math.inf))  # to 0, inside the bounds
        return math.ceil(nearest) if name == "integer" and nearest > 0 else nearest
    return False if name == "boolean" else None
