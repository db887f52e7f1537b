"""What a stranger's JSON Schema may cost: its size, its references, and the steps that one check against it takes.

A schema of a few hundred bytes can ask for more steps than there is time (references that double, level by level), and
the validator cannot be interrupted. So the steps are counted first, without running it, and never fewer than it takes.
Whether the schema is one, and whether an answer fits it, is `json_schema`'s to say.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn
from urllib.parse import unquote

from homebred_daemon.errors import RequestError

MAX_SCHEMA_BYTES = 64 * 1024
"""Checked, compiled and kept in memory on behalf of a stranger; schemas written by people are a tenth of it."""
MAX_DEPTH = 64
"""Objects and arrays inside one another; the validator's own reader gives up at 127."""
MAX_PATTERNS = 32
"""Regular expressions, each of which may take `json_schema.PATTERN_BYTES` twice over."""
MAX_STEPS = 100_000
"""Schemas applied to values in one check, and characters matched: tenths of a second; 64 KiB hold 30,000 values."""
MAX_NESTING = 1_000
"""Schemas entered one from within another; the validator recurses, and its stack has an end."""
UNEVALUATED_FACTOR = 3
"""`unevaluated…` looks at its neighbours once more: measured 2.7 times the time for each level."""
HEAVY_CHARACTER_STEPS = 8
"""A heavy pattern has eight times the states of a light one, and each character may touch them all."""

REFERENCES = {"$ref", "$dynamicRef", "$recursiveRef"}
UNEVALUATED = {"unevaluatedProperties", "unevaluatedItems"}
DRAFT_4 = "http://json-schema.org/draft-04/schema"
DIALECTS = {
    "https://json-schema.org/draft/2020-12/schema",
    "https://json-schema.org/draft/2019-09/schema",
    "http://json-schema.org/draft-07/schema",
    "http://json-schema.org/draft-06/schema",
    DRAFT_4,
}
NOT_APPLIED = {"$defs", "definitions", "enum", "const", "default", "examples"}
MAPS_IN_PLACE = {"dependentSchemas", "dependencies"}
OF_MEMBERS = {"properties", "patternProperties", "additionalProperties", "unevaluatedProperties", "propertyNames"}
OF_ITEMS = {"items", "prefixItems", "additionalItems", "unevaluatedItems", "contains"}
PLACE_CHARACTERS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundedSchema:
    """A schema document within the bounds, all of whose references stay inside it."""

    root: dict[str, Any] | bool
    """The document."""
    references: dict[str, list[Any]]
    """What each reference leads to; a plain name given to two places leads to both."""
    patterns: frozenset[str]
    """All its regular expressions."""

    def is_affordable(self, value: Any, heavy: frozenset[str]) -> bool:
        """Whether checking the value keeps to the limits; `heavy` are the patterns of many states."""
        steps = 0
        waiting: list[tuple[Any, Any, int, int]] = [(self.root, value, 1, 0)]
        while waiting:
            schema, value_here, times, depth = waiting.pop()
            if not isinstance(schema, dict):
                continue
            steps += times * (_keywords(schema) + _characters(schema, value_here, heavy))
            again = times * UNEVALUATED_FACTOR if UNEVALUATED & schema.keys() else times
            for below, part in self._applied(schema, value_here):
                steps += times
                if steps > MAX_STEPS:
                    return False
                waiting.append((below, part, again if part is value_here else times, depth + 1))
            if steps > MAX_STEPS or depth > MAX_NESTING:
                return False
        return True

    def _applied(self, schema: dict[str, Any], value: Any) -> Iterator[tuple[Any, Any]]:
        for keyword, part in schema.items():
            if keyword in REFERENCES:
                yield from ((target, value) for target in self.references.get(str(part), ()))
            elif keyword in OF_MEMBERS:
                yield from _of_members(keyword, part, value)
            elif keyword in OF_ITEMS:
                yield from _of_items(part, value)
            elif keyword not in NOT_APPLIED:
                yield from ((below, value) for below in _in_place(keyword, part))


