"""The controller's log, as services write it: events of the catalogue with their figures."""

from __future__ import annotations

from typing import Protocol

from homebred_fleet.log_events import Event, Value


class Journal(Protocol):
    """Where events are noted."""

    def note(self, event: Event, **fields: Value) -> None:
        """Notes that something happened; from any thread. It never fails: what the catalogue forbids is left out."""
        ...
