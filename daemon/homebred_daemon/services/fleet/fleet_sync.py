"""Keeps this device in step with its fleet: drives `core.fleet_session` over connection, outbox, memory and documents.

Everything happens one after the other in one task, so that what is kept is kept before it is acted on; documents alone
take their time beside it. The connection's thread meets the loop at one place, `_hand_over`. It decides nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from homebred_daemon import fleet_messages
from homebred_daemon.core.commands import ClockSpan
from homebred_daemon.core.desired_state import Apply, DesiredState, KeepDesired, KeepPart, Obtain, Outcome
from homebred_daemon.core.fleet_messages import Facts, PartState
from homebred_daemon.core.fleet_session import FleetSession, Phase
from homebred_daemon.core.fleet_steps import (
    Acknowledge,
    CheckStop,
    CommandNews,
    CommandTold,
    Connect,
    Disconnect,
    Event,
    EventsWait,
    FactsAre,
    FloorFound,
    FloorsRead,
    Heard,
    KeepStop,
    Kept,
    Leave,
    Left,
    LookForRoots,
    NewCredentials,
    Note,
    Now,
    OutboxFailed,
    OutboxRead,
    Publish,
    ReadFloors,
    ReadOutbox,
    ReadResults,
    ResultsWait,
    Subscribe,
    TakeCommand,
    TimePassed,
    Want,
    WasCut,
)
from homebred_daemon.core.requesting import Settle
from homebred_daemon.core.stopping import Stopping
from homebred_daemon.core.telemetry_window import CountRefused, CutNext, Forget, Send, TellFloor
from homebred_daemon.core.trust_refusals import FINAL
from homebred_daemon.errors import FleetError, HomebredError, StateError, UntrustedError
from homebred_daemon.inbound.caretaking import FleetState
from homebred_daemon.ports.clock import Clock
from homebred_daemon.ports.fleet import Dial, FleetDocuments, FleetMemory, FleetWords, StopCheck
from homebred_daemon.ports.fleet_commands import FleetCommands, OutcomeReceipts
from homebred_daemon.ports.identity import Identity
from homebred_daemon.ports.journal import Journal
from homebred_daemon.ports.outbox import NO_OUTBOX, Floor, Outbox, OutboxDepth
from homebred_daemon.services.background import beside
from homebred_daemon.services.fleet.fleet_notes import note, note_part
from homebred_daemon.services.fleet.link_requests import LinkRequests
from homebred_daemon.services.fleet.stop_proving import StopProving
from homebred_protocol.mqtt import Arrived, Connected, Ended, Happening, MqttConnection, SessionTerms, Will

SESSION_EXPIRY_S = 3600
RECEIVE_MAXIMUM = 50
WILL_DELAY_S = 30
"""So that a short flap of the network makes nobody look for the device."""
MAX_BATCH_EVENTS = 200
MAX_BATCH_BYTES = 98_304
FLOORS_ON_A_PAGE = 32
LOOK_EVERY_S = 60.0
"""At what is reported of the device, where nothing happens."""
GOODBYE_S = 5.0
ANEW_AFTER_S = 60.0
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What the link works with."""

    outbox: Outbox
    memory: FleetMemory
    documents: FleetDocuments
    stop_check: StopCheck
    words: FleetWords
    commands: FleetCommands
    dial: Dial
    identity: Callable[[], Identity]
    """The one in force."""
    span: Callable[[], ClockSpan]
    """Between which times the true time is while a broker takes its certificate."""
    facts: Callable[[], Facts]
    """What is reported of the device; called on the loop, often."""
    receipts: OutcomeReceipts
    clock: Clock
    journal: Journal
    chance: Callable[[], float]
    """Numbers from 0 to 1."""
    report_defect: Callable[[BaseException], None]
    """Hears of a fault of our own, which the device survives without its fleet."""


