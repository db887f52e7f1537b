"""What could not be taken: counted by device, kind of topic and cause, with the beginning of the newest; bounded."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import Connection, func, select, text, tuple_

from homebred_fleet.adapters.store.rows import upsert
from homebred_fleet.adapters.store.tables import quarantine
from homebred_fleet.ports.intake import Arrival
from homebred_protocol import topics

SAMPLE_BYTES = 256
MAX_ROWS = 20_000
"""Then what is new is counted under nobody's name, whose rows are few."""
NO_SAMPLE = frozenset({"guarded-content"})
"""Causes that say that something was in a message which must not have left its device: it is not kept (I4)."""
_UPSERT = text(upsert(quarantine, adds=("messages",), sets=("last_at_s", "sample", "length")))


def kind_of(topic: str) -> str:
    """A topic's kind, in a word of a closed vocabulary."""
    read = topics.read(topic)
    return read.kind.value if read is not None else "unknown"


@dataclass(slots=True)
class QuarantineGroup:
    """What could not be taken in one transaction."""

    connection: Connection
    now_s: int
    _counted: dict[tuple[str, str, str], dict[str, object]] = field(default_factory=dict)
    _messages: dict[tuple[str, str, str], int] = field(default_factory=dict)

    def count(self, arrival: Arrival, *, device: str, cause: str) -> None:
        """Counts a message; the newest one's beginning is kept."""
        key = (device, kind_of(arrival.topic), cause)
        self._messages[key] = self._messages.get(key, 0) + 1
        self._counted[key] = {
            "first_at_s": self.now_s,
            "last_at_s": self.now_s,
            "sample": b"" if cause in NO_SAMPLE else arrival.payload[:SAMPLE_BYTES],
            "length": len(arrival.payload),
        }

    def flush(self) -> None:
        """Writes everything."""
        keys = sorted(self._counted)
        if not keys:
            return
        key = tuple_(quarantine.c.device, quarantine.c.kind, quarantine.c.cause)
        known = {tuple(row) for row in self.connection.execute(select(*key.clauses).where(key.in_(keys)))}
        room = MAX_ROWS
        if len(known) < len(keys):
            room -= self.connection.execute(select(func.count()).select_from(quarantine)).scalar_one()
        rows: dict[tuple[str, str, str], dict[str, object]] = {}
        for device, kind, cause in keys:
            is_known = (device, kind, cause) in known
            room -= not is_known
            name = device if is_known or room >= 0 else ""
            counted = self._messages[device, kind, cause]
            row = rows.setdefault(
                (name, kind, cause),
                {"device": name, "kind": kind, "cause": cause, "messages": 0} | self._counted[device, kind, cause],
            )
            row["messages"] = int(str(row["messages"])) + counted
        self.connection.execute(_UPSERT, list(rows.values()))
