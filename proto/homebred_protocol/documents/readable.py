"""How a detector reads what a task holds as JSON, or with letters spelt as escapes. It finds nothing itself."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

_ESCAPE: Final = re.compile(r"\\+u([0-9A-Fa-f]{4})")
_FIRST_PLAIN: Final = " "
"""What comes before it may not stand in a JSON string as it is, nor may `"`, a backslash, and half of a pair."""


def without_escapes(text: str) -> str:
    r"""The text with its letters as they are read: `\u00fc`, in a string within a string `\\u00fc`, is ü.

    What may not stand in a JSON string as it is stays an escape, so JSON remains JSON, and of the same meaning but for
    such a string.
    """
    return _ESCAPE.sub(_spelt_out, text) if "\\u" in text else text


def as_lines(document: str) -> str:
    """A JSON document as lines of `name: value`; what is no JSON, as it is."""
    try:
        return lines(json.loads(document))
    except (ValueError, RecursionError):
        return document


def lines(value: Any) -> str:
    """A JSON value as lines of `name: value`, without quotes and escapes."""
    return "".join(part + after for part, after in parts(value))


def parts(value: Any) -> Iterator[tuple[str, str]]:
    """Names and values in their order, each with what follows it in the lines."""
    match value:
        case dict():
            for name, held in value.items():
                yield name, ":\n" if isinstance(held, dict | list) else ": "
                yield from parts(held)
        case list():
            for held in value:
                yield from parts(held)
        case str():
            yield value, "\n"
        case _:
            yield json.dumps(value), "\n"


def _spelt_out(escape: re.Match[str]) -> str:
    letter = chr(int(escape[1], 16))
    is_plain = letter >= _FIRST_PLAIN and letter not in '"\\' and not "\ud800" <= letter <= "\udfff"
    return letter if is_plain else escape[0]
