"""Where services tell what they do in figures: counts and times of the catalogue, never words of a task.

The default hears nothing and costs next to nothing; `services.tallying` is what counts where the site wants figures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from homebred_daemon.core.measures import Counter, Histogram

Observe = Callable[[float], None]
"""Takes one value of a histogram."""


class Measures(Protocol):
    """Hears figures, on the event loop alone. It never fails: a word that is none of a label's counts as `other`."""

    def count(self, counter: Counter, *words: str, by: float = 1) -> None:
        """Adds to a counter; `words` are its labels', in order."""
        ...

    def observer(self, histogram: Histogram, *words: str) -> Observe:
        """Takes values of a histogram from now on: asked for once, so that each value costs little."""
        ...


class Unmeasured:
    """Nobody wants figures."""

    def count(self, counter: Counter, *words: str, by: float = 1) -> None:
        """Nobody hears."""

    def observer(self, histogram: Histogram, *words: str) -> Observe:
        """Nobody hears."""
        del histogram, words
        return _ignore


UNMEASURED = Unmeasured()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessFigures:
    """How this process stands."""

    resident_bytes: int
    cpu_s: float
    open_files: int
    most_files: int
    started_at_s: float
    """Seconds since 1970."""


def _ignore(value: float) -> None:
    del value
