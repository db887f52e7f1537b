"""The controller's log, kept for a test to look at."""

from __future__ import annotations

from dataclasses import dataclass, field

from homebred_fleet.log_events import Entry, Event, Value


@dataclass(slots=True)
class KeptJournal:
    """Fulfils `ports.journal.Journal`; nothing may be refused by the catalogue."""

    entries: list[Entry] = field(default_factory=list)

    def note(self, event: Event, **fields: Value) -> None:
        entry = event.entry(fields)
        assert entry.refused == (), (event.name, fields)
        self.entries.append(entry)

    @property
    def names(self) -> list[str]:
        """What was noted, in order."""
        return [entry.event.name for entry in self.entries]
