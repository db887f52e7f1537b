"""What the controller keeps of telemetry and deletes again, kind by kind, as whoever bounds it sees it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Retained(Protocol):
    """Rows of one kind, each of one device; blocking, from any thread. Every method raises StoreError.

    What is deleted at a time is little, in a transaction of its own, so that it holds up nobody who writes.
    """

    def held(self) -> Mapping[str, int]:
        """Rows by device, of those that have any."""
        ...

    def oldest_s(self) -> Mapping[str, int]:
        """When each device's oldest row is from, Unix seconds, of those that have any."""
        ...

    def forget_before(self, device: str, before_s: int) -> int:
        """Deletes some rows from before a moment, the oldest first; how many, 0: none are left."""
        ...

    def forget_oldest(self, device: str, at_most: int) -> int:
        """Deletes some of the oldest rows; how many, 0: none are left."""
        ...


class Starts(Protocol):
    """What is known of devices' starts. Blocking, from any thread; every method raises StoreError."""

    def held(self) -> Mapping[str, int]:
        """Starts by device."""
        ...

    def forget_oldest(self, device: str, at_most: int) -> int:
        """Deletes some of the oldest, with all that is held of them; how many, 0: none are left."""
        ...
