"""What a device's trust in signed things needs of the world: sources of files, who verifies them, and a memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from homebred_daemon.core.pinning import Offer
from homebred_daemon.core.trust import Agreed, Lease, Seen
from homebred_daemon.core.trust_floors import Floors, Versions
from homebred_daemon.core.trust_refusals import Refusal
from homebred_daemon.ports.identity import Identity

ROOTS: Final = "root_history/"
"""Before the names of roots among a repository's files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldRepository:
    """What the device has of one repository."""

    pinned: bytes
    """The root that the device was enrolled with."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Roots since then and the newest metadata that was verified whole, by the name of its file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldTrust:
    """All that is trusted, as it is on the disk."""

    image: HeldRepository
    director: HeldRepository
    floors: Floors


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What became of a look at one repository."""

    files: Mapping[str, bytes]
    """All that is to be kept of it, in place of what was held."""
    versions: Versions
    seen: Seen | None = None
    """None: it was not verified whole; a newer root may have been."""
    refusal: Refusal | None = None
    withheld: Mapping[str, Refusal] = field(default_factory=dict)
    """By target: why its role could not be verified."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedTrust:
    """What became of a look at both."""

    image: Checked
    director: Checked


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedTarget:
    """A target that may be used: both repositories agree on it, and these are its bytes."""

    agreed: Agreed
    body: bytes

    @property
    def lease(self) -> Lease:
        """Under which it may be activated, as long as that is in force."""
        return self.agreed.lease


class TrustSource(Protocol):
    """Where files of the repositories come from; it is trusted with nothing."""

    async def fetch(self, name: str, at_most: int) -> bytes:
        """A file whole, by its name (`homebred_protocol.trusted_files`).

        Raises:
            UntrustedError: absent, longer than `at_most`, too slow, or not to be had.
        """
        ...


class TrustChecker(Protocol):
    """Verifies metadata."""

    async def check(self, held: HeldTrust, source: TrustSource, *, device: str, now_s: int) -> CheckedTrust:
        """Looks at both repositories at a trusted time.

        Raises:
            UntrustedError: nobody could look.
        """
        ...


class TrustMemory(Protocol):
    """What is trusted, on the disk. Every method may raise StateError."""

    def held(self) -> HeldTrust:
        """All of it.

        Raises:
            StateError: none was pinned, or what is there is damaged; it is never begun anew by itself.
        """
        ...

    def keep(self, trust: HeldTrust, *, follows: HeldTrust) -> None:
        """Takes it up as a whole: a kill leaves the old or the new one, floors first.

        Raises:
            StateError: it cannot be kept; or something else than `follows` is held by now, since another process looked
                too: that stays, or its floors would fall.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Roots:
    """A root of each repository, as it came."""

    image: bytes
    director: bytes


class RootPins(Protocol):
    """The roots that one enrolment has pinned, on the disk. Every method may raise StateError."""

    def pinned(self) -> Roots | None:
        """Both; None: this enrolment has pinned none."""
        ...

    def pin(self, roots: Roots) -> None:
        """Pins them for good, whole or not at all; the same once more change nothing.

        Raises:
            StateError: others are pinned, and stay; or they cannot be kept.
        """
        ...


class RootOffers(Protocol):
    """The controller's HTTPS, to whoever shows a certificate that it has issued. Raises FleetError."""

    async def offer(self) -> Offer | None:
        """The newest roots; None: it has not both repositories yet."""
        ...

    async def root(self, repository: str, version: int) -> bytes:
        """A root of the image repository's or the director's.

        Raises:
            NotFoundError: it is not served.
        """
        ...


class FleetFiles(Protocol):
    """The controller's HTTPS, for files."""

    def pieces(self, identity: Identity, path: str) -> AsyncGenerator[bytes]:
        """A file below the device's API as it comes, from its beginning; who reads it sets bounds.

        Raises:
            NotFoundError: there is none.
            FleetError: refused or unreachable.
        """
        ...


class FleetRequests(Protocol):
    """Requests to the controller over the broker."""

    async def request(self, name: str, body: bytes) -> bytes:
        """The answer to one.

        Raises:
            FleetError: there was none.
        """
        ...
