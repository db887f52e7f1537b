"""The roots that a controller offers, over its HTTPS: what a device pins at enrolment, or later. It judges none.

Over HTTPS alone: whoever answers there has proven to be the controller that a technician named, which a broker has not.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable

from homebred_daemon import strict_json
from homebred_daemon.adapters import fleet_tls
from homebred_daemon.adapters.fleet_https import DEVICE_API, ENROLMENT, ControllerHttps
from homebred_daemon.core.pinning import Offer, offer_of
from homebred_daemon.errors import FleetError
from homebred_daemon.ports.identity import Identity, Issued, PendingKey


class RootsOverHttps:
    """Fulfils `ports.trust.RootOffers`."""

    def __init__(self, line: ControllerHttps, url: str, context: Callable[[], ssl.SSLContext]) -> None:
        """`context` shows the device's certificate; it may raise StateError."""
        self._line = line
        self._url = url
        self._context = context

    @classmethod
    def of_newcomer(cls, line: ControllerHttps, issued: Issued, pending: PendingKey) -> RootsOverHttps:
        """For a device whose certificate is not taken up yet."""
        return cls(
            line,
            issued.membership.controller_url,
            lambda: fleet_tls.of_pending(issued.authorities_pem, issued.certificates_pem, pending),
        )

    @classmethod
    def of_member(cls, line: ControllerHttps, identity: Callable[[], Identity]) -> RootsOverHttps:
        """For an enrolled device, by the identity in force at each moment."""
        return cls(line, identity().membership.controller_url, lambda: fleet_tls.of_identity(identity()))

    async def offer(self) -> Offer | None:
        """As the port says."""
        body = await self._line.small_file(self._context(), f"{self._url}{ENROLMENT}")
        try:
            said = strict_json.parse(body)
            return offer_of(said if isinstance(said, dict) else {})
        except ValueError as error:
            raise FleetError(
                f"the controller's answer about its roots cannot be used: {error}",
                hint="update homebred on the older of the two",
            ) from error

    async def root(self, repository: str, version: int) -> bytes:
        """As the port says."""
        path = f"{DEVICE_API}/{repository}/metadata/{version}.root.json"
        return await self._line.small_file(self._context(), f"{self._url}{path}")
