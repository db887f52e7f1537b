"""The device's side of TLS with its fleet's controller: before it is trusted, once it is, and with the own certificate.

It opens no socket.
"""

from __future__ import annotations

import ssl
import tempfile

from homebred_daemon.errors import StateError
from homebred_daemon.ports.identity import Identity, PendingKey


def unverified() -> ssl.SSLContext:
    """For a first look at who answers: nothing that must stay secret may be sent over it."""
    context = _context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def trusting(authorities_pem: bytes) -> ssl.SSLContext:
    """Trusts these authorities alone, and asks for the host's own name."""
    context = _context()
    context.load_verify_locations(cadata=authorities_pem.decode("ascii"))
    return context


def trusting_of(identity: Identity) -> ssl.SSLContext:
    """Trusts the identity's authorities, and shows no certificate. Raises StateError."""
    try:
        return trusting(identity.credentials.authorities.read_bytes())
    except OSError as error:
        raise StateError(f"the authorities {identity.credentials.authorities} cannot be read: {error}") from error


def of_identity(identity: Identity) -> ssl.SSLContext:
    """The same with the device's own certificate. Raises StateError."""
    credentials = identity.credentials
    try:
        context = trusting(credentials.authorities.read_bytes())
        context.load_cert_chain(credentials.certificate, credentials.key, password=lambda: b"")
    except OSError as error:
        raise StateError(
            f"the device's identity in {credentials.certificate.parent} cannot be used: {error}"
        ) from error
    return context


def of_pending(authorities_pem: bytes, chain_pem: bytes, pending: PendingKey) -> ssl.SSLContext:
    """The same with a certificate that is not taken up yet. Raises StateError."""
    context = trusting(authorities_pem)
    try:
        with tempfile.NamedTemporaryFile(suffix=".pem") as file:  # Python loads certificates from files alone
            file.write(chain_pem)
            file.flush()
            context.load_cert_chain(file.name, pending.path, password=lambda: b"")
    except OSError as error:
        raise StateError(f"the new certificate cannot be used with {pending.path}: {error}") from error
    return context


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
