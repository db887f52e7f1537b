"""JSON of which a value has one text alone, so that its digest says what it is: what is signed is written so.

Keys are ASCII and sorted, texts hold no control character, numbers are integers, and nothing stands between them.
Within these bounds it is at once the canonical JSON that The Update Framework signs and that of RFC 8785. What it reads
costs little, whoever wrote it. It knows no document.
"""

from __future__ import annotations

import json
import re
from typing import Any

from homebred_protocol.documents.fields import LARGEST_INTEGER

MAX_KEYS = 64
"""Of one object."""
MAX_DEPTH = 16
"""Objects and lists within one another."""
_UNPLAIN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_MOST_DIGITS = len(str(LARGEST_INTEGER)) + 1


class NotCanonicalError(ValueError):
    """It is no canonical JSON; the sentence says what of it is not."""


def canonical(value: object) -> bytes:
    """The one text of a value of objects, lists, texts, integers, true, false and null.

    Raises:
        NotCanonicalError: there is something else in it.
    """
    _check(value, MAX_DEPTH)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def from_canonical(body: bytes, *, max_bytes: int, max_values: int) -> Any:
    """The value of a canonical text of at most so many bytes, and of at most so many values.

    Raises:
        NotCanonicalError: it is none.
    """
    if len(body) > max_bytes:
        raise NotCanonicalError(f"it has more than {max_bytes:,} bytes")
    # Each costs dozens of bytes for one of the text. A sign that stands inside a text is counted along: never too few.
    if sum(map(body.count, (b"{", b"[", b","))) > max_values:
        raise NotCanonicalError(f"it has more than {max_values:,} values")
    value = _parsed(body)
    if canonical(value) != body:
        raise NotCanonicalError("it is not written canonically: keys sorted, no space, nothing escaped needlessly")
    return value


def _parsed(body: bytes) -> Any:
    hooks: dict[str, Any] = {"parse_int": _integer, "parse_float": _refuse, "parse_constant": _refuse}
    try:
        return json.loads(body.decode("utf-8"), object_pairs_hook=_object, **hooks)
    except UnicodeDecodeError as error:
        raise NotCanonicalError(f"it is not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise NotCanonicalError("it is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise NotCanonicalError(f"it is not JSON: {error.msg} at character {error.pos}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > MAX_KEYS:
        raise NotCanonicalError(f"an object has more than {MAX_KEYS} keys")
    found = dict(pairs)
    if len(found) < len(pairs):
        raise NotCanonicalError("an object has a key twice")
    return found


def _integer(text: str) -> int:
    if len(text) > _MOST_DIGITS or abs(int(text)) > LARGEST_INTEGER:
        raise NotCanonicalError(f"it holds an integer above {LARGEST_INTEGER}")
    return int(text)


def _refuse(text: str) -> None:
    raise NotCanonicalError(f"it holds {text[:20]}, and only integers are canonical")


def _check(value: object, levels: int) -> None:
    """Raises NotCanonicalError."""
    if not levels:
        raise NotCanonicalError("it is nested too deeply")
    if isinstance(value, dict):
        for key in value:
            if not (isinstance(key, str) and key.isascii() and key.isprintable()):
                raise NotCanonicalError(f"the key {key!r:.80} is not printable ASCII")
    elif not isinstance(value, (list, tuple)):
        _check_leaf(value)
        return
    for held in value.values() if isinstance(value, dict) else value:
        _check(held, levels - 1)


def _check_leaf(value: object) -> None:
    """Raises NotCanonicalError."""
    if isinstance(value, str):
        if not is_plain(value):
            raise NotCanonicalError(f"the text {value!r:.80} holds a control character")
    elif isinstance(value, int):
        if abs(value) > LARGEST_INTEGER:
            raise NotCanonicalError(f"it holds an integer above {LARGEST_INTEGER}")
    elif value is not None:
        raise NotCanonicalError(f"it holds {type(value).__name__}, which is not canonical")


def is_plain(text: str) -> bool:
    """Whether it holds neither control characters nor half of a pair: what any canonical form writes as it is."""
    return _UNPLAIN.search(text) is None
