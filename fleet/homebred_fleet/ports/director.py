"""Who signs what one device should run now. What is wanted comes from elsewhere, and so does what was signed last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from homebred_fleet.core.director import Standing, Wanted
from homebred_fleet.ports.intents import SignedStop, Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceMetadata:
    """The three pieces that a device asks the director for, signed."""

    standing: Standing
    """To be kept beside them, before they are served: the next versions follow it."""
    timestamp: bytes
    """Served as `timestamp.json`."""
    snapshot: bytes
    """Served as `VERSION.snapshot.json`."""
    targets: bytes
    """Served as `VERSION.targets.json`."""


class StopSigner(Protocol):
    """Signs stop orders with the controller's online key. From any thread."""

    def signed(self, stop: Stop) -> SignedStop:
        """An order as devices believe it; the same bytes for the same order and key.

        Raises:
            FleetError: there is no key that devices would believe.
        """
        ...

    def has_signed(self, order: SignedStop) -> bool:
        """Whether a key that the director has now has signed an order.

        Raises:
            FleetError: nobody can say: there is no director.
        """
        ...


class Director(Protocol):
    """Signs with the controller's online key."""

    @property
    def root_expires_at_s(self) -> int:
        """When devices take nothing more under its root, until its holders have signed another."""
        ...

    def following(self, wanted: Wanted, last: Standing | None, now_s: int) -> DeviceMetadata | None:
        """What a device is to be served from now on; None: what was signed last is still right.

        What was signed before this process began is never still right: see `core.director.following`.

        Raises:
            RequestError: that cannot be said to a device.
        """
        ...
