"""What a filter can ask of a device: its keys, how each is compared, and what may stand on the other side.

It compares nothing itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from homebred_fleet.core.durations import duration_s
from homebred_protocol.ids import is_label

_HEXADECIMAL: Final = re.compile(r"[0-9a-f]{4,64}")
LABEL_PREFIX: Final = "label."


class ValueKind(StrEnum):
    """How a key's values are read and compared."""

    TEXT = "text"
    WORD = "word"
    FLAG = "flag"
    DURATION = "duration"
    DIGEST = "digest"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyKind:
    """One key."""

    name: str
    kind: ValueKind
    what: str
    """What it is, in an admin's words."""
    example: str
    """A value to write."""
    words: tuple[str, ...] = ()
    """Of a WORD."""

    @property
    def operators(self) -> tuple[str, ...]:
        """How it may be compared."""
        return ("<", "<=", ">", ">=") if self.kind is ValueKind.DURATION else ("==", "!=")


@dataclass(frozen=True, slots=True)
class Pattern:
    """Text to compare with, open at the ends where a `*` stood; nothing that is absent fits one."""

    text: str
    open_start: bool = False
    open_end: bool = False

    def fits(self, text: str) -> bool:
        """Whether a text is like this."""
        if not text:
            return False
        if self.open_start and self.open_end:
            return self.text in text
        if self.open_start:
            return text.endswith(self.text)
        return text.startswith(self.text) if self.open_end else text == self.text


Value = Pattern | bool | int
"""A text or digest, a flag, a duration in seconds."""

STATES: Final = ("enrolled", "revoked", "replaced")
STANDINGS: Final = ("unset", "in_step", "behind", "refused")
_TEXT_EXAMPLE: Final = "a name, with `*` at its ends for any characters"
KINDS: Final = tuple(
    KeyKind(name=name, kind=kind, what=what, example=example, words=words)
    for name, kind, what, example, words in (
        ("id", ValueKind.TEXT, "the device's name", _TEXT_EXAMPLE, ()),
        ("site", ValueKind.TEXT, "the site's name", _TEXT_EXAMPLE, ()),
        ("state", ValueKind.WORD, "a word", "one of " + ", ".join(STATES), STATES),
        ("label", ValueKind.TEXT, "a label's text", _TEXT_EXAMPLE, ()),
        ("online", ValueKind.FLAG, "true or false", "true or false", ()),
        ("seen", ValueKind.DURATION, "an age", "an age such as 90s, 15m, 6h, 2d or 1w", ()),
        ("version", ValueKind.TEXT, "the software's version, a text", _TEXT_EXAMPLE, ()),
        ("policy", ValueKind.DIGEST, "a digest", "the first four or more hexadecimal digits of one, or `none`", ()),
        ("desired", ValueKind.WORD, "a word", "one of " + ", ".join(STANDINGS), STANDINGS),
        ("certificate", ValueKind.DURATION, "the time that is left", "a time such as 36h or 14d", ()),
    )
)
_BY_NAME: Final = {kind.name: kind for kind in KINDS}
KEYS: Final = tuple("label.KEY" if kind.name == "label" else kind.name for kind in KINDS)
ABSENT: Final = Pattern("")
"""`policy==none`: fits a device that told none."""


def kind_of(key: str) -> tuple[KeyKind, str] | None:
    """The kind of a key as it is written, and which label it names; None: it is no key."""
    if key.startswith(LABEL_PREFIX):
        label = key.removeprefix(LABEL_PREFIX)
        return (_BY_NAME["label"], label) if is_label(label) else None
    kind = _BY_NAME.get(key)
    return None if kind is None or kind.name == "label" else (kind, "")


def read_value(kind: KeyKind, text: str, *, quoted: bool) -> Value | None:
    """A written value; None: it is none of this kind. What is quoted has no wildcards."""
    match kind.kind:
        case ValueKind.TEXT:
            return _pattern(text, quoted=quoted)
        case ValueKind.WORD:
            return Pattern(text) if text in kind.words else None
        case ValueKind.FLAG:
            return {"true": True, "false": False}.get(text)
        case ValueKind.DURATION:
            return duration_s(text)
        case ValueKind.DIGEST:
            return _digest(text)


def _pattern(text: str, *, quoted: bool) -> Pattern | None:
    if quoted:
        return Pattern(text) if text and text.isprintable() else None
    if not text.strip("*"):
        return Pattern("", open_end=True) if text == "*" else None
    inner = text.removeprefix("*").removesuffix("*")
    if "*" in inner:
        return None
    return Pattern(inner, open_start=text.startswith("*"), open_end=text.endswith("*"))


def _digest(text: str) -> Pattern | None:
    if text == "none":
        return ABSENT
    hexadecimal = text.removeprefix("sha256:").removesuffix("*")
    if not _HEXADECIMAL.fullmatch(hexadecimal):
        return None
    return Pattern("sha256:" + hexadecimal, open_end=True)
