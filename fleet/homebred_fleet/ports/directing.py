"""What the director's answers are made of: what devices are assigned, what was signed last, what the image holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from homebred_fleet.core.director import Assigned
from homebred_fleet.ports.director import DeviceMetadata
from homebred_protocol.targets import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What is wanted of one device."""

    targets: Sequence[Target]
    stop_epoch: int
    """Of the newest stop order; 0: there never was one."""
    stopped: bool


class Directions(Protocol):
    """The database, as the director's answers need it; blocking. Every method raises StoreError."""

    def intent(self, device: str) -> Intent:
        """What an enrolled device should run."""
        ...

    def last(self, device: str) -> DeviceMetadata | None:
        """What was signed for a device last."""
        ...

    def keep(self, device: str, signed: DeviceMetadata) -> bool:
        """Keeps what was signed; False: something as new was kept meanwhile, and nothing was done."""
        ...


class Image(Protocol):
    """The published image repository; blocking. Raises StateError where it cannot be read."""

    def find(self, target: Target) -> Assigned | None:
        """A target as it is signed there; None: it is not, or not any more."""
        ...

    def body(self, assigned: Assigned) -> bytes:
        """The bytes of a target that was found. Raises StateError: they are lost."""
        ...


class Answers(Protocol):
    """What a device is told; blocking."""

    def metadata(self, device: str, name: str) -> bytes | None:
        """A file of an enrolled device's own metadata; None: there is none of that name, or not any more.

        Raises:
            FleetError: it cannot be told at present.
        """
        ...
