"""What the controller knows of devices' identities: tokens, devices, certificates. Sync, from any thread."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from homebred_fleet.core.admins import Admin
from homebred_fleet.core.enrolment import Admission, Certificate, Device, Token
from homebred_fleet.ports.authority import Issued, Revocation


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A device's certificate that was shown, and the device it belongs to."""

    device: Device
    certificate: Certificate


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A certificate taken back from a device."""

    device: str
    revocation: Revocation
    is_out: bool
    """The broker was seen to refuse it, and the connection that it may have had was ended."""


class Identities(Protocol):
    """The controller's database, as far as identities go. Every method raises StoreError."""

    def token(self, token_hash: str) -> Token | None:
        """The token of a hash."""
        ...

    def device(self, device: str) -> Device | None:
        """A device by its name."""
        ...

    def shown(self, fingerprint: str) -> Shown | None:
        """Whose certificate it is."""
        ...

    def admin(self, fingerprint: str) -> Admin | None:
        """Which admin's certificate it is; None: nobody's, or somebody's who was removed."""
        ...

    def live_certificates(self, device: str, *, now_s: int) -> int:
        """How many of a device's certificates hold at this moment."""
        ...

    def admit(self, admission: Admission, token: Token, device: str, *, key: str, issued: Issued, now_s: int) -> bool:
        """Lets a device in, in one transaction with the token's use; False: nothing was done.

        It is not done where somebody else has used the token, or it was withdrawn or ran out, since it was read; where
        the name of a new device is another's already; or where the device whose place it takes is gone.
        """
        ...

    def renew(self, device: str, issued: Issued, *, shown: str, makes_room: bool, now_s: int) -> bool:
        """Keeps one more certificate of a device that is enrolled; False: it is so no more.

        Where it makes room, those that it had are taken back with this, but for the one whose fingerprint was shown.
        """
        ...

    def revoke(self, device: str, *, reason: str, by: str, now_s: int) -> bool:
        """Takes a device out: it, its certificates and tokens that were made for it; False: it was out already.

        Raises:
            NotFoundError: there is no such device.
        """
        ...

    def taken_back(self, *, now_s: int) -> tuple[Taken, ...]:
        """Every certificate that was taken back and has not run out."""
        ...

    def note_out(self, serials: Collection[str], *, now_s: int) -> None:
        """These certificates are out of the broker."""
        ...
