"""Two kinds of broker behind one stage, so that one suite holds the thread on mosquitto and the fake alike."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from tests.support.fake_mqtt import FakeBroker
from tests.support.plain_broker import PlainBroker

from homebred_protocol.mqtt import (
    Connected,
    Delivered,
    Endpoint,
    HandOver,
    Happening,
    MqttConnection,
    SessionTerms,
    Will,
)
from homebred_protocol.mqtt_thread import MqttThread

H = TypeVar("H", bound=Happening)
PATIENCE_S = 10.0
MARKER = 2**40
MARKED = Delivered(MARKER, ok=True, heard=False)


def terms(
    client_id: str = "dev-1",
    *,
    clean_start: bool = False,
    session_expiry_s: int = 60,
    receive_maximum: int = 20,
    will: Will | None = None,
    keepalive_s: int = 30,
) -> SessionTerms:
    """How a client of a test introduces itself."""
    return SessionTerms(client_id, clean_start, session_expiry_s, keepalive_s, receive_maximum, will)


@dataclass
class Ends:
    """A connection, and what it heard."""

    wait: Callable[[Callable[[], bool]], None]
    connection: MqttConnection = field(init=False)
    heard: list[Happening] = field(default_factory=list)

    def hear(self, happening: Happening) -> None:
        """From the connection's thread."""
        self.heard.append(happening)

    def connect(self, how: SessionTerms | None = None) -> Connected:
        """Connects and waits for it."""
        self.connection.connect(how or terms())
        return self.next(Connected)

    def next(self, kind: type[H]) -> H:
        """Waits for the next of this kind and takes it out."""
        self.wait(lambda: any(isinstance(each, kind) for each in list(self.heard)))
        found = next(each for each in self.heard if isinstance(each, kind))
        self.heard.remove(found)
        return found

    def quiet(self) -> list[Happening]:
        """What else was heard, once all that was asked for is done."""
        self.connection.publish("marker/quiet", b"", token=MARKER)
        self.wait(lambda: MARKED in list(self.heard))
        self.heard.remove(MARKED)
        return list(self.heard)


class Stage(Protocol):
    """A broker and clients of it."""

    def client(self) -> Ends:
        """One that is not connected."""
        ...

    def pass_s(self, seconds: float) -> None:
        """Lets time pass on the broker."""
        ...

    def restart(self) -> None:
        """Kills the broker, and starts one that remembers nothing."""
        ...

    def close(self) -> None:
        """Ends all."""
        ...


class RealStage:
    """mosquitto, and the connection's thread."""

    def __init__(self, broker: PlainBroker) -> None:
        self._broker = broker
        self._threads: list[MqttThread] = []

    def client(self) -> Ends:
        ends = Ends(wait=wait_until)
        ends.connection = self.thread(ends.hear)
        return ends

    def thread(self, hand_over: HandOver, *, connect_timeout_s: float = 5.0) -> MqttThread:
        """One more thread."""
        endpoint = Endpoint("127.0.0.1", self._broker.port, None)
        made = MqttThread(endpoint, hand_over, connect_timeout_s=connect_timeout_s)
        self._threads.append(made)
        return made

    def pass_s(self, seconds: float) -> None:
        time.sleep(seconds)

    def restart(self) -> None:
        self._broker.kill()
        self._broker.start()

    def close(self) -> None:
        for thread in self._threads:
            thread.close()
        assert all(thread.join(PATIENCE_S) for thread in self._threads)
        self._broker.stop()


class FakeStage:
    """The broker in memory."""

    def __init__(self) -> None:
        self._broker = FakeBroker()

    def client(self) -> Ends:
        ends = Ends(wait=self._settle)
        ends.connection = self._broker.connection(ends.hear)
        return ends

    def pass_s(self, seconds: float) -> None:
        self._broker.settle()
        self._broker.pass_s(seconds)

    def restart(self) -> None:
        self._broker.settle()
        self._broker.restart(remembers=False)

    def close(self) -> None:
        self._broker.settle()

    def _settle(self, met: Callable[[], bool]) -> None:
        self._broker.settle()
        assert met(), "it does not happen"


def wait_until(met: Callable[[], bool]) -> None:
    """Waits in real time."""
    ends_at_s = time.monotonic() + PATIENCE_S
    while not met():
        assert time.monotonic() < ends_at_s, f"it does not happen ({[t.name for t in threading.enumerate()]})"
        time.sleep(0.002)
