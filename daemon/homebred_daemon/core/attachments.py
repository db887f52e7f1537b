"""What an attachment of a task is, for the data boundary: its kinds, its text, and what else in it is to be searched.

What it is declared to be, how its name ends and how it begins may each only raise it: nothing makes a recording less
than a recording. It reads no file, finds no names (detectors look through `searched`), and decides nothing.
"""

from __future__ import annotations

import binascii
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from homebred_daemon.core.attached_content import AttachedContent, Attachment
from homebred_daemon.core.attachment_formats import (
    BEGINNING_BYTES,
    Kind,
    kinds_by_beginning,
    kinds_by_media_type,
    kinds_by_name,
)
from homebred_daemon.core.attachment_metadata import metadata_text
from homebred_daemon.core.documents import Document
from homebred_daemon.core.sensitivity import Span

UNREADABLE: Final = "ATTACHED_UNREADABLE"
"""Entity type of whatever is not a plain text: it raises no class, and it cannot be searched, so it must not leave."""

ENTITY_TYPES: Mapping[Kind, tuple[str, ...]] = MappingProxyType(
    {
        Kind.AUDIO: ("ATTACHED_VOICE",),
        Kind.VIDEO: ("ATTACHED_IMAGE", "ATTACHED_VOICE"),
        Kind.IMAGE: ("ATTACHED_IMAGE",),
        Kind.BIOMETRIC: ("ATTACHED_BIOMETRIC",),
        Kind.MEDICAL: ("ATTACHED_MEDICAL",),
        Kind.OPAQUE: (),
    }
)
"""What each raises, by the types of `sensitivity.DEFAULT_CLASSES`; UNREADABLE comes with every kind."""

MIN_ENCODED: Final = 256
"""Characters of the shortest stretch of base64 in a text that is taken for a file in it."""

