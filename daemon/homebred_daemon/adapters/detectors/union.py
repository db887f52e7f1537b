"""Several detectors as one, and the one of each lane. It finds nothing itself.

Masking is what any tier finds. The local lane looks for what has a pattern; a text for the cloud lane is searched for
names as well, with the name lists of this package and, where the extra `ner` is installed, a recognizer in a child
process of its own.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from itertools import chain

from homebred_daemon.adapters.detectors.cloud_context import CloudContext
from homebred_daemon.adapters.detectors.names import NameDetector
from homebred_daemon.adapters.detectors.patterns import default_detector
from homebred_daemon.core.sensitivity import Detector, Span


class UnionDetector:
    """`Detector` that returns the spans of all its parts, in their order."""

    def __init__(self, *parts: Detector) -> None:
        """Takes the parts; none of them is asked for anything yet."""
        self._parts = parts

    @cached_property
    def digest(self) -> str:
        """`sha256:…` over the digests of the parts."""
        return f"sha256:{hashlib.sha256(' '.join(part.digest for part in self._parts).encode()).hexdigest()}"

    @cached_property
    def entity_types(self) -> frozenset[str]:
        """Every type that a part knows."""
        return frozenset(chain.from_iterable(part.entity_types for part in self._parts))

    def detect(self, text: str) -> tuple[Span, ...]:
        """Every span of every part; an error of one is an error of all, so that nothing goes out half searched."""
        return tuple(dict.fromkeys(chain.from_iterable(part.detect(text) for part in self._parts)))


def cloud_detector(*further: Detector) -> UnionDetector:
    """What masks a text for the cloud lane: patterns, names, and the further detectors.

    Args:
        further: a site's own gazetteer, and `ner.NerDetector` where `ner.is_installed()`.
    """
    return UnionDetector(default_detector(), *further, NameDetector(), CloudContext())
