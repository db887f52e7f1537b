"""What a person asks who has carried a folder here: what of it is taken, what not and why, and how far it is."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedRelease:
    """A release that both repositories of the folder agree on for this device."""

    target: str
    """Its path, such as `models/qa/intake/7.json`."""
    state: str
    """Of its install, as docs/installing.md has it; `serves` where it did before."""
    code: str = ""
    """Why it is there, or what it waits for."""
    reason: str = ""
    facts: Mapping[str, int] = field(default_factory=dict)
    """What was measured last."""
    held_bytes: int = 0
    total_bytes: int = 0
    """0: nothing is on its way."""
    waits_for: str = ""
    """Why no bytes come, in a sentence; empty: they do, or are here."""
    has_ended: bool = False
    """Nothing more comes of this folder."""
    is_good: bool = False
    """It serves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotImported:
    """Something in the folder that this device does not take, or the folder's own repositories."""

    about: str
    code: str
    problem: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportState:
    """How a folder's import stands."""

    releases: tuple[ImportedRelease, ...]
    not_taken: tuple[NotImported, ...]

    @property
    def has_ended(self) -> bool:
        """Whether nothing more comes of it."""
        return all(one.has_ended for one in self.releases)


class FolderImports(Protocol):
    """Takes up what somebody carried here."""

    def imported(self, folder: Path, *, wait_s: float) -> AsyncGenerator[ImportState, None]:
        """How it stands at once, then each time that it has changed, until it has ended or the time is over.

        What was begun goes on however soon nobody listens any more.

        Raises:
            RequestError: it is no such folder.
            StateError: what is trusted, or what is installed, cannot be read or kept.
        """
        ...
