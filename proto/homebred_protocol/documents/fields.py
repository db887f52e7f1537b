"""Reads a parsed document field by field and collects every problem, so that its author sees all of them at once.

It knows types, bounds and unknown keys. It opens no file, parses no syntax and knows no document.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

Path = tuple[str, ...]
T = TypeVar("T")
LARGEST = 1e308
"""Integers of documents have no bound of their own, and a float holds no more."""
LARGEST_INTEGER = 2**53
"""Above it a float, which is what many a JSON reader takes every number for, skips integers (RFC 8259 §6)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong with a document."""

    path: Path
    """Keys from the document's root to the place, list positions as `[0]`."""
    what: str
    """What is wrong there."""
    hint: str
    """What to write instead."""

    def sentence(self) -> str:
        """Place, what, what next: one line."""
        return f"{dotted(self.path)}: {self.what}; {self.hint}"


class DocumentError(ValueError):
    """A document does not fit its schema."""

    def __init__(self, document: str, problems: list[Problem]) -> None:
        self.document = document
        self.problems = tuple(problems)
        super().__init__(f"{document}: " + "; ".join(problem.sentence() for problem in problems))


def dotted(path: Path) -> str:
    """The path as a person writes it: `workflows."intake.normalise".floor`."""
    words = [key if key.replace("_", "").replace("[", "").replace("]", "").isalnum() else f'"{key}"' for key in path]
    return ".".join(words).replace(".[", "[") or "(the document)"


def kind_of(value: object) -> str:
    """The value's type in a document author's words."""
    names = {bool: "a boolean", int: "an integer", float: "a number", str: "a string", list: "a list", dict: "a table"}
    return "nothing" if value is None else names.get(type(value), f"a {type(value).__name__}")


class Fields:
    """The fields of one table; each reader takes a key, checks it and returns its value or the default."""

    def __init__(self, table: object, path: Path = (), problems: list[Problem] | None = None) -> None:
        self.path = path
        self.problems: list[Problem] = [] if problems is None else problems
        self._seen: set[str] = set()
        self._table: Mapping[str, Any] = {}
        if isinstance(table, Mapping):
            self._table = table
        else:
            self.complain((), f"is {kind_of(table)}", "write a table of keys and values")

    def complain(self, below: Path, what: str, hint: str) -> None:
        """Notes a problem at a path below this table."""
        self.problems.append(Problem(path=self.path + below, what=what, hint=hint))

    def has(self, key: str) -> bool:
        """Whether the key is there and not null."""
        return self._table.get(key) is not None

    def text(self, key: str, default: str | None = None, *, required: bool = False) -> str | None:
        """A string."""
        return self._typed(key, str, "a string", default, required=required)

    def boolean(self, key: str, *, default: bool | None = None) -> bool | None:
        """True or false."""
        return self._typed(key, bool, "true or false", default)

    def integer(self, key: str, default: int | None = None, *, low: int = 0, required: bool = False) -> int | None:
        """An integer of at least `low` that every reader holds exactly; booleans are not integers here."""
        value = self._typed(key, int, "an integer", default, required=required)
        if value is not None and value < low:
            self.complain((key,), f"is {value}", f"write an integer of at least {low}")
            return default
        if value is not None and value > LARGEST_INTEGER:
            self.complain((key,), "is too large", f"write an integer of at most {LARGEST_INTEGER}")
            return default
        return value

    def number(
        self,
        key: str,
        default: float | None = None,
        *,
        low: float = -math.inf,
        high: float = math.inf,
        required: bool = False,
    ) -> float | None:
        """A finite number within [low, high]."""
        raw = self._typed(key, (int, float), "a number", default, required=required)
        if raw is None:
            return default
        if not low <= raw <= high or not abs(raw) < LARGEST:  # NaN is in no interval
            shown = "too large" if isinstance(raw, int) and abs(raw) >= LARGEST else raw
            self.complain((key,), f"is {shown}", f"write a finite number {_bounds(low, high)}")
            return default
        return float(raw)

    def choice(self, key: str, choices: tuple[str, ...], default: str | None = None) -> str | None:
        """One of a few words."""
        value = self.text(key, default)
        if value is not None and value not in choices:
            self.complain((key,), f"is {value!r}", f"write one of: {', '.join(choices)}")
            return default
        return value

    def texts(self, key: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        """A list of strings."""
        value = self._typed(key, list, "a list of strings", None)
        if value is None:
            return default
        if not all(isinstance(item, str) for item in value):
            self.complain((key,), "holds something that is not a string", "write strings only")
            return default
        return tuple(value)

    def table(self, key: str) -> Fields | None:
        """A nested table, read by its own Fields; None where absent."""
        self._seen.add(key)
        if not self.has(key):
            return None
        return Fields(self._table[key], (*self.path, key), self.problems)

    def tables(self, key: str) -> Iterator[tuple[str, Fields]]:
        """The tables inside a table of tables, by name."""
        outer = self.table(key)
        for name in outer.keys() if outer is not None else ():
            inner = outer.table(name) if outer is not None else None
            if inner is not None:
                yield name, inner

    def listed(self, key: str) -> Iterator[Fields]:
        """The tables in a list of tables, in order."""
        for position, item in enumerate(self._typed(key, list, "a list of tables", None) or ()):
            yield Fields(item, (*self.path, key, f"[{position}]"), self.problems)

    def raw(self, key: str) -> Any:
        """The value unchecked, its key marked as known."""
        self._seen.add(key)
        return self._table.get(key)

    def keys(self) -> tuple[str, ...]:
        """The keys that are present, in the document's order."""
        return tuple(str(key) for key in self._table)

    def finish(self) -> None:
        """Complains of every key that nobody asked for."""
        for key in self.strangers():
            known = ", ".join(sorted(self._seen))
            self.complain((key,), "is not a known key", f"remove it or correct its spelling; known here: {known}")

    def finish_leniently(self) -> tuple[str, ...]:
        """Complains only of unknown keys that look like a misspelt known one; returns the other strangers."""
        foreign = []
        for key in self.strangers():
            meant = difflib.get_close_matches(key.lower(), sorted(self._seen), n=1, cutoff=0.7)
            if meant:
                self.complain((key,), "is not a known key", f"write {meant[0]!r} if that was meant, or rename it")
            else:
                foreign.append(key)
        return tuple(foreign)

    def strangers(self) -> tuple[str, ...]:
        """The keys that are present and that nobody asked for."""
        return tuple(key for key in self.keys() if key not in self._seen)

    def _typed(
        self, key: str, kind: type[T] | tuple[type, ...], name: str, default: T | None, *, required: bool = False
    ) -> T | None:
        self._seen.add(key)
        value = self._table.get(key)
        if value is None:
            if required:
                self.complain((key,), "is missing", f"write {name}")
            return default
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            self.complain((key,), f"is {kind_of(value)}", f"write {name}")
            return default
        return value  # type: ignore[return-value]  # the check above is what a tuple of types hides from mypy


def _bounds(low: float, high: float) -> str:
    if math.isinf(low) and math.isinf(high):
        return "(not NaN, not infinite)"
    if math.isinf(high):
        return f"of at least {low:g}"
    return f"from {low:g} to {high:g}"
