"""Enrolment, as the HTTP paths see it. Sync, from any thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from homebred_fleet.core.enrolment import Device, Refusal
from homebred_fleet.errors import RequestError
from homebred_fleet.ports.authority import Issued


class RefusedError(RequestError):
    """Somebody is not let in."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message, hint=refusal.hint, code=refusal.code)


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """What a device is given."""

    device: str
    issued: Issued


class Enrolment(Protocol):
    """Lets devices in, and renews what they have."""

    def enrol(self, token: str, request: bytes) -> Enrolled:
        """Lets in whoever shows a token, for the key of a certificate request.

        Raises:
            RefusedError: the token is good for nothing, or not for this.
            RequestError: the request is none.
        """
        ...

    def renew(self, device: Device, request: bytes, *, shown: str) -> Enrolled:
        """One more certificate for a device that has shown one which holds, and goes on holding: its fingerprint.

        Raises:
            RefusedError: it was taken out meanwhile.
            RequestError: the request is none.
        """
        ...
