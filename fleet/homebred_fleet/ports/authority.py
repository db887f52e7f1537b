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


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A key and a certificate of the controller's own, never given away, with which it tries the broker."""

    key_pem: bytes
    certificate_pem: bytes
    """With its chain."""


class BadRequestError(ValueError):
    """What was sent is no certificate request that could be signed; its text says why, for a person."""


class Authority(Protocol):
    """Issues to devices and takes back."""

    def key_of(self, request: bytes) -> str:
        """SHA-256, hexadecimal, of the public key that a PKCS#10 request (DER) is for, and signed by.

        Raises:
            BadRequestError: it is no request, its signature is not by its key, or the key is not EC P-256.
        """
        ...

    def issue_to_device(self, request: bytes, device: str, *, now_s: int) -> Issued:
        """A client certificate for the key of a PKCS#10 request (DER); the name is the server's, never the request's.

        Raises:
            BadRequestError: it is no request, its signature is not by its key, or the key is not EC P-256.
        """
        ...

    def write_revocations(self, revoked: Iterable[Revocation], *, now_s: int) -> Probe:
        """Writes the list that the broker reads, whole or not at all, newer than the one before.

        It takes back one certificate more, made for this alone: a broker that refuses it has read this very list.

        Raises:
            StateError: it could not be written.
        """
        ...

    def takeover_of(self, device: str, *, now_s: int) -> Probe:
        """Short-lived credentials with a device's name, with which the controller takes its place at the broker."""
        ...
