"""The texts that belong to a task beside its conversation, and how a model is shown them.

Reading them out of what a caller attached is not done here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from homebred_engines import api


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One attached text."""

    name: str
    """Its file name; may be empty."""
    text: str

    def shown(self) -> str:
        """With its name above it."""
        return f"--- {self.name or 'document'} ---\n{self.text}"


def with_documents(turns: Sequence[api.Message], documents: Sequence[Document]) -> tuple[api.Message, ...]:
    """The conversation with its documents below what the user said last, or at its end where the user said nothing."""
    if not documents:
        return tuple(turns)
    shown = [document.shown() for document in documents]
    asked = last_of_user(turns)
    if asked is None:
        return (*turns, api.Message(role="user", content="\n\n".join(shown)))
    content = "\n\n".join((turns[asked].content, *shown))
    return (*turns[:asked], replace(turns[asked], content=content), *turns[asked + 1 :])


def last_of_user(turns: Sequence[api.Message]) -> int | None:
    """Index of what the user said last; None: nothing."""
    return next((at for at in range(len(turns) - 1, -1, -1) if turns[at].role == "user"), None)
