"""What a caller attached to a task, and what that comes to. Values only: `attachments` looks into the bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from homebred_daemon.core.documents import Document
from homebred_daemon.core.sensitivity import Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file that a caller hands over with a task."""

    name: str
    """File name as the caller gave it; empty: it has none."""
    media_type: str
    """As declared, such as `audio/wav`; empty: undeclared."""
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachedContent:
    """All attachments of one task together."""

    documents: tuple[Document, ...] = ()
    """Those that are texts."""
    text: str = ""
    """What detection reads: names, texts, and what is written into a picture or a recording."""
    spans: tuple[Span, ...] = ()
    """What they are; they cover no characters."""
    is_searchable: bool = True
    """Whether they are texts and nothing else: nothing else can be masked, so nothing else leaves."""
    requires: frozenset[str] = frozenset()
    """What a specialist must be able to do to take in those that are no texts."""


NOTHING_ATTACHED: Final = AttachedContent()
