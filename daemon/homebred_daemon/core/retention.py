"""Which releases may leave the model store: none that serves, is on its way, may be gone back to, or is answered by.

It removes nothing, and knows no bytes: bases and adapters that two releases share stay as long as one of them does.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A release in the store."""

    number: int
    parts: frozenset[str]
    """Digests of its base and its adapter; empty: it is damaged."""


def removable(held: Collection[Held], *, needed: Collection[int], in_use: Collection[str]) -> list[int]:
    """Numbers of one specialist's releases that nobody needs, rising.

    Args:
        held: its releases in the store.
        needed: those in force, gone back to or on their way.
        in_use: digests of bases and adapters that answers run on: a stream ends on what it began with.
    """
    kept_parts: Mapping[int, frozenset[str]] = {each.number: each.parts for each in held if each.number in needed}
    stays = frozenset().union(*kept_parts.values())
    return sorted(
        each.number for each in held if each.number not in needed and not (each.parts - stays) & frozenset(in_use)
    )
