"""What masking a labelled text is worth: characters found and lost, entities that show, words that survive.

It reads no data and runs no detector. Figures are exact; an offset is a code point.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

Extent = tuple[int, int]
"""First code point, one past the last."""
MASK = "\ufffc"
_BETA_SQUARED = 4  # F2: a name that shows costs more than a word masked for nothing


@dataclass(slots=True)
class CharacterScore:
    """Counts over documents; `add` takes one document after the other."""

    hit: int = 0
    missed: int = 0
    needless: int = 0
    documents: int = 0
    leaking: int = 0
    entities: dict[str, list[int]] = field(default_factory=dict)
    """Entity type → [labelled, showing]."""

    def add(
        self, text: str, labelled: Sequence[tuple[str, Extent]], ignored: Iterable[Extent], found: Iterable[Extent]
    ) -> None:
        """Counts a document; characters of `ignored` extents that carry no label count neither way.

        An entity shows, and its document leaks, where a letter or digit of it is not masked.
        """
        masked, wanted, either = _points(found), _points(extent for _, extent in labelled), _points(ignored)
        self.hit += len(masked & wanted)
        self.missed += len(wanted - masked)
        self.needless += len(masked - wanted - either)
        shown = [kind for kind, (start, end) in labelled if _shows(text, start, end, masked)]
        for kind, _ in labelled:
            self.entities.setdefault(kind, [0, 0])[0] += 1
        for kind in shown:
            self.entities[kind][1] += 1
        self.documents += 1
        self.leaking += bool(shown)

    @property
    def recall(self) -> float:
        """Share of labelled characters that are masked."""
        return _share(self.hit, self.hit + self.missed)

    @property
    def precision(self) -> float:
        """Share of masked characters that are labelled."""
        return _share(self.hit, self.hit + self.needless)

    @property
    def f2(self) -> float:
        """F-measure that weighs recall four times."""
        both = _BETA_SQUARED * self.precision + self.recall
        return (1 + _BETA_SQUARED) * self.precision * self.recall / both if both else 0.0

    @property
    def leaking_share(self) -> float:
        """Share of documents in which an entity shows."""
        return _share(self.leaking, self.documents)


@dataclass(slots=True)
class SurvivalScore:
    """Units that a person labelled by their words alone, and whether they can still be read."""

    units: int = 0
    surviving: int = 0
    documents: int = 0
    leaking: int = 0
    characters: int = 0
    masked: int = 0

    def add(self, text: str, units: Iterable[str], found: Iterable[Extent]) -> list[str]:
        """Counts a document, and returns the units of it that survive as whole words, whatever their case."""
        points = _points(found)
        shown = "".join(MASK if place in points else char for place, char in enumerate(text))
        present = [unit for unit in units if holds_words(text, unit)]
        surviving = [unit for unit in present if holds_words(shown, unit)]
        self.units += len(present)
        self.surviving += len(surviving)
        self.documents += 1
        self.leaking += bool(surviving)
        self.characters += len(text)
        self.masked += len(points)
        return surviving

    @property
    def surviving_share(self) -> float:
        """Of the units that the texts hold."""
        return _share(self.surviving, self.units)

    @property
    def leaking_share(self) -> float:
        """Of the documents."""
        return _share(self.leaking, self.documents)

    @property
    def masked_share(self) -> float:
        """Of the characters."""
        return _share(self.masked, self.characters)


def holds_words(text: str, unit: str) -> bool:
    """Whether the text has the unit, not as a part of a longer word."""
    return re.search(rf"(?<!\w){re.escape(unit)}(?!\w)", text, re.IGNORECASE) is not None


def _points(extents: Iterable[Extent]) -> set[int]:
    return {place for start, end in extents for place in range(start, end)}


def _shows(text: str, start: int, end: int, masked: set[int]) -> bool:
    return any(place not in masked and text[place].isalnum() for place in range(start, end))


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
