"""Pieces that several rule tables build their patterns from. It holds no rule."""

from __future__ import annotations

UPPER = "A-ZÀ-ÖØ-ÞĄĆČĎĐĘĚŁŃŇŐŒŘŚŞŠŢŤŮŰŹŻŽİ"
# The rest of a word: letters, marks that combine with them, and what names join with.
REST = r"[\w\u0300-\u036f'\u2019-]"
END = r"(?![\w-])"

# Behind a label: "no.", "number", ":" and the like.
TAIL = (
    r"(?:(?<=#)|(?![^\W_]))[\s._-]{0,2}"
    r"(?:(?:(?:no|nr|num|number|nummer|id|code|ref|num[eé]ro)(?![^\W_])\.?|n[º°]|№|#)[\s:]{0,2}){0,2}"
    r"(?:(?:is|was|ist|lautet|est|of)\s)?[\s:=#.\"'(\[-]{0,5}(?:<\w{1,8}>\s?)?"
)
# A code with at least one digit, or digits in groups.
CODE = r"(?P<v>\d{2,4}(?: \d{2,4}){1,4}(?![\w-])|(?=[^\s,;]{0,24}\d)[^\W_](?:[\w./-]{0,28}[^\W_]))"
# As CODE, but recognisable without "no.": a letter or a dash beside the digits, or five digits and more.
DISTINCT_CODE = r"(?P<v>(?=[A-Za-z-]*\d[\w./-]*|\d+[A-Za-z-])(?=[\w./]*[A-Za-z-]|\d{5})[^\W_](?:[\w./-]{1,28}[^\W_]))"


def numbered(*words: str) -> tuple[str, ...]:
    """Each word as people write it before a number: `chart no`, `chart number`, `chart id` and so on."""
    return tuple(f"{word} {kind}" for word in words for kind in ("no", "nr", "num", "number", "nummer", "id", "#"))


def one_of(words: str) -> str:
    """An alternation of the words of a line, the longest first so that none hides another."""
    return "(?:" + "|".join(sorted(words.split(), key=len, reverse=True)) + ")"