_NEEDS = {Kind.VIDEO: ("audio", "vision"), Kind.AUDIO: ("audio",)}
_NEEDED_ELSE = ("vision",)
"""For a page, a picture and whatever else is no text: a specialist that reads texts alone would pass it over."""
_TIER = 1
_BYTE_ORDER_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
# No text has these: C0 and C1 but tab, line feed, form feed, carriage return and next line; lone halves; no characters.
_NO_TEXT = re.compile("[\0-\x08\x0b\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_ENCODED = re.compile(
    r"(?<![A-Za-z0-9+/])(?:[A-Za-z0-9+/]|\\/){64,}(?:(?:\s{1,16}|\\r\\n|\\n)(?:[A-Za-z0-9+/]|\\/){40,})*"
)
_BETWEEN_ENCODED = re.compile(r"\\r|\\n|[\s\\]")
_ESCAPED_LETTER = re.compile(r"\\u([0-9A-Fa-f]{4})")
_ENTITY = re.compile(r"&(?!(?:amp|lt|gt|quot|apos|nbsp|#39|#x27);)#?[A-Za-z0-9]{2,31};")
_QUOTED_PRINTABLE = re.compile(r"quoted-printable|=\?[\w-]+\?[qQ]\?", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What an attachment was found to be."""

    kinds: frozenset[Kind]
    """Empty: a plain text and nothing else."""
    text: str | None
    """All of it as text, to be prompted; None: the bytes are no text in UTF-8, or in UTF-16 with its mark."""
    searched: str
    """For detectors: its name, its text or what a container says in words, and the text once more without escapes."""

    @property
    def is_plain_text(self) -> bool:
        """Whether detectors saw everything in it, so that a masked copy may leave."""
        return not self.kinds

    @property
    def entity_types(self) -> frozenset[str]:
        """What it is found to hold by what it is, before any detector looks."""
        raised = frozenset(entity for kind in self.kinds for entity in ENTITY_TYPES[kind])
        return raised | {UNREADABLE} if self.kinds else raised

    @property
    def spans(self) -> tuple[Span, ...]:
        """The same for `sensitivity.raised_classes`; they cover no characters."""
        return tuple(Span(0, 0, entity, _TIER) for entity in sorted(self.entity_types))


def examine(attachment: Attachment) -> Contents:
    """What it is and what is to be searched; in time linear in its bytes, whatever they are."""
    kinds = {
        *kinds_by_media_type(attachment.media_type),
        *kinds_by_name(attachment.name),
        *kinds_by_beginning(attachment.data),
    }
    text = _text(attachment.data)
    if text is None:
        words = metadata_text(attachment.data)
        if kinds <= {Kind.OPAQUE}:  # an archive, perhaps: it names what it holds
            kinds.update({Kind.OPAQUE}, *map(kinds_by_name, words.splitlines()))
    else:
        spelt_out = _spelt_out(text)
        words = text if spelt_out == text else f"{text}\n{spelt_out}"
        kinds |= _kinds_inside(text) | (set() if spelt_out == text else {Kind.OPAQUE})
    return Contents(kinds=frozenset(kinds), text=text, searched="\n".join(filter(None, (attachment.name, words))))


def attached_content(attachments: Iterable[Attachment]) -> AttachedContent:
    """What all attachments of a task come to; in time linear in their bytes, which may be much: keep it off a loop."""
    examined = [(attachment, examine(attachment)) for attachment in attachments]
    contents = [found for _, found in examined]
    return AttachedContent(
        documents=tuple(Document(name=one.name, text=found.text) for one, found in examined if found.text is not None),
        text="\n".join(found.searched for found in contents),
        spans=tuple(span for found in contents for span in found.spans),
        is_searchable=all(found.is_plain_text for found in contents),
        requires=frozenset(need for found in contents if found.text is None for need in _needs(found)),
    )


def _needs(found: Contents) -> tuple[str, ...]:
    return next((needs for kind, needs in _NEEDS.items() if kind in found.kinds), _NEEDED_ELSE)


def _text(data: bytes) -> str | None:
    """The bytes as text, without their byte-order mark; None: they are none."""
    mark, encoding = next((known for known in _BYTE_ORDER_MARKS if data.startswith(known[0])), (b"", "utf-8"))
    try:
        text = data.removeprefix(mark).decode(encoding)
    except UnicodeDecodeError:
        return None
    if _NO_TEXT.search(text) or (encoding != "utf-8" and _has_unassigned(text)):
        return None
    return text


def _has_unassigned(text: str) -> bool:
    """Whether it has characters that mean nothing to anybody: almost any bytes are valid UTF-16."""
    return any(unicodedata.category(character) in {"Cn", "Co"} for character in set(text))


def _kinds_inside(text: str) -> set[Kind]:
    """Kinds of the files that a text holds in base64: data URIs, mail, vCards, FHIR."""
    kinds: set[Kind] = set()
    for found in _ENCODED.finditer(text):
        if found.end() - found.start() < MIN_ENCODED:
            continue
        encoded = _BETWEEN_ENCODED.sub("", text[found.start() : min(found.end(), found.start() + 2 * BEGINNING_BYTES)])
        kinds.add(Kind.OPAQUE)
        kinds |= kinds_by_beginning(binascii.a2b_base64(encoded[: len(encoded) // 4 * 4]))
    return kinds


def _spelt_out(text: str) -> str:
    r"""The text with its letters as they are read, where it writes them as `\u00fc`, `&uuml;` or `=C3=BC`."""
    if _QUOTED_PRINTABLE.search(text):
        text = binascii.a2b_qp(text.encode()).decode(errors="replace")
    if _ESCAPED_LETTER.search(text):
        halves = _ESCAPED_LETTER.sub(lambda found: chr(int(found[1], 16)), text)
        text = halves.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # two of them may be one letter
    if not _ENTITY.search(text):
        return text
    from html import unescape  # noqa: PLC0415  # a table of 2,231 names, for the few texts that use them

    return unescape(text)
