"""What an event of the controller's log is; `messages` lists the events themselves.

A field holds an id, a digest, a word of some list or a number, never a text that somebody sent: a value of any other
shape is left out, and its name is noted. It writes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from string import Formatter

Value = str | int | float
SHAPE = re.compile(r"[A-Za-z0-9_.:/+@,=<>-]{1,200}")
"""Names, digests, addresses, paths and places in the code: nothing with a space in it."""


class Severity(IntEnum):
    """How bad, by the numbers of syslog(3)."""

    CRITICAL = 2
    ERROR = 3
    WARNING = 4
    NOTICE = 5
    INFO = 6
    DEBUG = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One kind of thing that happens."""

    name: str
    severity: Severity
    sentence: str
    """For people; `{field}` stands for a field's value."""
    next_step: str = ""
    """What to do about it, where it is bad."""
    fields: tuple[str, ...] = ()

    def entry(self, given: Mapping[str, Value]) -> Entry:
        """The event as it happened, without whatever the catalogue does not allow."""
        fitting = {name: _rounded(value) for name, value in given.items() if name in self.fields and _fits(value)}
        refused = tuple(name for name in given if name not in fitting)
        return Entry(event=self, fields=fitting, refused=refused)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One event as it happened."""

    event: Event
    fields: Mapping[str, Value]
    refused: tuple[str, ...] = ()
    """Names of fields that were given and may not be written; there are none unless the caller is wrong."""

    @property
    def sentence(self) -> str:
        """What happened, for people; a field that was not given is a question mark."""
        return _filled(self.event.sentence, self.fields)

    @property
    def next_step(self) -> str:
        """What to do about it; empty: nothing."""
        return _filled(self.event.next_step, self.fields)


def fields_in(sentence: str) -> tuple[str, ...]:
    """The fields that a sentence speaks of."""
    return tuple(name for _, name, _, _ in Formatter().parse(sentence) if name)


def _filled(sentence: str, fields: Mapping[str, Value]) -> str:
    return sentence.format_map({name: fields.get(name, "?") for name in fields_in(sentence)})


def _rounded(value: Value) -> Value:
    return round(value, 3) if isinstance(value, float) else value


def _fits(value: Value) -> bool:
    return not isinstance(value, str) or SHAPE.fullmatch(value) is not None
