"""The controller's own certificates in its folder: a new one for the same key, so that one file changes at once."""

from __future__ import annotations

from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric import ec

from homebred_fleet.adapters.certificate_authority import CertificateAuthority, read_key, validity_of_file
from homebred_fleet.adapters.durable_files import PUBLIC, replace
from homebred_fleet.adapters.fleet_folder import FleetFolder, KeyPair
from homebred_fleet.core.lifetimes import is_due
from homebred_fleet.errors import StateError
from homebred_fleet.ports.authority import Issued


class OwnCertificatesInFolder:
    """Fulfils `ports.own_certificates.OwnCertificates`."""

    def __init__(self, folder: FleetFolder, names: tuple[str, ...]) -> None:
        """`names` are what the servers' certificates hold for."""
        self._folder = folder
        self._names = names

    def renew_due(self, *, now_s: int) -> tuple[str, ...]:
        """See the port."""
        authority = CertificateAuthority.opened(self._folder)

        def server(key: ec.EllipticCurvePublicKey) -> Issued:
            return authority.issue_to_server(self._names, key, now_s=now_s)

        def client(key: ec.EllipticCurvePublicKey) -> Issued:
            return authority.issue_to_controller(key, now_s=now_s)

        folder = self._folder
        own = (("https", folder.https_server, server), ("broker", folder.broker_server, server))
        every = (*own, ("client", folder.controller, client))
        return tuple(name for name, pair, issue in every if _renewed(pair, issue, authority, now_s))


def _renewed(
    pair: KeyPair,
    issue: Callable[[ec.EllipticCurvePublicKey], Issued],
    authority: CertificateAuthority,
    now_s: int,
) -> bool:
    validity = validity_of_file(pair.certificate)
    if not is_due(validity.not_before_s, validity.not_after_s, now_s):
        return False
    issued = issue(read_key(pair.key).public_key())
    try:
        replace(pair.certificate, authority.with_chain(issued.pem), mode=PUBLIC)
    except OSError as error:
        raise StateError(f"{pair.certificate} cannot be written: {error.strerror}") from error
    return True
