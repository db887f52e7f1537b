"""What one pattern rule is. It holds no rule and runs none: the tables beside it do the one, `patterns` the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Label:
    """The value follows one of these words; the pattern is matched right behind the word and ignores case."""

    words: tuple[str, ...]
    """Lower case, with a space where a text may write a space, `_` or `-`."""
    inside: bool = False
    """Whether the word may end a longer one, as in `dbPassword`."""


@dataclass(frozen=True, slots=True)
class Start:
    """The pattern is matched where one of these begins, not inside a word."""

    literals: tuple[str, ...]
    """Lower case."""


# What stands beside a run of digits: "a" a letter, " " a space, "$" the end of the text or anything not listed here.
BESIDE = " -./,()+:'°"
APART = " $(:,'/+)°"
ENDS = " $.,:)'/(°+"
LONG_RUN = 20


@dataclass(frozen=True, slots=True)
class Run:
    """The pattern is matched at runs of ASCII digits of these lengths."""

    lengths: tuple[int, ...]
    """Digits in the run; `LONG_RUN` stands for itself and everything longer."""
    after: str
    """What may stand right behind the run, by the letters of `BESIDE`; only a filter, the pattern decides."""
    before: str = APART
    """What may stand right before the run."""
    leads: tuple[int, ...] = (0,)
    """How many characters before the run the pattern begins."""


@dataclass(frozen=True, slots=True)
class Anywhere:
    """The pattern is searched in the whole text."""

    needs: tuple[str, ...] = ()
    """Lower-case literals of which one must be in the text; none: the pattern is cheap enough to search always."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One kind of sensitive value and how to find it.

    Patterns see the text with look-alike digits, dashes and spaces folded to ASCII. Each must take time in proportion
    to the text: bound every repetition, and let no two neighbours match the same character without end.
    """

    type: str
    """Entity type of the span."""
    at: Label | Start | Run | Anywhere
    """Where the pattern is tried."""
    pattern: str
    """Regular expression; the group `v`, where it has one, is the span."""
    check: Callable[[str], bool] | None = None
    """Whether the value holds: a checksum, a range, an entropy."""
    context: tuple[str, ...] = ()
    """Lower-case words of which one must stand near before the match, or right behind it."""
    unless: tuple[str, ...] = ()
    """Lower-case words of which none may stand right before the match."""
