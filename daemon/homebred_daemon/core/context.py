"""The least of a task that a cloud model needs.

What goes is the last turn, what it follows on from, the standing instructions, the tools and the documents that it
speaks of; the rest stays home. Nothing is decided here about whether it may go, and nothing is masked.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from homebred_daemon.core.documents import Document, last_of_user
from homebred_engines.api import Message, Tool
from homebred_protocol.documents.readable import as_lines, without_escapes

SYSTEM: Final = "system"
TOOL: Final = "tool"
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
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"
    documents: tuple[Document, ...] = ()
    dropped_attachments: int = 0
    """How many documents stay home."""
    is_searchable: bool = True
    """Whether a detector can read all that the task needs: a picture or a recording it cannot."""

    @property
    def text(self) -> str:
        """All of it, as detection and residual risk read it."""
        parts = [self.system]
        for turn in self.turns:
            content = as_lines(turn.content) if turn.role == TOOL else turn.content
            parts += [content, *(f"{call.name}\n{as_lines(call.arguments)}" for call in turn.tool_calls)]
        parts += [document.shown() for document in self.documents]
        for tool in self.tools:
            parts += [tool.name, tool.description, as_lines(tool.parameters)]
        return without_escapes("\n\n".join(filter(None, (*parts, as_lines(self.json_schema)))))


def minimum_context(
    turns: Sequence[Message],
    json_schema: str = "",
    *,
    tools: tuple[Tool, ...] = (),
    tool_choice: str = "auto",
    documents: Sequence[Document] = (),
    is_searchable: bool = True,
) -> MinimumContext:
    """The last turn, the standing instructions, the tools, and what the last turn needs of the rest.

    An exchange is needed where the last turn points back to it (the one before), or shares MIN_SHARED telling words
    with it. What lies between a needed one and the end goes too: a conversation with holes is misread. A document is
    needed where the last turn names it or shares as many words with it; where that holds for none of them, all go.
    """
    said = [turn for turn in turns if turn.role != SYSTEM]
    system = "\n\n".join(turn.content for turn in turns if turn.role == SYSTEM)
    if not said:
        said, system = [Message(role="user", content=system)], ""
    first = _first_needed(said)
    needed = _needed_documents(said[last_of_user(said) or 0].content, documents)
    return MinimumContext(
        system=system,
        turns=tuple(said[first:]),
        dropped_turns=first,
        json_schema=json_schema,
        tools=tools,
        tool_choice=tool_choice,
        documents=needed,
        dropped_attachments=len(documents) - len(needed),
        is_searchable=is_searchable,
    )


def _needed_documents(asked: str, documents: Sequence[Document]) -> tuple[Document, ...]:
    telling, folded = _telling(asked), asked.casefold()

    def is_needed(document: Document) -> bool:
        file_name = document.name.rpartition("/")[2].casefold()
        stem = file_name.rpartition(".")[0] or file_name
        return bool(stem and stem in folded) or len(telling & _telling(document.text)) >= MIN_SHARED

    return tuple(filter(is_needed, documents)) or tuple(documents)


def _first_needed(said: Sequence[Message]) -> int:
    """Index of the earliest turn that goes; it is a user's, so that turns alternate as providers want them."""
    asked = last_of_user(said)
    if asked is None:
        return 0
    content = said[asked].content
    telling = _telling(content)
    needed = asked
    if asked > 0 and (len(_WORD.findall(content)) <= SHORT_WORDS or _POINTS_BACK.search(content)):
        needed = asked - 1
    for at in range(asked - 1, -1, -1):
        if len(telling & _telling(said[at].content)) >= MIN_SHARED:
            needed = min(needed, at)
    while needed > 0 and said[needed].role != "user":
        needed -= 1
    return needed


def _telling(text: str) -> frozenset[str]:
    return frozenset(word.casefold() for word in _WORD.findall(text) if len(word) >= MIN_LETTERS)
