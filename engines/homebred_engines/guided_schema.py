"""Which JSON Schemas are handed to a guided decoder that would pass over what it does not know. Pure.

Only keywords that decoders built on grammars honour are let through; every other is refused, so that nothing asked for
is silently ignored. It checks no value against a schema: whoever reads the answer does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from homebred_engines.api import UnsupportedOptionError

_ANNOTATIONS = {"$schema", "$id", "title", "description", "default", "examples"}
_TYPES = {"object", "array", "string", "integer", "number", "boolean", "null"}
_VALUES = {"enum", "const", "minLength", "maxLength", "minimum", "maximum", "required", "minItems", "maxItems"}
_ONE_SCHEMA = {"items", "additionalProperties"}
_NAMED_SCHEMAS = {"properties"}
_LISTED_SCHEMAS = {"anyOf"}
_KNOWN = _ANNOTATIONS | _VALUES | _ONE_SCHEMA | _NAMED_SCHEMAS | _LISTED_SCHEMAS | {"type"}
_HINT = f"Use plain keywords: {', '.join(sorted(_KNOWN - _ANNOTATIONS))}."


def refuse_unguidable(schema: Mapping[str, Any]) -> None:
    """Raises UnsupportedOptionError for a schema with anything in it that a decoder might pass over."""
    unknown = sorted(set(schema) - _KNOWN)
    if unknown:
        raise _unguidable(f"Guided decoding may pass over {', '.join(unknown)} of json_schema.")
    declared = schema.get("type", [])
    for name in [declared] if isinstance(declared, str) else declared:
        if name not in _TYPES:
            raise _unguidable(f"json_schema names the type {name!r}, which JSON does not have.")
    if schema.get("enum") == [] or schema.get("anyOf") == []:
        raise _unguidable("json_schema has an empty choice: nothing can fit it.")
    inner = [schema[keyword] for keyword in _ONE_SCHEMA & schema.keys()]
    inner += [each for keyword in _NAMED_SCHEMAS & schema.keys() for each in schema[keyword].values()]
    inner += [each for keyword in _LISTED_SCHEMAS & schema.keys() for each in schema[keyword]]
    for each in inner:
        if isinstance(each, Mapping):
            refuse_unguidable(each)
        elif not isinstance(each, bool):
            raise _unguidable("json_schema holds a schema that is neither object nor boolean.")


def _unguidable(why: str) -> UnsupportedOptionError:
    return UnsupportedOptionError(why, option="json_schema", hint=_HINT)
