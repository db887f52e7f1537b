"""Gazetteers of a fleet in memory, for tests of whoever changes them."""

from __future__ import annotations

from pathlib import Path

from tests.support.keyword_detector import KeywordDetector

from homebred_daemon.errors import ConfigurationError, StateError
from homebred_daemon.ports.gazetteers import Detectors


class FakeGazetteers:
    """Fulfils `ports.gazetteers.GazetteerStore`; a list at a path whose name says `bad` is wrong."""

    def __init__(self) -> None:
        self.kept: Path | None = None
        self.is_full = False
        """Set it, and nothing can be kept any more."""

    def in_force(self) -> Detectors:
        return self.offered(self.kept)

    def offered(self, path: Path | None) -> Detectors:
        if path is not None and "bad" in path.name:
            raise ConfigurationError("line 1 is no entry", hint="correct it")
        return Detectors(local=KeywordDetector(), cloud=KeywordDetector() if path is not None else None)

    def keep(self, path: Path | None) -> None:
        if self.is_full:
            raise StateError("the disk is full")
        self.kept = path
