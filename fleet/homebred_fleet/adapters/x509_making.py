"""Makes X.509 certificates, requests and revocation lists (RFC 5280). It knows shapes, not who may have one.

Keys are EC P-256, signatures SHA-256. A certificate is for clients or for servers, never for both: a device's can
stand in for no server, a stolen server key lets nobody in as a client.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

ORGANISATION = "homebred fleet"
SERVER_NAME = "homebred-fleet.server"
"""With a dot: no device is called so."""
Key = ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: Key


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    """From when to when, Unix seconds."""

    not_before_s: int
    not_after_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoked:
    """One entry of a revocation list."""

    serial: int
    at_s: int


def new_key() -> Key:
    """A fresh private key."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: Key) -> bytes:
    """As PKCS#8, not encrypted: the file's mode protects it."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def pem_of(*certificates: x509.Certificate) -> bytes:
    """One after another."""
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates)


def fingerprint_of(certificate: x509.Certificate) -> str:
    """SHA-256 of the DER, hexadecimal."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def serial_text(serial: int) -> str:
    """A serial number as it is stored and shown: hexadecimal."""
    return f"{serial:x}"


def root(name: str, key: Key, validity: Validity) -> x509.Certificate:
    """A root that certifies one level of issuers."""
    subject = _name(name)
    builder = _builder(subject, subject, key.public_key(), validity)
    return _as_authority(builder, path_length=1).sign(key, hashes.SHA256())


def issuing(name: str, key: Key, parent: Issuer, validity: Validity) -> x509.Certificate:
    """An issuer that certifies ends alone."""
    builder = _builder(_name(name), parent.certificate.subject, key.public_key(), validity)
    return _with_authority(_as_authority(builder, path_length=0), parent).sign(parent.key, hashes.SHA256())


def for_client(name: str, key: ec.EllipticCurvePublicKey, parent: Issuer, validity: Validity) -> x509.Certificate:
    """A certificate with which a device, an admin or the controller is known."""
    return _end(name, key, parent, validity, usage=ExtendedKeyUsageOID.CLIENT_AUTH)


def for_server(
    hosts: tuple[str, ...], key: ec.EllipticCurvePublicKey, parent: Issuer, validity: Validity
) -> x509.Certificate:
    """A server's certificate for names and addresses; its common name is nobody's."""
    return _end(SERVER_NAME, key, parent, validity, usage=ExtendedKeyUsageOID.SERVER_AUTH, hosts=hosts)


def revocation_list(
    issuer: Issuer, revoked: Iterable[Revoked], *, validity: Validity, number: int
) -> x509.CertificateRevocationList:
    """What an issuer has taken back."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(moment(validity.not_before_s))
        .next_update(moment(validity.not_after_s))
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(_authority_key(issuer), critical=False)
    )
    for one in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(one.serial).revocation_date(moment(one.at_s)).build()
        builder = builder.add_revoked_certificate(entry)
    return builder.sign(issuer.key, hashes.SHA256())


def moment(seconds: int) -> datetime:
    """Unix seconds as the library wants them."""
    return datetime.fromtimestamp(seconds, UTC)


def _end(
    name: str,
    key: ec.EllipticCurvePublicKey,
    parent: Issuer,
    validity: Validity,
    *,
    usage: x509.ObjectIdentifier,
    hosts: tuple[str, ...] = (),
) -> x509.Certificate:
    builder = (
        _builder(_name(name), parent.certificate.subject, key, validity)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    )
    if hosts:
        names = x509.SubjectAlternativeName([_general_name(one) for one in hosts])
        builder = builder.add_extension(names, critical=False)
    return _with_authority(builder, parent).sign(parent.key, hashes.SHA256())


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, validity: Validity
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment(validity.not_before_s))
        .not_valid_after(moment(validity.not_after_s))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _as_authority(builder: x509.CertificateBuilder, *, path_length: int) -> x509.CertificateBuilder:
    constraints = x509.BasicConstraints(ca=True, path_length=path_length)
    return builder.add_extension(constraints, critical=True).add_extension(
        _key_usage(signs_certificates=True), critical=True
    )


def _with_authority(builder: x509.CertificateBuilder, parent: Issuer) -> x509.CertificateBuilder:
    return builder.add_extension(_authority_key(parent), critical=False)


def _authority_key(parent: Issuer) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(parent.key.public_key())


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANISATION),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
