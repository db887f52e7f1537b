"""How a release becomes the serving model of a device: one table of states, and the rules around it.

A state is on the disk before its act begins, so a restart at any moment finds what was being done and does it again;
every act may be done twice. What serves is said by the activation record alone (`activation.py`), never by a state.
Of one specialist two installs may be under way: one on its way to activation, one in probation. It acts on nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType

from homebred_daemon.core.builds import NOT_BUILT, Built
from homebred_daemon.core.compatibility import Refusal
from homebred_daemon.core.pairs import NONE_YET, Pairs
from homebred_daemon.core.releases import Release
from homebred_daemon.core.stopping import Stopping
from homebred_daemon.core.trust import Lease, refused_lease

MAX_ATTEMPTS = 3
"""At an act that broke off, such as a gate whose engine died, before the release is refused for it."""


class State(StrEnum):
    """How far an install is."""

    DOWNLOADING = "downloading"
    VERIFYING = "verifying"
    CHECKING = "checking"
    BUILDING = "building"
    GATING = "gating"
    SHADOWING = "shadowing"
    ACTIVATING = "activating"
    PROBATION = "probation"
    ROLLING_BACK = "rolling_back"
    SETTLED = "settled"
    REFUSED = "refused"
    ROLLED_BACK = "rolled_back"
    SUPERSEDED = "superseded"
    WITHDRAWN = "withdrawn"


class Event(StrEnum):
    """What moves an install on."""

    FETCHED = "fetched"
    VERIFIED = "verified"
    DAMAGED = "damaged"
    """What was there whole is not: it is fetched again."""
    FITS = "fits"
    FITS_TO_BUILD = "fits_to_build"
    """It fits once what its recipe makes is there."""
    BUILT = "built"
    PASSED = "passed"
    PASSED_TO_SHADOW = "passed_to_shadow"
    """It has passed its gate, and asks to be compared beside what serves."""
    COMPARED = "compared"
    """It was not found worse, or could not be compared."""
    REFUSAL = "refusal"
    ACTIVATED = "activated"
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    MOVED_BACK = "moved_back"
    NEWER = "newer"
    """Another release of the specialist takes its place."""
    NO_LONGER_WANTED = "no_longer_wanted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A state's row."""

    act: str
    """What is done in it, and done again after a restart; empty: it has ended."""
    kept: str
    """What is on the disk before the act."""
    then: Mapping[Event, State] = field(default_factory=dict)
    """Where each event leads; others cannot come."""


_GIVEN_UP = {Event.NEWER: State.SUPERSEDED, Event.NO_LONGER_WANTED: State.WITHDRAWN}

# fmt: off
TABLE: Mapping[State, Phase] = MappingProxyType({
    State.DOWNLOADING:  Phase(act="fetch what is missing of the files",          kept="the release, this state",
                              then={Event.FETCHED: State.VERIFYING, Event.REFUSAL: State.REFUSED, **_GIVEN_UP}),
    State.VERIFYING:    Phase(act="take every byte into the store, by digest",   kept="the files, aside",
                              then={Event.VERIFIED: State.CHECKING, Event.DAMAGED: State.DOWNLOADING,
                                    Event.REFUSAL: State.REFUSED, **_GIVEN_UP}),
    State.CHECKING:     Phase(act="hold its constraints against this device",    kept="its slot in the store",
                              then={Event.FITS: State.GATING, Event.FITS_TO_BUILD: State.BUILDING,
                                    Event.DAMAGED: State.DOWNLOADING,
                                    Event.REFUSAL: State.REFUSED, **_GIVEN_UP}),
    State.BUILDING:     Phase(act="build what its recipe makes",                 kept="what it is built of, its slot",
                              then={Event.BUILT: State.GATING, Event.DAMAGED: State.DOWNLOADING,
                                    Event.REFUSAL: State.REFUSED, **_GIVEN_UP}),
    State.GATING:       Phase(act="measure it on its golden sets",               kept="its slot in the store",
                              then={Event.PASSED: State.ACTIVATING, Event.PASSED_TO_SHADOW: State.SHADOWING,
                                    Event.DAMAGED: State.DOWNLOADING,
                                    Event.REFUSAL: State.REFUSED, **_GIVEN_UP}),
    State.SHADOWING:    Phase(act="answer tasks again beside what serves",       kept="the gate's facts, counts",
                              then={Event.COMPARED: State.ACTIVATING, Event.DAMAGED: State.DOWNLOADING,
                                    Event.REFUSAL: State.REFUSED, **_GIVEN_UP}),
    State.ACTIVATING:   Phase(act="under a lease, move the activation record",   kept="the gate's facts, its fitness",
                              then={Event.ACTIVATED: State.PROBATION, Event.DAMAGED: State.DOWNLOADING,
                                    Event.REFUSAL: State.REFUSED, **_GIVEN_UP}),
    State.PROBATION:    Phase(act="count outcomes and test them",                kept="what to go back to, counts",
                              then={Event.HEALTHY: State.SETTLED, Event.DEGRADED: State.ROLLING_BACK,
                                    Event.NO_LONGER_WANTED: State.ROLLING_BACK, Event.NEWER: State.SUPERSEDED,
                                    Event.MOVED_BACK: State.ROLLED_BACK}),
    State.ROLLING_BACK: Phase(act="move the activation record back",             kept="why",
                              then={Event.MOVED_BACK: State.ROLLED_BACK}),
    State.SETTLED:      Phase(act="", kept="it is what a rollback goes back to"),
    State.REFUSED:      Phase(act="", kept="why; its digest is not tried again where the answer would be the same"),
    State.ROLLED_BACK:  Phase(act="", kept="the same"),
    State.SUPERSEDED:   Phase(act="", kept="by which"),
    State.WITHDRAWN:    Phase(act="", kept=""),
})
# fmt: on

