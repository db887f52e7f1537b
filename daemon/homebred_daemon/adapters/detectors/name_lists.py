"""Common words and known names, read once from the file beside this module when the cloud lane first needs them.

It searches no text: `names` does. `packaging/tools/name_lists.py` makes the file, NOTICE says from what.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from homebred_daemon.core.vocabulary import WORDS

FILE = Path(__file__).parent / "lists" / "names.txt.gz"


@dataclass(frozen=True, slots=True, kw_only=True)
class NameLists:
    """Sets of lower-case words."""

    words: frozenset[str]
    """Common words, inflected as well, with days, months and peoples."""
    proper: frozenset[str]
    """Of those, what is always written with a capital: days, peoples, feasts; no given name."""
    acronyms: frozenset[str]
    given: frozenset[str]
    frequent: frozenset[str]
    """Given names that are one also at the beginning of a sentence, whatever else they mean."""
    family: frozenset[str]
    places: frozenset[str]
    """Large towns of one word."""
    countries: frozenset[str]
    """Countries, states, and large towns of several words."""


@cache
def name_lists() -> NameLists:
    """The lists, one object for the process: some fifteen megabytes."""
    sections = gzip.decompress(FILE.read_bytes()).decode().removeprefix("[").split("\n[")
    named = {name: frozenset(entries.split("\n")) for name, _, entries in (one.partition("]\n") for one in sections)}
    return NameLists(**named | {"words": named["words"] | WORDS})
