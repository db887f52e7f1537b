"""A fleet's authority for tests: root, issuing authority, server and device certificates, at any time, for any key."""

from __future__ import annotations

import base64
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.hazmat.primitives.serialization.pkcs7 import serialize_certificates
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from homebred_daemon.adapters import device_certificates
from homebred_daemon.ports.identity import Issued, Membership

LIFE = timedelta(days=90)
BACKDATED = timedelta(minutes=5)


def named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


@dataclass(frozen=True, slots=True)
class Signer:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: EllipticCurvePrivateKey

    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


class Authority:
    """Root and issuing authority."""

    def __init__(self, name: str = "fleet", *, now: datetime | None = None) -> None:
        self.now = now or datetime.now(UTC)
        self.root = self._authority(f"{name} root", None)
        self.issuing = self._authority(f"{name} issuing", self.root)

    @property
    def fingerprint(self) -> str:
        return device_certificates.fingerprint(self.root.certificate)

    @property
    def certificates(self) -> list[x509.Certificate]:
        return [self.root.certificate, self.issuing.certificate]

    def pem(self) -> bytes:
        return device_certificates.as_pem(self.certificates)

    def issue(
        self,
        request_der: bytes,
        common_name: str,
        *,
        begins: datetime | None = None,
        life: timedelta = LIFE,
        usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.CLIENT_AUTH,
    ) -> x509.Certificate:
        public = x509.load_der_x509_csr(request_der).public_key()
        begins = begins or self.now - BACKDATED
        return (
            x509.CertificateBuilder(self.issuing.certificate.subject, named(common_name), public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(begins + life)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .sign(self.issuing.key, SHA256())
        )

    def server(self, folder: Path, *, host: str = "127.0.0.1", begins: datetime | None = None) -> ssl.SSLContext:
        """A server's side of TLS, which asks for a client's certificate and can do without."""
        key, begins = generate_private_key(SECP256R1()), begins or self.now - BACKDATED
        certificate = (
            x509.CertificateBuilder(self.issuing.certificate.subject, named("controller"), key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(begins + LIFE)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(host))]), critical=False)
            .sign(self.issuing.key, SHA256())
        )
        chain, authorities = folder / "server.pem", folder / "clients.pem"
        own = Signer(certificate, key)
        chain.write_bytes(own.key_pem() + device_certificates.as_pem([certificate, self.issuing.certificate]))
        authorities.write_bytes(self.pem())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        context.load_verify_locations(authorities)
        context.verify_mode = ssl.CERT_OPTIONAL
        return context

    def issued(self, request_der: bytes, membership: Membership) -> Issued:
        """What a device makes of an answer."""
        certificate = self.issue(request_der, membership.device_id)
        return Issued(
            certificates_pem=device_certificates.as_pem([certificate, self.issuing.certificate]),
            authorities_pem=self.pem(),
            facts=device_certificates.facts(certificate),
            membership=membership,
        )

    def _authority(self, name: str, by: Signer | None) -> Signer:
        key = generate_private_key(SECP256R1())
        certificate = (
            x509.CertificateBuilder(by.certificate.subject if by else named(name), named(name), key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.now - timedelta(days=1))
            .not_valid_after(self.now + timedelta(days=3650))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign((by.key if by else key), SHA256())
        )
        return Signer(certificate, key)


def as_est(certificates: list[x509.Certificate]) -> bytes:
    """The body of an EST answer (RFC 7030 §4.1.3), in lines as servers write it."""
    return base64.encodebytes(serialize_certificates(certificates, Encoding.DER))


MEMBERSHIP = Membership(
    device_id="clinic-east-1f2e3d4c",
    site="clinic-east",
    labels={"role": "kiosk"},
    controller_url="https://127.0.0.1:8443",
    broker_host="127.0.0.1",
    broker_port=8883,
    enrolled_at_s=1_790_000_000,
)
