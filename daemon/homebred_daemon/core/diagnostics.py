"""What a bundle of diagnostics may hold: names of closed lists, switches, sizes, and counts in powers of two.

Nothing here can hold what a caller wrote, nor tell one task from another (I4): events that speak of a task or of a
person have neither time nor place in it, counts of tasks are rounded, settings that are text are only `set` or not.
It gathers nothing.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any, Final

from homebred_daemon.log_events import Entry

TELLABLE_FIELDS: Final = frozenset(
    {"cause", "command_state", "error_code", "error_type", "exit", "failures", "part", "severity", "where", "days_left"}
)
"""Fields of events that leave: words of our own, and places in our own code."""
OF_TASKS: Final = frozenset({"route_id", "principal", "entity_types"})
"""An event that may have one of these speaks of a task or a person: only how many there were is told."""
TOLD_IN_WORDS: Final = frozenset(
    {"python", "clock", "open_files", "gpu", "state_folder", "identity", "certificate", "controller", "broker"}
)
"""Checks whose own words leave: they speak of the machine. What others say may quote a site's files."""
MOST_EVENTS: Final = 200
MOST_WORDS: Final = 300


def rounded(count: float) -> int:
    """The power of two at or under a count; 0 for none."""
    return 0 if count < 1 else 1 << (int(count).bit_length() - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """One event, as far as it may be told."""

    name: str
    at_s: int
    fields: Mapping[str, str]


class EventMemory:
    """The daemon's own newest events, and how many of each kind there were. Its owner serialises `note`."""

    def __init__(self) -> None:
        self._newest: deque[Remembered] = deque(maxlen=MOST_EVENTS)
        self._counts: Counter[str] = Counter()

    def note(self, entry: Entry, at_s: int) -> None:
        """Remembers that something happened."""
        self._counts[entry.event.name] += 1
        if not OF_TASKS & {*entry.event.fields}:
            fields = {name: text for name, text in entry.fields.items() if name in TELLABLE_FIELDS}
            self._newest.append(Remembered(name=entry.event.name, at_s=at_s, fields=fields))

    def told(self) -> dict[str, Any]:
        """All of it, as a bundle holds it."""
        newest = [{"event": one.name, "at_s": one.at_s, **one.fields} for one in list(self._newest)]
        return {"counts": {name: rounded(count) for name, count in sorted(self._counts.items())}, "newest": newest}


def setting(value: object) -> Any:
    """A setting's value, as far as it may be told."""
    match value:
        case bool() | int() | float():
            return value
        case Enum():
            return "set"
        case dict() | list() | tuple():
            return len(value)
        case None | "":
            return "unset"
        case _:
            return "set"


def finding(check: Mapping[str, Any]) -> dict[str, str]:
    """What a check of the machine found, as far as it may be told."""
    name, status = str(check.get("check", "")), str(check.get("status", ""))
    told = {"check": name, "status": status}
    if name in TOLD_IN_WORDS:
        told["what"] = str(check.get("what", ""))[:MOST_WORDS]
    return told


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCounts:
    """How many tasks there were, before it is rounded."""

    outcomes: Mapping[str, int]
    streams: int
    reviews: Mapping[str, int]


def counts(tasks: TaskCounts) -> dict[str, Any]:
    """The same as a bundle holds it."""
    return {
        "outcomes": {name: rounded(count) for name, count in sorted(tasks.outcomes.items())},
        "being_answered": rounded(tasks.streams),
        "reviews": {name: rounded(count) for name, count in sorted(tasks.reviews.items())},
    }


def specialists(shelf: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What can be served, by ids and digests that an administrator gave; without notes, which are free text."""
    return [{name: held for name, held in one.items() if name in _OF_A_SPECIALIST} for one in shelf]


_OF_A_SPECIALIST: Final = MappingProxyType(
    dict.fromkeys(("id", "engine", "base_digest", "adapter_digest", "available", "loaded", "pinned", "parked"))
)
