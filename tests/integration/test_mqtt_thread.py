"""The connection's thread against brokers that misbehave, TLS, and more files than select() can count."""

from __future__ import annotations

import os
import resource
import socket
import ssl
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.broker import Broker, running_broker
from tests.support.mqtt_ends import Ends, terms, wait_until
from tests.support.plain_broker import PlainBroker, mosquitto
from tests.support.scripted_broker import CONNACK, ScriptedBroker, answer, read_packet

from homebred_protocol.mqtt import Arrived, Connected, Delivered, Ended, Endpoint
from homebred_protocol.mqtt_thread import MqttThread

pytestmark = pytest.mark.skipif(mosquitto() is None, reason="mosquitto is not installed")


@pytest.fixture
def threads() -> Iterator[list[MqttThread]]:
    made: list[MqttThread] = []
    yield made
    for each in made:
        each.close()
    assert all(each.join(10) for each in made)


def client(threads: list[MqttThread], endpoint: Endpoint, *, connect_timeout_s: float = 5.0) -> Ends:
    ends = Ends(wait=wait_until)
    thread = MqttThread(endpoint, ends.hear, connect_timeout_s=connect_timeout_s)
    threads.append(thread)
    ends.connection = thread
    return ends


def plain(port: int) -> Endpoint:
    return Endpoint("127.0.0.1", port, None)


@pytest.mark.parametrize(
    ("code", "word"),
    [(0x87, "unauthorised"), (0x86, "unauthorised"), (0x8A, "unauthorised"), (0x88, "refused"), (0x84, "refused")],
)
def test_a_refusal_is_heard_with_its_reason(threads: list[MqttThread], code: int, word: str) -> None:
    with ScriptedBroker(answer(bytes([0x20, 3, 0, code, 0]))) as broker:
        ends = client(threads, plain(broker.port))
        ends.connection.connect(terms())
        assert ends.next(Ended).reason == word
    assert ends.heard == []


def test_a_take_over_is_understood_where_the_broker_says_so(threads: list[MqttThread]) -> None:
    with ScriptedBroker(answer(then=b"\xe0\x02\x8e\x00")) as broker:
        ends = client(threads, plain(broker.port))
        ends.connection.connect(terms())
        assert ends.next(Ended).reason == "taken_over"


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x30\xff\xff\xff\xff\xff",  # a length of more than four bytes
        b"\x30\x02\xff\xff",  # a topic longer than its packet
        b"\x30\x05\x00\x01a\x7f\x7f",  # properties longer than their packet
        b"\x90\x00",  # an empty SUBACK
        b"\x40\x01\x00",  # half a packet id
        b"\xf0\x00",  # AUTH, which was not asked for
        b"\x00\x00",  # no packet at all
        b"\x20\x00",  # a second CONNACK, empty
        os.urandom(200),
    ],
)
def test_garbage_ends_the_connection_and_nothing_else(threads: list[MqttThread], garbage: bytes) -> None:
    with ScriptedBroker(answer(then=garbage)) as broker:
        ends = client(threads, plain(broker.port))
        for _ in range(2):
            ends.connection.connect(terms())
            assert ends.next(Ended).reason in {"lost", "refused"}


def test_what_comes_at_quality_0_is_dropped(threads: list[MqttThread]) -> None:
    at_once, acknowledged = b"\x30\x05\x00\x01a\x00x", b"\x32\x07\x00\x01a\x00\x07\x00y"
    with ScriptedBroker(answer(then=at_once + acknowledged, hold=True)) as broker:
        ends = client(threads, plain(broker.port))
        ends.connect()
        assert ends.next(Arrived).payload == b"y"


def test_a_packet_above_the_size_told_ends_the_connection_before_its_body_is_read(threads: list[MqttThread]) -> None:
    cut_off: list[bool] = []

    def script(broker_end: socket.socket) -> None:
        read_packet(broker_end)
        broker_end.sendall(CONNACK + b"\x32\x80\xc2\xd7\x2f")  # and 100 MB are to follow
        try:
            for _ in range(100):
                broker_end.sendall(b"\0" * 1_000_000)
        except OSError:
            cut_off.append(True)

    with ScriptedBroker(script) as broker:
        ends = client(threads, plain(broker.port))
        before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        ends.connect()
        ended = ends.next(Ended)
    assert ended.reason == "lost"
    assert "100000000 bytes" in ended.detail
    assert cut_off
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 16_384


