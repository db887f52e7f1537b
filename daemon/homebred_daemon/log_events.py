"""What an event of the daemon's log is, and the fields that events may have; `messages` lists the events themselves.

A field holds an id, a digest, a word of some list, a number or a place, never a text: shapes are checked here, so that
no entry can carry a task's content (I4). It writes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum
from string import Formatter

Value = str | int | float | bool | tuple[str, ...]


class Severity(IntEnum):
    """How bad, by the numbers of syslog(3)."""

    CRITICAL = 2
    ERROR = 3
    WARNING = 4
    NOTICE = 5
    INFO = 6
    DEBUG = 7


class Shape(Enum):
    """What the text of a field may look like: none of them has room for a sentence."""

    NUMBER = r"-?(0|[1-9][0-9]{0,19})(\.[0-9]{1,9})?"
    WORD = r"[A-Za-z0-9_./+-]{1,64}"
    ID = r"[A-Za-z0-9_.:/+-]{1,128}"
    PLACE = r"/[^\x00-\x1f\x7f]{0,255}"
    PLACES = r"([^\s\x00-\x1f\x7f]{1,128}( [^\s\x00-\x1f\x7f]{1,128}){0,7})?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field that events may have."""

    shape: Shape
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One kind of thing that happens."""

    name: str
    severity: Severity
    message_id: str
    """128 bits in hexadecimal, never changed: what `journalctl MESSAGE_ID=…` finds it by."""
    sentence: str
    """For people; `{field}` stands for a field's text."""
    next_step: str = ""
    """What to do about it, where it is bad."""
    fields: tuple[str, ...] = ()

    def entry(self, given: Mapping[str, Value]) -> Entry:
        """The event as it happened, without whatever the catalogue does not allow."""
        texts = {name: _text(value) for name, value in given.items()}
        fitting = {
            name: text
            for name, text in texts.items()
            if name in self.fields and re.fullmatch(FIELDS[name].shape.value, text)
        }
        refused = tuple(name for name in texts if name not in fitting)
        return Entry(event=self, fields=fitting, refused=refused)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One event as it happened."""

    event: Event
    fields: Mapping[str, str]
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


def _filled(sentence: str, fields: Mapping[str, str]) -> str:
    return sentence.format_map({name: fields.get(name, "?") for name in fields_in(sentence)})


def _text(value: Value) -> str:
    match value:
        case bool():
            return str(value).lower()
        case float():
            return f"{value:.3f}"
        case tuple():
            return " ".join(value)
        case _:
            return str(value)


FIELDS: Mapping[str, Field] = {
    "version": Field(shape=Shape.WORD, meaning="Of homebred."),
    "entity_types": Field(shape=Shape.PLACES, meaning="Kinds of what detection found, such as `SECRET`."),
    "alias": Field(shape=Shape.ID, meaning="Cloud endpoint, as policies name it."),
    "link": Field(shape=Shape.WORD, meaning="What the router sees: `up`, `metered`, `down` or `portal`."),
    "link_cause": Field(shape=Shape.WORD, meaning="Why it is so, as in a decision's trace."),
    "pid": Field(shape=Shape.NUMBER, meaning="Process id."),
    "socket": Field(shape=Shape.PLACE, meaning="Unix socket."),
    "socket_from": Field(shape=Shape.WORD, meaning="`own`: bound by the daemon; `inherited`: passed by systemd."),
    "service_manager": Field(shape=Shape.WORD, meaning="How systemd is told: `systemd-python`, `datagrams` or `none`."),
    "seconds": Field(shape=Shape.NUMBER, meaning="How long it took or lasted."),
    "specialists": Field(shape=Shape.NUMBER, meaning="Specialists that can be served."),
    "streams": Field(shape=Shape.NUMBER, meaning="Tasks being answered."),
    "grace_s": Field(shape=Shape.NUMBER, meaning="Seconds that running answers are given."),
    "error_code": Field(shape=Shape.WORD, meaning="Code of an error."),
    "error_type": Field(shape=Shape.WORD, meaning="Class of an exception."),
    "where": Field(shape=Shape.PLACES, meaning="Places in the code, `file:line:function`, the innermost last."),
    "library": Field(shape=Shape.WORD, meaning="Name of a library's logger."),
    "severity": Field(shape=Shape.WORD, meaning="A severity."),
    "previous_severity": Field(shape=Shape.WORD, meaning="The severity before."),
    "count": Field(shape=Shape.NUMBER, meaning="How many."),
    "kind": Field(shape=Shape.WORD, meaning="Name of an event."),
    "part": Field(shape=Shape.WORD, meaning="A part of the daemon."),
    "interrupted": Field(shape=Shape.NUMBER, meaning="Tasks that a crash ended."),
    "reviews": Field(shape=Shape.NUMBER, meaning="Tasks that a person answers."),
    "engine": Field(shape=Shape.WORD, meaning="Backend of a worker."),
    "model": Field(shape=Shape.ID, meaning="Digest of a model file."),
    "adapter": Field(shape=Shape.ID, meaning="Digest of an adapter."),
    "adapters": Field(shape=Shape.NUMBER, meaning="Adapters that a worker serves."),
    "exit": Field(shape=Shape.NUMBER, meaning="Exit code; negative: the signal that ended it."),
    "cause": Field(shape=Shape.WORD, meaning="`no_start`, `failure` or `refusal`."),
    "failures": Field(shape=Shape.NUMBER, meaning="Failures in a row."),
    "principal": Field(shape=Shape.ID, meaning="`uid:…`, `gid:…` or `token:…`."),
    "gateway": Field(shape=Shape.ID, meaning="Unix socket, or address and port."),
    "registry": Field(shape=Shape.ID, meaning="Digest of the registry."),
    "damaged": Field(shape=Shape.NUMBER, meaning="Specialists that cannot be read."),
    "policy": Field(shape=Shape.ID, meaning="Digest of a policy."),
    "previous_policy": Field(shape=Shape.ID, meaning="Digest of the policy before."),
    "origin": Field(shape=Shape.WORD, meaning="`default`, `file` or `set`."),
    "route_id": Field(shape=Shape.ID, meaning="Of a decision, as in the ledger."),
    "outcome": Field(shape=Shape.WORD, meaning="`answered` or `declined`."),
    "reason_code": Field(shape=Shape.WORD, meaning="Why no machine answers, as CONTRACT.md lists them."),
    "waiting": Field(shape=Shape.NUMBER, meaning="Tasks that wait for a person."),
    "document": Field(shape=Shape.ID, meaning="Digest of a document that the fleet wants to hold here."),
    "gazetteer": Field(shape=Shape.ID, meaning="Digest of all that looks at tasks."),
    "device": Field(shape=Shape.WORD, meaning="Name of this device in its fleet."),
    "site": Field(shape=Shape.WORD, meaning="Name of the site that the device was enrolled for."),
    "days_left": Field(shape=Shape.NUMBER, meaning="Days until a certificate ends."),
    "image_root": Field(shape=Shape.ID, meaning="Digest of the image repository's root."),
    "director_root": Field(shape=Shape.ID, meaning="Digest of the director's root."),
    "serial": Field(shape=Shape.ID, meaning="Serial number of a certificate, hexadecimal."),
    "command": Field(shape=Shape.WORD, meaning="What the fleet's controller wants done."),
    "command_id": Field(shape=Shape.ID, meaning="Id of a command of the fleet's controller."),
    "specialist": Field(shape=Shape.WORD, meaning="Id of a specialist."),
    "target": Field(shape=Shape.ID, meaning="Path of a signed target, or which repository it is about."),
    "release": Field(shape=Shape.NUMBER, meaning="Number of a release."),
    "install_state": Field(shape=Shape.WORD, meaning="How far an install is, as `homebred models history` shows it."),
    "command_state": Field(
        shape=Shape.WORD, meaning="`accepted`, `waiting`, `done`, `failed`, `refused` or `expired`."
    ),
}
