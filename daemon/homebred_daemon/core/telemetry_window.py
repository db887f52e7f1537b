"""Which batches of telemetry are on their way: a window over what was cut, moved by the controller's word alone.

A batch leaves the window when the controller says that it has committed it, and is sent again whenever that may not
come: after a reconnect, when time is up, when an answer shows a hole. Numbers decide, so that nothing here can lose or
double an event: a batch that comes twice is known by them. Whoever owns a window sends, cuts and forgets.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from homebred_daemon.core.fleet_messages import TelemetryAck

WINDOW = 4
"""Batches on their way at the same time."""
LINGER_S = 1.0
"""How long new events wait for company before a batch is cut."""
ANSWER_WITHIN_S = 10.0
"""After that the oldest is sent again, alone; doubled each time that nothing moves."""
LONGEST_WAIT_S = 120.0
HOLE_PAUSE_S = 1.0
"""An answer that moves nothing may be that to a duplicate: what follows is sent again only where nothing moves soon.

Doubled each time that nothing moves. Sent again at once, each duplicate would beget another for ever (the sorcerer's
apprentice, RFC 1123 §4.2.3.1).
"""
HELD_BACK_S = 600.0
"""How long to wait where the controller cannot read what is sent: it is the older one, and will be renewed."""


class Batch(Protocol):
    """What of a cut batch matters here; `ports.outbox.CutBatch` is one."""

    @property
    def boot_id(self) -> str: ...  # noqa: D102
    @property
    def stream(self) -> str: ...  # noqa: D102
    @property
    def after_seq(self) -> int: ...  # noqa: D102
    @property
    def last_seq(self) -> int: ...  # noqa: D102
    @property
    def payload(self) -> bytes: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Send:
    """Publish this batch."""

    batch: Batch


@dataclass(frozen=True, slots=True)
class CutNext:
    """Have the outbox cut another; `TelemetryWindow.was_cut` hears of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forget:
    """The controller has committed it: the outbox may forget it."""

    boot_id: str
    stream: str
    up_to_seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CountRefused:
    """The controller can never take it: the outbox counts it as a gap."""

    boot_id: str
    stream: str
    up_to_seq: int
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TellFloor:
    """The controller has less than it had acknowledged: tell it how far that was."""

    boot_id: str
    stream: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldBack:
    """The controller cannot read it yet; nothing is sent for a while."""

    code: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Impossible:
    """An answer about what was never cut; it is ignored."""

    boot_id: str
    stream: str
    up_to_seq: int


Step = Send | CutNext | Forget | CountRefused | TellFloor | HeldBack | Impossible


@dataclass(slots=True, eq=False)
class _Held:
    batch: Batch
    sent_at_s: float | None = None
    """None: not on its way."""

    @property
    def key(self) -> tuple[str, str]:
        return self.batch.boot_id, self.batch.stream