def test_more_bytes_than_the_terms_allow_unacknowledged_end_the_connection(threads: list[MqttThread]) -> None:
    """Bytes, not messages: mosquitto 2.0 sends some 90 small ones where it was told 20."""
    five = b"".join(b"\x32\x6a\x00\x01a\x00" + bytes([packet_id, 0]) + b"y" * 100 for packet_id in range(1, 6))
    with ScriptedBroker(answer(then=five, hold=True)) as broker:
        ends = client(threads, plain(broker.port))
        ends.connect(replace(terms(receive_maximum=3), max_packet_bytes=150))
        assert "receive maximum: 4 messages and 500 bytes" in ends.next(Ended).detail
    assert len(ends.heard) == 4


def test_a_flood_of_small_messages_ends_the_connection(threads: list[MqttThread]) -> None:
    flood = b"".join(b"\x32\x06\x00\x01a" + struct.pack(">H", number) + b"\x00" for number in range(1, 10_000))
    with ScriptedBroker(answer(then=flood, hold=True)) as broker:
        ends = client(threads, plain(broker.port))
        ends.connect()
        assert "8192 messages" in ends.next(Ended).detail


@pytest.mark.parametrize(
    "packet",
    [
        b"\x34\x07\x00\x01a\x00\x07\x00y",  # PUBLISH at QoS 2, which paho would keep
        b"\x50\x02\x00\x07",  # PUBREC, PUBREL, PINGREQ: paho would queue an answer to each
        b"\x62\x02\x00\x07",
        b"\xc0\x00",
    ],
)
def test_what_no_broker_has_to_say_at_qos_1_ends_the_connection(threads: list[MqttThread], packet: bytes) -> None:
    with ScriptedBroker(answer(then=packet, hold=True)) as broker:
        ends = client(threads, plain(broker.port))
        ends.connect()
        assert "nobody asked for" in ends.next(Ended).detail


def test_a_broker_that_does_not_answer_is_given_up(threads: list[MqttThread]) -> None:
    with ScriptedBroker(answer(b"", hold=True)) as broker:
        ends = client(threads, plain(broker.port), connect_timeout_s=0.3)
        ends.connection.connect(terms())
        assert ends.next(Ended).reason == "unreachable"


def test_nobody_listening_is_unreachable(threads: list[MqttThread]) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        ends = client(threads, plain(nobody.getsockname()[1]))
        ends.connection.connect(terms())
        assert ends.next(Ended).reason == "unreachable"


def test_a_topic_that_is_refused_ends_the_connection(threads: list[MqttThread]) -> None:
    def script(broker_end: socket.socket) -> None:
        read_packet(broker_end)
        broker_end.sendall(CONNACK)
        _, body = read_packet(broker_end)
        broker_end.sendall(b"\x90\x05" + body[:2] + b"\x00\x01\x87")
        broker_end.recv(1)

    with ScriptedBroker(script) as broker:
        ends = client(threads, plain(broker.port))
        ends.connect()
        ends.connection.subscribe(("mine", "others"))
        ended = ends.next(Ended)
    assert ended.reason == "unauthorised"
    assert ended.detail.startswith("others:")


def test_no_more_is_on_the_wire_than_the_broker_takes_and_a_packet_too_large_is_never_sent(
    threads: list[MqttThread],
) -> None:
    on_the_wire: list[bytes] = []

    def script(broker_end: socket.socket) -> None:
        read_packet(broker_end)
        broker_end.sendall(b"\x20\x0b\x00\x00\x08\x21\x00\x02\x27\x00\x00\x04\x00")  # receive 2 at once, 1 KiB each
        on_the_wire.extend(read_packet(broker_end)[1] for _ in range(2))
        broker_end.settimeout(0.2)
        with pytest.raises(TimeoutError):
            broker_end.recv(1)
        broker_end.settimeout(5)
        for number in range(3):
            packet_id = on_the_wire[number][3:5]
            broker_end.sendall(b"\x40\x02" + packet_id)
            if number == 0:
                on_the_wire.append(read_packet(broker_end)[1])
        broker_end.recv(1)

    with ScriptedBroker(script) as broker:
        ends = client(threads, plain(broker.port))
        ends.connect()
        ends.connection.publish("a", b"x" * 2000, token=9)
        assert ends.next(Delivered) == Delivered(9, ok=False)
        for token in range(3):
            ends.connection.publish("a", b"", token=token)
        assert [ends.next(Delivered).token for _ in range(3)] == [0, 1, 2]
    assert len(on_the_wire) == 3


