"""Which JSON Schemas a guided decoder follows to the letter, and how they are written for it. Pure.

The rules are those of xgrammar 0.1.25, which passes over much without a word: whatever stands beside `anyOf`, bounds of
numbers, bounds without their type. What it would pass over is refused here, so that nothing asked for is silently
ignored. It checks no value against a schema: whoever reads the answer does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from homebred_engines.api import UnsupportedOptionError
from homebred_engines.json_instance import PYTHON_TYPES, has_type

_ANNOTATIONS = {"$schema", "$id", "title", "description", "default", "examples"}
_CHOICES = {"anyOf", "enum", "const"}
_TYPE_OF = {
    "minLength": "string", "maxLength": "string",
    "minimum": "integer", "maximum": "integer",
    "items": "array", "minItems": "array", "maxItems": "array",
    "properties": "object", "required": "object", "additionalProperties": "object",
}  # fmt: skip
_KNOWN = _CHOICES | _TYPE_OF.keys() | {"type"}
_NO_BOUNDS = (("minLength", 0), ("minItems", 0))
"""They say nothing, and it lets no string be empty for the first."""
_TRUE_FLOORS = (0, 1)
"""The least integers that it honours where no largest one is named."""
_MAX_LISTED = 256
"""Integers of a range, which are written one by one: it gets ranges wrong."""
_HINT = f"Use plain keywords: {', '.join(sorted(_KNOWN))}; bounds with their type, and integers alone bounded."


def guidable(schema: Mapping[str, Any], *, option: str = "json_schema") -> dict[str, Any]:
    """The schema as the decoder follows it; it may allow less, never more.

    Raises UnsupportedOptionError, of the option that holds it, for a schema that the decoder would not follow.
    """
    return _Writing(option).schema(schema)


@dataclass(frozen=True, slots=True)
class _Writing:
    option: str

    def schema(self, schema: object) -> dict[str, Any]:
        if schema is True:
            return {}
        if not isinstance(schema, Mapping):
            self._refuse("a schema that is neither an object nor true")
        plain = {keyword: value for keyword, value in schema.items() if keyword not in _ANNOTATIONS}
        plain = {keyword: value for keyword, value in plain.items() if (keyword, value) not in _NO_BOUNDS}
        if unknown := sorted(plain.keys() - _KNOWN):
            self._refuse(", ".join(unknown))
        types = self._types(plain)
        if _CHOICES & plain.keys():
            return self._choice(plain, types)
        for keyword in plain.keys() & _TYPE_OF.keys():
            if _TYPE_OF[keyword] not in types:
                self._refuse(f"{keyword} without the type {_TYPE_OF[keyword]}")
        for least, most in (("minLength", "maxLength"), ("minItems", "maxItems"), ("minimum", "maximum")):
            if least in plain and most in plain and plain[least] > plain[most]:
                self._refuse(f"a {least} above its {most}: nothing can fit it")
        return self._bounded(self._object(self._array(plain)), types)

    def _types(self, schema: Mapping[str, Any]) -> list[str]:
        declared = schema.get("type", [])
        types = [declared] if isinstance(declared, str) else list(declared)
        if unknown := [name for name in types if name not in PYTHON_TYPES]:
            self._refuse(f"the type {unknown[0]!r}, which JSON does not have")
        return types

    def _choice(self, schema: Mapping[str, Any], types: list[str]) -> dict[str, Any]:
        if beside := sorted(schema.keys() - {"type"} if len(_CHOICES & schema.keys()) == 1 else schema.keys())[1:]:
            self._refuse(f"{', '.join(beside)} beside a choice")
        if "anyOf" not in schema:
            values = [schema["const"]] if "const" in schema else schema["enum"]
            if not values:
                self._refuse("an empty choice: nothing can fit it")
            if types and not all(any(has_type(value, name) for name in types) for value in values):
                self._refuse("a choice of values that are not of its type")
            return {"enum": list(values)}
        if types or not schema["anyOf"]:
            self._refuse("type beside anyOf" if types else "an empty choice: nothing can fit it")
        return {"anyOf": [self.schema(each) for each in schema["anyOf"]]}

    def _array(self, schema: dict[str, Any]) -> dict[str, Any]:
        if "items" in schema:
            return {**schema, "items": self.schema(schema["items"])}
        if "minItems" in schema:
            self._refuse("minItems without items")
        return schema

    def _object(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Properties are all that there are, unless none is named: any more could name one of them again."""
        named, further = schema.get("properties", {}), schema.get("additionalProperties", True)
        if missing := sorted(set(schema.get("required", ())) - set(named)):
            self._refuse(f"required {', '.join(missing)}, which properties does not name")
        if named and not isinstance(further, bool):
            self._refuse("a schema in additionalProperties beside properties")
        written = {keyword: value for keyword, value in schema.items() if keyword != "additionalProperties"}
        if named:
            return {**written, "properties": {name: self.schema(each) for name, each in named.items()}}
        if "additionalProperties" in schema:
            written["additionalProperties"] = further if isinstance(further, bool) else self.schema(further)
        return written

    def _bounded(self, schema: dict[str, Any], types: list[str]) -> dict[str, Any]:
        least, most = schema.get("minimum"), schema.get("maximum")
        if least is None and most is None:
            return schema
        if "number" in types or not all(isinstance(bound, int) for bound in (least, most) if bound is not None):
            self._refuse("bounds of numbers that are not whole")
        if most is None and least in _TRUE_FLOORS:
            return schema
        if least is None or most is None or most - least >= _MAX_LISTED:
            self._refuse(f"a range of integers that is open or has more than {_MAX_LISTED} of them")
        if types != ["integer"]:
            self._refuse("a range of integers beside other types")
        return {"enum": list(range(least, most + 1))}

    def _refuse(self, what: str) -> NoReturn:
        raise UnsupportedOptionError(
            f"Guided decoding would pass over a part of {self.option}: {what}.", option=self.option, hint=_HINT
        )
