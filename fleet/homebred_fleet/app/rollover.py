"""`homebred-fleet authority renew`: another issuer under the same root, long before the old one runs out.

Both are trusted and both take back until the last certificate of the old one has run out; devices hear of the new one
with their next renewal, and know it by the root that they have pinned.
"""

from __future__ import annotations

from homebred_fleet.adapters import x509_making as making
from homebred_fleet.adapters.certificate_authority import CertificateAuthority, make_issuing, read_issuer
from homebred_fleet.adapters.durable_files import PUBLIC, SECRET, create, replace
from homebred_fleet.adapters.fleet_folder import FleetFolder
from homebred_fleet.errors import StateError


def new_issuer(folder: FleetFolder, now_s: int) -> int:
    """Makes it, and writes whom the fleet trusts anew; its number.

    Raises:
        StateError: the root's key is offline, or files cannot be written.
    """
    root = read_issuer(folder.root(folder.root_numbers()[-1]))
    number = folder.issuing_numbers()[-1] + 1
    key, certificate = make_issuing(root, number, now_s)
    pair = folder.issuing(number)
    try:
        pair.key.unlink(missing_ok=True)  # of a run that was killed before it had a certificate: it has signed nothing
        create(pair.key, making.key_pem(key), mode=SECRET)
        create(pair.certificate, making.pem_of(certificate), mode=PUBLIC)
        trusted = CertificateAuthority.opened(folder).trusted_pem()
        for path in (folder.authorities, folder.broker_authorities):
            replace(path, trusted, mode=PUBLIC)
    except OSError as error:
        raise StateError(f"{error.filename or folder.authority} cannot be written: {error.strerror}") from error
    return number
