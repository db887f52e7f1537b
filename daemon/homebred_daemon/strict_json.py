"""Reads JSON from strangers: one meaning or an error.

Refused beyond what the standard library refuses: NaN and the infinities, a key written twice (the second `data_classes`
would silently declassify the first), lone surrogates (no such text can be stored or sent), integers beyond every number
type, and bottomless nesting. It knows no schema.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NoReturn

MAX_DIGITS = 308  # a double holds no more


def parse(body: bytes) -> Any:
    """The value of one JSON text.

    Raises:
        ValueError: it is not UTF-8, or not such JSON; the message says which and where, and quotes no value.
    """
    try:
        text = body.decode("utf-8")
        value = json.loads(text, parse_constant=_no_constant, parse_int=_integer, object_pairs_hook=_unique)
        if b"\\ud" in body.lower():  # the only way for a surrogate to come in
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"is not UTF-8: {error.reason} at byte {error.start}") from error
    except UnicodeEncodeError as error:
        raise ValueError("holds half of a surrogate pair, which is no character") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON: {error.msg} at line {error.lineno} column {error.colno}") from error
    except RecursionError as error:
        raise ValueError("is nested too deeply") from error
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"holds {name}, which JSON does not have")


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"holds an integer of {len(digits)} digits")
    return int(digits)


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for name, value in pairs:
        if name in table:
            raise ValueError(f"has the key {name!r} twice in one object")
        table[name] = value
    return table
