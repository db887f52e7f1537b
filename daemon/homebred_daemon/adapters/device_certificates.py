"""Keys, certificate requests and certificates of this device: made, read, and judged against the fleet's authorities.

It reads no file and opens no socket. It brings `cryptography` along: whoever imports it does so at first use.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    pkcs7,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from homebred_daemon.errors import ClockWrongError, ConfigurationError, ControllerUntrustedError, FleetError
from homebred_daemon.ports.identity import CertificateFacts
from homebred_protocol.ids import is_device_id

SUBJECT = "homebred-device"
"""In requests; the controller chooses the name that counts."""
MAX_CERTIFICATES = 16
MAX_DEPTH = 4


def new_key() -> bytes:
    """A new EC P-256 key in PEM."""
    return generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def request_for(key_pem: bytes) -> bytes:
    """A PKCS#10 request in DER, signed with the key.

    Raises:
        ConfigurationError: it is no EC P-256 key in PEM without a password.
    """
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, SUBJECT)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    return builder.sign(_private_key(key_pem), SHA256()).public_bytes(Encoding.DER)


def signature_by(key_pem: bytes, body: bytes) -> bytes:
    """ECDSA over a text's SHA-256, in DER.

    Raises:
        ConfigurationError: it is no EC P-256 key in PEM without a password.
    """
    return _private_key(key_pem).sign(body, ECDSA(SHA256()))


def certificates_in(body: bytes) -> list[x509.Certificate]:
    """The certificates of an EST answer: base64 of a certs-only PKCS#7 (RFC 7030 §4.1.3).

    Raises:
        FleetError: it is no such thing, or holds none, or far too many.
    """
    try:
        der = base64.b64decode(body, validate=False)
        found = pkcs7.load_der_pkcs7_certificates(der)
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise FleetError(
            "the controller's answer holds no certificates", hint="check that the address is a homebred controller's"
        ) from error
    readable = [one for one in found if _is_readable(one)] if len(found) <= MAX_CERTIFICATES else []
    if not readable:
        raise FleetError(f"of {len(found)} certificates in the controller's answer none can be used")
    return readable


def fingerprint(certificate: x509.Certificate) -> str:
    """`sha256:…` of a certificate's DER: what a person compares."""
    return f"sha256:{certificate.fingerprint(SHA256()).hex()}"


def roots(certificates: Iterable[x509.Certificate]) -> list[x509.Certificate]:
    """Those that vouch for themselves."""
    return [one for one in certificates if one.issuer == one.subject and _issued(one, one)]


def trusted_from(certificates: Sequence[x509.Certificate], pinned: str) -> list[x509.Certificate]:
    """The root with that fingerprint, and the authorities below it.

    Raises:
        ControllerUntrustedError: none of them is it.
    """
    root = next((one for one in roots(certificates) if fingerprint(one) == pinned), None)
    if root is None:
        shown = " and ".join(map(fingerprint, roots(certificates))) or "none at all"
        raise ControllerUntrustedError(f"the controller's authority is {shown}, and {pinned} was expected")
    trusted = [root]
    while True:
        more = [
            one
            for one in certificates
            if one not in trusted and _is_authority(one) and any(_issued(one, by) for by in trusted)
        ]
        if not more:
            return trusted
        trusted += more


def as_pem(certificates: Iterable[x509.Certificate]) -> bytes:
    """One after another."""
    return b"".join(one.public_bytes(Encoding.PEM) for one in certificates)


def own_chain(
    certificates: Sequence[x509.Certificate], key_pem: bytes, authorities_pem: bytes, *, now: datetime
) -> list[x509.Certificate]:
    """The certificate that was issued for the key, then those between it and a trusted root.

    Raises:
        FleetError: the controller has issued something that would not serve.
        ClockWrongError: it is not valid by this device's clock.
    """
    mine = _public(_private_key(key_pem))
    own = next((one for one in certificates if _public(one) == mine), None)
    if own is None:
        raise FleetError("the controller answered with a certificate for another key")
    if not is_device_id(common_name(own)) or not _is_for_clients(own):
        raise FleetError("the controller answered with a certificate that is no device's")
    authorities = x509.load_pem_x509_certificates(authorities_pem)
    chain = _up_to_root(own, [*certificates, *authorities], roots(authorities))
    begins, ends = own.not_valid_before_utc, own.not_valid_after_utc
    if not begins <= now <= ends:
        raise ClockWrongError(
            f"the new certificate holds from {_shown(begins)} to {_shown(ends)}, and the clock here says {_shown(now)}"
        )
    return chain


def facts(certificate: x509.Certificate) -> CertificateFacts:
    """What of it is kept beside it."""
    return CertificateFacts(
        serial=f"{certificate.serial_number:x}",
        begins_s=int(certificate.not_valid_before_utc.timestamp()),
        ends_s=int(certificate.not_valid_after_utc.timestamp()),
        digest=fingerprint(certificate),
    )


def common_name(certificate: x509.Certificate) -> str:
    """Its one common name; empty: it has none, or several."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if len(names) == 1 else ""


def _up_to_root(
    own: x509.Certificate, known: Sequence[x509.Certificate], trusted: Sequence[x509.Certificate]
) -> list[x509.Certificate]:
    """The chain without its root. Raises FleetError where it leads to no trusted one."""
    chain = [own]
    while len(chain) <= MAX_DEPTH:
        if any(_issued(chain[-1], root) for root in trusted):
            return chain
        above = next(
            (one for one in known if one not in chain and _is_authority(one) and _issued(chain[-1], one)), None
        )
        if above is None:
            break
        chain.append(above)
    raise FleetError("the controller answered with a certificate that its own authority has not signed")


def _is_readable(certificate: x509.Certificate) -> bool:
    """Its parts are read when they are asked for, and each may be damaged."""
    try:
        parts = (certificate.public_key(), certificate.extensions, certificate.subject, certificate.issuer)
        has_time = certificate.not_valid_before_utc < certificate.not_valid_after_utc
    except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return False
    return has_time and all(part is not None for part in parts)


def _issued(certificate: x509.Certificate, by: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(by)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def _is_for_clients(certificate: x509.Certificate) -> bool:
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    return ExtendedKeyUsageOID.CLIENT_AUTH in usages


def _private_key(key_pem: bytes) -> EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(key_pem, password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        raise ConfigurationError(
            "the device's key is no EC P-256 key in PEM without a password",
            hint="openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 makes one",
        )
    return key


def _public(holder: EllipticCurvePrivateKey | x509.Certificate) -> bytes:
    return holder.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _shown(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")
