"""Who this device is for its fleet: key, certificate, trusted authorities, and where broker and controller are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from homebred_protocol.mqtt import Credentials


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """What the controller said at enrolment or renewal."""

    device_id: str
    site: str
    controller_url: str
    """`https://host:port`."""
    broker_host: str
    broker_port: int
    labels: Mapping[str, str] = field(default_factory=dict)
    enrolled_at_s: int = 0
    """Unix seconds of the controller's clock."""

    @property
    def enrolment(self) -> str:
        """Names this enrolment among all that the device has had; renewals do not change it."""
        return f"{self.device_id}.{self.enrolled_at_s}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFacts:
    """What of a certificate matters here."""

    serial: str
    """Hexadecimal."""
    begins_s: int
    ends_s: int
    digest: str
    """`sha256:…` of its DER."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """One generation of the device's identity: its files never change, a renewal makes other ones."""

    generation: str
    membership: Membership
    certificate: CertificateFacts
    credentials: Credentials
    """Paths of PEM files that belong together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingKey:
    """A key that was made here, is on the disk, and has no certificate yet."""

    key_pem: bytes
    path: Path
    request_der: bytes
    """PKCS#10, signed with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """What the controller issued for a pending key."""

    certificates_pem: bytes
    """The device's first, then those that signed it."""
    authorities_pem: bytes
    facts: CertificateFacts
    membership: Membership


class IdentityStore(Protocol):
    """The identity on the disk. Every method may raise StateError, ConfigurationError."""

    def current(self) -> Identity | None:
        """The identity in force; None: the device is not enrolled.

        Raises:
            StateError: there is one, and it cannot be used; `hint` says why.
        """
        ...

    def pending_key(self, purpose: str) -> PendingKey:
        """The key for the next certificate: made and flushed to the disk once, the same until it is taken up.

        So that an answer that was lost on its way can be asked for again.
        """
        ...

    def take_up(self, pending: PendingKey, issued: Issued, *, follows: Identity | None = None) -> Identity:
        """Makes the identity in force of it, as a whole: a kill leaves the old or the new one.

        Args:
            pending: the key that it was issued for.
            issued: what the controller issued.
            follows: the identity that it renews; None: whatever is in force is replaced.

        Raises:
            StateError: it cannot be kept; or another identity than `follows` is in force by now, or none: that stays.
        """
        ...

    def forget(self) -> bool:
        """Removes every key and certificate; whether there was one."""
        ...


class ControllerLine(Protocol):
    """The controller's HTTPS as an enrolled device uses it."""

    async def renew(self, identity: Identity, pending: PendingKey) -> Issued:
        """Another certificate, over mTLS with the one that still holds.

        Raises:
            FleetError: refused or unreachable.
        """
        ...

    async def fetch(self, identity: Identity, digest: str, length: int, into: Path) -> Path:
        """A document by its digest, verified, in a file of that folder; goes on where an earlier try ended.

        Raises:
            FleetError: refused, unreachable, or not what the digest says.
        """
        ...
