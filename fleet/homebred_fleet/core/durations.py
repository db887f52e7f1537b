"""Lengths of time as people write them (`90s`, `15m`, `6h`, `2d`, `1w`) and say them, and how many of a thing."""

from __future__ import annotations

import re
from typing import Final

DAY_S: Final = 86_400
MAX_S: Final = 10**10
"""300 years; above it sums with times would leave a column's range one day."""
_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": DAY_S, "w": 7 * DAY_S}
_WRITTEN: Final = re.compile(r"([0-9]{1,9})([smhdw])")
_SAID: Final = (("d", DAY_S), ("h", 3600), ("min", 60))


def duration_s(text: str) -> int | None:
    """Seconds of what somebody wrote; None: it is no length of time, or longer than MAX_S."""
    found = _WRITTEN.fullmatch(text)
    if found is None:
        return None
    written_s = int(found[1]) * _UNITS_S[found[2]]
    return written_s if written_s <= MAX_S else None


def counted(count: int, word: str) -> str:
    """`1 device`, `2,000 devices`."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def span(seconds: int) -> str:
    """A length of time as people say it."""
    for unit, length_s in _SAID:
        if seconds >= 2 * length_s:
            return f"{seconds // length_s} {unit}"
    return f"{seconds} s"
