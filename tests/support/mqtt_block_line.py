"""Requests and answers about blocks over a real broker: both ends, each on a connection's thread of its own.

The messages are this module's own and not the product's: what is shown is that bounded blocks get through a broker.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from struct import Struct

from tests.support.plain_broker import PlainBroker
from typing_extensions import override

from homebred_daemon.errors import SourceAwayError, SourceRefusesError
from homebred_protocol.mqtt import Arrived, Connected, Delivered, Ended, Endpoint, Happening, SessionTerms
from homebred_protocol.mqtt_thread import MqttThread

REQUESTS, ANSWERS = "test/device/rq/block", "test/device/rs"
_REQUEST = Struct(">QQI71s")
_ANSWER = Struct(">Q?")
PATIENCE_S = 10.0


class _End:
    """One connection that stands and is subscribed."""

    def __init__(self, broker: PlainBroker, client_id: str, topic: str) -> None:
        self.connected = threading.Event()
        self._topic = topic
        self.thread = MqttThread(Endpoint("127.0.0.1", broker.port, None), self._hear, name=client_id)
        terms = SessionTerms(client_id, clean_start=True, session_expiry_s=0, keepalive_s=30, receive_maximum=20)
        self.thread.connect(terms)
        assert self.connected.wait(PATIENCE_S), f"{client_id} finds no broker"

    def close(self) -> None:
        self.thread.close()
        assert self.thread.join(PATIENCE_S)

    def _hear(self, happening: Happening) -> None:
        match happening:
            case Connected():
                self.thread.subscribe((self._topic,))
                self.connected.set()
            case Arrived(payload=payload, receipt=receipt):
                self.arrived(payload)
                self.thread.acknowledge(receipt)
            case Ended() | Delivered():
                pass  # whoever waits for an answer waits no longer than its time

    def arrived(self, payload: bytes) -> None:
        """A message."""


class BlockController(_End):
    """Who answers."""

    def __init__(self, broker: PlainBroker, bodies: Mapping[str, bytes]) -> None:
        self._bodies = bodies
        self.gives_up_to: int | None = None
        self.is_silent = False
        super().__init__(broker, "controller", REQUESTS)

    @override
    def arrived(self, payload: bytes) -> None:
        number, begin, length, digest = _REQUEST.unpack(payload)
        if self.is_silent or (self.gives_up_to is not None and begin + length > self.gives_up_to):
            return
        body = self._bodies.get(digest.decode())
        answer = _ANSWER.pack(number, body is not None) + (body or b"")[begin : begin + length]
        self.thread.publish(ANSWERS, answer, token=number)


class MqttBlockLine(_End):
    """Fulfils `ports.transfer.BlockLine`."""

    def __init__(self, broker: PlainBroker, *, within_s: float = PATIENCE_S) -> None:
        self._numbers = itertools.count(1)
        self._waiting: dict[int, tuple[asyncio.AbstractEventLoop, asyncio.Future[bytes]]] = {}
        self._within_s = within_s
        super().__init__(broker, "device", ANSWERS)

    async def ask(self, digest: str, begin: int, length: int) -> bytes:
        number, loop = next(self._numbers), asyncio.get_running_loop()
        answer: asyncio.Future[bytes] = loop.create_future()
        self._waiting[number] = loop, answer
        try:
            self.thread.publish(REQUESTS, _REQUEST.pack(number, begin, length, digest.encode()), token=number)
            async with asyncio.timeout(self._within_s):
                payload = await answer
        except TimeoutError:
            raise SourceAwayError("no answer came over the broker") from None
        finally:
            del self._waiting[number]
        if not _ANSWER.unpack_from(payload)[1]:
            raise SourceRefusesError("the controller has no such file")
        return payload[_ANSWER.size :]

    @override
    def arrived(self, payload: bytes) -> None:
        number = _ANSWER.unpack_from(payload)[0]
        loop, answer = self._waiting.get(number, (None, None))
        if loop is not None and answer is not None:
            loop.call_soon_threadsafe(_answered, answer, payload)


def _answered(answer: asyncio.Future[bytes], payload: bytes) -> None:
    if not answer.done():
        answer.set_result(payload)


@contextmanager
def block_ends(broker: PlainBroker, bodies: Mapping[str, bytes]) -> Iterator[tuple[BlockController, MqttBlockLine]]:
    """Both ends on a broker that runs."""
    controller = BlockController(broker, bodies)
    try:
        line = MqttBlockLine(broker, within_s=1.0)
        try:
            yield controller, line
        finally:
            line.close()
    finally:
        controller.close()
