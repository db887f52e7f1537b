"""The fleet's certificate authority, over the keys in a controller's folder. It decides nothing about who may have one.

There is a root, whose key belongs offline once the issuer is made, and an issuer whose key signs daily. When either is
followed by another, all are served and trusted until the last certificate of the old one has run out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs7

from homebred_fleet.adapters import x509_making as making
from homebred_fleet.adapters.durable_files import PUBLIC, replace
from homebred_fleet.adapters.fleet_folder import FleetFolder, KeyPair
from homebred_fleet.adapters.x509_making import Issuer, Key, Revoked, Validity
from homebred_fleet.core import lifetimes
from homebred_fleet.errors import StateError
from homebred_fleet.ports.authority import BadRequestError, Issued, Probe, Revocation
from homebred_protocol.ids import CONTROLLER, is_device_id

ADMIN_PREFIX = "admin."
"""With a dot, so that no device can be called like an admin."""
PROBE_NAME = "homebred-fleet.probe"
"""The same: nobody's."""
MAX_REQUEST_BYTES = 16_384


class CertificateAuthority:
    """Fulfils `ports.authority.Authority`, and makes what `init` needs."""

    def __init__(self, folder: FleetFolder, issuers: tuple[Issuer, ...], roots: tuple[x509.Certificate, ...]) -> None:
        self._folder = folder
        self._issuers = issuers
        """Rising; the last one issues, all of them revoke."""
        self._roots = roots

    @classmethod
    def opened(cls, folder: FleetFolder) -> CertificateAuthority:
        """The one in a folder.

        Raises:
            StateError: it is not there, or cannot be read.
        """
        issuers = tuple(read_issuer(folder.issuing(number)) for number in folder.issuing_numbers())
        roots = tuple(_read_certificate(folder.root(number).certificate) for number in folder.root_numbers())
        if not issuers or not roots:
            raise StateError(f"{folder.authority} has no certificate authority", hint="run `homebred-fleet init` first")
        return cls(folder, issuers, roots)

    @property
    def root_fingerprint(self) -> str:
        """What devices pin: `sha256:…` of the newest root."""
        return f"sha256:{making.fingerprint_of(self._roots[-1])}"

    @property
    def trusted(self) -> tuple[x509.Certificate, ...]:
        """Everybody whose certificates hold: roots, newest first, then issuers."""
        return (*reversed(self._roots), *(one.certificate for one in reversed(self._issuers)))

    def trusted_pem(self) -> bytes:
        """The same as PEM."""
        return making.pem_of(*self.trusted)

    def trusted_pkcs7(self) -> bytes:
        """The same as RFC 7030 §4.1.3 wants it: a certs-only CMS, DER."""
        return pkcs7.serialize_certificates(list(self.trusted), serialization.Encoding.DER)

    def with_chain(self, certificate_pem: bytes) -> bytes:
        """A certificate as a TLS peer must show it: with its issuer behind it."""
        return certificate_pem + making.pem_of(self._issuing.certificate)

    def with_chain_pkcs7(self, certificate_pem: bytes) -> bytes:
        """The same as RFC 7030 §4.2.3 wants it: a certs-only CMS, DER."""
        chain = [x509.load_pem_x509_certificate(certificate_pem), self._issuing.certificate]
        return pkcs7.serialize_certificates(chain, serialization.Encoding.DER)

    def key_of(self, request: bytes) -> str:
        """See the port."""
        key = _requested_key(request)
        form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        return hashlib.sha256(key.public_bytes(*form)).hexdigest()

    def issue_to_device(self, request: bytes, device: str, *, now_s: int) -> Issued:
        """See the port."""
        if not is_device_id(device):
            raise ValueError(f"{device!r} is no device's name")
        return self._client(device, _requested_key(request), now_s, lifetimes.DEVICE_S)

    def takeover_of(self, device: str, *, now_s: int) -> Probe:
        """See the port."""
        if not is_device_id(device):
            raise ValueError(f"{device!r} is no device's name")
        return self._probe(device, now_s)[1]

    def issue_to_controller(self, key: ec.EllipticCurvePublicKey, *, now_s: int) -> Issued:
        """The controller's own, as a client of the broker."""
        return self._client(CONTROLLER, key, now_s, lifetimes.SERVER_S)

    def issue_to_admin(self, name: str, key: ec.EllipticCurvePublicKey, *, now_s: int) -> Issued:
        """An admin's."""
        return self._client(f"{ADMIN_PREFIX}{name}", key, now_s, lifetimes.ADMIN_S)

    def issue_to_server(self, hosts: tuple[str, ...], key: ec.EllipticCurvePublicKey, *, now_s: int) -> Issued:
        """A server's, for names and addresses."""
        validity = self._validity(now_s, lifetimes.SERVER_S)
        return _issued(making.for_server(hosts, key, self._issuing, validity))

    def write_revocations(self, revoked: Iterable[Revocation], *, now_s: int) -> Probe:
        """See the port.

        Of two lists that hold OpenSSL goes by the later one, of two with the same time by the first, and one from the
        future makes it refuse everybody. So a list is dated back, and a second after the one before it, unless that one
        is from the future itself: from a clock that has been put right since.
        """
        path = self._folder.revocation_list
        taken_back, probe = self._probe(PROBE_NAME, now_s)
        entries = [Revoked(serial=int(one.serial, 16), at_s=one.at_s) for one in revoked]
        entries.append(Revoked(serial=int(taken_back.serial, 16), at_s=now_s))
        after_s = _last_update_s(path) + 1
        from_s = max(now_s - lifetimes.BACKDATED_S, after_s if after_s <= now_s else 0)
        validity = Validity(not_before_s=from_s, not_after_s=now_s + lifetimes.REVOCATION_LIST_S)
        lists = [making.revocation_list(one, entries, validity=validity, number=from_s) for one in self._issuers]
        try:
            replace(path, b"".join(one.public_bytes(serialization.Encoding.PEM) for one in lists), mode=PUBLIC)
        except OSError as error:
            raise StateError(f"{path} cannot be written: {error.strerror}") from error
        return probe

    def _probe(self, name: str, now_s: int) -> tuple[Issued, Probe]:
        key = making.new_key()
        issued = self._client(name, key.public_key(), now_s, lifetimes.PROBE_S)
        return issued, Probe(key_pem=making.key_pem(key), certificate_pem=self.with_chain(issued.pem))

    @property
    def _issuing(self) -> Issuer:
        return self._issuers[-1]

    def _client(self, name: str, key: ec.EllipticCurvePublicKey, now_s: int, life_s: int) -> Issued:
        return _issued(making.for_client(name, key, self._issuing, self._validity(now_s, life_s)))

    def _validity(self, now_s: int, life_s: int) -> Validity:
        """No certificate outlives its issuer: a chain would break with nobody having touched it."""
        ends_s = int(self._issuing.certificate.not_valid_after_utc.timestamp())
        return Validity(not_before_s=now_s - lifetimes.BACKDATED_S, not_after_s=min(now_s + life_s, ends_s))


