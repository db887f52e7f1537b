"""What a folder that is carried is made of, as the controller has it: what is signed, files of releases. Blocking."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from homebred_fleet.core.director import Assigned
from homebred_fleet.ports.director import DeviceMetadata


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedDevice:
    """One device of a bundle."""

    device: str
    site: str
    version: int
    """Of what the director signed: what is signed online afterwards is above it."""
    expires_at_s: int
    """When its leases end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """All that a folder needs."""

    devices: tuple[CarriedDevice, ...]
    signed: Mapping[str, bytes]
    """Metadata, by its name of `homebred_protocol.trusted_files`."""
    targets: tuple[Assigned, ...]
    """Whose bytes go along."""
    expires_at_s: int
    """When nothing of it can be taken up any more, whatever the leases say: what people have signed expires too."""
    blobs: Mapping[str, int]
    """Lengths of the files of releases, by digest."""


class Carries(Protocol):
    """The director, for what goes by hand."""

    def wanted(self, device: str) -> tuple[Assigned, ...]:
        """What a device may begin to run now. Raises ConflictError (the fleet is stopped), StoreError, StateError."""
        ...

    def carried(self, device: str, life_s: int) -> tuple[DeviceMetadata, tuple[Assigned, ...]]:
        """What goes by hand to an enrolled device, signed for so long, and the targets that it names.

        Raises:
            ConflictError: the fleet is stopped: nobody gets a lease (I8).
            StoreError, StateError, RequestError: it cannot be signed.
        """
        ...


class SignedSources(Protocol):
    """Both repositories' published files. Raises StateError where they cannot be read."""

    def image_metadata(self) -> Mapping[str, bytes]:
        """All of it, of one publication, by file name."""
        ...

    def director_roots(self) -> Mapping[str, bytes]:
        """All of them, by file name."""
        ...

    def expires_at_s(self, targets: Iterable[Assigned]) -> int:
        """When the first of what people have signed expires that a device needs to take these targets."""
        ...

    def target(self, assigned: Assigned) -> bytes | None:
        """A target's bytes; None: they are not there, or not what was signed."""
        ...


class BlobLengths(Protocol):
    """The files of releases."""

    def length_of(self, digest: str) -> int | None:
        """How long one is; None: it is not here."""
        ...


class Bundles(Protocol):
    """Who makes what is carried."""

    def check(self, devices: Sequence[str]) -> None:
        """Whether a bundle for devices could be made now; nothing is signed. Raises FleetError."""
        ...

    def make(self, devices: Sequence[tuple[str, str]], life_s: int) -> Bundle:
        """Signs for each device, given with its site, for so long. Raises FleetError."""
        ...
