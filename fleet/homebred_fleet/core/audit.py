"""The audit's chain: each row holds the digest of the one before, so that a change of the past shows.

A digest is SHA-256 of the row's canonical JSON. The chain shows changes within it; that its end was cut off shows only
against a digest that somebody wrote down elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

START = "0" * 64
"""Before the first row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Who did what to what, and when."""

    at_s: int
    actor: str
    action: str
    target: str
    details: Mapping[str, object]
    """JSON: texts, whole numbers, truth values, lists and tables of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainedEntry:
    """An entry in its place."""

    number: int
    entry: Entry
    previous: str
    digest: str


def digest_of(previous: str, entry: Entry) -> str:
    """The digest of an entry that follows the one with the digest `previous`."""
    told = [previous, entry.at_s, entry.actor, entry.action, entry.target, entry.details]
    text = json.dumps(told, ensure_ascii=True, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def first_broken(entries: Iterable[ChainedEntry]) -> int | None:
    """The number of the first row that is not as it was written, or does not follow; None: all are and do."""
    previous = START
    last_number = 0
    for one in entries:
        if one.number <= last_number or one.previous != previous or one.digest != digest_of(previous, one.entry):
            return one.number
        previous, last_number = one.digest, one.number
    return None
