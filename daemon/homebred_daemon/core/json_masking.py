"""Finds and replaces what is sensitive inside a JSON document: its names of fields, its texts and its numbers.

It is read as lines of `name: value`, all at once, so that a detector sees a value beside its label and no escapes. What
comes out is JSON again, whatever was found. It finds nothing itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from homebred_daemon.core.sensitivity import Span, resolve

Mask = Callable[[str, Sequence[Span]], str]
"""A text and its spans to the text without what they cover."""


def as_lines(document: str) -> str:
    """A JSON document as a detector reads it; what is no JSON, as it is."""
    try:
        return "".join(part + after for part, after in _parts(json.loads(document)))
    except (ValueError, RecursionError):
        return document


def masked_json(document: str, detect: Callable[[str], Sequence[Span]], mask: Mask) -> str:
    """The JSON document with each text, number and name masked where something was found in it.

    A number of which anything is masked becomes a text.

    Raises:
        ValueError: it is no JSON.
    """
    value = json.loads(document)
    parts = list(_parts(value))
    spans = resolve(detect("".join(part + after for part, after in parts)))
    masked = _masked_parts(parts, spans, mask)
    return json.dumps(_rebuilt(value, masked), ensure_ascii=False)


def _parts(value: Any) -> Iterator[tuple[str, str]]:
    """Names and values in their order, each with what follows it in the lines."""
    match value:
        case dict():
            for name, held in value.items():
                yield name, ":\n" if isinstance(held, dict | list) else ": "
                yield from _parts(held)
        case list():
            for held in value:
                yield from _parts(held)
        case str():
            yield value, "\n"
        case _:
            yield json.dumps(value), "\n"


def _masked_parts(parts: Sequence[tuple[str, str]], spans: Sequence[Span], mask: Mask) -> Iterator[str]:
    at = first = 0
    for part, after in parts:
        end = at + len(part)
        while first < len(spans) and spans[first].end <= at:
            first += 1
        inside, number = [], first
        while number < len(spans) and spans[number].start < end:
            span = spans[number]
            inside.append(Span(max(span.start, at) - at, min(span.end, end) - at, span.type, span.tier))
            number += 1
        yield mask(part, inside)
        at = end + len(after)


def _rebuilt(value: Any, masked: Iterator[str]) -> Any:
    match value:
        case dict():
            return {next(masked): _rebuilt(held, masked) for held in value.values()}
        case list():
            return [_rebuilt(held, masked) for held in value]
        case str():
            return next(masked)
        case _:
            text = next(masked)
            return value if text == json.dumps(value) else text
