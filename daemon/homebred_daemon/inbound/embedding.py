"""Texts that are to become vectors, and who does that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingTask:
    """What is asked, checked."""

    texts: tuple[str, ...]
    """At least one, none empty."""
    workflow: str | None
    caller: tuple[str, ...]
    """Attested principals."""
    deadline_s: float
    """Seconds from now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Embeddings:
    """What comes of it."""

    vectors: tuple[tuple[float, ...], ...]
    """One a text, in order, each of length 1."""
    made_by: str
    """Specialist id."""
    prompt_tokens: int


class Embedder(Protocol):
    """Turns texts into vectors, here and nowhere else."""

    async def embed(self, task: EmbeddingTask) -> Embeddings:
        """The vectors.

        Raises:
            RequestError: no specialist here makes any for this workflow, or a text is too long for it.
            NotPermittedError: this caller may not use the workflow.
            OverloadedError: the specialist has too much to do.
            EngineUnavailableError: its engine failed.
            DeadlineError: it took too long.
        """
        ...
