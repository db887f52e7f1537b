"""The device's side of the link with its fleet, without I/O: what happens goes in, what is to be done comes out.

It owns the order of things: what is told when a connection begins, what is waited for, what is tried again and when.
What a batch, a desired state or a stop order means for the device is decided by the parts that it is made of.

    away ──wait──▶ connecting ──Connected──▶ here ──Leave──▶ leaving ──▶ gone
      ▲                │                       │
      └────────────── Ended ───────────────────┘
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from enum import Enum, auto

from homebred_daemon.core.commands import Command
from homebred_daemon.core.desired_state import DesiredState, KeepDesired, Outcome, Verdict
from homebred_daemon.core.fleet_messages import (
    Answered,
    Desired,
    Facts,
    FloorReport,
    NoStopOrder,
    Presence,
    Reported,
    Request,
    Said,
    StopOrder,
    TelemetryAck,
    Unreadable,
)
from homebred_daemon.core.fleet_steps import (
    Acknowledge,
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
    StopChecked,
    Subscribe,
    TakeCommand,
    TimePassed,
    Want,
    WasCut,
)
from homebred_daemon.core.floor_telling import FloorTelling
from homebred_daemon.core.reconnecting import Reconnecting
from homebred_daemon.core.requesting import Abandon, Ask, Failure, Requesting, Settle
from homebred_daemon.core.stop_hearing import StopHearing
from homebred_daemon.core.stopping import Stopping
from homebred_daemon.core.telemetry_window import HeldBack, Impossible, Send, Step, TelemetryWindow, TellFloor
from homebred_protocol.mqtt import Connected, Delivered, Ended

KEEPALIVE_S = (60, 120)
"""Each connection draws its own, so that a fleet does not ping in step."""
GOODBYE_WITHIN_S = 3.0
AGAIN_AFTER_S = 60.0
"""Before what the broker did not take, or the outbox could not do, is tried again."""
LONGEST_AGAIN_S = 960.0
"""Between two tries at telling results to a controller that is away; doubled up to there, since bundles are large."""


class Phase(Enum):
    """How the connection stands."""

    AWAY = auto()
    CONNECTING = auto()
    HERE = auto()
    LEAVING = auto()
    GONE = auto()


class FleetSession:
    """The link of one start of the daemon; `handle` is its only door."""

    def __init__(
        self,
        *,
        boot_id: str,
        boot_number: int,
        desired: DesiredState,
        stopping: Stopping,
        facts: Facts,
        chance: Callable[[], float],
        connections: int = 0,
    ) -> None:
        """`connections` there were in this boot already: their wills are older than what this session says."""
        self.desired = desired
        self._stops = StopHearing(stopping)
        self.window = TelemetryWindow()
        self.phase = Phase.AWAY
        self._boot_id = boot_id
        self._boot_number = boot_number
        self._facts = facts
        self._chance = chance
        self._reconnecting = Reconnecting()
        self._connection = connections
        self._connect_at_s: float | None = 0.0
        self._goodbye_by_s: float | None = None
        self._read_outbox_at_s: float | None = 0.0
        self._read_results_at_s: float | None = None
        self._results_again_after_s = AGAIN_AFTER_S
        self._report_at_s = 0.0
        self._floors = FloorTelling()
        self._requesting = Requesting(boot_id)
        self._awaited: dict[int, object] = {}
        """What was published in this connection and not acknowledged by the broker, by token."""
        self._tokens = 0
        self._revision = 0
        self._told: Reported | None = None
        """What the broker has, as far as this connection knows."""
        self._renewed_meanwhile = False
        """The certificate was renewed while a connection with the old one was under way."""

    @property
    def stopping(self) -> Stopping:
        """What holds of stop orders."""
        return self._stops.stopping

    @property
    def connections(self) -> int:
        """Tried in this boot so far."""
        return self._connection

    def handle(self, event: Event, now: Now) -> list[Want]:
        """What is to be done about an event."""
        wants = self._react(event, now)
        if self.phase is not Phase.GONE:
            wants += self._due(now)
        return wants

    def due_s(self) -> float | None:
        """When, by the monotonic clock, a `TimePassed` is wanted; None: not before something happens."""
        waits = [self._read_outbox_at_s, self._goodbye_by_s, self.desired.due_s(stopped=self.stopping.stopped)]
        waits.append(self._stops.due_s())
        if self.phase is Phase.AWAY:
            waits.append(self._connect_at_s)
        if self.phase is Phase.HERE:
            waits += [
                self._requesting.due_s(),
                self.window.due_s(),
                self._read_results_at_s,
                self._report_due_s(),
                self._floors.due_s(),
            ]
        known = [each for each in waits if each is not None]
        return min(known) if known and self.phase is not Phase.GONE else None

    def _react(self, event: Event, now: Now) -> list[Want]:  # noqa: C901, PLR0911, PLR0912  # one line for each kind
        at_s = now.monotonic_s
        match event:
            case Connected():
                return self._begin(event, now)
            case Ended():
                return self._end(event, now)
            case Delivered():
                return self._delivered(event, now)
            case Heard():
                return self._hear(event.said, event.receipt, now)
            case OutboxRead():
                self.window.hold(event.batches, at_s)
            case WasCut():
                self.window.was_cut(event.batch)
            case OutboxFailed():
                self.window.could_not_cut(at_s)
                self._read_outbox_at_s = at_s + AGAIN_AFTER_S
                self._floors.could_not_be_read(at_s)
            case EventsWait():
                self.window.expect_more(at_s)
            case FloorFound():
                return [self._tell_floor(event)] if self.phase is Phase.HERE else []
            case FloorsRead():
                return self._tell_floors(event, at_s)
            case Kept():
                return self._kept(event, at_s)
            case StopChecked():
                return self._stops.checked(event, at_s)
            case Outcome():
                return [*self.desired.was_done(event, at_s)]
            case ResultsWait():
                return self._tell_results(event)
            case CommandNews():
                self._read_results_at_s = at_s
            case Ask():
                return self._ask(event, at_s)
            case Abandon():
                self._requesting.abandon(event.number)
            case FactsAre():
                self._facts = event.facts
            case NewCredentials():
                return self._come_back(now)
            case Leave():
                return self._leave(now)
            case TimePassed():
                pass
        return []

    def _due(self, now: Now) -> list[Want]:
        at_s = now.monotonic_s
        wants: list[Want] = []
        if self._read_outbox_at_s is not None and at_s >= self._read_outbox_at_s:
            self._read_outbox_at_s = None
            wants.append(ReadOutbox())
        wants += self._stops.late(at_s)
        wants += self.desired.steps(at_s, stopped=self.stopping.stopped)
        if self.phase is Phase.AWAY and self._connect_at_s is not None and at_s >= self._connect_at_s:
            wants.append(self._connect(now))
        if self.phase is Phase.HERE:
            wants += self._tell(now)
        if self._goodbye_by_s is not None and at_s >= self._goodbye_by_s:
            self._goodbye_by_s = None
            wants.append(Disconnect(with_will=True))
        return wants

    def _tell(self, now: Now) -> list[Want]:
        """What a connected device has to say now."""
        wants: list[Want] = [*self._requesting.late(now.monotonic_s)]
        if self._read_results_at_s is not None and now.monotonic_s >= self._read_results_at_s:
            self._read_results_at_s = None
            wants.append(ReadResults())
        if (skip := self._floors.next_page(now.monotonic_s)) is not None:
            wants.append(ReadFloors(skip))
        reported = self._reported(now)
        if not _is_same(reported, self._told) and now.monotonic_s >= self._report_at_s:
            self._revision += 1
            self._told = replace(reported, revision=self._revision)
            wants.append(self._publish(self._told))
        return wants + self._moves(self.window.steps(now.monotonic_s))

    # --- The connection -----------------------------------------------------------------------------------------------

    def _connect(self, now: Now) -> Connect:
        self.phase, self._connect_at_s = Phase.CONNECTING, None
        self._connection += 1
        shortest_s, longest_s = KEEPALIVE_S
        keepalive_s = shortest_s + int(self._chance() * (longest_s - shortest_s))
        return Connect(self._presence(now, online=False, reason="lost"), keepalive_s)

    def _begin(self, connected: Connected, now: Now) -> list[Want]:
        if self.phase is Phase.LEAVING:  # it hears no will any more, and would be taken for online
            return [self._publish(self._presence(now, online=False, reason="stopping"))]
        if self.phase is not Phase.CONNECTING:
            return []
        self.phase = Phase.HERE
        self._reconnecting.connected(now.monotonic_s)
        if self._renewed_meanwhile:
            return self._come_back(now)
        self._read_results_at_s, self._results_again_after_s = now.monotonic_s, AGAIN_AFTER_S
        birth = self._publish(self._presence(now, online=True, reason="birth"))
        present = int(connected.session_present)
        return [Subscribe(), birth, Note("connected", (("connection", self._connection), ("session_present", present)))]

    def _end(self, ended: Ended, now: Now) -> list[Want]:
        self._awaited.clear()
        self._told = None
        self.window.lose_sight()
        self._floors.lose_sight(now.monotonic_s)
        lost = self._requesting.lose()
        if self.phase is Phase.LEAVING:
            self.phase, self._goodbye_by_s = Phase.GONE, None
            return [*lost, Left()]
        if self.phase not in (Phase.CONNECTING, Phase.HERE):
            return [*lost]
        self.phase = Phase.AWAY
        wait_s = 0.0
        if self._connect_at_s is None:
            wait_s = self._reconnecting.wait_s(ended.reason, now.monotonic_s, self._chance())
            self._connect_at_s = now.monotonic_s + wait_s
        about = (("reason", ended.reason), ("detail", ended.detail), ("seconds", round(wait_s, 1)))
        return [*lost, Note("ended", about)]

    def _come_back(self, now: Now) -> list[Want]:
        """Connects anew at once; nobody takes the device for lost meanwhile."""
        self._renewed_meanwhile = self.phase is Phase.CONNECTING
        if self.phase is Phase.HERE:
            self._connect_at_s = now.monotonic_s
            return [Disconnect()]
        if self.phase is Phase.AWAY:
            self._connect_at_s = now.monotonic_s
        return []

    def _leave(self, now: Now) -> list[Want]:
        if self.phase is Phase.AWAY:
            self.phase = Phase.GONE
            return [Left()]
        if self.phase not in (Phase.CONNECTING, Phase.HERE):
            return []
        is_here = self.phase is Phase.HERE
        self.phase, self._goodbye_by_s = Phase.LEAVING, now.monotonic_s + GOODBYE_WITHIN_S
        return [self._publish(self._presence(now, online=False, reason="stopping"))] if is_here else []

    def _delivered(self, delivered: Delivered, now: Now) -> list[Want]:
        what = self._awaited.pop(delivered.token, None)
        match what:
            case Presence(reason="stopping"):
                self._goodbye_by_s = None
                return [Disconnect(with_will=not delivered.ok)]
            case CommandTold() if delivered.ok and delivered.heard:
                self._results_again_after_s = AGAIN_AFTER_S
                return [what]
            case CommandTold():
                self._tell_results_later(now)
            case Reported() if not delivered.ok:
                self._told, self._report_at_s = None, now.monotonic_s + AGAIN_AFTER_S
            case Presence(reason="birth") if not delivered.ok:
                return [Note("ignored", (("kind", "state"), ("cause", "broker_refused")))]
            case FloorReport():
                heard = delivered.ok and delivered.heard
                self._floors.was_delivered(delivered.token, now.monotonic_s, heard=heard)
            case Request() if not (delivered.ok and delivered.heard):
                settled = self._requesting.was_not_heard(what, ok=delivered.ok)
                return [settled] if settled is not None else []
            case Send() if not delivered.ok:
                self.window.was_turned_away(what.batch, now.monotonic_s)
        return []

    # --- What the controller says -------------------------------------------------------------------------------------

    def _hear(self, said: Said, receipt: int, now: Now) -> list[Want]:  # noqa: PLR0911  # one line for each kind
        match said:
            case TelemetryAck():
                return [*self._answered(said, now), Acknowledge(receipt)]
            case Desired():
                verdict = self.desired.hear(said)
                notes = _heard_desired(said, verdict)
                return [*notes, Acknowledge(receipt)]  # it is retained: it comes again at every connection
            case StopOrder():
                return self._stops.hear(said, receipt)
            case NoStopOrder():
                return self._stops.hear_none(receipt)
            case Command():
                return [TakeCommand(said, receipt)]
            case Answered():
                settled = self._requesting.answered(said)  # None: it comes late, or was abandoned
                return [Acknowledge(receipt)] if settled is None else [settled, Acknowledge(receipt)]
            case Unreadable():
                note = Note("ignored", (("kind", said.kind), ("cause", said.cause)))
                return [note, *(self._stops.hear_none(receipt) if said.kind == "stop" else [Acknowledge(receipt)])]

    def _answered(self, ack: TelemetryAck, now: Now) -> list[Want]:
        steps = self.window.answered(ack, now.monotonic_s)
        if ack.was_behind or any(isinstance(step, TellFloor) for step in steps):
            self._floors.tell_all(now.monotonic_s)
        return self._moves(steps)

    def _moves(self, steps: Iterable[Step]) -> list[Want]:
        wants: list[Want] = []
        for step in steps:
            match step:
                case HeldBack():
                    wants.append(Note("held_back", (("code", step.code), ("seconds", step.seconds))))
                case Impossible():
                    wants.append(Note("impossible", (("stream", step.stream), ("seq", step.up_to_seq))))
                case Send():
                    wants.append(self._publish(step))
                case _:
                    wants.append(step)
        return wants

    def _kept(self, kept: Kept, at_s: float) -> list[Want]:
        match kept.what:
            case KeepStop():
                return self._stops.kept(kept.what, at_s, ok=kept.ok)
            case KeepDesired() if kept.ok:
                self.desired.was_kept(kept.what.desired)
            case KeepDesired():
                self.desired.was_not_kept(at_s)
        return []

    # --- What the device says -----------------------------------------------------------------------------------------

    def _ask(self, ask: Ask, at_s: float) -> list[Want]:
        if self.phase is not Phase.HERE:
            return [Settle(ask.number, Failure.AWAY)]
        asked = self._requesting.ask(ask, at_s)
        return [self._publish(asked) if isinstance(asked, Request) else asked]

    def _publish(self, told: Presence | Reported | FloorReport | Request | Send) -> Publish:
        self._tokens += 1
        self._awaited[self._tokens] = told
        return Publish(told, self._tokens)

    def _tell_floor(self, floor: FloorFound) -> Publish:
        return self._publish(
            FloorReport(
                boot_id=floor.boot_id,
                boot_number=floor.boot_number,
                stream=floor.stream,
                acknowledged_seq=floor.seq,
                acknowledged_events=floor.events,
            )
        )

    def _tell_floors(self, read: FloorsRead, at_s: float) -> list[Want]:
        if self.phase is not Phase.HERE:
            return []
        published = [self._tell_floor(floor) for floor in read.page]
        self._floors.was_read([each.token for each in published], at_s)
        return [*published]

    def _tell_results(self, waiting: ResultsWait) -> list[Want]:
        if self.phase is not Phase.HERE:
            return []
        wants: list[Want] = []
        for result in waiting.results:
            if result not in self._awaited.values():
                self._tokens += 1
                self._awaited[self._tokens] = result
                wants.append(Publish(result.told, self._tokens))
        return wants

    def _tell_results_later(self, now: Now) -> None:
        """The broker did not take one, or had nobody to give it to: the controller is away."""
        if self._read_results_at_s is None:
            self._read_results_at_s = now.monotonic_s + self._results_again_after_s
            self._results_again_after_s = min(2 * self._results_again_after_s, LONGEST_AGAIN_S)

    def _presence(self, now: Now, *, online: bool, reason: str) -> Presence:
        return Presence(
            online=online,
            boot_id=self._boot_id,
            boot_number=self._boot_number,
            connection=self._connection,
            since_s=now.unix_s,
            reason=reason,
        )

    def _reported(self, now: Now) -> Reported:
        return Reported(
            boot_id=self._boot_id,
            boot_number=self._boot_number,
            revision=self._revision,
            at_s=now.unix_s,
            desired_version=self.desired.version,
            highest_version=self.desired.highest_version,
            parts=self.desired.reports(stopped=self.stopping.stopped),
            facts=self._facts,
            stop_epoch=self.stopping.epoch,
            stopped=self.stopping.stopped,
            stop_order=self._stops.proven.order,
            labels=self.desired.labels,
        )

    def _report_due_s(self) -> float | None:
        return self._report_at_s if self._told is None else None


def _is_same(one: Reported, other: Reported | None) -> bool:
    return other is not None and replace(one, revision=other.revision, at_s=other.at_s) == other


def _heard_desired(desired: Desired, verdict: Verdict) -> list[Note]:
    match verdict:
        case Verdict.KNOWN:
            return []
        case Verdict.TAKEN:
            return [Note("taken", (("version", desired.version),))]
        case _:
            return [Note("ignored", (("kind", "desired"), ("cause", verdict.value), ("version", desired.version)))]
