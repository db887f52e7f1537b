"""Whether a device's own check of its broker tells apart: let in, refused, not the fleet's, nobody there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from tests.support.broker import Broker, now_s, running_broker
from tests.support.fleet_authority import MEMBERSHIP, Authority
from tests.support.free_ports import free_port

from homebred_daemon.adapters.broker_probe import probe
from homebred_daemon.adapters.device_certificates import as_pem, new_key, request_for
from homebred_daemon.errors import ControllerUnreachableError, ControllerUntrustedError, FleetError
from homebred_daemon.ports.identity import CertificateFacts, Identity
from homebred_fleet.ports.authority import Revocation
from homebred_protocol.mqtt import Credentials

pytestmark = pytest.mark.xdist_group("broker probe")
FACTS = CertificateFacts(serial="1", begins_s=0, ends_s=1, digest="sha256:" + "0" * 64)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with running_broker(tmp_path_factory.mktemp("broker") / "fleet") as running:
        yield running


def identity(credentials: Credentials, port: int) -> Identity:
    membership = replace(MEMBERSHIP, broker_port=port)
    return Identity(generation="000001", membership=membership, certificate=FACTS, credentials=credentials)


def strangers(tmp_path: Path) -> Credentials:
    """Of a fleet with another authority."""
    authority, key = Authority("other"), tmp_path / "key.pem"
    key.write_bytes(new_key())
    certificate = authority.issue(request_for(key.read_bytes()), "clinic-1")
    (tmp_path / "certificate.pem").write_bytes(as_pem([certificate, authority.issuing.certificate]))
    (tmp_path / "authorities.pem").write_bytes(authority.pem())
    return Credentials(authorities=tmp_path / "authorities.pem", certificate=tmp_path / "certificate.pem", key=key)


def test_a_device_of_the_fleet_is_let_in(broker: Broker) -> None:
    assert 0 < probe(identity(broker.device("clinic-1"), broker.port)) < 5


def test_a_broker_of_another_fleet_is_not_believed(broker: Broker, tmp_path: Path) -> None:
    with pytest.raises(ControllerUntrustedError, match="is not the fleet's"):
        probe(identity(strangers(tmp_path), broker.port))


def test_a_certificate_of_another_fleet_is_refused(broker: Broker, tmp_path: Path) -> None:
    foreign = replace(strangers(tmp_path), authorities=broker.folder.authorities)
    with pytest.raises(FleetError, match="does not take this device's certificate"):
        probe(identity(foreign, broker.port))


def test_nobody_there_is_unreachable(broker: Broker) -> None:
    with pytest.raises(ControllerUnreachableError, match="cannot be reached"):
        probe(identity(broker.device("clinic-1"), free_port()))


def refusal(of: Identity) -> str:
    """What the broker says once it has read its list again."""
    for _ in range(40):
        try:
            probe(of)
        except FleetError as error:
            return error.message
    return ""


def test_a_revoked_certificate_is_refused(broker: Broker) -> None:
    credentials = broker.device("clinic-2")
    serial = x509.load_pem_x509_certificates(credentials.certificate.read_bytes())[0].serial_number
    broker.authority.write_revocations([Revocation(serial=f"{serial:x}", at_s=now_s())], now_s=now_s())
    broker.reload()
    assert "does not take this device's certificate" in refusal(identity(credentials, broker.port))
