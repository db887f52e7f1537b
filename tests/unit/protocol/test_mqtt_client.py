"""What one connection makes of an answer; scripted and real brokers are in tests/integration and tests/contract."""

from __future__ import annotations

import selectors
from collections.abc import Iterator

import pytest
from paho.mqtt.client import Client, DisconnectFlags
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from homebred_protocol.mqtt import Ended, Endpoint, Happening, SessionTerms, Will
from homebred_protocol.mqtt_client import LONGEST_WAIT_S, PahoConnection

TERMS = SessionTerms(
    client_id="dev-1",
    clean_start=False,
    session_expiry_s=60,
    keepalive_s=8,
    receive_maximum=20,
    will=Will("state", b"lost", delay_s=30),
)


class Stage:
    """A connection that was never opened, and what it told."""

    def __init__(self, selector: selectors.EpollSelector) -> None:
        self.told: list[Happening] = []
        endpoint = Endpoint("127.0.0.1", 1, None)
        self.connection = PahoConnection(endpoint, TERMS, selector, lambda _, told: self.told.append(told), 1.0)

    def disconnected(self, code: int, *, by_broker: bool) -> Ended:
        reason = ReasonCode(PacketTypes.DISCONNECT, identifier=code)
        flags = DisconnectFlags(is_disconnect_packet_from_server=by_broker)
        self.connection._on_disconnect(Client(CallbackAPIVersion.VERSION2), None, flags, reason, None)
        [ended] = self.told
        assert isinstance(ended, Ended)
        return ended


@pytest.fixture
def stage() -> Iterator[Stage]:
    with selectors.EpollSelector() as selector:
        yield Stage(selector)


@pytest.mark.parametrize(
    ("code", "word"), [(142, "taken_over"), (135, "unauthorised"), (139, "lost"), (141, "lost"), (147, "lost")]
)
def test_a_broker_that_ends_a_connection_is_heard_as_one_word(stage: Stage, code: int, word: str) -> None:
    assert stage.disconnected(code, by_broker=True).reason == word


def test_the_end_is_said_once(stage: Stage) -> None:
    stage.connection.end("lost")
    stage.connection.end("closed")
    assert stage.told == [Ended("lost")]


def test_nothing_is_sent_before_the_broker_has_answered(stage: Stage) -> None:
    assert not stage.connection.publish("a", b"", 1, retain=False, expiry_s=0)
    stage.connection.subscribe(("a",))
    stage.connection.acknowledge(1)
    assert stage.told == []


def test_the_keepalive_is_looked_at_four_times_in_its_length(stage: Stage) -> None:
    assert stage.connection.wait_s() == min(LONGEST_WAIT_S, TERMS.keepalive_s / 4)
