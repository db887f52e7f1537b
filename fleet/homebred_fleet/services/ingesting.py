"""Takes what devices tell into the database, many messages a transaction, and only then says so to broker and device.

What has not been committed is not acknowledged, so that the broker stops sending at its receive maximum: a database
that is slow, full or away holds devices up, and nothing is lost. A message that the database refuses is found by itself
and set aside; it holds up nobody.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from homebred_fleet import messages
from homebred_fleet.core.figures import Figures
from homebred_fleet.errors import StoreBusyError, StoreError
from homebred_fleet.ports.hub import Hub
from homebred_fleet.ports.intake import Arrival, Fate, Intake, Outcome
from homebred_fleet.ports.journal import Journal
from homebred_protocol.mqtt import Arrived

MAX_GROUP = 64
"""Messages of one transaction."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
"""Between tries of a database that does not work."""
CAUSE_STORE, CAUSE_DEFECT = "store", "defect"


@dataclass(frozen=True, slots=True)
class _Waiting:
    arrival: Arrival
    receipt: int
    since_s: float


class Ingesting:
    """One loop over one store; everything but `run` is called on its event loop."""

    def __init__(
        self,
        intake: Intake,
        hub: Hub,
        journal: Journal,
        figures: Figures,
        *,
        now_s: Callable[[], int],
        noticed: Callable[[Outcome], None],
    ) -> None:
        """`noticed` hears every outcome once it is committed."""
        self._intake = intake
        self._hub = hub
        self._journal = journal
        self._figures = figures
        self._now_s = now_s
        self._noticed = noticed
        self._waiting: deque[_Waiting] = deque()
        self._arrived = asyncio.Event()
        self._was_away = False
        self._has_caught_up = False

    def offer(self, arrived: Arrived) -> None:
        """A message came; the broker sends no more than its receive maximum before it hears of them."""
        arrival = Arrival(topic=arrived.topic, payload=arrived.payload, is_retained=arrived.retained)
        self._waiting.append(_Waiting(arrival, arrived.receipt, asyncio.get_running_loop().time()))
        self._arrived.set()

    def forget(self) -> None:
        """The connection ended: what was not begun is sent again by its devices, since nobody acknowledged it."""
        self._waiting.clear()

    def has_caught_up(self) -> bool:
        """Whether, since it was last asked, everything was taken that had waited for a database that was away."""
        has, self._has_caught_up = self._has_caught_up, False
        return has

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._arrived.wait()
            group = [self._waiting.popleft() for _ in range(min(MAX_GROUP, len(self._waiting)))]
            if not self._waiting:
                self._arrived.clear()
            if group:
                await self._take(group)
            if self._was_away and not self._waiting:
                self._was_away, self._has_caught_up = False, True

    async def _take(self, group: Sequence[_Waiting]) -> None:
        outcomes = await self._outcomes([one.arrival for one in group])
        now = asyncio.get_running_loop().time()
        self._figures.groups += 1
        for one, outcome in zip(group, outcomes, strict=True):
            self._hub.acknowledge(one.receipt)
            if outcome.ack is not None:
                self._hub.tell_ack(outcome.ack)
                self._figures.count_ack(now - one.since_s)
            self._count(outcome)
            for cause in dict.fromkeys(outcome.refused_receipts):
                self._journal.note(messages.RECEIPT_REFUSED, device=outcome.device, cause=cause)
            self._noticed(outcome)

    async def _outcomes(self, arrivals: Sequence[Arrival]) -> Sequence[Outcome]:
        """What became of messages, as soon as it is committed: however long the database is away."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                return await self._try(arrivals)
            except StoreError as error:
                self._was_away = True
                self._figures.store_failures += 1
                self._journal.note(messages.STORE_FAILS, error_code=error.code, seconds=pause_s)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _try(self, arrivals: Sequence[Arrival]) -> Sequence[Outcome]:
        """All of them in one transaction; where the database refuses one, each in its own. Raises StoreError."""
        try:
            return await asyncio.to_thread(self._intake.take, arrivals, now_s=self._now_s())
        except StoreBusyError:
            raise
        except Exception as error:  # noqa: BLE001  # no message of a device may end the controller
            if len(arrivals) == 1:
                return [await self._set_aside(arrivals[0], error)]
        outcomes: list[Outcome] = []
        for arrival in arrivals:
            outcomes += await self._outcomes([arrival])
        return outcomes

    async def _set_aside(self, arrival: Arrival, error: Exception) -> Outcome:
        cause = CAUSE_STORE if isinstance(error, StoreError) else CAUSE_DEFECT
        outcome = await asyncio.to_thread(self._intake.set_aside, arrival, cause=cause, now_s=self._now_s())
        self._journal.note(messages.MESSAGE_SET_ASIDE, device=outcome.device, error_type=type(error).__name__)
        return outcome

    def _count(self, outcome: Outcome) -> None:
        is_faulty = outcome.fate in {Fate.REFUSED, Fate.QUARANTINED}
        self._figures.count_message(outcome.fate.value, outcome.cause if is_faulty else "")
        if outcome.fate is Fate.REFUSED or outcome.cause == "floor":
            self._figures.events_lost += outcome.events
        elif outcome.ack is not None and outcome.fate is Fate.STORED:
            self._figures.batches_stored += 1
            self._figures.events_stored += outcome.events
