"""What this device and its fleet's controller say to each other, as values; `adapters/fleet_wire` has the bytes.

They are checked for their form when they are read, never believed for that: `desired_state`, `stopping` and
`telemetry_window` say what follows from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from homebred_daemon.core.commands import Command, CommandResult
from homebred_protocol.requests import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A signed target that is wanted, by its bytes' digest: a policy, or the manifest of a gazetteer."""

    digest: str
    """`sha256:…`; empty: the device's own configuration is to hold."""
    length: int = 0
    """Bytes, as the controller says: what is signed says it too, and counts."""


OWN = Document(digest="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """What the device should be like."""

    device_id: str
    version: int
    issued_at_s: int = 0
    """Unix seconds of the controller's clock."""
    policy: Document = OWN
    gazetteer: Document = OWN
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StopOrder:
    """Whether anything new may be taken up in the whole fleet; whoever says so may not be the director."""

    epoch: int
    stopped: bool
    reason_code: str = ""
    issued_at_s: int = 0
    """Unix seconds of the controller's clock."""
    key_id: str = ""
    """Whose signature it claims to have; empty: nobody's."""
    signature: bytes = b""


@dataclass(frozen=True, slots=True)
class NoStopOrder:
    """The broker keeps no stop order any more: the controller has given none, and takes another's back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetryAck:
    """What the controller has committed of one boot's stream."""

    boot_id: str
    stream: str
    up_to_seq: int
    refused_up_to_seq: int = 0
    """Up to here are batches that it can never take; 0: none."""
    refusal_code: str = ""
    """Without a refused number: keep it, and try again later."""
    was_behind: bool = False
    """A floor told it something that it had not: it is an older copy of itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A message that says nothing to this device."""

    kind: str
    """Of the topic, as `homebred_protocol.topics` names it; empty: no topic of this device."""
    cause: str
    """A word: `malformed`, `schema`, `topic`, `too_large`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The controller answers a request."""

    correlation: bytes
    outcome: Outcome
    body: bytes
    """What the operation says, unread; empty unless it is given."""


Said = Desired | StopOrder | NoStopOrder | TelemetryAck | Command | Answered | Unreadable
"""By the controller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """Whether the device is there; (`boot_number`, `connection`) orders births and wills."""

    online: bool
    boot_id: str
    boot_number: int
    connection: int
    since_s: int
    reason: str
    """`birth`, `stopping` or `lost`."""


class PartState(StrEnum):
    """How far a part of what is desired is."""

    APPLIED = "applied"
    REFUSED = "refused"
    FETCHING = "fetching"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartReport:
    """What became of one part."""

    name: str
    """`policy` or `gazetteer`."""
    digest: str
    """Of what was asked for; empty: the device's own configuration."""
    state: PartState
    problem_code: str = ""
    problem: str = ""
    """What, why, what next; speaks of the document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What of the device itself is reported."""

    software_version: str = ""
    policy_digest: str = ""
    """In force, whoever set it."""
    registry_digest: str = ""
    certificate_ends_at_s: int = 0
    architecture: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """What the device is like."""

    boot_id: str
    boot_number: int
    revision: int
    at_s: int
    desired_version: int
    highest_version: int
    parts: tuple[PartReport, ...]
    facts: Facts
    stop_epoch: int
    stopped: bool
    stop_order: StopOrder | None = None
    """The newest that is proven, for a controller that has forgotten it."""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FloorReport:
    """The device was acknowledged more than the controller now has."""

    boot_id: str
    boot_number: int
    stream: str
    acknowledged_seq: int
    acknowledged_events: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The device asks the controller for something."""

    operation: str
    correlation: bytes
    body: bytes


Told = Presence | Reported | FloorReport | CommandResult | Request
"""By the device; batches of telemetry are bytes already."""
