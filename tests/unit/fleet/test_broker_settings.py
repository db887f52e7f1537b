from __future__ import annotations

from homebred_fleet.core.broker_settings import BrokerFiles, configuration

FILES = BrokerFiles(
    access="/f/broker/access.acl",
    authorities="/f/broker/authorities.pem",
    certificate="/f/broker/server.pem",
    key="/f/broker/server.key",
    revocation_list="/f/broker/revoked.pem",
    data="/f/broker/data",
    pid="/f/broker/data/mosquitto.pid",
)


def test_nobody_gets_in_without_a_certificate_and_nobody_chooses_a_name() -> None:
    lines = configuration(FILES, port=8883, listen="127.0.0.1", user="mosquitto").splitlines()
    for needed in (
        "listener 8883 127.0.0.1",
        "allow_anonymous false",
        "require_certificate true",
        "use_identity_as_username true",
        "use_username_as_clientid true",
        "crlfile /f/broker/revoked.pem",
        "acl_file /f/broker/access.acl",
        "user mosquitto",
    ):
        assert needed in lines
    assert len([line for line in lines if line.startswith("listener ")]) == 1


def test_without_an_address_it_listens_on_every_one() -> None:
    assert "listener 8883" in configuration(FILES, port=8883, listen="", user="mosquitto").splitlines()
