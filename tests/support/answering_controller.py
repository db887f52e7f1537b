"""Who answers a device's requests over a broker without TLS: as a test says, or with blocks of files that it has."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence

from homebred_protocol import blocks, trusted_files
from homebred_protocol.mqtt import Arrived, Connected, Endpoint, Happening, SessionTerms
from homebred_protocol.mqtt_thread import MqttThread
from homebred_protocol.requests import Answer, Outcome, Request, answer_bytes, read_request
from homebred_protocol.topics import DeviceTopic, Down, Up
from homebred_protocol.trusted_files import Page, answer_of

PATIENCE_S = 10.0
Says = Callable[[Request], Sequence[bytes]]
"""What is published in answer to a request."""
_READY = "test/ready"


class AnsweringController:
    """One connection, on a thread of its own, that answers one device."""

    def __init__(self, port: int, device: str, says: Says) -> None:
        self.says = says
        self.asked = 0
        self._device = device
        self._ready = threading.Event()
        self._thread = MqttThread(Endpoint("127.0.0.1", port, None), self._hear, name="controller")
        self._thread.connect(
            SessionTerms("controller", clean_start=True, session_expiry_s=0, keepalive_s=30, receive_maximum=20)
        )
        assert self._ready.wait(PATIENCE_S), "the controller finds no broker"

    def close(self) -> None:
        self._thread.close()
        assert self._thread.join(PATIENCE_S)

    def _hear(self, happening: Happening) -> None:
        match happening:
            case Connected():
                operations = (trusted_files.REQUEST, blocks.REQUEST)
                topics = (DeviceTopic(self._device, Up.REQUEST, operation).text for operation in operations)
                self._thread.subscribe((*topics, _READY))
                self._thread.publish(_READY, b"", token=1)
            case Arrived(topic=topic, payload=payload, receipt=receipt):
                self._thread.acknowledge(receipt)
                if topic == _READY:
                    self._ready.set()
                    return
                self.asked += 1
                for answer in self.says(read_request(payload)):
                    self._thread.publish(DeviceTopic(self._device, Down.RESPONSE).text, answer, token=2)
            case _:
                pass


class BlockController(AnsweringController):
    """Has files, by their digests."""

    def __init__(self, port: int, device: str, bodies: Mapping[str, bytes]) -> None:
        self.gives_up_to: int | None = None
        """Bytes of a file from its beginning; beyond them it cannot answer at present."""
        self.is_silent = False
        self._bodies = bodies
        super().__init__(port, device, self._blocks)

    def _blocks(self, request: Request) -> Sequence[bytes]:
        if self.is_silent:
            return ()
        block = blocks.read_request(request.body)
        if self.gives_up_to is not None and block.begin + block.length > self.gives_up_to:
            return (answer_bytes(Answer(request.correlation, Outcome.LATER)),)
        body = self._bodies.get(block.digest)
        page = Page(-1, b"") if body is None else Page(len(body), body[block.begin : block.begin + block.length])
        return (answer_bytes(Answer(request.correlation, Outcome.GIVEN, answer_of(page))),)
