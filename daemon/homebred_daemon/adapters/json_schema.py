"""JSON Schema by the `jsonschema-rs` library, loaded at first use: an idle daemon does without it.

Schemas come from callers and are checked on the event loop, so nothing in one may cost much or reach out: patterns run
on an engine that never backtracks, no reference is fetched, and `json_schema_bounds` counts the steps beforehand.
`format` is an annotation in every dialect: it is not checked.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from homebred_daemon.adapters.json_schema_bounds import BoundedSchema, parse, read_schema, refusal
from homebred_daemon.errors import RequestError

if TYPE_CHECKING:
    from jsonschema_rs import ValidationError, Validator

CACHED_SCHEMAS = 8
"""A device's specialists and its callers use few; each may hold some megabytes of compiled patterns."""
PATTERN_BYTES = 256 * 1024
"""A pattern compiled: enough for `^.{1,200}$`."""
LIGHT_PATTERN_BYTES = 32 * 1024
"""What most patterns fit; a larger one is heavy to match."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Built:
    validator: Validator
    schema: BoundedSchema
    heavy: frozenset[str]


class JsonSchemaChecker:
    """Checks schemas, and texts against them; used by one thread."""

    def __init__(self) -> None:
        self._built: OrderedDict[bytes, _Built] = OrderedDict()

    def check_schema(self, schema: str, *, name: str = "response_schema") -> None:
        """Refuses what is not a JSON Schema, or not one that this device can afford.

        Raises:
            RequestError: with the schema's name, the place and the rule broken.
        """
        try:
            self._get(schema)
        except RequestError as error:
            raise RequestError(f"{name} {error.message}", hint=error.hint) from None

    def fits(self, text: str, schema: str) -> bool:
        """Whether a text is JSON that fits the schema; one that takes too many steps to check does not."""
        return not self.problem(text, schema)

    def problem(self, text: str, schema: str) -> str:
        """Why a text is not JSON that fits the schema; it quotes the text."""
        built = self._get(schema)
        try:
            value = parse(text)
            if not built.schema.is_affordable(value, built.heavy):
                return "it is too large to be checked"
            if built.validator.is_valid(value):
                return ""
            error = next(built.validator.iter_errors(value))
            return f"{error.message} (at /{'/'.join(map(str, error.instance_path))})"
        except (ValueError, RecursionError):  # no JSON, or half of a surrogate pair, which is no character
            return "it is not JSON"

    def check_pattern(self, pattern: str, *, name: str) -> None:
        """Refuses what is no regular expression, or none that runs in bounded time and space.

        Raises:
            RequestError: with the pattern's name.
        """
        try:
            self._get(_schema_of(pattern))
        except RequestError as error:
            raise RequestError(
                f"{name} is no regular expression that runs in bounded time and space", hint=error.hint
            ) from None

    def matches(self, text: str, pattern: str) -> bool:
        """Whether a text holds what the pattern describes; one that takes too many steps to look through does not."""
        return self.fits(json.dumps(text), _schema_of(pattern))

    def _get(self, schema: str) -> _Built:
        digest = sha256(schema.encode(errors="replace")).digest()
        built = self._built.get(digest) or _build(schema)
        self._built[digest] = built
        self._built.move_to_end(digest)
        if len(self._built) > CACHED_SCHEMAS:
            self._built.popitem(last=False)
        return built


def _schema_of(pattern: str) -> str:
    return json.dumps({"pattern": pattern})


def _build(text: str) -> _Built:
    from jsonschema_rs import ReferencingError, ValidationError  # noqa: PLC0415  # 15 MB that an idle daemon does without

    schema = read_schema(text)
    try:
        validator = _validator(schema.root, PATTERN_BYTES)
    except ValidationError as error:
        raise _refused(error) from None
    except (ValueError, ReferencingError):
        raise refusal("it cannot be read") from None
    return _Built(validator=validator, schema=schema, heavy=frozenset(filter(_is_heavy, schema.patterns)))


def _validator(document: Any, pattern_bytes: int) -> Validator:
    from jsonschema_rs import RegexOptions, validator_for  # noqa: PLC0415

    patterns = RegexOptions(size_limit=pattern_bytes, dfa_size_limit=PATTERN_BYTES)
    return validator_for(document, pattern_options=patterns, offline=True, validate_formats=False)


def _is_heavy(pattern: str) -> bool:
    try:
        _validator({"pattern": pattern}, LIGHT_PATTERN_BYTES)
    except ValueError:
        return True
    return False


def _refused(error: ValidationError) -> RequestError:
    if error.kind.as_dict().get("format") == "regex":
        return refusal(
            "the pattern is none that runs in bounded time and space",
            error.instance_path,
            hint="write it without lookaround and back-references; bound lengths by `maxLength`, not by counts",
        )
    return refusal(f"it breaks the rule `{error.kind.name}` of its dialect", error.instance_path)
