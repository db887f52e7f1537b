"""What is relied on of a broker, on a real one with the files that `homebred-fleet init` makes.

Whoever takes another broker than mosquitto holds it to this suite (docs/brokers.md).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from tests.support.broker import Broker, now_s, request_of, running_broker
from tests.support.mqtt_client import Client, clients
from tests.support.resident import resident_mb

from homebred_fleet.adapters import x509_making as making
from homebred_fleet.adapters.certificate_authority import make_issuing, make_root, read_issuer
from homebred_fleet.adapters.x509_making import Issuer, Validity
from homebred_protocol.ids import CONTROLLER
from homebred_protocol.mqtt import Arrived, Connected, Credentials, Ended, Will
from homebred_protocol.topics import STOP, DeviceTopic, Down, Up, hint

UP = {
    DeviceTopic("clinic-1", kind, name).text
    for kind, name in (
        (Up.REPORTED, ""),
        (Up.STATE, ""),
        (Up.TELEMETRY, "route"),
        (Up.REQUEST, "telemetry-floor"),
        (Up.COMMAND_RESULT, ""),
        (Up.RECEIPT, ""),
    )
}
DOWN = {
    DeviceTopic("clinic-1", kind, name).text
    for kind, name in ((Down.DESIRED, ""), (Down.ACK, ""), (Down.COMMAND, "ping"), (Down.RESPONSE, ""))
}
OWN_ACK = DeviceTopic("clinic-2", Down.ACK).text
STATE = DeviceTopic("clinic-1", Up.STATE).text
ACK = DeviceTopic("clinic-1", Down.ACK).text
MORTAL_STATE = DeviceTopic("clinic-3", Up.STATE).text
POLITE_STATE = DeviceTopic("clinic-4", Up.STATE).text
OTHERS_STATE = DeviceTopic("clinic-2", Up.STATE).text

Make = Callable[[str], Client]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with running_broker(tmp_path_factory.mktemp("broker") / "fleet") as running:
        yield running


@pytest.fixture
def client(broker: Broker) -> Iterator[Make]:
    """A client by its name, not connected yet."""
    with clients(broker.port) as make:

        def named(name: str) -> Client:
            return make(name, broker.controller if name == CONTROLLER else broker.device(name))

        yield named


@pytest.fixture
def controller(client: Make) -> Client:
    """The controller, connected."""
    made = client(CONTROLLER)
    made.connected()
    return made


# --- Names -----------------------------------------------------------------------------------------------------------


def test_a_client_has_its_certificates_name_whatever_it_says(client: Make, controller: Client) -> None:
    one, other = client("clinic-1"), client("clinic-2")
    one.connected()
    one.subscribe(ACK)
    other.connected(client_id="clinic-1")
    other.subscribe(OWN_ACK)
    controller.publish(ACK, b"for one")
    controller.publish(OWN_ACK, b"for other")
    assert one.arrived(ACK).payload == b"for one"
    assert other.arrived(OWN_ACK).payload == b"for other"
    assert not [happening for happening in one.seen if isinstance(happening, Ended)]


def test_who_comes_with_the_same_certificate_takes_the_place(client: Make) -> None:
    first, second = client("clinic-1"), client("clinic-1")
    first.connected()
    second.connected()
    assert first.ended().reason in {"taken_over", "lost"}  # mosquitto 2.0 says no DISCONNECT where the session goes on


@pytest.mark.parametrize("name", ["+", "#", "a/b", "clinic-1/state", "$SYS", "homebred-fleet", "Clinic-1", ""])
def test_a_name_that_is_a_pattern_or_the_controllers_is_never_issued(broker: Broker, name: str) -> None:
    key = making.new_key()
    with pytest.raises(ValueError, match="no device's name"):
        broker.authority.issue_to_device(request_of(key), name, now_s=now_s())


@pytest.mark.parametrize("name", ["+", "#", "clinic-1/#"])
def test_even_with_such_a_name_nothing_of_anybody_could_be_had(
    broker: Broker, controller: Client, tmp_path: Path, name: str
) -> None:
    key, issuer = making.new_key(), read_issuer(broker.folder.issuing(1))
    validity = Validity(not_before_s=now_s() - 60, not_after_s=now_s() + 600)
    forged = written(broker, tmp_path, key, making.pem_of(making.for_client(name, key.public_key(), issuer, validity)))
    with clients(broker.port) as make:
        evil = make("evil", forged)
        if isinstance(evil.connect(), Ended):
            return
        evil.subscribe("#", "hb/1/default/d/+/desired", "hb/1/default/d/#", STOP)
        for topic in (STATE, ACK):
            evil.publish(topic, b"forged")
        controller.subscribe(STATE, OTHERS_STATE)
        controller.publish(ACK, b"for one alone")
        controller.publish(OTHERS_STATE, b"marker")
        assert controller.arrived(OTHERS_STATE).payload == b"marker"
        assert not [happening for happening in (*controller.seen, *evil.seen) if isinstance(happening, Arrived)]


# --- Who may what ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("topic", sorted(UP))
def test_a_device_tells_on_its_own_topics_alone(client: Make, controller: Client, topic: str) -> None:
    one, other = client("clinic-1"), client("clinic-2")
    one.connected()
    other.connected()
    controller.subscribe(topic)
    assert not other.publish(topic, b"forged")
    assert one.publish(topic, b"own")
    assert controller.arrived(topic).payload == b"own"


@pytest.mark.parametrize("topic", sorted(DOWN))
def test_a_device_hears_on_its_own_topics_alone(client: Make, controller: Client, topic: str) -> None:
    one, other = client("clinic-1"), client("clinic-2")
    for device in (one, other):
        device.connected()
        device.subscribe(topic, "#", "hb/1/default/d/+/desired", "hb/1/default/d/#", "$share/x/" + topic, OWN_ACK)
    assert not other.publish(topic, b"forged")
    assert not one.publish(topic, b"forged by itself")
    assert controller.publish(topic, b"told")
    assert controller.publish(OWN_ACK, b"marker")
    assert one.arrived(topic).payload == b"told"
    assert other.arrived(OWN_ACK).payload == b"marker"
    heard = {happening.topic for happening in other.seen if isinstance(happening, Arrived)}
    assert heard <= {OWN_ACK}


def test_what_others_told_and_is_retained_is_not_shown_either(client: Make, controller: Client) -> None:
    one, other = client("clinic-1"), client("clinic-2")
    one.connected()
    one.publish(STATE, b"kept", retain=True)
    other.connected()
    other.subscribe("#", "+/+/+/#", STATE, OWN_ACK)
    controller.publish(OWN_ACK, b"marker")
    assert other.arrived(OWN_ACK).payload == b"marker"
    assert not [happening for happening in other.seen if isinstance(happening, Arrived) and happening.topic == STATE]
    one.publish(STATE, b"", retain=True)


@pytest.mark.parametrize("topic", [STOP, hint("kiosks"), "hb/1/other/d/clinic-1/state", "anything", "$SYS/broker/x"])
def test_what_is_not_a_devices_own_it_may_not_write(client: Make, topic: str) -> None:
    device = client("clinic-1")
    device.connected()
    assert not device.publish(topic)


def test_stop_and_hints_reach_every_device(client: Make, controller: Client) -> None:
    for name in ("clinic-1", "clinic-2"):
        device = client(name)
        device.connected()
        device.subscribe(STOP, hint("kiosks"))
        device.publish(DeviceTopic(name, Up.STATE).text)  # so that the broker has dealt with what came before
        for topic in (STOP, hint("kiosks")):
            assert controller.publish(topic)
            device.arrived(topic)


def test_an_admins_certificate_is_no_devices(broker: Broker, controller: Client) -> None:
    pair = broker.folder.admin("admin")
    credentials = Credentials(authorities=broker.folder.authorities, certificate=pair.certificate, key=pair.key)
    with clients(broker.port) as make:
        admin = make("clinic-1", credentials)
        admin.connected()
        assert not admin.publish(STATE)
        assert not admin.publish(DeviceTopic("admin", Up.STATE).text)


# --- Messages and sessions -------------------------------------------------------------------------------------------


def test_a_retained_message_is_there_for_whoever_comes_later_and_outlives_a_good_restart(
    broker: Broker, client: Make
) -> None:
    controller, topic = client(CONTROLLER), DeviceTopic("clinic-1", Down.DESIRED).text
    controller.connected()
    controller.publish(topic, b"version 7", retain=True)
    broker.stop()
    broker.start()
    device = client("clinic-1")
    device.connected()
    device.subscribe(topic)
    arrived = device.arrived(topic)
    assert (arrived.payload, arrived.retained) == (b"version 7", True)
    again = client(CONTROLLER)
    again.connected()
    again.publish(topic, b"", retain=True)


def test_what_came_while_a_session_lived_is_heard_after_it(client: Make, controller: Client) -> None:
    device, back = client("clinic-1"), client("clinic-1")
    device.connected(session_expiry_s=60)
    device.subscribe(ACK)
    device.publish(STATE)
    device.disconnect()
    controller.publish(ACK, b"waited")
    assert back.connected(clean_start=False, session_expiry_s=60).session_present
    assert back.arrived(ACK).payload == b"waited"


def test_a_session_that_has_expired_is_gone(client: Make) -> None:
    device, back = client("clinic-1"), client("clinic-1")
    device.connected(session_expiry_s=1)
    device.disconnect()
    time.sleep(2.5)
    assert not back.connected(clean_start=False, session_expiry_s=1).session_present


def test_a_message_that_has_expired_is_not_heard(client: Make, controller: Client) -> None:
    device, back = client("clinic-1"), client("clinic-1")
    device.connected(session_expiry_s=60)
    device.subscribe(ACK)
    device.publish(STATE)
    device.disconnect()
    controller.publish(ACK, b"too late", expiry_s=1)
    controller.publish(ACK, b"in time", expiry_s=60)
    time.sleep(2.1)
    back.connected(clean_start=False, session_expiry_s=60)
    assert back.arrived(ACK).payload == b"in time"


def test_a_will_waits_for_its_delay_and_is_not_said_where_the_device_is_back(client: Make, controller: Client) -> None:
    controller.subscribe(MORTAL_STATE)
    lost, back = client("clinic-3"), client("clinic-3")
    will = Will(topic=MORTAL_STATE, payload=b"lost", delay_s=2)
    lost.connected(session_expiry_s=60, will=will)
    lost.disconnect(with_will=True)
    back.connected(clean_start=False, session_expiry_s=60, will=will)
    back.publish(MORTAL_STATE, b"back")
    assert controller.arrived(MORTAL_STATE).payload == b"back"
    time.sleep(2.5)
    back.publish(MORTAL_STATE, b"still there")
    assert controller.arrived(MORTAL_STATE).payload == b"still there"
    back.disconnect(with_will=True)
    assert controller.arrived(MORTAL_STATE).payload == b"lost"


def test_a_device_that_says_good_bye_leaves_no_will(client: Make, controller: Client) -> None:
    controller.subscribe(POLITE_STATE)
    device = client("clinic-4")
    device.connected(will=Will(topic=POLITE_STATE, payload=b"lost", delay_s=0))
    device.publish(POLITE_STATE, b"good-bye")
    device.disconnect()
    assert controller.arrived(POLITE_STATE).payload == b"good-bye"
    controller.publish(POLITE_STATE, b"marker")
    assert controller.arrived(POLITE_STATE).payload == b"marker"


def test_a_shared_subscription_brings_every_message_once(client: Make, controller: Client) -> None:
    controller.subscribe("$share/hb/hb/1/default/d/+/tm/+")
    controller.publish(STATE)  # so that the broker has dealt with it
    device, topic = client("clinic-1"), DeviceTopic("clinic-1", Up.TELEMETRY, "route").text
    device.connected()
    for number in range(20):
        assert device.publish(topic, bytes([number]))
    assert [controller.arrived(topic).payload for _ in range(20)] == [bytes([number]) for number in range(20)]
    assert not [happening for happening in controller.seen if isinstance(happening, Arrived)]


def test_no_more_messages_are_on_their_way_than_a_client_takes_until_it_acknowledges(
    client: Make, controller: Client
) -> None:
    device = client("clinic-1")
    device.connected(receive_maximum=2)
    device.subscribe(ACK)
    device.publish(STATE)
    for number in range(5):
        controller.publish(ACK, bytes([number]))
    first = [device.wait(lambda one: isinstance(one, Arrived)) for _ in range(2)]
    device.publish(STATE)  # a round trip, in which a third one would have come
    assert not [happening for happening in device.seen if isinstance(happening, Arrived)]
    device.acknowledge(*(one for one in first if isinstance(one, Arrived)))
    assert [device.arrived(ACK).payload for _ in range(3)] == [bytes([number]) for number in (2, 3, 4)]


def test_what_a_device_asks_for_and_does_not_take_costs_the_broker_no_more_than_a_bound(
    broker: Broker, controller: Client, client: Make
) -> None:
    greedy, topic = client("clinic-5"), DeviceTopic("clinic-5", Down.RESPONSE).text
    greedy.connected(receive_maximum=5)
    greedy.subscribe(topic)
    assert broker.process is not None
    before, block = resident_mb(broker.process.pid), bytes(256 * 1024)
    for _ in range(400):
        assert controller.publish(topic, block)
    assert resident_mb(broker.process.pid) - before < 64, "a hundred megabytes were published"


# --- Who gets in -----------------------------------------------------------------------------------------------------


def test_without_a_certificate_nobody_gets_in(broker: Broker, tmp_path: Path) -> None:
    with clients(broker.port) as make:
        assert isinstance(make("clinic-1", None).connect(), Ended)


Maker = Callable[[Broker, making.Key], bytes]


def expired(broker: Broker, key: making.Key) -> bytes:
    return broker.authority.issue_to_device(request_of(key), "clinic-1", now_s=now_s() - 200 * 86_400).pem


def not_yet_valid(broker: Broker, key: making.Key) -> bytes:
    return broker.authority.issue_to_device(request_of(key), "clinic-1", now_s=now_s() + 86_400).pem


def by_another_fleet(_: Broker, key: making.Key) -> bytes:
    root_key, root = make_root(now_s())
    issuing_key, issuing = make_issuing(Issuer(certificate=root, key=root_key), 1, now_s())
    validity = Validity(not_before_s=now_s() - 60, not_after_s=now_s() + 3600)
    issuer = Issuer(certificate=issuing, key=issuing_key)
    return making.pem_of(making.for_client("clinic-1", key.public_key(), issuer, validity), issuing, root)


def self_made(_: Broker, key: making.Key) -> bytes:
    return making.pem_of(making.root("clinic-1", key, Validity(not_before_s=now_s() - 60, not_after_s=now_s() + 3600)))


def of_a_server(broker: Broker, key: making.Key) -> bytes:
    return broker.authority.issue_to_server(("localhost",), key.public_key(), now_s=now_s()).pem


def by_a_device(broker: Broker, key: making.Key) -> bytes:
    """A device's certificate is no authority's, whatever it signs."""
    device_key = making.new_key()
    issued = broker.authority.issue_to_device(request_of(device_key), "clinic-2", now_s=now_s())
    device = x509.load_pem_x509_certificate(issued.pem)
    validity = Validity(not_before_s=now_s() - 60, not_after_s=now_s() + 3600)
    issuer = Issuer(certificate=device, key=device_key)
    return making.pem_of(making.for_client("clinic-1", key.public_key(), issuer, validity)) + issued.pem


def written(broker: Broker, folder: Path, key: making.Key, certificate: bytes) -> Credentials:
    (folder / "key.pem").write_bytes(making.key_pem(key))
    (folder / "certificate.pem").write_bytes(broker.authority.with_chain(certificate))
    return Credentials(
        authorities=broker.folder.authorities, certificate=folder / "certificate.pem", key=folder / "key.pem"
    )


@pytest.mark.parametrize("make", [expired, not_yet_valid, by_another_fleet, self_made, of_a_server, by_a_device])
def test_a_certificate_that_is_not_in_order_does_not_get_in(broker: Broker, tmp_path: Path, make: Maker) -> None:
    key = making.new_key()
    credentials = written(broker, tmp_path, key, make(broker, key))
    with clients(broker.port) as new:
        assert isinstance(new("clinic-1", credentials).connect(), Ended)


def test_the_one_beside_it_that_is_in_order_does(client: Make) -> None:
    assert isinstance(client("clinic-1").connect(), Connected)
