"""Whether a cloud endpoint can be reached: what signs of it lead to, and when it is probed next.

It knows no socket and no clock: time comes in as monotonic seconds, chance as a number from 0 to 1. A call that ends
well or badly is the best sign; probes are made only where calls are not, and what the system says of its network is a
hint that brings the next probe forward.

A loss counts at once. Coming back takes a trial without a single failure, the longer the more often it was lost: a link
that comes and goes every second would otherwise be taken for good again and again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from homebred_daemon.core.link import Link

TRIAL_S = 10.0
"""Shortest time of successes alone until an endpoint that was lost counts as reached."""
TRIAL_SUCCESSES = 5
RELAPSE_TRIAL_S = 60.0
"""The same after a second loss within MEMORY_S, doubled with each further one: at most two changes a minute."""
LONGEST_TRIAL_S = 300.0
MEMORY_S = 600.0
"""Losses longer ago are forgotten."""
TRIAL_PROBE_S = 1.5
"""Longest time between two probes on trial; never a regular one, which might fall in step with the link."""
FIRST_PROBE_S = 1.0
LONGEST_PROBE_S = 10.0
"""Between two probes of an endpoint that is lost: the first, and the longest."""
GONE_PROBE_S = 300.0
"""Where the system says that there is no network, it says too when there is one: this is for one that forgets to."""


class Reach(StrEnum):
    """How an endpoint stands."""

    UP = "up"
    SUSPECT = "suspect"
    """It failed once, or it has just been heard of again: on trial."""
    DOWN = "down"
    PORTAL = "portal"
    """Somebody else answers in its place: a network that wants a person to sign in first."""


class Sign(StrEnum):
    """What was seen of an endpoint."""

    SUCCESS = "success"
    """The endpoint itself answered, whatever it said."""
    STEADY = "steady"
    """A success that ends a trial; `after` finds that out."""
    FAILURE = "failure"
    """No name, no connection, no answer in time."""
    STRANGER = "stranger"
    """The answer was not the endpoint's: another certificate, a redirection to a page to sign in."""
    GONE = "gone"
    """The system says that there is no network."""
    HINT = "hint"
    """The system says that its network has changed; that says nothing about the endpoint."""


_U, _S, _D, _P = Reach.UP, Reach.SUSPECT, Reach.DOWN, Reach.PORTAL
# fmt: off
NEXT: dict[Reach, dict[Sign, Reach]] = {reach: dict(zip(Sign, row, strict=True)) for reach, *row in (
    #     success  steady  failure  stranger  gone  hint
    (_U,  _U,      _U,     _S,      _P,       _D,   _U),
    (_S,  _S,      _U,     _D,      _P,       _D,   _S),
    (_D,  _S,      _S,     _D,      _P,       _D,   _D),
    (_P,  _S,      _S,     _D,      _P,       _D,   _P),
)}
# fmt: on


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """How one endpoint stands, and what led there."""

    reach: Reach = Reach.UP
    probe_at_s: float = float("inf")
    """When it is to be probed; never while it is up."""
    trial_since_s: float = 0.0
    """On trial: its first success without a failure since."""
    successes: int = 0
    """On trial: so many in a row."""
    failures: int = 0
    """Probes in a row that found it lost."""
    lost_at_s: tuple[float, ...] = ()
    """When it was lost, within MEMORY_S."""


UNTRIED = Endpoint()
"""Taken for reached until the first call says otherwise."""


def after(endpoint: Endpoint, sign: Sign, now_s: float, chance: float) -> Endpoint:
    """How the endpoint stands after a sign; `chance` from 0 to 1 spreads the next probe."""
    if sign is Sign.SUCCESS and _is_proven(endpoint, now_s):
        sign = Sign.STEADY
    reach, spread = NEXT[endpoint.reach][sign], (1 + chance) / 2
    if reach is Reach.UP:
        return replace(endpoint, reach=reach, probe_at_s=float("inf"), successes=0, failures=0)
    if sign is Sign.HINT:
        return replace(endpoint, probe_at_s=now_s)
    if sign is Sign.SUCCESS:
        return replace(
            endpoint,
            reach=reach,
            probe_at_s=now_s + TRIAL_PROBE_S * spread,
            trial_since_s=endpoint.trial_since_s if endpoint.successes else now_s,
            successes=endpoint.successes + 1,
            failures=0,
        )
    lost = tuple(at_s for at_s in endpoint.lost_at_s if now_s - at_s < MEMORY_S)
    wait_s = GONE_PROBE_S if sign is Sign.GONE else min(_doubled(FIRST_PROBE_S, endpoint.failures), LONGEST_PROBE_S)
    return Endpoint(
        reach=reach,
        probe_at_s=now_s + wait_s * spread,
        failures=endpoint.failures + 1,
        lost_at_s=(*lost, now_s) if endpoint.reach is Reach.UP else lost,
    )


def projected(endpoint: Endpoint, *, is_metered: bool) -> Link:
    """What the router sees of it (CONTRACT "Link"): an endpoint on trial is down."""
    match endpoint.reach:
        case Reach.UP:
            return Link.METERED if is_metered else Link.UP
        case Reach.PORTAL:
            return Link.PORTAL
        case Reach.SUSPECT | Reach.DOWN:
            return Link.DOWN


def _is_proven(endpoint: Endpoint, now_s: float) -> bool:
    """Whether one more success ends the trial."""
    has_lasted = now_s - endpoint.trial_since_s >= trial_s(len(endpoint.lost_at_s))
    return endpoint.successes + 1 >= TRIAL_SUCCESSES and has_lasted


def trial_s(losses: int) -> float:
    """How long a trial takes after so many losses within MEMORY_S, in seconds."""
    return TRIAL_S if losses <= 1 else min(_doubled(RELAPSE_TRIAL_S, losses - 2), LONGEST_TRIAL_S)


def _doubled(first_s: float, times: int) -> float:
    """So often, but never beyond what a number holds: an endpoint may be lost for months."""
    return first_s * 2.0 ** min(times, 16)