def read_schema(text: str) -> BoundedSchema:
    """The schema document.

    Raises:
        RequestError: it is no JSON, beyond a bound, or leads out of itself.
    """
    if len(text) > MAX_SCHEMA_BYTES or len(text.encode(errors="replace")) > MAX_SCHEMA_BYTES:
        raise RequestError(
            f"is longer than {MAX_SCHEMA_BYTES // 1024} KiB",
            hint="send a schema of what is asked for only",
        )
    root = _parse_schema(text)
    objects = list(_objects(root))
    patterns = {pattern for _, node in objects for pattern in _patterns(node)}
    if len(patterns) > MAX_PATTERNS:
        raise RequestError(
            f"has {len(patterns)} regular expressions; {MAX_PATTERNS} at most",
            hint="list the values in `enum`, or bound them by type and length",
        )
    schema = BoundedSchema(root=root, references=_references(root, objects), patterns=frozenset(patterns))
    if not schema.is_affordable(None, frozenset()):
        raise RequestError(
            f"takes more than {MAX_STEPS} steps for a single value, or leads back into itself",
            hint="let its references and combinations lead deeper into the value, or write fewer",
        )
    return schema


def parse(text: str) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: it is none, or holds NaN, an infinity or a number beyond all doubles.
        RecursionError: it is nested without end.
    """
    return json.loads(text, parse_constant=_no_constant, parse_float=_finite)


def refusal(rule: str, place: Sequence[str | int] = (), *, hint: str = "correct the schema") -> RequestError:
    """The error that names the place and the rule, and quotes no more of the schema than the way to the place."""
    where = "/".join(str(part) for part in place)
    if len(where) > PLACE_CHARACTERS:
        where = f"{where[:PLACE_CHARACTERS]}…"
    return RequestError(f"is not a JSON Schema: at {where or 'its top'}, {rule}", hint=hint)


def _parse_schema(text: str) -> dict[str, Any] | bool:
    try:
        root = parse(text)
    except json.JSONDecodeError as error:
        raise refusal(f"{error.msg} (line {error.lineno}, column {error.colno})") from None
    except ValueError:
        raise refusal("it holds a number that JSON does not have, or beyond all doubles") from None
    except RecursionError:
        raise _too_deep() from None
    if not isinstance(root, dict | bool):
        raise refusal("it is neither an object nor a boolean")
    return root


def _objects(root: Any) -> Iterator[tuple[tuple[str | int, ...], dict[str, Any]]]:
    """All objects with their places."""
    waiting: list[tuple[tuple[str | int, ...], Any]] = [((), root)]
    while waiting:
        place, node = waiting.pop()
        if not isinstance(node, dict | list):
            continue
        if len(place) >= MAX_DEPTH:
            raise _too_deep()
        if isinstance(node, dict):
            yield place, node
        parts = node.items() if isinstance(node, dict) else enumerate(node)
        waiting += [((*place, name), part) for name, part in parts]


def _references(root: Any, objects: Sequence[tuple[tuple[str | int, ...], dict[str, Any]]]) -> dict[str, list[Any]]:
    """What every reference leads to; refuses what leads out of the document, or makes another one within it."""
    dialect = root.get("$schema") if isinstance(root, dict) else None
    own_name = "id" if isinstance(dialect, str) and dialect.removesuffix("#") == DRAFT_4 else "$id"
    anchors: dict[str, list[Any]] = {}
    for place, node in objects:
        _check_identity(place, node, own_name)
        for name in _names(node):
            anchors.setdefault(name, []).append(node)
    references: dict[str, list[Any]] = {}
    for place, node in objects:
        for keyword in REFERENCES & node.keys():
            reference = node[keyword]
            if isinstance(reference, str) and reference not in references:
                references[reference] = _targets(reference, root, anchors)
                if not references[reference]:
                    raise _leads_nowhere(reference, (*place, keyword))
    return references


def _check_identity(place: tuple[str | int, ...], node: dict[str, Any], own_name: str) -> None:
    dialect = node.get("$schema")
    if isinstance(dialect, str) and dialect.removesuffix("#") not in DIALECTS:
        raise refusal("it names a dialect that is not known here", (*place, "$schema"), hint="leave `$schema` out")
    identity = node.get(own_name)
    if place and isinstance(identity, str) and not identity.startswith("#"):
        raise refusal(
            "a part calls itself another document", (*place, own_name), hint=f"leave the inner `{own_name}` out"
        )


def _targets(reference: str, root: Any, anchors: dict[str, list[Any]]) -> list[Any]:
    """What a reference leads to inside the document (RFC 6901 §6, or a plain name); empty where it leads to nothing."""
    if not reference.startswith("#"):
        return []
    fragment = unquote(reference[1:])
    if fragment and not fragment.startswith("/"):
        return anchors.get(fragment, [])
    node = root
    for part in fragment.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(node, dict) and name in node:
            node = node[name]
        elif isinstance(node, list) and name in map(str, range(len(node))):
            node = node[int(name)]
        else:
            return []
    return [node]


def _leads_nowhere(reference: str, place: tuple[str | int, ...]) -> RequestError:
    if reference.startswith("#"):
        return refusal("a reference leads to nothing", place)
    return refusal(
        "a reference leaves the document, and none is fetched",
        place,
        hint="copy what it refers to into `$defs` and refer to `#/$defs/…`",
    )


def _too_deep() -> RequestError:
    return RequestError(
        f"is nested more than {MAX_DEPTH} deep",
        hint="name its inner parts in `$defs` and refer to them",
    )


def _names(node: dict[str, Any]) -> Iterator[str]:
    for keyword in ("$anchor", "$dynamicAnchor"):
        if isinstance(node.get(keyword), str):
            yield node[keyword]
    for keyword in ("$id", "id"):
        if isinstance(node.get(keyword), str) and node[keyword].startswith("#"):
            yield node[keyword][1:]


def _patterns(node: dict[str, Any]) -> set[str]:
    by_name = node.get("patternProperties")
    single = node.get("pattern")
    return {*(by_name if isinstance(by_name, dict) else ()), *([single] if isinstance(single, str) else ())}


def _of_members(keyword: str, part: Any, value: Any) -> Iterator[tuple[Any, Any]]:
    if not isinstance(value, dict) or not isinstance(part, dict):
        return
    if keyword == "properties":
        yield from ((part[name], value[name]) for name in part.keys() & value.keys())
    elif keyword == "patternProperties":
        yield from ((below, member) for below in part.values() for member in value.values())
    else:
        yield from ((part, member) for member in (value if keyword == "propertyNames" else value.values()))


def _of_items(part: Any, value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, list):
        yield from zip(part, value, strict=False) if isinstance(part, list) else ((part, item) for item in value)


def _in_place(keyword: str, part: Any) -> Iterator[Any]:
    if isinstance(part, list):
        yield from part
    elif isinstance(part, dict):
        yield from part.values() if keyword in MAPS_IN_PLACE else (part,)


def _keywords(schema: dict[str, Any]) -> int:
    """The steps of a schema's own keywords; their lists and tables are looked through quickly."""
    return 1 + len(schema) + sum(len(part) for part in schema.values() if isinstance(part, list | dict)) // 16


def _characters(schema: dict[str, Any], value: Any, heavy: frozenset[str]) -> int:
    """The steps of its patterns."""
    if isinstance(value, str) and isinstance(schema.get("pattern"), str):
        return len(value) * (HEAVY_CHARACTER_STEPS if schema["pattern"] in heavy else 1)
    by_name = schema.get("patternProperties")
    if isinstance(value, dict) and isinstance(by_name, dict) and by_name:
        length = sum(map(len, value))
        return sum(length * (HEAVY_CHARACTER_STEPS if pattern in heavy else 1) for pattern in by_name)
    return 0


def _no_constant(name: str) -> NoReturn:
    """NaN and Infinity are no JSON (RFC 8259 §6)."""
    raise ValueError(name)


def _finite(number: str) -> float:
    value = float(number)
    if math.isinf(value):
        raise ValueError(number)
    return value