ENDED = frozenset(state for state, phase in TABLE.items() if not phase.act)
WATCHED = frozenset({State.PROBATION, State.ROLLING_BACK})
"""Of what serves, or has just served."""
ON_ITS_WAY = frozenset(TABLE) - ENDED - WATCHED
"""What may still become active; a stop order holds it where it is (I8)."""
PASSING = frozenset({"damaged", "engine_failed", "no_room", "too_often_damaged"})
"""Codes of ends that speak of the moment rather than of the release: it may be tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Outcomes in use."""

    good: int = 0
    seen: int = 0

    def plus(self, other: Tally) -> Tally:
        """Both together."""
        return Tally(good=self.good + other.good, seen=self.seen + other.seen)


@dataclass(frozen=True, slots=True, kw_only=True)
class Install:
    """One release on its way through the table."""

    seq: int
    """In the order in which they were begun on this device."""
    release: Release
    state: State
    begun_at_s: int
    changed_at_s: int
    """Since when it is in its state, Unix seconds."""
    attempts: int = 0
    """At the act of its state, that broke off."""
    code: str = ""
    """Why it is where it is, or what it waits for."""
    reason: str = ""
    """The same for people."""
    built: Built = NOT_BUILT
    """What its recipe made here, the last time; only that is served."""
    pairs: Pairs = NONE_YET
    """Of its answers and those of what serves to the same tasks."""
    counted: Tally = Tally()
    """Outcomes since it was activated."""
    reference: Tally = Tally()
    """Of what it took the place of, as they were when it was activated."""

    @property
    def is_over(self) -> bool:
        """Whether nothing will be done about it any more."""
        return self.state in ENDED

    def moved(self, event: Event, *, now_s: int, code: str = "", reason: str = "") -> Install:
        """After an event.

        Raises:
            ValueError: it cannot come in this state.
        """
        return replace(self, state=after(self.state, event), changed_at_s=now_s, attempts=0, code=code, reason=reason)


def after(state: State, event: Event) -> State:
    """The state that follows. Raises ValueError where the event cannot come."""
    try:
        return TABLE[state].then[event]
    except KeyError:
        raise ValueError(f"{event} cannot come to an install that is {state}") from None


def refusal_of_lease(
    lease: Lease | None, release: Release, *, device: str, stopping: Stopping, now_s: int
) -> Refusal | None:
    """Why a release must not be activated now; None: it may be (I8: a stop beats a start)."""
    if stopping.stopped:
        return stopped(stopping)
    if lease is None:
        return Refusal(code="no_lease", sentence="the director has given no leave to activate it")
    refused = refused_lease(lease, device=device, digest=release.digest, stop_epoch=stopping.epoch, now_s=now_s)
    return None if refused is None else Refusal(code=refused.reason.value, sentence=refused.sentence)


def stopped(stopping: Stopping) -> Refusal:
    """Why nothing is begun while a stop order holds."""
    return Refusal(code="stopped", sentence=f"the fleet's stop order {stopping.epoch} holds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to do about a release that is wanted."""

    begins: bool
    ends: Install | None = None
    """The install on its way that gives up its place."""
    code: str = ""
    """Why it is not begun; empty: it is, or is under way or done already."""
    sentence: str = ""


def plan(release: Release, known: tuple[Install, ...], serving_number: int, serving_digest: str) -> Plan:
    """What to do about a wanted release.

    Args:
        release: what both repositories want here.
        known: all installs of its specialist, the newest first.
        serving_number: number of what serves now; 0: none, or what came by hand.
        serving_digest: of the same.
    """
    same = next((install for install in known if install.release.digest == release.digest), None)
    on_its_way = next((install for install in known if install.state in ON_ITS_WAY), None)
    if serving_digest == release.digest or (same is not None and not same.is_over):
        return Plan(begins=False)
    if release.number <= serving_number:
        return Plan(
            begins=False, code="older", sentence=f"release {serving_number} serves, and numbers never fall (I2)"
        )
    if on_its_way is not None and on_its_way.release.number >= release.number:
        return Plan(begins=False, code="older", sentence=f"release {on_its_way.release.number} is on its way")
    if same is not None and _is_final(same):
        return Plan(
            begins=False, code="tried", sentence=f"it was {same.state} here: {same.reason}. Make another release of it"
        )
    return Plan(begins=True, ends=on_its_way)


def _is_final(install: Install) -> bool:
    return install.state in {State.REFUSED, State.ROLLED_BACK} and install.code not in PASSING


def receipt_word(event: Event | None, state: State) -> str:
    """What the fleet is told of a step; empty: it is no news to it."""
    if event in {Event.PASSED, Event.PASSED_TO_SHADOW}:
        return "gate_passed"
    if event is Event.COMPARED:
        return "shadow_passed"
    if event is Event.ACTIVATED:
        return "activated"
    return state.value if state in ENDED else ""


def picture() -> str:
    """The table as a Mermaid diagram, for the documentation."""
    lines = ["stateDiagram-v2", f"    [*] --> {State.DOWNLOADING}"]
    for state, phase in TABLE.items():
        lines += [f"    {state} --> {target}: {event}" for event, target in phase.then.items()]
        if not phase.act:
            lines.append(f"    {state} --> [*]")
    return "\n".join(lines) + "\n"
