"""The fleet's certificate authority, as the services see it: bytes in, certificates with their numbers out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A certificate that was made."""

    serial: str
    """Hexadecimal."""
    fingerprint: str
    """SHA-256 of the DER, hexadecimal."""
    not_before_s: int
    not_after_s: int
    pem: bytes
    """The certificate alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """A certificate that was taken back."""

    serial: str
    at_s: int


class BadRequestError(ValueError):
    """What was sent is no certificate request that could be signed; its text says why, for a person."""


class Authority(Protocol):
    """Issues to devices and takes back."""

    def issue_to_device(self, request: bytes, device: str, *, now_s: int) -> Issued:
        """A client certificate for the key of a PKCS#10 request (DER); the name is the server's, never the request's.

        Raises:
            BadRequestError: it is no request, its signature is not by its key, or the key is not EC P-256.
        """
        ...

    def write_revocations(self, revoked: Iterable[Revocation], *, now_s: int) -> None:
        """Writes the list that the broker reads, whole or not at all, newer than the one before.

        Raises:
            StateError: it could not be written.
        """
        ...