class FleetSync:
    """The link of one running daemon."""

    def __init__(self, means: Means) -> None:
        """Reads what the device remembers. Raises StateError."""
        self._means = means
        self._facts = means.facts()
        self._session = self._made_session(connections=0)
        self._events: asyncio.Queue[tuple[int, Event | Happening]] = asyncio.Queue()
        self._connection: MqttConnection | None = None
        self._connections = 0
        """Counts them, so that what an earlier one said is not taken for the present one's."""
        self._working: asyncio.Queue[Obtain | Apply] = asyncio.Queue()
        self._has_left = asyncio.Event()
        self.requests = LinkRequests(self._put, means.clock.monotonic_s)
        """For who looks at what is signed, and who fetches releases: over the broker, where no other port is open."""
        self._stops = StopProving(
            means.stop_check, means.memory, means.receipts, means.journal, report_defect=means.report_defect
        )
        self._problem, self._changed_at_s = "", 0
        self._hear: Callable[[], None] | None = None
        self._heard: tuple[int, Stopping, bool] = (0, Stopping(), False)
        """What whoever hears of changes was told of: version, stop order, and whether there is a connection."""

    def _made_session(self, *, connections: int) -> FleetSession:
        means = self._means
        device_id = means.identity().membership.device_id
        return FleetSession(
            boot_id=means.outbox.boot_id,
            boot_number=means.outbox.boot_number,
            desired=DesiredState(device_id, means.memory.desired()),
            stopping=means.memory.stopping(),
            facts=self._facts,
            chance=means.chance,
            connections=connections,
        )

    # --- What others tell it ------------------------------------------------------------------------------------------

    def expect_events(self) -> None:
        """The outbox has new events."""
        self._put(EventsWait())

    def renewed(self, _identity: Identity) -> None:
        """The device's certificate was renewed."""
        self._put(NewCredentials())

    @property
    def is_connected(self) -> bool:
        """Whether the broker took this device in."""
        return self._session.phase is Phase.HERE

    @property
    def problem(self) -> str:
        """Why there is no connection; empty: there is one, or none was tried."""
        return self._problem

    @property
    def stopping(self) -> Stopping:
        """The newest stop order."""
        return self._session.stopping

    def when_changed(self, hear: Callable[[], None]) -> None:
        """Has a function called, on the loop, when something else is desired or stopped, or the link came or went."""
        self._hear = hear

    async def state(self) -> FleetState:
        """How the link stands now."""
        session, depth = self._session, await self.outbox_depth()
        return FleetState(
            device_id=self._means.identity().membership.device_id,
            is_connected=self.is_connected,
            since_s=self._changed_at_s,
            problem=self._problem,
            desired_version=session.desired.version,
            parts=session.desired.reports(stopped=session.stopping.stopped),
            stopped=session.stopping.stopped,
            waiting_events=depth.events,
            lost_events=depth.lost_events,
        )

    async def outbox_depth(self) -> OutboxDepth:
        """What waits for the controller; nothing where the outbox cannot be read."""
        try:
            return await asyncio.to_thread(self._means.outbox.depth)
        except StateError:
            return NO_OUTBOX

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keeps in step for as long as the context lasts; on leaving, says goodbye where somebody hears it."""
        self._means.commands.when_news(lambda: self._put(CommandNews()))
        try:
            async with beside(self._kept_running()), beside(self._work()):
                try:
                    yield
                finally:
                    await self._say_goodbye()
        finally:
            self.requests.lose_all()
            if self._connection is not None:
                self._connection.close()

    async def _say_goodbye(self) -> None:
        self._put(Leave())
        try:
            async with asyncio.timeout(GOODBYE_S):
                await self._has_left.wait()
        except TimeoutError:
            return  # the broker says the will

    # --- The one task -------------------------------------------------------------------------------------------------

    def _put(self, event: Event) -> None:
        self._events.put_nowait((0, event))

    async def _kept_running(self) -> None:
        """A fault of our own in the link must not take the daemon with it: it is reported, and the link begins anew."""
        while not self._has_left.is_set():
            try:
                await self._run()
            except Exception as error:  # noqa: BLE001  # whatever it is, tasks are answered on
                self._means.report_defect(error)
                await self._begin_anew()

    async def _begin_anew(self) -> None:
        self.requests.lose_all()
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        while True:
            await asyncio.sleep(ANEW_AFTER_S)
            try:
                self._session = self._made_session(connections=self._session.connections)
            except StateError as error:
                self._held_up(error)
            else:
                return

    async def _run(self) -> None:
        await self._handle(TimePassed())
        while not self._has_left.is_set():
            event = await self._next()
            await self._handle(event)
            if (facts := self._means.facts()) != self._facts:
                self._facts = facts
                await self._handle(FactsAre(facts))

    async def _next(self) -> Event:
        """What happens next; time passes where nothing does."""
        due_s = self._session.due_s()
        wait_s = LOOK_EVERY_S if due_s is None else min(LOOK_EVERY_S, max(0.0, due_s - self._now().monotonic_s))
        try:
            async with asyncio.timeout(wait_s):
                number, happened = await self._events.get()
        except TimeoutError:
            return TimePassed()
        if number not in (0, self._connections):
            return TimePassed()
        if isinstance(happened, Arrived):
            return Heard(self._means.words.read(happened.topic, happened.payload), happened.receipt)
        return happened

    async def _handle(self, event: Event) -> None:
        todo = deque([event])
        while todo:
            one = todo.popleft()
            self._watch(one)
            for want in self._session.handle(one, self._now()):
                todo.extend(await self._obey(want))
        now = (self._session.desired.version, self._session.stopping, self.is_connected)
        if now != self._heard:
            self._heard = now
            self._look()

    def _look(self) -> None:
        if self._hear is not None:
            self._hear()

    def _watch(self, event: Event) -> None:
        match event:
            case Connected():
                self._problem, self._changed_at_s = "", self._now().unix_s
            case Ended():
                self._problem, self._changed_at_s = event.reason, self._now().unix_s

    async def _obey(self, want: Want) -> list[Event]:  # one line for each kind
        match want:
            case Connect():
                return self._connect(want)
            case Subscribe() | Publish() | Acknowledge() | Disconnect():
                self._tell_broker(want)
            case ReadOutbox() | CutNext() | Forget() | CountRefused() | TellFloor() | ReadFloors():
                return await self._at_outbox(want)
            case KeepDesired() | KeepPart():
                return await self._keep(want)
            case CheckStop() | KeepStop():
                return [await self._stops.obey(want)]
            case Obtain() | Apply():
                self._working.put_nowait(want)
            case TakeCommand():
                await self._take(want)
            case CommandTold() | ReadResults():
                return await self._with_commands(want)
            case Settle() | Note() | LookForRoots() | Left():
                self._tell_here(want)
        return []

    def _tell_here(self, want: Settle | Note | LookForRoots | Left) -> None:
        match want:
            case Settle():
                self.requests.settle(want)
            case Note():
                note(self._means.journal, self._means.receipts, want)
            case LookForRoots():
                self._look()
            case Left():
                self._has_left.set()

    # --- The connection -----------------------------------------------------------------------------------------------

    def _connect(self, want: Connect) -> list[Event]:
        if self._connection is not None:
            self._connection.close()
        identity = self._means.identity()
        will = self._means.words.message(want.will)
        terms = SessionTerms(
            client_id=identity.membership.device_id,
            clean_start=False,
            session_expiry_s=SESSION_EXPIRY_S,
            keepalive_s=want.keepalive_s,
            receive_maximum=RECEIVE_MAXIMUM,
            will=Will(will.topic, will.payload, WILL_DELAY_S),
        )
        self._connections += 1
        hand_over = partial(self._hand_over, asyncio.get_running_loop(), self._connections)
        try:
            self._connection = self._means.dial(identity, hand_over)
        except OSError as error:
            self._connection = None
            return [Ended("unreachable", str(error))]
        self._connection.connect(terms)
        return []

    def _hand_over(self, loop: asyncio.AbstractEventLoop, number: int, happening: Happening) -> None:
        """The one place where the connection's thread meets the loop."""
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._events.put_nowait, (number, happening))

    def _tell_broker(self, want: Subscribe | Publish | Acknowledge | Disconnect) -> None:
        connection, words = self._connection, self._means.words
        if connection is None:
            return
        match want:
            case Subscribe():
                connection.subscribe(words.topics)
            case Publish(told=Send() as sent):
                connection.publish(words.telemetry_topic(sent.batch.stream), sent.batch.payload, token=want.token)
            case Publish(told=told) if not isinstance(told, Send):
                message = words.message(told)
                connection.publish(message.topic, message.payload, token=want.token, retain=message.retain)
            case Acknowledge():
                connection.acknowledge(want.receipt)
            case Disconnect():
                connection.disconnect(with_will=want.with_will)

    # --- What is on the disk ------------------------------------------------------------------------------------------

    async def _at_outbox(
        self, want: ReadOutbox | CutNext | Forget | CountRefused | TellFloor | ReadFloors
    ) -> list[Event]:
        try:
            return await asyncio.to_thread(self._ask_outbox, want)
        except StateError as error:
            self._held_up(error)
            return [OutboxFailed()]

    def _ask_outbox(self, want: ReadOutbox | CutNext | Forget | CountRefused | TellFloor | ReadFloors) -> list[Event]:
        outbox = self._means.outbox
        match want:
            case ReadOutbox():
                return [OutboxRead(outbox.cut_batches())]
            case CutNext():
                return [WasCut(outbox.cut(max_events=MAX_BATCH_EVENTS, max_bytes=MAX_BATCH_BYTES))]
            case Forget():
                outbox.acknowledge(want.boot_id, want.stream, want.up_to_seq)
                return []
            case CountRefused():
                outbox.refuse(want.boot_id, want.stream, want.up_to_seq)
                return [EventsWait()]
            case TellFloor():
                floor = outbox.floor(want.boot_id, want.stream)
                return [_found(floor)] if floor is not None else []
            case ReadFloors():
                floors = outbox.floors(FLOORS_ON_A_PAGE, skip=want.skip)
                return [FloorsRead(tuple(map(_found, floors)))]

    async def _keep(self, want: KeepDesired | KeepPart) -> list[Event]:
        if isinstance(want, KeepPart):
            await self._keep_part(want)
            return []
        try:
            await asyncio.to_thread(self._means.memory.keep_desired, want.desired)
        except StateError as error:
            self._held_up(error)
            return [Kept(want, ok=False)]
        return [Kept(want, ok=True)]

    async def _keep_part(self, want: KeepPart) -> None:
        """What the disk does not take of it is done once more after a restart."""
        try:
            means, version = self._means, self._session.desired.version
            note_part(means.journal, means.receipts, want.report, version=version)
            await asyncio.to_thread(self._means.memory.keep_part, want.report, want.applied)
            if want.report.state in (PartState.APPLIED, PartState.REFUSED):
                await self._means.documents.keep_only(self._session.desired.digests)
        except StateError as error:
            self._held_up(error)

    def _held_up(self, error: StateError) -> None:
        self._means.journal.note(fleet_messages.FLEET_HELD_UP, error_code=error.code)

    # --- Documents, beside all else -----------------------------------------------------------------------------------

    async def _work(self) -> None:
        while True:
            want = await self._working.get()
            self._put(await self._done(want))

    async def _done(self, want: Obtain | Apply) -> Outcome:
        """Obtains or applies a document; whatever goes wrong is an outcome too."""
        digest = want.document.digest if isinstance(want, Obtain) else want.digest
        if isinstance(want, Apply) and self._session.stopping.stopped:
            return Outcome(name=want.name, digest=digest, problem_code="stopped", problem="a stop order", again=True)
        try:
            if isinstance(want, Obtain):
                await self._means.documents.obtain(want.name, want.document, stop_epoch=self._session.stopping.epoch)
            else:
                await self._means.documents.apply(want.name, digest)
        except UntrustedError as error:
            again = error.reason not in FINAL
            return Outcome(name=want.name, digest=digest, problem_code=error.reason, problem=_words(error), again=again)
        except (FleetError, StateError) as error:
            return Outcome(name=want.name, digest=digest, problem_code=error.code, problem=_words(error), again=True)
        except HomebredError as error:
            return Outcome(name=want.name, digest=digest, problem_code=error.code, problem=_words(error))
        except Exception as error:  # noqa: BLE001  # as in `_kept_running`
            self._means.report_defect(error)
            fault = f"homebred has a defect ({type(error).__name__}); its log says where"
            return Outcome(name=want.name, digest=digest, problem_code="internal", problem=fault, again=True)
        return Outcome(name=want.name, digest=digest)

    # --- Commands -----------------------------------------------------------------------------------------------------

    async def _take(self, want: TakeCommand) -> None:
        try:
            await self._means.commands.take(want.command, span=self._means.span())
        except StateError as error:
            self._held_up(error)
            return  # it comes again: not acknowledged
        self._tell_broker(Acknowledge(want.receipt))

    async def _with_commands(self, want: CommandTold | ReadResults) -> list[Event]:
        commands = self._means.commands
        try:
            if isinstance(want, CommandTold):
                await commands.told(want.command_id, want.revision)
                return []
            untold = await commands.untold()
        except StateError as error:
            self._held_up(error)
            return []
        waiting = tuple(CommandTold(each.result, each.result.id, each.revision) for each in untold)
        return [ResultsWait(waiting)] if waiting else []

    def _now(self) -> Now:
        clock = self._means.clock
        return Now(clock.monotonic_s(), int(clock.now().timestamp()))


def _found(floor: Floor) -> FloorFound:
    return FloorFound(floor.boot_id, floor.boot_number, floor.stream, floor.seq, floor.events)


def _words(error: HomebredError) -> str:
    return f"{error.message}; {error.hint}"
