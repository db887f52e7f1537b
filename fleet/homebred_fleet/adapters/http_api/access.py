"""Who asks: a device or an admin, by the certificate of the connection, looked up in the database at every request.

The handshake has found the certificate in order, and issued by this fleet; whether it still counts stands here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request

from homebred_fleet.adapters.http_api.connection import peer_fingerprint
from homebred_fleet.core.admins import Admin
from homebred_fleet.core.enrolment import Device, judge_certificate
from homebred_fleet.errors import NotPermittedError, UnauthenticatedError
from homebred_fleet.ports.enrolment import RefusedError
from homebred_fleet.ports.identities import Identities


class Access:
    """Recognises who asks."""

    def __init__(self, identities: Identities, now_s: Callable[[], int]) -> None:
        self._identities = identities
        self._now_s = now_s

    def device(self, fingerprint: str) -> Device:
        """The device that shows this certificate.

        Raises:
            RefusedError: none does, or it may not come in any more.
        """
        shown = self._identities.shown(fingerprint) if fingerprint else None
        device, certificate = (shown.device, shown.certificate) if shown is not None else (None, None)
        refusal = judge_certificate(device, certificate, self._now_s())
        if refusal is not None or device is None:
            raise RefusedError(refusal) if refusal is not None else UnauthenticatedError
        return device

    def admin(self, fingerprint: str) -> Admin:
        """The admin who shows this certificate.

        Raises:
            UnauthenticatedError: nobody does.
        """
        admin = self._identities.admin(fingerprint) if fingerprint else None
        if admin is None:
            raise UnauthenticatedError(
                "no admin is known by this certificate" if fingerprint else "this needs an admin's certificate",
                hint="name the certificate of an admin's profile; `homebred-fleet init` made the first one",
            )
        return admin


def device_of(request: Request) -> Device:
    """Dependency: the device that asks."""
    access: Access = request.app.state.access
    return access.device(peer_fingerprint(request))


def admin_of(request: Request) -> Admin:
    """Dependency: the admin who asks, whatever their role."""
    access: Access = request.app.state.access
    return access.admin(peer_fingerprint(request))


def admin_with(role: str) -> Callable[..., Admin]:
    """Dependency: the admin who asks, if their role is this one or above."""

    def admin(asking: Annotated[Admin, Depends(admin_of)]) -> Admin:
        if not asking.may(role):
            raise NotPermittedError(f"this needs the role {role}; {asking.name} is {asking.role}")
        return asking

    return admin
