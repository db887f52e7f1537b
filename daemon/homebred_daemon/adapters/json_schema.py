"""JSON Schema by the `jsonschema` library, loaded at first use: an idle daemon does without it."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from homebred_daemon.errors import RequestError

CACHED_SCHEMAS = 64


class JsonSchemaChecker:
    """Checks schemas, and texts against them."""

    def check_schema(self, schema: str) -> None:
        """Refuses what is not a JSON Schema.

        Raises:
            RequestError: with the place and the rule broken.
        """
        _validator(schema)

    def fits(self, text: str, schema: str) -> bool:
        """Whether a text is JSON that fits the schema."""
        try:
            value = json.loads(text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            return False
        return bool(_validator(schema).is_valid(value))


@lru_cache(CACHED_SCHEMAS)
def _validator(schema: str) -> Any:
    from jsonschema import SchemaError  # noqa: PLC0415  # 10 MB that an idle daemon does without
    from jsonschema.validators import validator_for  # noqa: PLC0415

    document = json.loads(schema)
    kind = validator_for(document)
    try:
        kind.check_schema(document)
    except SchemaError as error:
        place = "/".join(str(part) for part in error.absolute_path) or "its top"
        raise RequestError(
            f"response_schema is not a JSON Schema: at {place}, {error.message}", hint="correct the schema"
        ) from None
    return kind(document)


def _refuse_constant(name: str) -> None:
    """NaN and Infinity are no JSON (RFC 8259 §6)."""
    raise ValueError(name)
