"""A set of keys that keeps none of them: hashes in one flat array, each with a small number beside it.

A core dump or a swapped page holds no name. Two keys of one hash would be taken for each other: with a million keys and
56 bits that is one look-up in seventy thousand million.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import Final

MAX_NUMBER: Final = 0xFF
_HASH: Final = 0xFFFF_FFFF_FFFF_FF00
_EMPTY: Final = 0


class HashedKeys:
    """Keys with numbers from 1 to MAX_NUMBER, in 8 bytes a place, at most two thirds of them taken."""

    def __init__(self, entries: Iterable[tuple[str, int]]) -> None:
        """Takes all keys at once; the same key may have several numbers."""
        packed = array("Q", (_hash(key) | number for key, number in entries))
        places = 1 << (len(packed) * 3 // 2).bit_length()
        self._mask = places - 1
        self._table = array("Q", bytes(8)) * places
        for value in packed:
            self._add(value)

    def _add(self, value: int) -> None:
        table, mask = self._table, self._mask
        place = value >> 8 & mask
        while table[place] != _EMPTY and table[place] != value:
            place = place + 1 & mask
        table[place] = value

    @property
    def bytes_taken(self) -> int:
        """Size of the array, in bytes."""
        return len(self._table) * self._table.itemsize

    def __contains__(self, key: str) -> bool:
        """Whether the key is there, with any number."""
        return bool(self.numbers(key))

    def numbers(self, key: str) -> tuple[int, ...]:
        """The numbers of the key; none: it is not there."""
        table, mask, wanted = self._table, self._mask, _hash(key)
        place = wanted >> 8 & mask
        found: tuple[int, ...] = ()
        while (value := table[place]) != _EMPTY:
            if value & _HASH == wanted:
                found = (*found, value & MAX_NUMBER)
            place = place + 1 & mask
        return found


def _hash(key: str) -> int:
    # Of the encoded key: a text's own hash is that of its memory, in which 杮 and "ng" are the same two bytes.
    return hash(key.encode("utf-8", "surrogatepass")) & _HASH
