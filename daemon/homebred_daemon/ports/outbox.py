"""Telemetry on its way to the controller: kept on the disk until the controller has committed it, or counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """An event that has no number yet."""

    stream: str
    """One of `homebred_protocol.topics.STREAMS`; gaps are made by the outbox alone."""
    body: bytes
    """A serialised homebred.v1.Event without its `seq`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CutBatch:
    """A batch as it is sent, however often."""

    boot_id: str
    stream: str
    after_seq: int
    last_seq: int
    count: int
    payload: bytes
    """A serialised homebred.v1.TelemetryBatch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxDepth:
    """What waits."""

    events: int
    """Those that wait, those that were cut and not acknowledged, and gaps that no batch tells yet."""
    size_bytes: int
    lost_events: int
    """Dropped since the device was enrolled; each is in a gap that was or will be sent."""
    cut_events: int = 0
    """In batches, since the device was enrolled."""
    acknowledged_events: int = 0
    """By the controller, since the device was enrolled."""


NO_OUTBOX = OutboxDepth(events=0, size_bytes=0, lost_events=0)
"""Of a device that is in no fleet, or whose outbox cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """What of one boot's stream was acknowledged or refused, and is kept no longer."""

    boot_id: str
    boot_number: int
    stream: str
    seq: int
    events: int
    """All that was cut up to there, what was refused among it."""


class Outbox(Protocol):
    """The outbox of one boot of the daemon, with what earlier boots left in it. Every method may raise StateError."""

    @property
    def boot_id(self) -> str:
        """Of this start."""
        ...

    @property
    def boot_number(self) -> int:
        """Counts the starts since the device was enrolled."""
        ...

    def append(self, events: Sequence[NewEvent], *, cursor: str, lost_routes: int = 0) -> None:
        """Numbers and keeps events, and with them how far their source was read: all or nothing.

        `lost_routes` ended before the cursor and can be read no more: they are counted in a gap with the same commit.
        With no events it is on the disk when this returns: from where on a source is followed must not be forgotten.
        Where the quota would be passed, the oldest unsent events of the least important stream are dropped
        and counted in a gap.
        """
        ...

    def cursor(self) -> str:
        """How far the source was read; empty: not at all."""
        ...

    def count_lost(self, stream: str, events: int, reason: str) -> None:
        """Counts events that never had a number: a word of homebred.v1.GapReason, lower case (`disk`, `ledger`)."""
        ...

    def cut_batches(self) -> Sequence[CutBatch]:
        """Those cut and not acknowledged, in the order in which they are to be sent (again)."""
        ...

    def cut(self, *, max_events: int, max_bytes: int) -> CutBatch | None:
        """Cuts the next batch, the most important stream first and in it the oldest boot; None: nothing waits.

        It is on the disk before it is returned, and stays as it is: sent again it is the same bytes.
        """
        ...

    def acknowledge(self, boot_id: str, stream: str, up_to_seq: int) -> int:
        """Forgets what the controller has committed; the number of events. More than was ever cut is refused (0)."""
        ...

    def refuse(self, boot_id: str, stream: str, up_to_seq: int) -> int:
        """Turns batches that the controller can never take into a counted gap; the number of events."""
        ...

    def floor(self, boot_id: str, stream: str) -> Floor | None:
        """What was acknowledged or refused of a stream; None: nothing is known of that boot."""
        ...

    def floors(self, limit: int, *, skip: int = 0) -> Sequence[Floor]:
        """What was acknowledged of the boots' streams, the newest first; where nothing was, it is left out."""
        ...

    def depth(self) -> OutboxDepth:
        """What waits now."""
        ...

    def close(self) -> None:
        """Nothing may be called afterwards."""
        ...