@pytest.fixture
def many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= hard < 2048:
        pytest.skip(f"no more than {hard} files may be open here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (2048, hard))
    opened = [os.open("/dev/null", os.O_RDONLY) for _ in range(1100)]
    assert max(opened) >= 1024
    yield
    for each in opened:
        os.close(each)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_connection_works_above_file_1024(threads: list[MqttThread], tmp_path: Path, many_files: None) -> None:
    broker = PlainBroker(tmp_path).start()
    try:
        ends = client(threads, plain(broker.port))
        ends.connect()
        ends.connection.subscribe(("a",))
        ends.connection.publish("a", b"high", token=1)
        assert ends.next(Arrived).payload == b"high"
        assert ends.next(Delivered).ok
    finally:
        broker.stop()


def test_no_file_left_to_open_is_unreachable_until_there_is_one(threads: list[MqttThread], tmp_path: Path) -> None:
    broker = PlainBroker(tmp_path).start()
    ends = client(threads, plain(broker.port))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.open("/dev/null", os.O_RDONLY)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
    try:
        ends.connection.connect(terms())
        wait_until(lambda: bool(ends.heard))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert ends.next(Ended).reason == "unreachable"
    assert ends.connect() == Connected(session_present=False)
    broker.stop()


def test_a_burst_is_delivered_whole_and_in_order(threads: list[MqttThread], tmp_path: Path) -> None:
    broker = PlainBroker(tmp_path).start()
    sender, reader = client(threads, plain(broker.port)), client(threads, plain(broker.port))
    reader.connect(terms("reader"))
    reader.connection.subscribe(("a",))
    reader.quiet()
    sender.connect(terms("sender"))
    for number in range(2000):
        sender.connection.publish("a", struct.pack(">I", number) * 50, token=number)
    seen = []
    for number in range(2000):
        arrived = reader.next(Arrived)
        reader.connection.acknowledge(arrived.receipt)
        seen.append(struct.unpack(">I", arrived.payload[:4])[0])
        assert sender.next(Delivered) == Delivered(number, ok=True)
    assert seen == list(range(2000))
    broker.stop()


@pytest.fixture(scope="module")
def tls_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with running_broker(tmp_path_factory.mktemp("fleet")) as broker:
        yield broker


def test_both_ends_show_certificates(threads: list[MqttThread], tls_broker: Broker) -> None:
    ends = client(threads, Endpoint("127.0.0.1", tls_broker.port, tls_broker.device("dev-1")))
    ends.connect(terms("dev-1"))
    topic = "hb/1/default/d/dev-1/ev"
    ends.connection.publish(topic, os.urandom(200_000), token=1)
    assert ends.next(Delivered).ok


def test_a_large_message_comes_whole_through_tls(threads: list[MqttThread], tls_broker: Broker) -> None:
    controller = client(threads, Endpoint("127.0.0.1", tls_broker.port, tls_broker.controller))
    controller.connect(terms("homebred-fleet"))
    device = client(threads, Endpoint("127.0.0.1", tls_broker.port, tls_broker.device("dev-2")))
    device.connect(terms("dev-2"))
    device.connection.subscribe(("hb/1/default/d/dev-2/desired",))
    body = os.urandom(500_000)
    controller.connection.publish("hb/1/default/d/dev-2/desired", body, token=1, retain=True)
    assert device.next(Arrived).payload == body


def test_a_broker_of_another_authority_is_refused(
    threads: list[MqttThread], tls_broker: Broker, tmp_path: Path
) -> None:
    with running_broker(tmp_path / "other") as other:
        stranger = other.device("dev-1")
        ends = client(threads, Endpoint("127.0.0.1", tls_broker.port, stranger))
        ends.connection.connect(terms("dev-1"))
        assert ends.next(Ended).reason == "tls"
        # The other way about: this broker is known, and does not know the client.
        claimed = replace(stranger, authorities=tls_broker.device("dev-1").authorities)
        ends = client(threads, Endpoint("127.0.0.1", tls_broker.port, claimed))
        ends.connection.connect(terms("dev-1"))
        ended = ends.next(Ended)
        # Its alert is read, unless the socket was reset before it was.
        assert ended.reason == "tls" or "certificate" in ended.detail


def test_a_broker_under_another_name_is_refused(threads: list[MqttThread], tls_broker: Broker) -> None:
    ends = client(threads, Endpoint("127.0.0.2", tls_broker.port, tls_broker.device("dev-1")))
    ends.connection.connect(terms("dev-1"))
    ended = ends.next(Ended)
    assert ended.reason in {"tls", "unreachable"}


def test_old_tls_is_refused(threads: list[MqttThread], tls_broker: Broker) -> None:
    credentials = tls_broker.device("dev-1")
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    old.load_cert_chain(credentials.certificate, credentials.key)

    def script(client_end: socket.socket) -> None:
        hello = client_end.recv(4096)
        assert hello[:1] == b"\x16"
        client_end.sendall(b"\x15\x03\x01\x00\x02\x02\x46")  # fatal: protocol version

    with ScriptedBroker(script) as broker:
        ends = client(threads, Endpoint("127.0.0.1", broker.port, credentials))
        ends.connection.connect(terms("dev-1"))
        assert ends.next(Ended).reason == "tls"
