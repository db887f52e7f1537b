"""A real MQTT client for tests of a broker: what happened to it, in order, and waiting for it with a limit."""

from __future__ import annotations

import itertools
import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from homebred_protocol.mqtt import (
    Arrived,
    Connected,
    Credentials,
    Delivered,
    Ended,
    Endpoint,
    Happening,
    SessionTerms,
    Will,
)
from homebred_protocol.mqtt_thread import MqttThread

PATIENCE_S = 15.0
H = TypeVar("H", bound=Happening)


@dataclass
class Client:
    """One client; every wait keeps what else happened for the next one."""

    name: str
    credentials: Credentials | None
    port: int
    host: str = "127.0.0.1"
    seen: list[Happening] = field(default_factory=list)
    """What happened and nobody has waited for."""

    def __post_init__(self) -> None:
        self._happened: queue.SimpleQueue[Happening] = queue.SimpleQueue()
        self._tokens = itertools.count(1)
        self._mqtt = MqttThread(Endpoint(self.host, self.port, self.credentials), self._happened.put)

    def connect(
        self,
        *,
        client_id: str = "",
        clean_start: bool = True,
        session_expiry_s: int = 0,
        receive_maximum: int = 50,
        will: Will | None = None,
    ) -> Connected | Ended:
        """Connects, and says what came of it."""
        terms = SessionTerms(
            client_id=client_id or self.name,
            clean_start=clean_start,
            session_expiry_s=session_expiry_s,
            keepalive_s=60,
            receive_maximum=receive_maximum,
            will=will,
        )
        self._mqtt.connect(terms)
        happened = self.wait(lambda one: isinstance(one, Connected | Ended))
        assert isinstance(happened, Connected | Ended)
        return happened

    def connected(self, **terms: object) -> Connected:
        """Connects, as it must."""
        happened = self.connect(**terms)  # type: ignore[arg-type]
        assert isinstance(happened, Connected), happened
        return happened

    def subscribe(self, *topics: str) -> None:
        """Subscribes; on return the broker has dealt with it."""
        self._mqtt.subscribe(topics)
        self.publish("barrier")  # refused or not: it is answered after what came before it

    def publish(self, topic: str, payload: bytes = b"x", *, retain: bool = False, expiry_s: int = 0) -> bool:
        """Publishes, and says whether the broker took it."""
        token = next(self._tokens)
        self._mqtt.publish(topic, payload, token=token, retain=retain, expiry_s=expiry_s)
        answer = self.wait(lambda one: isinstance(one, Delivered) and one.token == token)
        assert isinstance(answer, Delivered)
        return answer.ok

    def acknowledge(self, *arrived: Arrived) -> None:
        """Acknowledges messages."""
        for one in arrived:
            self._mqtt.acknowledge(one.receipt)

    def arrived(self, topic: str, *, within_s: float = PATIENCE_S) -> Arrived:
        """The next message on a topic, acknowledged."""
        happened = self.wait(lambda one: isinstance(one, Arrived) and one.topic == topic, within_s=within_s)
        assert isinstance(happened, Arrived)
        self.acknowledge(happened)
        return happened

    def ended(self, *, within_s: float = PATIENCE_S) -> Ended:
        """The end of its connection."""
        happened = self.wait(lambda one: isinstance(one, Ended), within_s=within_s)
        assert isinstance(happened, Ended)
        return happened

    def disconnect(self, *, with_will: bool = False) -> None:
        """Ends the connection in good order."""
        self._mqtt.disconnect(with_will=with_will)
        self.ended()

    def close(self) -> None:
        """Ends everything."""
        self._mqtt.close()

    def wait(self, fits: Callable[[Happening], bool], *, within_s: float = PATIENCE_S) -> Happening:
        """The first thing that fits, seen already or yet to come."""
        for one in self.seen:
            if fits(one):
                self.seen.remove(one)
                return one
        while True:
            try:
                one = self._happened.get(timeout=within_s)
            except queue.Empty:
                raise AssertionError(f"{self.name}: not within {within_s} s; seen {self.seen}") from None
            if fits(one):
                return one
            self.seen.append(one)


@contextmanager
def clients(port: int) -> Iterator[Callable[[str, Credentials | None], Client]]:
    """Makes clients that are gone afterwards."""
    made: list[Client] = []

    def make(name: str, credentials: Credentials | None) -> Client:
        made.append(Client(name, credentials, port))
        return made[-1]

    try:
        yield make
    finally:
        for client in made:
            client.close()
