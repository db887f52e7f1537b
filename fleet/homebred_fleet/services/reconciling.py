"""Keeps what the broker tells devices in step with the database: desired states, commands, the stop order.

A broker forgets: one that was killed comes back without what it had kept. So the hub hears what the broker keeps, as
any device would, and whatever is not as the database says is published again; nothing counts as published before the
broker said so. What cannot be published now is found again at the next look, which comes by itself.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from homebred_fleet import messages
from homebred_fleet.core.commands import expiry_s
from homebred_fleet.core.desired import lost_by_broker
from homebred_fleet.core.figures import Figures
from homebred_fleet.core.presence import KEPT_COUNTS_S, UNHEARD_AFTER_S, SignsOfLife
from homebred_fleet.errors import FleetError
from homebred_fleet.ports.director import StopSigner
from homebred_fleet.ports.hub import Hub
from homebred_fleet.ports.intents import CommandOrder, DesiredState, Intents, SignedStop, Stop, WantedCommands
from homebred_fleet.ports.journal import Journal

LOOK_EVERY_S = 5.0
"""At the latest: another process may have changed the database."""
QUIET_S, LONGEST_SETTLE_S = 1.0, 20.0
"""What a broker keeps has been heard when nothing of it came for so long, or after so long at all."""
COMPARE_EVERY_S = 600.0
"""Somebody else may have changed what the broker keeps."""
MOST_HEARD = 16
"""Stop orders of a broker that wait to be looked at."""
T = TypeVar("T")
AT_ONCE = 200
"""Publications that the broker has not acknowledged yet."""


@dataclass(slots=True)
class _Connection:
    """What is known of the broker since it was connected to."""

    since_s: float
    heard_s: float
    """When something that it keeps was last heard."""
    versions: dict[str, int] = field(default_factory=dict)
    """Of the desired states that it keeps."""
    stop: SignedStop | None = None
    """The order that it keeps, whoever signed it."""
    heard_stops: list[SignedStop] = field(default_factory=list)
    """Orders heard that were not looked at yet: the broker may keep them no longer."""
    doubted: set[str] = field(default_factory=set)
    """Whose orders were noted to be none."""
    present: set[str] = field(default_factory=set)
    """Devices whose state was heard."""
    kept: set[str] = field(default_factory=set)
    """Devices whose state it kept: nobody knows since when."""
    compared_s: float | None = None
    """When all that it keeps was last held against the database; None: not yet."""
    silence_noted_s: float | None = None


class Reconciling:
    """One loop over one hub; all but `wake` is called on its event loop."""

    def __init__(
        self,
        intents: Intents,
        hub: Hub,
        journal: Journal,
        figures: Figures,
        signer: StopSigner,
        *,
        now_s: Callable[[], int],
    ) -> None:
        self._intents = intents
        self._signer = signer
        self._is_unsigned = False
        """It was said that no order can be signed."""
        self._hub = hub
        self._journal = journal
        self._figures = figures
        self._now_s = now_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news = asyncio.Event()
        self._connection: _Connection | None = None
        self._tokens = itertools.count(1)
        self._unanswered: dict[int, asyncio.Future[bool]] = {}
        self._born: set[str] = set()

    def wake(self) -> None:
        """Something was changed in the database; from any thread."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended, and with it whoever would hear
                self._loop.call_soon_threadsafe(self._news.set)

    @property
    def is_in_step(self) -> bool:
        """Whether all that the broker keeps has been held against the database since it was connected to."""
        return self._connection is not None and self._connection.compared_s is not None

    def connected(self) -> None:
        """There is a connection: nothing is known of what its broker keeps."""
        now = asyncio.get_running_loop().time()
        self._connection = _Connection(since_s=now, heard_s=now)
        self._news.set()

    def disconnected(self) -> None:
        """There is none."""
        self._connection = None
        self._born.clear()
        for waiting in self._unanswered.values():
            if not waiting.done():
                waiting.set_result(False)
        self._unanswered.clear()

    def delivered(self, token: int, *, ok: bool) -> None:
        """The broker answered a publication."""
        waiting = self._unanswered.pop(token, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(ok)

    def heard_desired(self, device: str, version: int | None) -> None:
        """The broker keeps a desired state, or none any more."""
        if self._connection is not None:
            self._connection.heard_s = asyncio.get_running_loop().time()
            if version is None:
                self._connection.versions.pop(device, None)
            else:
                self._connection.versions[device] = version

    def heard_stop(self, order: SignedStop | None) -> None:
        """The broker keeps a stop order, or none that can be read."""
        if self._connection is not None:
            self._connection.stop = order
            if order is not None and order not in self._connection.heard_stops:
                self._connection.heard_stops = [*self._connection.heard_stops[1 - MOST_HEARD :], order]
            self._news.set()

    def heard_state(self, device: str, *, is_retained: bool) -> None:
        """A device's state was heard on this connection, online or not."""
        if self._connection is not None:
            (self._connection.kept if is_retained else self._connection.present).add(device)

    def born(self, device: str) -> None:
        """A device is there that was not: its commands may have been lost with its session."""
        self._born.add(device)
        self._news.set()

    async def run(self) -> None:
        """Until cancelled."""
        self._loop = asyncio.get_running_loop()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._wait_s()):
                    await self._news.wait()
            self._news.clear()
            try:
                await self._look()
            except FleetError as error:
                self._journal.note(messages.NOT_RECONCILED, error_code=error.code)

    def _wait_s(self) -> float:
        """Until the next look where nobody wakes it."""
        is_settled = self._connection is None or self._connection.compared_s is not None
        return LOOK_EVERY_S if is_settled else QUIET_S / 2

    async def _look(self) -> None:
        """Publishes what is due, the stop order first. Raises FleetError."""
        await asyncio.to_thread(self._intents.expire_commands, now_s=self._now_s())
        connection = self._connection
        if connection is None:
            return
        if connection.stop is not None or self._is_settled(connection):
            await self._tell_stop(connection)
        if self._is_settled(connection):
            await self._tell_unpublished(connection)
            await self._compare(connection)
        await self._tell_commands(connection)
        while self._born and connection is self._connection:
            await self._tell_born(connection, tuple(sorted(self._born)[:AT_ONCE]))
        await self._note_silence(connection)

    async def _compare(self, connection: _Connection) -> None:
        """Holds what the broker keeps against the database, at first and now and then."""
        now = asyncio.get_running_loop().time()
        if connection.compared_s is None:
            await self._tell_commands(connection, also_sent=True)
        elif now - connection.compared_s < COMPARE_EVERY_S:
            return
        await self._tell_lost(connection)
        connection.compared_s = now

    def _is_settled(self, connection: _Connection) -> bool:
        """Whether all that the broker keeps has been heard."""
        now = asyncio.get_running_loop().time()
        return (
            connection.compared_s is not None
            or now - connection.heard_s >= QUIET_S
            or now - connection.since_s >= LONGEST_SETTLE_S
        )

    async def _tell_stop(self, connection: _Connection) -> None:
        """Published as the director signs it now: also where its key has changed, or the broker keeps a forgery."""
        if not await self._follow_stops(connection):
            return
        kept, stop = connection.stop, await asyncio.to_thread(self._intents.stop_in_force)
        if stop is None:
            await self._withdraw_stop(connection)
            return
        signed = await self._ask_signer(partial(self._signer.signed, stop))
        if signed is None or signed == kept:
            return
        token, answer = self._awaited()
        self._hub.tell_stop(signed, token=token)
        if await answer:
            if connection.stop is kept:
                connection.stop = signed
            self._figures.published += 1
            await asyncio.to_thread(
                self._intents.mark_published, versions={}, sent=(), stop_epoch=signed.epoch, now_s=self._now_s()
            )

    async def _withdraw_stop(self, connection: _Connection) -> None:
        """Takes a forgery back where no order was ever given: nothing will be published over it."""
        kept = connection.stop
        if kept is None or await self._ask_signer(partial(self._signer.has_signed, kept)) is not False:
            return
        token, answer = self._awaited()
        self._hub.withdraw_stop(token=token)
        if await answer and connection.stop is kept:
            connection.stop = None

    async def _follow_stops(self, connection: _Connection) -> bool:
        """What the director has signed holds where it is newer, whoever brings it: nothing in force is taken back (I8).

        The database may be an older copy, and the broker may have lost its memory too: then devices say what they heed.
        False: nobody can say what the director has signed, and nothing is published over what the broker keeps.
        """
        for order in tuple(connection.heard_stops):
            if not await self._follow_stop(connection, order, "broker"):
                return False
            connection.heard_stops = [one for one in connection.heard_stops if one != order]
        if asyncio.get_running_loop().time() - connection.since_s < UNHEARD_AFTER_S:
            for order in await asyncio.to_thread(self._intents.told_stops):
                await self._follow_stop(connection, order, "device")
        return True

    async def _follow_stop(self, connection: _Connection, order: SignedStop, source: str) -> bool:
        """False: nobody can say whether it is the director's."""
        is_directors = await self._ask_signer(partial(self._signer.has_signed, order))
        if is_directors is None:
            return False
        if is_directors and await asyncio.to_thread(self._intents.follow_stop, order, now_s=self._now_s()):
            await self._note_stop(source)
        if is_directors or source in connection.doubted:
            return True
        own = await asyncio.to_thread(self._intents.stop_in_force)
        if own is None or (own.epoch, own.stopped) != (order.epoch, order.stopped):  # else by the key before this one
            connection.doubted.add(source)
            self._journal.note(messages.STOP_UNPROVEN, source=source, order=_word(order), epoch=order.epoch)
        return True

    async def _ask_signer(self, ask: Callable[[], T]) -> T | None:
        """None: nobody can sign, or say who has; that is noted once."""
        try:
            answer = await asyncio.to_thread(ask)
        except FleetError as error:
            if not self._is_unsigned:
                self._journal.note(messages.STOP_UNSIGNED, error_code=error.code)
            self._is_unsigned = True
            return None
        self._is_unsigned = False
        return answer

    async def _note_stop(self, source: str) -> None:
        stop = await asyncio.to_thread(self._intents.stop_in_force)
        if stop is not None:
            self._journal.note(messages.STOP_TAKEN_OVER, source=source, order=_word(stop), epoch=stop.epoch)

    async def _tell_unpublished(self, connection: _Connection) -> None:
        """What was changed since; until nothing is left, or the broker takes no more."""
        while connection is self._connection:
            devices = await asyncio.to_thread(self._intents.unpublished, max_devices=AT_ONCE)
            if not devices or not await self._tell_desired(connection, devices):
                return

    async def _tell_lost(self, connection: _Connection) -> None:
        """What the broker does not keep as it should, and what it keeps of devices that are no longer of the fleet."""
        versions = await asyncio.to_thread(self._intents.versions_in_force)
        lost = lost_by_broker(versions, connection.versions)
        for start in range(0, len(lost), AT_ONCE):
            self._figures.republished += await self._tell_desired(connection, lost[start : start + AT_ONCE])
        if lost:
            self._journal.note(messages.DESIRED_PUBLISHED_AGAIN, devices=len(lost))
        strays = sorted(connection.versions.keys() - versions.keys())
        for start in range(0, len(strays), AT_ONCE):
            await self._withdraw(strays[start : start + AT_ONCE])

    async def _tell_desired(self, connection: _Connection, devices: Sequence[str]) -> int:
        """How many the broker took."""
        states = await asyncio.to_thread(self._intents.states_of, devices)
        answers: list[tuple[DesiredState, asyncio.Future[bool]]] = []
        for state in states:
            token, answer = self._awaited()
            answers.append((state, answer))
            self._hub.tell_desired(state, token=token)
        taken = {state.device: state.version for state, answer in answers if await answer}
        connection.versions.update(taken)
        self._figures.published += len(taken)
        if taken:
            await asyncio.to_thread(
                self._intents.mark_published, versions=taken, sent=(), stop_epoch=None, now_s=self._now_s()
            )
        return len(taken)

    async def _withdraw(self, devices: Sequence[str]) -> None:
        answers = []
        for device in devices:
            token, answer = self._awaited()
            answers.append(answer)
            self._hub.withdraw_desired(device, token=token)
        for answer in answers:
            await answer

    async def _tell_commands(
        self, connection: _Connection, *, also_sent: bool = False, of: tuple[str, ...] | None = None
    ) -> None:
        """However many there are, some at a time."""
        after: CommandOrder | None = None
        while connection is self._connection:
            wanted = WantedCommands(now_s=self._now_s(), also_sent=also_sent, of=of)
            orders = await asyncio.to_thread(self._intents.commands_to_send, wanted, after=after, max_commands=AT_ONCE)
            await self._tell_orders(orders, now_s=wanted.now_s)
            if len(orders) < AT_ONCE:
                return
            after = orders[-1]

    async def _tell_born(self, connection: _Connection, born: tuple[str, ...]) -> None:
        self._born.difference_update(born)
        try:
            await self._tell_commands(connection, also_sent=True, of=born)
        except FleetError:
            self._born.update(born)  # at the next look
            raise

    async def _tell_orders(self, orders: Sequence[CommandOrder], *, now_s: int) -> None:
        answers: list[tuple[CommandOrder, asyncio.Future[bool]]] = []
        for order in orders:
            token, answer = self._awaited()
            answers.append((order, answer))
            keeps_s = expiry_s(deadline_s=order.deadline_s, now_s=now_s)
            self._hub.tell_command(order, expiry_s=keeps_s, token=token)
        taken = [order.id for order, answer in answers if await answer]
        self._figures.published += len(taken)
        if taken:
            await asyncio.to_thread(
                self._intents.mark_published, versions={}, sent=taken, stop_epoch=None, now_s=self._now_s()
            )

    async def _note_silence(self, connection: _Connection) -> None:
        """Devices that have not come back although the broker has been there for long are not there."""
        now, last = asyncio.get_running_loop().time(), connection.silence_noted_s
        if now - (connection.since_s if last is None else last) < UNHEARD_AFTER_S:
            return
        could_be_heard = now - connection.since_s >= KEPT_COUNTS_S
        signs = SignsOfLife(
            heard=frozenset(connection.present),
            kept=frozenset(connection.kept),
            kept_counts_from_s=self._now_s() - KEPT_COUNTS_S if could_be_heard else 0,
        )
        silent = await asyncio.to_thread(self._intents.note_unheard, signs, now_s=self._now_s())
        connection.silence_noted_s = now
        if silent:
            self._journal.note(messages.DEVICES_UNHEARD, devices=len(silent))

    def _awaited(self) -> tuple[int, asyncio.Future[bool]]:
        """A publication's token, and the broker's answer: False where it refused, or the connection ended."""
        token, answer = next(self._tokens), asyncio.get_running_loop().create_future()
        if self._connection is None:
            answer.set_result(False)
        else:
            self._unanswered[token] = answer
        return token, answer


def _word(order: Stop | SignedStop) -> str:
    return "stop" if order.stopped else "go"
