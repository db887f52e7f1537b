"""The TLS side of an endpoint: whose certificates count, and which public key it must have. Opens no socket."""

from __future__ import annotations

import hashlib
import ssl
from pathlib import Path

from typing_extensions import override

from homebred_daemon.errors import ConfigurationError

PIN = r"sha256:[0-9a-f]{64}"
"""The SHA-256 of a certificate's public key (SubjectPublicKeyInfo): it survives a renewal that keeps the key."""


def tls_context(ca_file: Path | None, pin: str) -> ssl.SSLContext:
    """Trusts the file's authorities, else the system's; with a pin, only that public key of theirs.

    Raises:
        ConfigurationError: the file cannot be read, or holds no certificate.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"the certificates in {ca_file} cannot be used: {error.strerror or error}",
            hint="write the path of a PEM file, or leave out ca_file to trust the system's authorities",
        ) from None
    if pin:
        context.sslobject_class = _pinned_to(pin)
    return context


def public_key_digest(certificate: bytes) -> str:
    """The pin that a DER certificate's public key fits."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415  # some megabytes
    from cryptography.x509 import load_der_x509_certificate  # noqa: PLC0415

    public_key = load_der_x509_certificate(certificate).public_key()
    key_info = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"sha256:{hashlib.sha256(key_info).hexdigest()}"


def _pinned_to(pin: str) -> type[ssl.SSLObject]:
    """Connections whose handshake fails for any other key, so before anything is sent."""

    class PinnedObject(ssl.SSLObject):
        @override
        def do_handshake(self) -> None:
            super().do_handshake()
            certificate = self.getpeercert(binary_form=True)
            if certificate is None or public_key_digest(certificate) != pin:
                raise ssl.SSLCertVerificationError("the public key is not the pinned one")

    return PinnedObject