class TelemetryWindow:
    """The window of one device, over all its boots and streams. Times are seconds of one monotonic clock."""

    def __init__(self) -> None:
        self._held: list[_Held] = []
        self._room = WINDOW
        self._patience_s = ANSWER_WITHIN_S
        self._answer_s = 0.0
        """How long the last answer took."""
        self._paused_until_s = 0.0
        self._cut_from_s: float | None = None
        """When the outbox may be asked for more; None: it had nothing."""
        self._is_cutting = False
        self._hole_waits_s = HOLE_PAUSE_S
        self._suspected_at_s: dict[tuple[str, str], float] = {}
        self._floor_told_at_s: dict[tuple[str, str], float] = {}

    @property
    def on_their_way(self) -> int:
        """Batches that were sent and not answered."""
        return sum(held.sent_at_s is not None for held in self._held)

    def hold(self, batches: Iterable[Batch], now_s: float) -> None:
        """Begins anew with what the outbox has cut, and asks it for more behind that."""
        self._held = [_Held(batch) for batch in batches]
        self._is_cutting = False
        self._cut_from_s = now_s
        self.lose_sight()

    def lose_sight(self) -> None:
        """Nothing is on its way any more: the connection ended."""
        self._send_again(self._held)
        self._room, self._patience_s, self._hole_waits_s = WINDOW, ANSWER_WITHIN_S, HOLE_PAUSE_S
        self._suspected_at_s.clear()
        self._floor_told_at_s.clear()

    def expect_more(self, now_s: float) -> None:
        """The outbox has new events."""
        if self._cut_from_s is None:
            self._cut_from_s = now_s + LINGER_S

    def was_cut(self, batch: Batch | None) -> None:
        """What `CutNext` led to; None: nothing waits."""
        self._is_cutting = False
        if batch is None:
            self._cut_from_s = None
        else:
            self._held.append(_Held(batch))

    def could_not_cut(self, now_s: float) -> None:
        """The outbox cannot be written: ask again later."""
        self._is_cutting = False
        self._cut_from_s = now_s + LONGEST_WAIT_S

    def was_turned_away(self, batch: Batch, now_s: float) -> None:
        """The broker did not take a batch: as if there were no answer, but after a pause."""
        mine = [held for held in self._held if held.batch == batch]
        if any(held.sent_at_s is not None for held in mine):
            self._send_again(self._held)
            self._room = 1
            self._paused_until_s = now_s + self._patience_s
            self._patience_s = min(2 * self._patience_s, LONGEST_WAIT_S)

    def steps(self, now_s: float) -> list[Step]:
        """What is to be done now."""
        if now_s < self._paused_until_s:
            return []
        self._give_up_waiting(now_s)
        steps: list[Step] = []
        for held in self._held:
            if self.on_their_way >= self._room:
                return steps
            if held.sent_at_s is None:
                held.sent_at_s = now_s
                steps.append(Send(held.batch))
        if self._may_cut(now_s):
            self._is_cutting = True
            steps.append(CutNext())
        return steps

    def due_s(self) -> float | None:
        """When `steps` may have something to say without anything happening before; None: never."""
        waits = [held.sent_at_s + self._patience_s for held in self._held if held.sent_at_s is not None]
        waits += [at_s + self._hole_pause_s for at_s in self._suspected_at_s.values()]
        if self._cut_from_s is not None and not self._is_cutting and self.on_their_way < self._room:
            waits.append(self._cut_from_s)
        if len(self._held) > self.on_their_way and self.on_their_way < self._room:
            waits.append(self._paused_until_s)
        return max(min(waits), self._paused_until_s) if waits else None

    def answered(self, ack: TelemetryAck, now_s: float) -> list[Step]:
        """What follows from the controller's word."""
        steps: list[Step] = []
        if ack.refused_up_to_seq:
            steps += self._refused(ack)
        elif ack.refusal_code:
            self._send_again(self._held)
            self._room = 1
            self._paused_until_s = now_s + HELD_BACK_S
            return [HeldBack(code=ack.refusal_code, seconds=HELD_BACK_S)]
        mine = self._of(ack)
        if not mine:
            return steps
        if ack.up_to_seq > mine[-1].batch.last_seq:
            return [*steps, Impossible(boot_id=ack.boot_id, stream=ack.stream, up_to_seq=ack.up_to_seq)]
        done = [held for held in mine if held.batch.last_seq <= ack.up_to_seq]
        if done:
            self._moved(done, now_s)
            last_seq = done[-1].batch.last_seq
            return [*steps, Forget(boot_id=ack.boot_id, stream=ack.stream, up_to_seq=last_seq)]
        if mine[0].sent_at_s is not None:
            self._suspected_at_s.setdefault(mine[0].key, now_s)
        if ack.up_to_seq < mine[0].batch.after_seq and self._may_tell_floor(mine[0].key, now_s):
            steps.append(TellFloor(boot_id=ack.boot_id, stream=ack.stream))
        return steps

    @property
    def _hole_pause_s(self) -> float:
        return max(self._hole_waits_s, 2 * self._answer_s)

    def _of(self, ack: TelemetryAck) -> list[_Held]:
        return [held for held in self._held if held.key == (ack.boot_id, ack.stream)]

    def _refused(self, ack: TelemetryAck) -> list[Step]:
        """A batch is refused by its own end, and no other number."""
        mine = self._of(ack)
        refused = next((held.batch for held in mine if held.batch.last_seq == ack.refused_up_to_seq), None)
        if refused is None:
            late = not mine or ack.refused_up_to_seq <= mine[0].batch.after_seq
            wrong = Impossible(boot_id=ack.boot_id, stream=ack.stream, up_to_seq=ack.refused_up_to_seq)
            return [] if late else [wrong]
        boot_id, stream = mine[0].key
        steps: list[Step] = []
        if mine[0].batch is not refused:  # what comes before it was committed, or it could not have been judged
            steps.append(Forget(boot_id=boot_id, stream=stream, up_to_seq=refused.after_seq))
        done = [held for held in mine if held.batch.last_seq <= refused.last_seq]
        self._held = [held for held in self._held if held not in done]
        return [
            *steps,
            CountRefused(boot_id=boot_id, stream=stream, up_to_seq=refused.last_seq, code=ack.refusal_code),
        ]

    def _moved(self, done: list[_Held], now_s: float) -> None:
        sent_at_s = done[-1].sent_at_s
        if sent_at_s is not None:
            self._answer_s = now_s - sent_at_s
        self._held = [held for held in self._held if held not in done]
        self._room = min(self._room + 1, WINDOW)
        self._patience_s, self._hole_waits_s = ANSWER_WITHIN_S, HOLE_PAUSE_S
        self._suspected_at_s.pop(done[0].key, None)

    def _may_tell_floor(self, key: tuple[str, str], now_s: float) -> bool:
        told_at_s = self._floor_told_at_s.get(key)
        if told_at_s is not None and now_s < told_at_s + self._patience_s:
            return False
        self._floor_told_at_s[key] = now_s
        return True

    def _may_cut(self, now_s: float) -> bool:
        has_room = len(self._held) < WINDOW and self.on_their_way < self._room
        return has_room and not self._is_cutting and self._cut_from_s is not None and now_s >= self._cut_from_s

    def _give_up_waiting(self, now_s: float) -> None:
        sent = [held.sent_at_s for held in self._held if held.sent_at_s is not None]
        if sent and now_s >= min(sent) + self._patience_s:
            self._send_again(self._held)
            self._room = 1
            self._patience_s = min(2 * self._patience_s, LONGEST_WAIT_S)
        for key, at_s in list(self._suspected_at_s.items()):
            if now_s >= at_s + self._hole_pause_s:
                del self._suspected_at_s[key]
                self._hole_waits_s = min(2 * self._hole_waits_s, LONGEST_WAIT_S)
                self._send_again([held for held in self._held if held.key == key])

    def _send_again(self, batches: Iterable[_Held]) -> None:
        for held in batches:
            held.sent_at_s = None
