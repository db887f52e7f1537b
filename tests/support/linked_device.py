"""A device's link on a real broker, in this process: nothing else of the device is there but its memory's fakes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

from tests.support.fleet_sync_stage import SyncStage, identity
from typing_extensions import override

from homebred_daemon.adapters.fleet_wire import FleetWire
from homebred_daemon.adapters.system_clock import SystemClock
from homebred_daemon.ports.identity import Identity
from homebred_daemon.services.fleet.fleet_sync import FleetSync
from homebred_protocol.mqtt import Credentials, Endpoint, HandOver, MqttConnection
from homebred_protocol.mqtt_thread import MqttThread

HOST = "127.0.0.1"
PATIENCE_S = 20.0


class LinkedDevice(SyncStage):
    """One device; it comes back a second after each loss, as soon as a device ever does."""

    def __init__(self, name: str, port: int, credentials: Credentials | None = None) -> None:
        """`credentials`: none where the broker wants none."""
        super().__init__()
        self.identity = replace(identity(), membership=replace(identity().membership, device_id=name))
        self._endpoint = Endpoint(HOST, port, credentials)
        self._threads: list[MqttThread] = []

    @asynccontextmanager
    async def linked(self) -> AsyncIterator[FleetSync]:
        """A link that stands, for as long as the context lasts."""
        link = self.sync(words=FleetWire(self.identity.membership.device_id), clock=SystemClock(), chance=lambda: 0.0)
        try:
            async with link.running():
                await until(lambda: link.is_connected)
                yield link
        finally:
            for thread in self._threads:
                thread.close()
                assert await asyncio.to_thread(thread.join, PATIENCE_S)
        assert self.defects == []

    @override
    def _dial(self, identity: Identity, hand_over: HandOver) -> MqttConnection:
        self._threads.append(MqttThread(self._endpoint, hand_over, name="device"))
        return self._threads[-1]


async def until(holds: Callable[[], bool], *, patience_s: float = PATIENCE_S) -> None:
    """Waits for something that threads and other processes do."""
    deadline_s = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < deadline_s, "it never came to hold"
        await asyncio.sleep(0.01)
