"""The controller's one connection to the broker: made again whenever it ends, what comes by it handed to its parts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from homebred_fleet import messages
from homebred_fleet.core.figures import Figures
from homebred_fleet.ports.hub import Hub
from homebred_fleet.ports.intake import Outcome
from homebred_fleet.ports.journal import Journal
from homebred_fleet.services.answering import OPERATIONS, Answering
from homebred_fleet.services.ingesting import Ingesting
from homebred_fleet.services.reconciling import Reconciling
from homebred_protocol import topics
from homebred_protocol.ids import CONTROLLER
from homebred_protocol.mqtt import Arrived, Connected, Delivered, Ended, Happening, SessionTerms
from homebred_protocol.topics import ROOT, STOP, DeviceTopic, Down, Up

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0
"""Before the next try of a broker that does not answer; a random share of it."""
STEADY_S = 60.0
"""A connection that held so long was a good one."""
MAX_PACKET_BYTES = 2_097_152
"""Above what the broker takes from a device: a message that it could not pass on would be dropped without a word."""
RECEIVE_MAXIMUM = 128
"""Messages that are not dealt with yet: two transactions' worth, so that the next is there when one is done."""
SHARE = "$share/hb/"
"""Before a topic that several controllers take in turns."""
SHARED = frozenset({Up.TELEMETRY, Up.REQUEST, Up.COMMAND_RESULT, Up.RECEIPT})
"""The others are retained, and a broker sends what it keeps to no shared subscription (MQTT 5 §4.8.2)."""


def terms(receive_maximum: int) -> SessionTerms:
    """How the controller introduces itself: its session ends with its connection, so that nothing waits for nobody."""
    return SessionTerms(
        client_id=CONTROLLER,
        clean_start=True,
        session_expiry_s=0,
        keepalive_s=30,
        receive_maximum=receive_maximum,
        max_packet_bytes=MAX_PACKET_BYTES,
    )


def subscriptions(*, is_shared: bool) -> tuple[str, ...]:
    """What devices tell, and what the broker keeps of what they are told."""
    kept = (STOP, f"{ROOT}/d/+/{Down.DESIRED.value}")
    told = topics.subscriptions_of_controller()
    if not is_shared:
        return (*kept, *told)
    words = {kind.value for kind in SHARED}
    own = len(f"{ROOT}/d/+/")
    return (*kept, *(SHARE + topic if topic[own:].partition("/")[0] in words else topic for topic in told))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """To whom what comes is handed."""

    ingesting: Ingesting
    reconciling: Reconciling
    answering: Answering


class HubService:
    """The connection with its three parts; `run` is the whole of it."""

    def __init__(
        self,
        hub: Hub,
        journal: Journal,
        figures: Figures,
        *,
        random_share: Callable[[], float],
        receive_maximum: int = RECEIVE_MAXIMUM,
        is_shared: bool = False,
    ) -> None:
        """`random_share` gives a number from 0 to 1."""
        self._hub = hub
        self._journal = journal
        self._figures = figures
        self._random_share = random_share
        self._terms = terms(receive_maximum)
        self._topics = subscriptions(is_shared=is_shared)
        self._connected_s: float | None = None
        self._pause_s = FIRST_PAUSE_S

    async def run(self, ingesting: Ingesting, reconciling: Reconciling, answering: Answering) -> None:
        """Until cancelled."""
        parts = _Parts(ingesting=ingesting, reconciling=reconciling, answering=answering)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(ingesting.run())
                group.create_task(reconciling.run())
                group.create_task(answering.run())
                group.create_task(self._serve(parts))
        finally:
            self._hub.close()

    async def _serve(self, parts: _Parts) -> None:
        self._hub.connect(self._terms)
        while True:
            for happening in await self._hub.happenings():
                if isinstance(happening, Ended):
                    parts.ingesting.forget()
                    parts.reconciling.disconnected()
                    parts.answering.disconnected()
                    await self._connect_again(happening)
                else:
                    self._hand_on(happening, parts)
            if parts.ingesting.has_caught_up() and self._connected_s is not None:
                self._hub.subscribe(self._topics)  # the broker's queue may have run over: what it keeps is said again

    def _hand_on(self, happening: Happening, parts: _Parts) -> None:
        match happening:
            case Arrived():
                self._arrived(happening, parts)
            case Delivered(token, ok):
                parts.reconciling.delivered(token, ok=ok)
                parts.answering.delivered(token, ok=ok)
            case Connected():
                self._connected_s = asyncio.get_running_loop().time()
                self._figures.is_connected = True
                self._figures.connections += 1
                self._journal.note(messages.BROKER_CONNECTED)
                self._hub.subscribe(self._topics)
                parts.reconciling.connected()

    def _arrived(self, arrived: Arrived, parts: _Parts) -> None:
        """What the broker keeps for devices is for the reconciler, requests are answered, all else for the database."""
        if arrived.topic == STOP:
            parts.reconciling.heard_stop(self._hub.stop_kept(arrived.payload))
            self._hub.acknowledge(arrived.receipt)
            return
        topic = topics.read(arrived.topic)
        match topic:
            case DeviceTopic(kind=Down.DESIRED):
                parts.reconciling.heard_desired(topic.device, self._hub.version_kept(arrived.payload))
                self._hub.acknowledge(arrived.receipt)
                return
            case DeviceTopic(kind=Up.REQUEST, name=operation) if operation in OPERATIONS:
                parts.answering.offer(topic.device, operation, arrived.payload, is_retained=arrived.retained)
                self._hub.acknowledge(arrived.receipt)
                return
            case DeviceTopic(kind=Up.STATE):
                parts.reconciling.heard_state(topic.device, is_retained=arrived.retained)
        parts.ingesting.offer(arrived)

    async def _connect_again(self, ended: Ended) -> None:
        now = asyncio.get_running_loop().time()
        if self._connected_s is not None and now - self._connected_s >= STEADY_S:
            self._pause_s = FIRST_PAUSE_S
        self._connected_s = None
        self._figures.is_connected = False
        self._journal.note(messages.BROKER_LOST, cause=ended.reason)
        await asyncio.sleep(self._random_share() * self._pause_s)
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        self._hub.connect(self._terms)


def reconciler_hears(reconciling: Reconciling) -> Callable[[Outcome], None]:
    """What of a committed message the reconciler must know."""

    def noticed(outcome: Outcome) -> None:
        if outcome.is_birth:
            reconciling.born(outcome.device)
        if outcome.asks_for_desired:
            reconciling.wake()

    return noticed
