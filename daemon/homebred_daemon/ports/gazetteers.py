"""What a site knows, to recognise in tasks: its own list, and one that its fleet gave it besides."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from homebred_daemon.core.sensitivity import Detector


@dataclass(frozen=True, slots=True, kw_only=True)
class Detectors:
    """What looks at tasks."""

    local: Detector
    """At every one."""
    cloud: Detector | None
    """At what may leave; None: nothing may."""


class GazetteerStore(Protocol):
    """Where the fleet's list is. It never replaces the site's own: what that knows is found in any case."""

    def in_force(self) -> Detectors:
        """With the list that is kept. Raises ConfigurationError: it cannot be read."""
        ...

    def offered(self, path: Path | None) -> Detectors:
        """With a list of the fleet that lies there; None: without. Raises ConfigurationError, with every complaint."""
        ...

    def keep(self, path: Path | None) -> None:
        """Has that list, or none, hold after a restart. Raises StateError: what was kept before still is."""
        ...
