"""The least of a conversation that a cloud model needs, and how it looks when it leaves.

What goes is the last turn, what it follows on from, and the standing instructions; the rest stays home. Nothing is
decided here about whether it may go, and nothing is found in it: spans come from a detector.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from homebred_daemon.core.pseudonyms import Pseudonyms
from homebred_daemon.core.sensitivity import Span
from homebred_engines.api import Message

SYSTEM: Final = "system"
MIN_SHARED: Final = 2
"""Telling words that an earlier turn shares with the last one, to be needed by it."""
MIN_LETTERS: Final = 5
"""Letters of a telling word: shorter ones are mostly of any text."""
SHORT_WORDS: Final = 8
"""A last turn of so few words is taken to follow on from what was said before it."""

_WORD = re.compile(r"[^\W\d_]+")
_POINTS_BACK = re.compile(
    r"\b(?:it|its|this|that|these|those|he|she|him|her|they|them|above|previous|earlier|again|same|instead|shorter|longer"
    r"|das|dies|diese[rsmn]?|davon|dazu|es|oben|vorher|nochmal|stattdessen|kürzer|länger)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MinimumContext:
    """What would be sent."""

    system: str
    """Standing instructions; empty: there are none."""
    turns: tuple[Message, ...]
    """Of user and assistant, in turn; the last is the user's."""
    dropped_turns: int
    """How many earlier ones stay home."""
    json_schema: str = ""
    """What the answer must fit, as JSON text; empty: anything."""

    @property
    def text(self) -> str:
        """All of it, as detection and residual risk read it."""
        return "\n\n".join(filter(None, (self.system, *(turn.content for turn in self.turns), self.json_schema)))


def minimum_context(turns: Sequence[Message], json_schema: str = "") -> MinimumContext:
    """The last turn, the standing instructions, and earlier turns from the first that the last one needs.

    An exchange is needed where the last turn points back to it (the one before), or shares MIN_SHARED telling words
    with it. What lies between a needed one and the end goes too: a conversation with holes is misread.
    """
    said = [turn for turn in turns if turn.role != SYSTEM]
    system = "\n\n".join(turn.content for turn in turns if turn.role == SYSTEM)
    if not said:
        only = (Message(role="user", content=system),)
        return MinimumContext(system="", turns=only, dropped_turns=0, json_schema=json_schema)
    first = _first_needed(said)
    return MinimumContext(system=system, turns=tuple(said[first:]), dropped_turns=first, json_schema=json_schema)


def masked(
    context: MinimumContext, detect: Callable[[str], tuple[Span, ...]], pseudonyms: Pseudonyms
) -> MinimumContext:
    """The same with a token for everything that is found: the same value, the same token throughout."""

    def mask(text: str) -> str:
        return pseudonyms.masked(text, detect(text))

    turns = tuple(replace(turn, content=mask(turn.content)) for turn in context.turns)
    return replace(context, system=mask(context.system), turns=turns, json_schema=mask(context.json_schema))


def _first_needed(said: Sequence[Message]) -> int:
    """Index of the earliest turn that goes; it is a user's, so that turns alternate as providers want them."""
    last = len(said) - 1
    content = said[last].content
    telling = _telling(content)
    needed = last
    if last > 0 and (len(_WORD.findall(content)) <= SHORT_WORDS or _POINTS_BACK.search(content)):
        needed = last - 1
    for at in range(last - 1, -1, -1):
        if len(telling & _telling(said[at].content)) >= MIN_SHARED:
            needed = min(needed, at)
    while needed > 0 and said[needed].role != "user":
        needed -= 1
    return needed


def _telling(text: str) -> frozenset[str]:
    return frozenset(word.casefold() for word in _WORD.findall(text) if len(word) >= MIN_LETTERS)
