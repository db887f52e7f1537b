"""The controller's MQTT connection as `ports.hub.Hub`: here alone its thread meets the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

from homebred_fleet.adapters.wire.messages import command_bytes, desired_bytes, read_stop, read_version, stop_bytes
from homebred_fleet.adapters.wire.telemetry import ack_bytes
from homebred_fleet.core.ingest import Ack
from homebred_fleet.ports.intents import CommandOrder, DesiredState, SignedStop
from homebred_protocol.mqtt import HandOver, Happening, MqttConnection, SessionTerms
from homebred_protocol.requests import Answer, answer_bytes
from homebred_protocol.topics import STOP, DeviceTopic, Down


class MqttHub:
    """Fulfils `ports.hub.Hub`, on the loop that first connects it."""

    def __init__(self, make_connection: Callable[[HandOver], MqttConnection]) -> None:
        """Makes no connection yet, and no thread."""
        self._make_connection = make_connection
        self._made: MqttConnection | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._happened: list[Happening] = []
        self._news = asyncio.Event()
        self._turn = threading.Lock()

    @property
    def _connection(self) -> MqttConnection:
        if self._made is None:
            self._made = self._make_connection(self._hand_over)
        return self._made

    def connect(self, terms: SessionTerms) -> None:
        """Begins a connection."""
        self._loop = asyncio.get_running_loop()
        self._connection.connect(terms)

    def subscribe(self, topics: tuple[str, ...]) -> None:
        """Asks for topics."""
        self._connection.subscribe(topics)

    async def happenings(self) -> Sequence[Happening]:
        """What happened since it was last asked, at least one thing."""
        await self._news.wait()
        with self._turn:
            happened, self._happened = self._happened, []
            self._news.clear()
        return happened

    def acknowledge(self, receipt: int) -> None:
        """Tells the broker that a message was dealt with."""
        self._connection.acknowledge(receipt)

    def tell_ack(self, ack: Ack) -> None:
        """Tells a device what of a stream is committed."""
        self._connection.publish(DeviceTopic(ack.device, Down.ACK).text, ack_bytes(ack), token=0)

    def tell_desired(self, state: DesiredState, *, token: int) -> None:
        """Tells a device what it should be like, retained."""
        topic = DeviceTopic(state.device, Down.DESIRED).text
        self._connection.publish(topic, desired_bytes(state), token=token, retain=True)

    def withdraw_desired(self, device: str, *, token: int) -> None:
        """Takes back what the broker keeps: an empty retained message (MQTT 5 §3.3.1.3)."""
        self._connection.publish(DeviceTopic(device, Down.DESIRED).text, b"", token=token, retain=True)

    def tell_command(self, order: CommandOrder, *, expiry_s: int, token: int) -> None:
        """Tells a device to do something."""
        topic = DeviceTopic(order.device, Down.COMMAND, order.op).text
        self._connection.publish(topic, command_bytes(order), token=token, expiry_s=expiry_s)

    def tell_stop(self, stop: SignedStop, *, token: int) -> None:
        """Tells the whole fleet to stop or go on, retained."""
        self._connection.publish(STOP, stop_bytes(stop), token=token, retain=True)

    def withdraw_stop(self, *, token: int) -> None:
        """Takes back what the broker keeps."""
        self._connection.publish(STOP, b"", token=token, retain=True)

    def tell_answer(self, device: str, answer: Answer, *, expiry_s: int, token: int) -> None:
        """Answers a device's request."""
        topic = DeviceTopic(device, Down.RESPONSE).text
        self._connection.publish(topic, answer_bytes(answer), token=token, expiry_s=expiry_s)

    def version_kept(self, payload: bytes) -> int | None:
        """The version of a desired state that the broker keeps."""
        return read_version(payload)

    def stop_kept(self, payload: bytes) -> SignedStop | None:
        """The stop order that the broker keeps."""
        return read_stop(payload)

    def close(self) -> None:
        """Ends the connection."""
        if self._made is not None:
            self._made.disconnect()
            self._made.close()

    def _hand_over(self, happening: Happening) -> None:
        """On the connection's thread."""
        with self._turn:
            self._happened.append(happening)
            is_first = len(self._happened) == 1
        if is_first and self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended, and with it whoever would hear
                self._loop.call_soon_threadsafe(self._news.set)
