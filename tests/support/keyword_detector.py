"""A detector that knows a few words; it fulfils `core.sensitivity.Detector` and finds nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from homebred_daemon.core.sensitivity import Span


@dataclass(slots=True)
class KeywordDetector:
    """Finds each word once, as an entity of its type."""

    words: Mapping[str, str] = field(default_factory=dict)
    """Entity type by word."""
    digest: str = "sha256:keywords"
    asked: int = 0
    """How many texts it was given."""

    @property
    def entity_types(self) -> frozenset[str]:
        return frozenset(self.words.values())

    def detect(self, text: str) -> tuple[Span, ...]:
        self.asked += 1
        return tuple(
            Span(text.index(word), text.index(word) + len(word), kind, 1)
            for word, kind in self.words.items()
            if word in text
        )
