"""What a caller asks of an answer's text beside a schema: what it must contain, and what it must not.

Whether a pattern is found is for a matcher to say that runs in bounded time; nothing here compiles one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraints:
    """What holds for the text of an answer; an answer that asks for a tool is not held to it."""

    matches: str = ""
    """Regular expression that is found in it, as `pattern` of JSON Schema; empty: any text."""
    contains: tuple[str, ...] = ()
    """Each is in it, as it is written."""
    excludes: tuple[str, ...] = ()
    """None is in it."""
    max_characters: int | None = None

    @property
    def are_set(self) -> bool:
        """Whether there is anything to keep to."""
        return self != UNCONSTRAINED


UNCONSTRAINED = Constraints()


def what_breaks(constraints: Constraints, text: str, matches: Callable[[str, str], bool]) -> str:
    """What of them a text breaks, in words for a model; empty: it keeps to all.

    Args:
        constraints: what to keep to.
        text: an answer, whole.
        matches: whether a text holds what a pattern describes.
    """
    return "; ".join(_breaches(constraints, text, matches))


def _breaches(constraints: Constraints, text: str, matches: Callable[[str, str], bool]) -> Iterator[str]:
    most = constraints.max_characters
    if most is not None and len(text) > most:
        yield f"it has {len(text)} characters, and {most} at most are asked for"
    yield from (f"it does not contain {wanted!r}" for wanted in constraints.contains if wanted not in text)
    yield from (f"it contains {unwanted!r}" for unwanted in constraints.excludes if unwanted in text)
    if constraints.matches and not matches(text, constraints.matches):
        yield f"it does not match the regular expression {constraints.matches}"
