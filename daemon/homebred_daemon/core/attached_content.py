"""What a task's attachments come to: texts to be read, classes to be raised, and whether all of it can be searched."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from homebred_daemon.core.attachment_formats import Kind
from homebred_daemon.core.attachments import Attachment, Contents, examine
from homebred_daemon.core.documents import Document
from homebred_daemon.core.sensitivity import Span
from homebred_protocol.documents.task import Task

_NEEDS = {Kind.AUDIO: ("audio",), Kind.VIDEO: ("audio", "vision")}
_NEEDED_ELSE = ("vision",)
"""For a page, a picture and whatever else is no text: a specialist that reads texts alone would pass it over."""


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


def attached_content(attachments: Iterable[Attachment]) -> AttachedContent:
    """What they come to; in time linear in their bytes."""
    examined = [(attachment, examine(attachment)) for attachment in attachments]
    contents = [found for _, found in examined]
    return AttachedContent(
        documents=tuple(Document(name=one.name, text=found.text) for one, found in examined if found.text is not None),
        text="\n".join(found.searched for found in contents),
        spans=tuple(span for found in contents for span in found.spans),
        is_searchable=all(found.is_plain_text for found in contents),
        requires=frozenset(need for found in contents if found.text is None for need in _needs(found)),
    )


def requiring(task: Task, requires: frozenset[str]) -> Task:
    """The task, which also needs this of whoever answers it."""
    more = sorted(requires.difference(task.requires))
    return replace(task, requires=(*task.requires, *more)) if more else task


def _needs(found: Contents) -> tuple[str, ...]:
    return next((needs for kind, needs in _NEEDS.items() if kind in found.kinds), _NEEDED_ELSE)
