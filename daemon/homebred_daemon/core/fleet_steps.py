"""What happens to the link with the fleet, and what the link wants done: the two vocabularies of `fleet_session`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from homebred_daemon.core.commands import Command
from homebred_daemon.core.desired_state import DesiredStep, Outcome
from homebred_daemon.core.fleet_messages import Facts, Presence, Said, StopOrder, Told
from homebred_daemon.core.requesting import Abandon, Ask, Settle
from homebred_daemon.core.stopping import Checked, Stopping
from homebred_daemon.core.telemetry_window import Batch, CountRefused, CutNext, Forget, Send, TellFloor
from homebred_protocol.mqtt import Connected, Delivered, Ended


@dataclass(frozen=True, slots=True)
class Now:
    """The present, by two clocks."""

    monotonic_s: float
    """What every wait goes by."""
    unix_s: int
    """What is told to others; it may be wrong by years, and nothing depends on it."""


# --- What happens -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Heard:
    """The controller said something."""

    said: Said
    receipt: int


@dataclass(frozen=True, slots=True)
class OutboxRead:
    """All batches that were cut and not acknowledged, in the order in which they are sent."""

    batches: Sequence[Batch]


@dataclass(frozen=True, slots=True)
class WasCut:
    """The outbox cut a batch; None: nothing waits."""

    batch: Batch | None


@dataclass(frozen=True, slots=True)
class OutboxFailed:
    """The outbox could not be read or written."""


@dataclass(frozen=True, slots=True)
class EventsWait:
    """The outbox has new events."""


@dataclass(frozen=True, slots=True)
class FloorFound:
    """What the outbox remembers of what was acknowledged."""

    boot_id: str
    boot_number: int
    stream: str
    seq: int
    events: int


@dataclass(frozen=True, slots=True)
class FloorsRead:
    """A page of them, the newest first; empty: there are no more."""

    page: tuple[FloorFound, ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """Whether a `KeepDesired` or `KeepStop` is on the disk."""

    what: DesiredStep | KeepStop
    ok: bool


@dataclass(frozen=True, slots=True)
class StopChecked:
    """What became of the signature of an order that was to be checked."""

    order: StopOrder
    receipt: int | None
    """As in the `CheckStop`."""
    proof: Checked


@dataclass(frozen=True, slots=True)
class ResultsWait:
    """Results of commands that the broker has not acknowledged."""

    results: Sequence[CommandTold]


@dataclass(frozen=True, slots=True)
class CommandNews:
    """There may be results of commands to be told."""


@dataclass(frozen=True, slots=True)
class FactsAre:
    """What of the device itself is reported from now on."""

    facts: Facts


@dataclass(frozen=True, slots=True)
class TimePassed:
    """A wait may be over."""


@dataclass(frozen=True, slots=True)
class NewCredentials:
    """The device's certificate was renewed: connect with it."""


@dataclass(frozen=True, slots=True)
class Leave:
    """The daemon is about to stop."""


Event = (
    Connected
    | Ended
    | Delivered
    | Heard
    | OutboxRead
    | WasCut
    | OutboxFailed
    | EventsWait
    | FloorFound
    | FloorsRead
    | Kept
    | StopChecked
    | Outcome
    | ResultsWait
    | CommandNews
    | FactsAre
    | Ask
    | Abandon
    | TimePassed
    | NewCredentials
    | Leave
)


# --- What is wanted ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Connect:
    """Connect, with this as the will."""

    will: Presence
    keepalive_s: int


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Subscribe to all that a device hears."""


@dataclass(frozen=True, slots=True)
class Publish:
    """Tell the controller something; `Delivered` with the token, or `Ended`, follows."""

    told: Told | Send
    token: int


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """What followed from a message is done: the broker need not send it again."""

    receipt: int


@dataclass(frozen=True, slots=True)
class Disconnect:
    """End the connection in good order."""

    with_will: bool = False
    """Where nobody knows whether the goodbye was heard, the broker says the will."""


@dataclass(frozen=True, slots=True)
class ReadOutbox:
    """`OutboxRead` follows, or `OutboxFailed`."""


@dataclass(frozen=True, slots=True)
class CheckStop:
    """Find out whether the director has signed an order; `StopChecked` follows."""

    order: StopOrder
    receipt: int | None = None
    """None: it was acknowledged, and is checked again."""


@dataclass(frozen=True, slots=True)
class LookForRoots:
    """Look at what is signed for this device: a newer root of the director's may name a key that is not known."""


@dataclass(frozen=True, slots=True)
class KeepStop:
    """Put it on the disk; `Kept` follows."""

    stopping: Stopping
    receipt: int | None


@dataclass(frozen=True, slots=True)
class TakeCommand:
    """Hand a command on; once it is kept, acknowledge its receipt. `ResultsWait` follows when there is news."""

    command: Command
    receipt: int


@dataclass(frozen=True, slots=True)
class CommandTold:
    """The broker has acknowledged the result of a command; as an event's part: it has not yet."""

    told: Told
    command_id: str
    revision: int


@dataclass(frozen=True, slots=True)
class ReadResults:
    """`ResultsWait` follows."""


@dataclass(frozen=True, slots=True)
class ReadFloors:
    """`FloorsRead` follows: what the outbox remembers, the newest first, without the first `skip`."""

    skip: int


@dataclass(frozen=True, slots=True)
class Note:
    """Something that people may want to know."""

    what: str
    """`connected`, `ended`, `ignored`, `held_back`, `impossible`, `taken`, `stop_order`, `stop_unproven`."""
    about: tuple[tuple[str, str | int | float], ...] = ()


@dataclass(frozen=True, slots=True)
class Left:
    """The goodbye is said, or could not be: nothing more is wanted."""


Want = (
    Connect
    | Subscribe
    | Publish
    | Acknowledge
    | Disconnect
    | ReadOutbox
    | CutNext
    | Forget
    | CountRefused
    | TellFloor
    | DesiredStep
    | CheckStop
    | LookForRoots
    | KeepStop
    | TakeCommand
    | CommandTold
    | ReadResults
    | ReadFloors
    | Settle
    | Note
    | Left
)
