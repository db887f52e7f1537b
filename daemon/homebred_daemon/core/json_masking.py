"""Finds and replaces what is sensitive inside a JSON document: its names of fields, its texts and its numbers.

It is read as lines of `name: value`, all at once, so that a detector sees a value beside its label and no escapes. What
comes out is JSON again, whatever was found. It finds nothing itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from homebred_daemon.core.sensitivity import Span, clipped, resolve
from homebred_protocol.documents.readable import parts, without_escapes

Mask = Callable[[str, Sequence[Span]], str]
"""A text and its spans to the text without what they cover."""


def masked_json(document: str, detect: Callable[[str], Sequence[Span]], mask: Mask) -> str:
    """The JSON document with each text, number and name masked where something was found in it.

    A number of which anything is masked becomes a text; half of a surrogate pair, which nobody could send, U+FFFD.

    Raises:
        ValueError: it is no JSON.
    """
    value = json.loads(without_escapes(document))
    read = list(parts(value))
    spans = resolve(detect("".join(part + after for part, after in read)))
    masked = _masked_parts(read, spans, mask)
    whole = json.dumps(_rebuilt(value, masked), ensure_ascii=False)
    return whole.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _masked_parts(read: Sequence[tuple[str, str]], spans: Sequence[Span], mask: Mask) -> Iterator[str]:
    at = 0
    for part, after in read:
        yield mask(part, clipped(spans, at, at + len(part)))
        at += len(part) + len(after)


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
