"""The second detection tier: names, codes and customers that a site knows, found however they are spelt.

It holds only hashes of them (`hashed_keys`), decides nothing about classes, and reads no file: `gazetteer_file` does. A
hit's type is KNOWN_ and its class, which is how it raises it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from homebred_daemon.adapters.detectors.hashed_keys import HashedKeys
from homebred_daemon.core.sensitivity import Span, known_type
from homebred_daemon.core.spelling import (
    CODE,
    EXACT,
    FAMILY,
    HONORIFICS,
    MAX_WORDS,
    NEAR,
    NEAR_LETTERS,
    PART,
    PARTICLES,
    ROLES,
    SOUND,
    WORD,
    folded,
    letters,
    shortened,
    sounds,
)

_TIER = 2
_ASCII_WORD = re.compile("[A-Za-z0-9]+")  # `WORD` in a text without anything else, in half the time
_BETWEEN_NAMES = " \t\r\n\u00a0.,;-'\u2019\u2010\u2011_"
_BETWEEN_PARTS = " \u00a0-_./\u2010\u2011\u2013"
_MAX_BETWEEN = 3  # characters between two words of a name
_MAX_PARTS = 6  # of a code
_INT_BYTES = 32  # of a hash in a set, beside its place there
_CODE_START = 2  # characters that are kept of codes, so that few words are tried as one
_NEAR_MOST = 48  # letters: each is left out once
_NEAR_WORDS = 4  # of a name that is compared with a letter missing


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """One name or code that a site knows."""

    keys: frozenset[str]
    """What it is found by: `core.spelling.keys`."""
    data_class: str
    """Class of a task that says it, such as `patient`."""


class _Index:
    """All that is known, as hashes."""

    def __init__(self, known: Iterable[Known]) -> None:
        self.types: list[str] = []
        """By number, from 1."""
        self.parts: set[int] = set()
        """Hashes of the words of longer names; this and the next only say where to look."""
        self.words: set[int] = set()
        """Hashes of the names of one word."""
        self.code_starts: set[str] = set()
        self.keys = HashedKeys(self._numbered(known))

    def _numbered(self, known: Iterable[Known]) -> Iterator[tuple[str, int]]:
        numbers: dict[str, int] = {}
        for entry in known:
            number = numbers.setdefault(known_type(entry.data_class), len(numbers) + 1)
            for key in entry.keys:
                kind, rest = key[0], key[1:]
                if kind == PART:
                    self.parts.add(hash(rest))
                    continue
                if kind == EXACT:
                    self.words.add(hash(rest))
                elif kind == CODE:
                    self.code_starts.add(rest[:_CODE_START])
                yield key, number
        self.types = list(numbers)

    @property
    def bytes_taken(self) -> int:
        return self.keys.bytes_taken + sum(
            sys.getsizeof(kept) + _INT_BYTES * len(kept) for kept in (self.parts, self.words)
        )


class Gazetteer:
    """`Detector` of what a site knows."""

    def __init__(self, known: Iterable[Known], digest: str) -> None:
        """Takes entries of at most 255 classes one by one, and the digest of the list that they come from."""
        self._index = _Index(known)
        self._digest = digest

    @property
    def digest(self) -> str:
        """Of the list."""
        return self._digest

    @cached_property
    def entity_types(self) -> frozenset[str]:
        """One for each class of the list."""
        return frozenset(self._index.types)

    @property
    def bytes_taken(self) -> int:
        """Memory of the hashes, in bytes."""
        return self._index.bytes_taken

    def detect(self, text: str) -> tuple[Span, ...]:
        """Every known name and code in the text."""
        return tuple(_Search(text, self._index).spans())


class _Search:
    """One text, looked through once."""

    def __init__(self, text: str, index: _Index) -> None:
        self._text, self._index = text, index
        words = list((_ASCII_WORD if text.isascii() else WORD).finditer(text))
        self._starts, self._ends = [word.start() for word in words], [word.end() for word in words]
        self._folded = [folded(word.group()) for word in words]
        self._sounds = sounds(" ".join(self._folded)).split(" ")
        self._is_part = [hash(word) in index.parts for word in self._sounds]
        self._found: dict[Span, None] = {}

    def spans(self) -> Iterable[Span]:
        """Every hit once."""
        words, code_starts = self._index.words, self._index.code_starts
        last_digit = -1
        for at in range(len(self._folded) - 1, -1, -1):
            word = self._folded[at]
            if not word.isalpha():
                last_digit = at
            if 0 <= last_digit - at < _MAX_PARTS and (len(word) < _CODE_START or word[:_CODE_START] in code_starts):
                self._codes(at)
            if hash(word) in words:
                self._hit(EXACT + word, at, at)
            if self._is_part[at] or self._is_part[at + 1 : at + 2] == [True]:
                self._names(at)
            if word in HONORIFICS or word in ROLES:
                self._titled(at)
        return self._found

    def _codes(self, at: int) -> None:
        joined, has_digit = "", False
        for end in range(at, min(at + _MAX_PARTS, len(self._folded))):
            if end > at and not self._joins(end, _BETWEEN_PARTS, 1):
                return
            joined += self._folded[end]
            if len(joined) >= _CODE_START and joined[:_CODE_START] not in self._index.code_starts:
                return
            has_digit = has_digit or not self._folded[end].isalpha()
            if has_digit:
                self._hit(CODE + joined, at, end)

    def _names(self, at: int) -> None:
        """Names that begin here; one word may be none of a known name, and is then misspelt."""
        name, strangers = self._sounds[at], int(not self._is_part[at])
        for end in range(at + 1, min(at + MAX_WORDS, len(self._folded))):
            strangers += not self._is_part[end]
            if strangers > 1 or not self._joins(end, _BETWEEN_NAMES, _MAX_BETWEEN):
                return
            if end == at + 1 and not self._may_be_initial(at):
                return
            name = f"{name} {self._sounds[end]}"
            if not strangers and self._hit(SOUND + name, at, end):
                continue
            if end - at < _NEAR_WORDS and NEAR_LETTERS <= letters(name) <= _NEAR_MOST:
                for key in shortened(name):
                    self._hit(NEAR + key, at, end)

    def _titled(self, at: int) -> None:
        """A family name behind an honorific or a role."""
        for name in range(at + 1, min(at + MAX_WORDS, len(self._folded))):
            if not self._joins(name, _BETWEEN_NAMES, _MAX_BETWEEN):
                return
            if self._folded[name] not in PARTICLES and self._folded[name] not in HONORIFICS:
                if self._folded[at] in HONORIFICS or self._text[self._starts[name]].isupper():
                    self._hit(FAMILY + self._sounds[name], name, name)
                return

    def _hit(self, key: str, first: int, last: int) -> bool:
        numbers = self._index.keys.numbers(key)
        for number in numbers:
            self._found[Span(self._starts[first], self._ends[last], self._index.types[number - 1], _TIER)] = None
        return bool(numbers)

    def _joins(self, word: int, joints: str, most: int) -> bool:
        """Whether only so many of these characters are between the word and the one before."""
        between = self._text[self._ends[word - 1] : self._starts[word]]
        return len(between) <= most and not between.strip(joints)

    def _may_be_initial(self, at: int) -> bool:
        """A single letter is one only as a capital, before a capital; A and I are words, unless a point is behind."""
        letter = self._text[self._starts[at] : self._ends[at]]
        if len(letter) > 1 or letter.lower() == letter.upper():
            return True
        has_point = self._text[self._ends[at]] == "."
        return letter.isupper() and self._text[self._starts[at + 1]].isupper() and (has_point or letter not in "AI")
