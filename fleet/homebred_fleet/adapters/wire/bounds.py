"""What a value of a message may be, whoever sent it; where it is more, the message is malformed, as a word says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from homebred_protocol import stop_orders

Kind = TypeVar("Kind", bound=Message)

MAX_NUMBER = 2**63 - 1
"""The largest that a database keeps; the wire's uint64 goes further."""
MAX_SMALL = 2**31 - 1
EARLIEST_S, LATEST_S = stop_orders.EARLIEST_S, stop_orders.LATEST_S
"""A device's clock may be off by decades."""
MAX_NAME = 200
"""Characters of a name that an administrator gave; a device's own bound is 128."""
MAX_DIGEST = 71
"""Characters of `sha256:…`."""
MAX_PAIRS = 64


class MalformedError(Exception):
    """The message is not as it must be."""

    def __init__(self, cause: str) -> None:
        self.cause = cause
        """A stable word."""
        super().__init__(cause)


def parsed(kind: type[Kind], payload: bytes) -> Kind:
    """A message of the kind. Raises MalformedError: its bytes are none."""
    try:
        return kind.FromString(payload)
    except (DecodeError, RecursionError):
        raise MalformedError("not-parsable") from None


def check_numbers(*numbers: int) -> None:
    """Whole numbers from 0 that a database keeps."""
    for number in numbers:
        if not 0 <= number <= MAX_NUMBER:
            raise MalformedError("number")


def check_times(*times_s: int) -> None:
    """Unix seconds of a calendar's years."""
    for time_s in times_s:
        if not EARLIEST_S <= time_s <= LATEST_S:
            raise MalformedError("time")


def check_texts(max_characters: int, *texts: str) -> None:
    """Texts of bounded length that a database keeps: none has a NUL in it."""
    for text in texts:
        if len(text) > max_characters:
            raise MalformedError("text-too-long")
        if "\0" in text:
            raise MalformedError("text")


def checked_pairs(pairs: Mapping[str, str], *, max_characters: int, max_pairs: int = MAX_PAIRS) -> dict[str, str]:
    """A table of texts."""
    if len(pairs) > max_pairs:
        raise MalformedError("too-many-pairs")
    found = dict(pairs)
    check_texts(max_characters, *found, *found.values())
    return found


def bits(words: Sequence[int]) -> int:
    """A set of an enum's words as bits, one by number; what a newer device knows beyond 30 counts as OTHER (1)."""
    if len(words) > MAX_PAIRS:
        raise MalformedError("too-many-words")
    return _bits(tuple(words[:]))  # a slice leaves protobuf's container at once, where iteration asks it word by word


@lru_cache(maxsize=1_024)
def _bits(words: tuple[int, ...]) -> int:
    found = 0
    for word in words:
        found |= 1 << word if 0 <= word <= 30 else 2  # noqa: PLR2004  # the highest bit of a 32-bit column without its sign
    return found
