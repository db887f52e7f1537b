"""The state of every part, and who looks after them for the operators."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from homebred_daemon.core.fleet_messages import PartReport
from homebred_daemon.ports.policies import PolicyInForce, PolicyOrigin
from homebred_engines import api


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecialistState:
    """One specialist of the model store."""

    id: str
    engine: str = ""
    base_digest: str = ""
    adapter_digest: str = ""
    """Of what answers on top of the base; empty: the base alone."""
    available: bool = False
    loaded: bool = False
    note: str = ""
    """What a person should know of it; empty: nothing."""
    pinned: bool = False
    """Whether its model is never unloaded to make room for another."""
    parked: bool = False
    """Whether its model kept failing and is not tried again before an operator has it loaded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerState:
    """One engine worker."""

    pid: int
    stats: api.WorkerStats | None
    """None: it ended, or did not say in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewsState:
    """How the review queue stands."""

    capacity: int
    """Open items at most."""
    waiting: int
    claimed: int
    answered: int
    """Since the queue was made, as the next two."""
    declined: int
    expired: int
    oldest_filed_at_utc: datetime | None
    """Of the open ones; None: there are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MembershipState:
    """Who the device is in its fleet, and whether that lasts."""

    device_id: str
    site: str
    certificate_ends_s: int
    certificate: str
    """A word of `core.renewal.Standing`."""
    renewal_problem: str
    """Code of why the last try at a renewal failed; empty: none did."""
    waiting_bundles: int
    """Of diagnostics, for somebody on the site to look at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetState:
    """How the link with the fleet stands."""

    device_id: str
    is_connected: bool
    since_s: int
    """Unix seconds of the last change; 0: there was none yet."""
    problem: str
    """Why there is no connection: a word of `homebred_protocol.mqtt.Ended`; empty: there is one, or none was tried."""
    desired_version: int
    parts: tuple[PartReport, ...]
    stopped: bool
    """Whether a stop order holds."""
    waiting_events: int
    """Of telemetry."""
    lost_events: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonState:
    """The state of every part."""

    started_at_utc: datetime
    policy_digest: str
    ceiling_digest: str
    registry_digest: str
    link: str
    specialists: tuple[SpecialistState, ...]
    workers: tuple[WorkerState, ...]
    streams: int
    """Tasks being answered now."""
    outcomes: Mapping[str, int]
    """Recorded outcomes by status."""
    reviews: ReviewsState
    policy_origin: PolicyOrigin
    is_draining: bool
    """Whether no more tasks are taken."""
    fleet: FleetState | None = None
    """None: there is no link with a fleet."""
    membership: MembershipState | None = None
    """None: the device is in no fleet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyChange:
    """What came of a policy that was offered."""

    digest: str
    """Of the policy now in force, or that would be."""
    previous_digest: str
    warnings: tuple[str, ...]
    """What it may not have meant."""


class LogLevels(Protocol):
    """How much the daemon writes about itself."""

    @property
    def level(self) -> str:
        """The least severe entry that is written: `debug`, `info`, `warning` or `error`."""
        ...

    def set_level(self, level: str) -> str:
        """Another one, until the daemon ends; the one before. Raises RequestError for a word that is none."""
        ...


class Caretaker(Protocol):
    """Looks after the running daemon on behalf of its operators."""

    async def state(self) -> DaemonState:
        """The state of every part."""
        ...

    async def reload_models(self) -> DaemonState:
        """Takes up what has changed in the model store; where that fails, what held still holds.

        Raises:
            StateError: the store cannot be read, or the ledger cannot be written.
        """
        ...

    def policy(self) -> PolicyInForce:
        """The policy that tasks accepted now are decided under."""
        ...

    async def set_policy(self, body: bytes, *, check_only: bool = False) -> PolicyChange:
        """Takes another policy, for tasks accepted from now on and after a restart; empty: the configured one again.

        Raises:
            RequestError: it is wrong, with every complaint; the old one still holds.
            StateError: it could not be stored; the old one still holds.
        """
        ...

    def drain(self, *, resume: bool = False) -> int:
        """Takes no more tasks, or takes them again; the number of those being answered."""
        ...