def make_root(now_s: int) -> tuple[Key, x509.Certificate]:
    """A new root."""
    key = making.new_key()
    validity = Validity(not_before_s=now_s - lifetimes.BACKDATED_S, not_after_s=now_s + lifetimes.ROOT_S)
    return key, making.root("homebred fleet root", key, validity)


def make_issuing(root: Issuer, number: int, now_s: int) -> tuple[Key, x509.Certificate]:
    """A new issuer under a root; its number tells it from the one before."""
    key = making.new_key()
    ends_s = int(root.certificate.not_valid_after_utc.timestamp())
    validity = Validity(
        not_before_s=now_s - lifetimes.BACKDATED_S, not_after_s=min(now_s + lifetimes.ISSUING_S, ends_s)
    )
    return key, making.issuing(f"homebred fleet issuing {number}", key, root, validity)


def read_issuer(pair: KeyPair) -> Issuer:
    """A certificate with its key, from two files that belong together.

    Raises:
        StateError: they are not there, cannot be read, or do not belong together.
    """
    certificate, key = _read_certificate(pair.certificate), read_key(pair.key)
    if key.public_key() != certificate.public_key():
        raise StateError(f"{pair.key} is not the key of {pair.certificate}", hint="restore both from one backup")
    return Issuer(certificate=certificate, key=key)


def read_key(path: Path) -> Key:
    """An EC P-256 key from a file.

    Raises:
        StateError: it is not there, or is none.
    """
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise StateError(f"{path} cannot be read as a private key: {_why(error)}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise StateError(f"{path} is no EC key")
    return key


def fingerprint_of_file(path: Path) -> str:
    """SHA-256 of the first certificate in a file, hexadecimal. Raises StateError."""
    return making.fingerprint_of(_read_certificate(path))


def validity_of_file(path: Path) -> Validity:
    """From when to when the first certificate in a file holds. Raises StateError."""
    certificate = _read_certificate(path)
    from_s, to_s = (
        moment.timestamp() for moment in (certificate.not_valid_before_utc, certificate.not_valid_after_utc)
    )
    return Validity(not_before_s=int(from_s), not_after_s=int(to_s))


def _read_certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise StateError(f"{path} cannot be read as a certificate: {_why(error)}") from error


def _why(error: Exception) -> str:
    return error.strerror or "not readable" if isinstance(error, OSError) else "not PEM of that kind"


def _issued(certificate: x509.Certificate) -> Issued:
    return Issued(
        serial=making.serial_text(certificate.serial_number),
        fingerprint=making.fingerprint_of(certificate),
        not_before_s=int(certificate.not_valid_before_utc.timestamp()),
        not_after_s=int(certificate.not_valid_after_utc.timestamp()),
        pem=making.pem_of(certificate),
    )


def _requested_key(request: bytes) -> ec.EllipticCurvePublicKey:
    """The key that a request asks a certificate for, proven to be the asker's by the request's own signature."""
    if len(request) > MAX_REQUEST_BYTES:
        raise BadRequestError(f"a request of {len(request)} bytes is longer than {MAX_REQUEST_BYTES}")
    try:
        asked = x509.load_der_x509_csr(request)
        key = asked.public_key()
        is_signed = asked.is_signature_valid
    except (ValueError, TypeError, InvalidSignature, x509.UnsupportedGeneralNameType) as error:
        raise BadRequestError("it is no PKCS#10 request in DER") from error
    except Exception as error:  # unsupported algorithms have classes of their own, which are no ValueError
        raise BadRequestError("it is no PKCS#10 request that can be read") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise BadRequestError("its key is not EC P-256")
    if not is_signed:
        raise BadRequestError("its signature is not by its key")
    return key


def _last_update_s(path: Path) -> int:
    """When the list in a file was made; 0: there is none that could be read."""
    try:
        return int(x509.load_pem_x509_crl(path.read_bytes()).last_update_utc.timestamp())
    except (OSError, ValueError):
        return 0
