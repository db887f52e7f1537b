"""A journal that remembers, and that takes an entry which the catalogue does not allow for a defect."""

from __future__ import annotations

from homebred_daemon.log_events import Entry, Event, Value, fields_in


class RecordedJournal:
    """Fulfils `ports.journal.Journal`."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    @property
    def names(self) -> list[str]:
        """Names of the events, in order."""
        return [entry.event.name for entry in self.entries]

    def note(self, event: Event, **fields: Value) -> None:
        """Remembers the entry."""
        entry = event.entry(fields)
        assert not entry.refused, f"{event.name} may not hold {entry.refused} as they were given"
        spoken_of = {*fields_in(event.sentence), *fields_in(event.next_step)}
        assert spoken_of <= entry.fields.keys(), f"{event.name} speaks of {spoken_of - entry.fields.keys()}"
        self.entries.append(entry)
