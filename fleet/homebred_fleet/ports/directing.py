"""What the director needs: what devices are assigned, what the image repository holds, and who signs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from homebred_fleet.core.director import Assigned, Standing, Wanted
from homebred_protocol.targets import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """One device's metadata: the bytes of each role."""

    targets: bytes
    snapshot: bytes
    timestamp: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Direction:
    """What was signed for a device."""

    standing: Standing
    signed: Signed


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What is wanted of one device."""

    targets: Sequence[Target]
    stop_epoch: int
    """Of the newest stop order; 0: there never was one."""
    stopped: bool


class Directions(Protocol):
    """The database, as the director sees it; blocking. Every method raises StoreError."""

    def intent(self, device: str) -> Intent:
        """What an enrolled device should run."""
        ...

    def last(self, device: str) -> Direction | None:
        """What was signed for a device last."""
        ...

    def keep(self, device: str, direction: Direction) -> bool:
        """Keeps what was signed; False: something newer was kept meanwhile, and nothing was done."""
        ...


class Image(Protocol):
    """The published image repository; blocking. Raises StateError where it cannot be read."""

    def find(self, target: Target) -> Assigned | None:
        """A target as signed there; None: it is not, or not any more."""
        ...


class Signer(Protocol):
    """The director's online key; blocking."""

    def sign(self, wanted: Wanted, standing: Standing) -> Signed:
        """One device's metadata. Raises StateError where there is no key that devices would believe."""
        ...
