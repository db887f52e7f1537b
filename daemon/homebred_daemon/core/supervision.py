"""Whether a model may be asked now: what its failures lead to, and when a busy worker counts as hung.

It knows no worker and no clock: time comes in as monotonic seconds, and whoever keeps the workers acts on what is
answered. What each event stands for is said at Event; an event that is none of them, such as a full queue, a prompt
that is too long or a caller who left, says nothing about the model and never comes here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

FIRST_BACKOFF_S = 1.0
LONGEST_BACKOFF_S = 60.0
FAILURES_TO_PARK = 5
"""So many failures within the window, without a success in between, and the model is parked."""
WINDOW_S = 600.0
SERVED_WELL_S = 60.0
"""A worker that has been up for so long was a success, whatever ended it."""
FAULTS_TO_BREAK = 3
"""So many generations in a row that failed in a living worker, and the worker counts as broken."""
FAULT_SENTENCE = "It could not answer a task, and told its caller why."


class Phase(StrEnum):
    """How a model stands."""

    HEALTHY = "healthy"
    BACKING_OFF = "backing_off"
    """It is not asked before `retry_at_s`; who asks then starts the next try."""
    PARKED = "parked"
    """It is not asked before an operator has it loaded, or its file changes."""


class Event(StrEnum):
    """What happened to a model or its worker."""

    FAILURE = "failure"
    """The worker crashed or hung, or the load failed or took too long."""
    LAST_STRAW = "last_straw"
    """A failure that was one too many in too short a time; `after` finds that out."""
    NO_START = "no_start"
    """The worker did not even start: the machine's fault, not the model's; it is tried for ever, ever more rarely."""
    REFUSAL = "refusal"
    """The engine refused the model; its file will not get better by itself."""
    SUCCESS = "success"
    """A generation came to its end."""
    REVIVAL = "revival"
    """An operator wants it loaded."""


_H, _B, _P = Phase.HEALTHY, Phase.BACKING_OFF, Phase.PARKED
# fmt: off
NEXT: dict[Phase, dict[Event, Phase]] = {phase: dict(zip(Event, row, strict=True)) for phase, *row in (
    #     failure  last straw  no start  refusal  success  revival
    (_H,  _B,      _P,         _B,       _P,      _H,      _H),
    (_B,  _B,      _P,         _B,       _P,      _H,      _H),
    (_P,  _P,      _P,         _P,       _P,      _P,      _H),
)}
# fmt: on


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How one model stands, and what led there."""

    phase: Phase = Phase.HEALTHY
    failures: int = 0
    """In a row, since the last success."""
    counted_at_s: tuple[float, ...] = ()
    """Times of those that count towards parking, the last FAILURES_TO_PARK at most."""
    faults: int = 0
    """Generations in a row that failed in a living worker."""
    retry_at_s: float = 0.0
    """While it backs off: when it may be tried again."""
    last: str = ""
    """What happened last, for people; empty: nothing since the last success."""

    def is_askable(self, now_s: float) -> bool:
        """Whether a request may use it, or start the next try."""
        return self.phase is Phase.HEALTHY or (self.phase is Phase.BACKING_OFF and now_s >= self.retry_at_s)

    def note(self, now_s: float) -> str:
        """What a person should know of it; empty: nothing."""
        if self.phase is Phase.PARKED:
            return f"parked after {_failures(self.failures)}: {self.last}"
        if self.phase is Phase.BACKING_OFF:
            wait_s = self.retry_at_s - now_s
            then = f"not asked for another {wait_s:.0f} s" if wait_s > 0 else "tried again by the next request"
            return f"{_failures(self.failures)} in a row, {then}: {self.last}"
        return f"its engine failed: {self.last}" if self.last else ""


HEALTHY = Health()


def after(health: Health, event: Event, now_s: float, *, why: str = "", served_s: float = 0.0) -> Health:
    """How the model stands after an event; `served_s` is how long a worker that failed had been up, in seconds."""
    if event in (Event.SUCCESS, Event.REVIVAL):
        return HEALTHY if NEXT[health.phase][event] is Phase.HEALTHY else health
    if served_s >= SERVED_WELL_S:
        health = replace(health, failures=0, counted_at_s=())
    counted = health.counted_at_s
    if event is Event.FAILURE:
        recent = (*(at_s for at_s in counted if now_s - at_s < WINDOW_S), now_s)
        counted = recent[-FAILURES_TO_PARK:]
        event = Event.LAST_STRAW if len(counted) == FAILURES_TO_PARK else event
    failures = health.failures + 1
    return Health(
        phase=NEXT[health.phase][event],
        failures=failures,
        counted_at_s=counted,
        retry_at_s=now_s + backoff_s(failures),
        last=why,
    )


def after_fault(health: Health) -> Health:
    """How the model stands after a generation failed in a worker that lives on.

    Why is not kept: an engine's own words may quote the task, and everybody may read the note (I4).
    """
    return replace(health, faults=health.faults + 1, last=FAULT_SENTENCE)


def is_broken(health: Health) -> bool:
    """Whether so many generations have failed in a row that the worker itself must be broken."""
    return health.faults >= FAULTS_TO_BREAK


def backoff_s(failures: int) -> float:
    """How long a model rests after so many failures in a row: doubling from the first, capped."""
    doublings = min(failures - 1, 30)  # far beyond the cap already
    return min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2.0**doublings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a busy worker was when it was last seen to move."""

    steps: int
    """Its own count of prompt batches read and tokens made."""
    moved_at_s: float
    """When that count was first seen, or the worker last had nothing to do."""

    def seen(self, steps: int, *, computing: int, now_s: float) -> Progress:
        """With what the worker says now; while nobody waits for it to compute, it owes no progress."""
        if steps == self.steps and computing:
            return self
        return Progress(steps=steps, moved_at_s=now_s)

    def stalled_s(self, now_s: float) -> float:
        """How long it has owed a step."""
        return now_s - self.moved_at_s


def _failures(number: int) -> str:
    return "1 failure" if number == 1 else f"{number} failures"
