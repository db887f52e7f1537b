"""The fleet's certificate authority: what it makes, what it refuses, and that OpenSSL reads it so."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from tests.support.broker import found, now_s, request_of
from tests.support.free_ports import free_port

from homebred_fleet.adapters import x509_making as making
from homebred_fleet.adapters.certificate_authority import CertificateAuthority, read_issuer
from homebred_fleet.adapters.fleet_folder import FleetFolder
from homebred_fleet.adapters.own_certificates import OwnCertificatesInFolder
from homebred_fleet.app.rollover import new_issuer
from homebred_fleet.core.lifetimes import ADMIN_S, DAY_S, DEVICE_S, SERVER_S
from homebred_fleet.errors import StateError
from homebred_fleet.ports.authority import BadRequestError, Issued, Revocation


@pytest.fixture
def folder(tmp_path: Path) -> FleetFolder:
    return found(tmp_path / "fleet", broker_port=free_port())


@pytest.fixture
def authority(folder: FleetFolder) -> CertificateAuthority:
    return CertificateAuthority.opened(folder)


def device(authority: CertificateAuthority, name: str = "clinic-1", at_s: int = 0) -> Issued:
    return authority.issue_to_device(request_of(making.new_key()), name, now_s=at_s or now_s())


def read(issued: Issued) -> x509.Certificate:
    return x509.load_pem_x509_certificate(issued.pem)


def test_a_devices_certificate_says_its_name_alone_and_lets_it_be_a_client_alone(
    authority: CertificateAuthority,
) -> None:
    at_s = now_s()
    issued = device(authority, at_s=at_s)
    made = read(issued)
    (name,) = made.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert name.value == "clinic-1"
    usage = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert (issued.not_before_s, issued.not_after_s) == (at_s - 300, at_s + DEVICE_S)
    assert (issued.serial, issued.fingerprint) == (f"{made.serial_number:x}", making.fingerprint_of(made))
    assert len(issued.serial) <= 40


def test_two_certificates_have_different_numbers(authority: CertificateAuthority) -> None:
    assert len({device(authority).serial for _ in range(50)}) == 50


def rsa_request() -> bytes:
    return signed(rsa.generate_private_key(65537, 2048))


def other_curve() -> bytes:
    return signed(ec.generate_private_key(ec.SECP384R1()))


def edwards() -> bytes:
    key = ed25519.Ed25519PrivateKey.generate()
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(key, None).public_bytes(serialization.Encoding.DER)


def anothers_key() -> bytes:
    """Signed by somebody who does not have the key."""
    whole = bytearray(request_of(making.new_key()))
    whole[-1] ^= 1
    return bytes(whole)


def signed(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


@pytest.mark.parametrize(
    "make",
    [
        rsa_request,
        other_curve,
        edwards,
        anothers_key,
        lambda: b"",
        lambda: b"junk",
        lambda: b"\x30\x82" + b"A" * 20_000,
    ],
)
def test_a_request_that_is_none_is_refused(authority: CertificateAuthority, make: Callable[[], bytes]) -> None:
    with pytest.raises(BadRequestError):
        authority.issue_to_device(make(), "clinic-1", now_s=now_s())
    with pytest.raises(BadRequestError):
        authority.key_of(make())


def test_a_key_is_known_again_whatever_else_its_requests_say(authority: CertificateAuthority) -> None:
    key = making.new_key()
    assert authority.key_of(request_of(key, "a")) == authority.key_of(request_of(key, "b"))
    assert authority.key_of(request_of(making.new_key())) != authority.key_of(request_of(key))


def test_openssl_finds_the_chain_whole_for_a_client_and_for_no_server(folder: FleetFolder, tmp_path: Path) -> None:
    authority = CertificateAuthority.opened(folder)
    path = tmp_path / "device.pem"
    path.write_bytes(device(authority).pem)
    verify = ["openssl", "verify", "-x509_strict", "-CAfile", str(folder.authorities)]
    assert subprocess.run([*verify, "-purpose", "sslclient", path], check=False, capture_output=True).returncode == 0
    assert subprocess.run([*verify, "-purpose", "sslserver", path], check=False, capture_output=True).returncode != 0


@pytest.mark.parametrize("gone_by_s", [0, 60, 3600])
def test_every_list_is_later_than_the_one_before_and_never_from_the_future(
    folder: FleetFolder, authority: CertificateAuthority, gone_by_s: int
) -> None:
    start_s, seen = now_s(), [last_update_s(folder)]
    for round_ in range(4):
        at_s = start_s + round_ * gone_by_s
        authority.write_revocations((), now_s=at_s)
        seen.append(last_update_s(folder))
        assert seen[-1] <= at_s
    assert seen == sorted(set(seen))


def test_a_list_from_a_clock_that_was_ahead_is_followed_by_one_that_holds(
    folder: FleetFolder, authority: CertificateAuthority
) -> None:
    at_s = now_s()
    authority.write_revocations((), now_s=at_s + 10 * DAY_S)
    authority.write_revocations((), now_s=at_s)
    assert last_update_s(folder) == at_s - 300


def last_update_s(folder: FleetFolder) -> int:
    return int(x509.load_pem_x509_crl(folder.revocation_list.read_bytes()).last_update_utc.timestamp())


def test_after_a_rollover_both_issuers_are_trusted_and_take_back(folder: FleetFolder, tmp_path: Path) -> None:
    before = CertificateAuthority.opened(folder)
    old = device(before)
    assert new_issuer(folder, now_s()) == 2
    after = CertificateAuthority.opened(folder)
    new = device(after, "clinic-2")
    assert read(new).issuer != read(old).issuer
    assert after.root_fingerprint == before.root_fingerprint
    told = pkcs7.load_der_pkcs7_certificates(after.trusted_pkcs7())
    assert len(told) == 3
    kept = x509.load_pem_x509_certificates(folder.authorities.read_bytes())
    assert {making.fingerprint_of(one) for one in told} == {making.fingerprint_of(one) for one in kept}
    assert folder.authorities.read_bytes() == folder.broker_authorities.read_bytes()
    after.write_revocations([Revocation(serial=old.serial, at_s=now_s())], now_s=now_s())
    lists = x509.load_pem_x509_crl(folder.revocation_list.read_bytes())
    assert lists.get_revoked_certificate_by_serial_number(int(old.serial, 16)) is not None
    bundle = folder.authorities.read_bytes() + folder.revocation_list.read_bytes()
    (tmp_path / "bundle.pem").write_bytes(bundle)
    assert folder.revocation_list.read_bytes().count(b"BEGIN X509 CRL") == 2
    for issued, status in ((old, "revoked"), (new, "OK")):
        path = tmp_path / f"{issued.serial}.pem"
        path.write_bytes(issued.pem)
        command = ["openssl", "verify", "-crl_check", "-CAfile", str(tmp_path / "bundle.pem"), str(path)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert status in done.stdout + done.stderr


def test_a_rollover_without_the_roots_key_is_refused_with_what_is_missing(folder: FleetFolder) -> None:
    key = folder.root(1).key
    key.rename(key.with_suffix(".offline"))
    with pytest.raises(StateError, match=r"root-1\.key"):
        new_issuer(folder, now_s())
    assert folder.issuing_numbers() == (1,)


def test_the_controllers_own_certificates_are_renewed_for_the_same_keys_when_two_thirds_are_over(
    folder: FleetFolder,
) -> None:
    own, at_s = OwnCertificatesInFolder(folder, ("localhost",)), now_s()
    assert own.renew_due(now_s=at_s) == ()
    assert own.renew_due(now_s=at_s + SERVER_S * 3 // 4) == ("https", "broker", "client")
    assert own.renew_due(now_s=at_s + SERVER_S * 3 // 4) == ()
    for pair in (folder.https_server, folder.broker_server, folder.controller):
        assert read_issuer(pair).certificate.not_valid_after_utc.timestamp() > at_s + SERVER_S


def test_an_admins_certificate_has_a_name_that_no_device_can_have(authority: CertificateAuthority) -> None:
    issued = authority.issue_to_admin("anna", making.new_key().public_key(), now_s=now_s())
    (name,) = read(issued).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert name.value == "admin.anna"
    assert issued.not_after_s - issued.not_before_s == ADMIN_S + 300


def test_no_certificate_outlives_its_issuer(authority: CertificateAuthority) -> None:
    ends_s = int(read_end(authority))
    assert device(authority, at_s=ends_s - 5 * DAY_S).not_after_s == ends_s


def read_end(authority: CertificateAuthority) -> float:
    return authority.trusted[-1].not_valid_after_utc.timestamp()


@pytest.mark.parametrize("broken", ["gone", "junk", "another"])
def test_a_folder_whose_keys_do_not_fit_is_refused_by_name(folder: FleetFolder, broken: str) -> None:
    path = folder.issuing(1).key
    match broken:
        case "gone":
            path.unlink()
        case "junk":
            path.write_text("junk")
        case _:
            path.write_bytes(making.key_pem(making.new_key()))
    with pytest.raises(StateError, match=r"issuing-1\.key"):
        CertificateAuthority.opened(folder)
