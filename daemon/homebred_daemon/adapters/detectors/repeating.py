"""A name that was found once is a name wherever the text says it again: also where nothing beside it gives it away.

For the cloud lane alone (tier 3), over what the other detectors found. It compares words as they are written, with
their capital: "Rose" says nothing about "rose".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from homebred_daemon.adapters.detectors.name_lists import NameLists
from homebred_daemon.core.sensitivity import Span

_TIER = 3
_WORD = re.compile(r"[^\W\d_]+")
_LEAST = 3  # letters


def repeated(text: str, spans: Sequence[Span], lists: NameLists) -> Iterator[Span]:
    """Every word of the text that is a word of a person found in it.

    A common word counts where a list has it as a name, or where it is all that was found: then something other than
    the word itself, a title or a label, said that it is one.
    """
    names: set[str] = set()
    for span in spans:
        if span.type != "PERSON":
            continue
        words = _WORD.findall(text, span.start, span.end)
        names.update(word for word in words if _tells(word, lists, is_alone=len(words) == 1))
    if names:
        for match in _WORD.finditer(text):
            if match.group() in names:
                yield Span(match.start(), match.end(), "PERSON", _TIER)


def _tells(word: str, lists: NameLists, *, is_alone: bool) -> bool:
    plain = word.lower()
    is_name = word[0].isupper() and not word.isupper() and len(word) >= _LEAST
    return is_name and (is_alone or plain not in lists.words or plain in lists.family or plain in lists.frequent)
