"""Several detectors as one: what any of them finds is found."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property

from homebred_daemon.core.sensitivity import Detector, Span


class Tiers:
    """`Detector` of all that its detectors find, in their order."""

    def __init__(self, detectors: Sequence[Detector]) -> None:
        """Takes the detectors, the one of the lowest tier first."""
        self._detectors = tuple(detectors)

    @cached_property
    def digest(self) -> str:
        """`sha256:…` over the digests of all."""
        named = "\n".join(detector.digest for detector in self._detectors)
        return f"sha256:{hashlib.sha256(named.encode()).hexdigest()}"

    @cached_property
    def entity_types(self) -> frozenset[str]:
        """Those of all."""
        return frozenset[str]().union(*(detector.entity_types for detector in self._detectors))

    def detect(self, text: str) -> tuple[Span, ...]:
        """Every span of every one; an error of one is an error of all, so that nothing goes out half searched."""
        return tuple(dict.fromkeys(span for detector in self._detectors for span in detector.detect(text)))
