"""An MQTT 5 connection on a thread of its own: what it is told comes by a queue, what it meets goes by one callback.

`mqtt` has the contract, `mqtt_client` one connection by paho. An epoll loop of this module waits for both: paho's own
select() fails from file descriptor 1024 on. Nothing is retried here: whoever owns it says when to connect again.
"""

from __future__ import annotations

import os
import queue
import selectors
import threading
import time
from collections.abc import Callable

from homebred_protocol.mqtt import Delivered, Ended, Endpoint, HandOver, Happening, SessionTerms
from homebred_protocol.mqtt_client import LONGEST_WAIT_S, PahoConnection

CONNECT_TIMEOUT_S = 10.0
"""For each of: TCP, TLS, and the broker's answer."""


class MqttThread:
    """Fulfils `mqtt.MqttConnection`."""

    def __init__(
        self,
        endpoint: Endpoint,
        hand_over: HandOver,
        *,
        name: str = "mqtt",
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
    ) -> None:
        """Starts the thread. Raises OSError where no file can be opened."""
        self._endpoint = endpoint
        self._hand_over = hand_over
        self._connect_timeout_s = connect_timeout_s
        self._orders: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._selector = selectors.EpollSelector()
        self._wake_reader, self._wake_writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._selector.register(self._wake_reader, selectors.EVENT_READ)
        self._woken = False
        self._waking = threading.Lock()
        """A closed descriptor's number may be another file's a moment later: nobody writes while it is closed."""
        self._current: PahoConnection | None = None
        self._telling = threading.RLock()
        """Held while something is handed over, so that nothing is once `close` has returned."""
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def connect(self, terms: SessionTerms) -> None:
        """As `MqttConnection`; a connection that still stands is dropped first."""
        self._order(lambda: self._open(terms))

    def subscribe(self, topics: tuple[str, ...]) -> None:
        """As `MqttConnection`."""
        self._order(lambda: self._current.subscribe(topics) if self._current else None)

    def publish(self, topic: str, payload: bytes, *, token: int, retain: bool = False, expiry_s: int = 0) -> None:
        """As `MqttConnection`."""

        def now() -> None:
            if self._current is None or not self._current.publish(
                topic, payload, token, retain=retain, expiry_s=expiry_s
            ):
                self._tell(Delivered(token, ok=False))

        self._order(now)

    def acknowledge(self, receipt: int) -> None:
        """As `MqttConnection`; of an earlier connection it means nothing: the broker sends that message again."""
        self._order(lambda: self._current.acknowledge(receipt) if self._current else None)

    def disconnect(self, *, with_will: bool = False) -> None:
        """As `MqttConnection`."""
        self._order(lambda: self._current.say_goodbye(with_will=with_will) if self._current else None)

    def close(self) -> None:
        """As `MqttConnection`; the thread ends by itself, within the time that a connection may take to come about."""
        with self._telling:
            self._closed = True
        self._order(lambda: None)

    def join(self, timeout_s: float) -> bool:
        """Waits for the thread after `close`; whether it has ended."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _order(self, order: Callable[[], None]) -> None:
        self._orders.put(order)
        if self._woken:
            return
        with self._waking:
            if self._wake_writer >= 0:
                self._woken = True
                os.write(self._wake_writer, b"!")

    def _run(self) -> None:
        try:
            while not self._closed:
                self._step()
        finally:
            if self._current is not None:
                self._current.drop()
            self._selector.close()
            with self._waking:
                os.close(self._wake_reader)
                writer, self._wake_writer = self._wake_writer, -1
                os.close(writer)

    def _step(self) -> None:
        events = 0
        for key, met in self._selector.select(LONGEST_WAIT_S if self._current is None else self._current.wait_s()):
            if key.fd == self._wake_reader:
                os.read(self._wake_reader, 4096)
                self._woken = False
            else:
                events = met
        if self._current is not None:
            self._current.move(events)
        self._obey()
        if self._current is not None:
            self._current.tend(time.monotonic())

    def _obey(self) -> None:
        while not self._closed:
            try:
                order = self._orders.get_nowait()
            except queue.Empty:
                return
            order()

    def _open(self, terms: SessionTerms) -> None:
        if self._current is not None:
            self._current.end("closed", "another connection was asked for")
        self._current = PahoConnection(self._endpoint, terms, self._selector, self._hear, self._connect_timeout_s)
        self._current.open()

    def _hear(self, connection: PahoConnection, happening: Happening) -> None:
        """Hands over what a connection met, as long as it is the one that stands."""
        if connection is not self._current:
            return
        if isinstance(happening, Ended):
            self._current = None
        self._tell(happening)

    def _tell(self, happening: Happening) -> None:
        with self._telling:
            if not self._closed:
                self._hand_over(happening)
