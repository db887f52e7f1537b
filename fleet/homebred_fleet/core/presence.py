"""Whether a device is there: which of its births and wills count, and which are older than what is known.

A birth is said by the device, a will by the broker in its place, up to half a minute after the connection was lost:
then the next birth may have come before it. Both carry the number of their boot and of the connection within it, which
orders them. A connection that has ended does not come back; its successor has a higher number.
"""

from __future__ import annotations

from dataclasses import dataclass

from homebred_protocol.ids import is_boot_id

UNHEARD = "unheard"
"""The controller's own conclusion: a broker that lost its memory never says a will."""
UNHEARD_AFTER_S = 300
"""After the controller's connection to a broker: the slowest device has come back by then, twice over."""
KEPT_COUNTS_S = 70 * 60
"""How long a birth that the broker kept stands for its device without another word of it, which tells of its health
every hour: a broker that was killed together with the device kept its birth, and never says its will."""
MAX_NUMBER = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a state message says."""

    online: bool
    boot_id: str
    boot_number: int
    connection: int
    reason: str
    """A word: `birth`, `stopping`, `lost`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Whether a state message changes what is known, and why."""

    holds: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignsOfLife:
    """What was heard of devices since a connection to a broker was made."""

    heard: frozenset[str]
    """They spoke, or the broker in their place: it says a will of theirs too."""
    kept: frozenset[str]
    """The broker kept a state of theirs, and nothing more was heard of it."""
    kept_counts_from_s: int
    """A state that was kept stands only for a device that was heard of since then."""

    def show(self, device: str, *, heard_at_s: int) -> bool:
        """Whether a device is there, as far as is known."""
        return device in self.heard or (device in self.kept and heard_at_s >= self.kept_counts_from_s)


def fault_of_state(told: Told) -> str:
    """Why a state message cannot be used; empty: it can."""
    if not is_boot_id(told.boot_id):
        return "boot-id"
    if not (1 <= told.boot_number <= MAX_NUMBER and 1 <= told.connection <= MAX_NUMBER):
        return "numbers"
    return ""


def judge_state(known: Told | None, told: Told, *, is_retained: bool, is_new_boot: bool) -> Judgement:
    """Whether `told` holds from now on.

    `is_new_boot`: nothing was ever heard of its boot. `is_retained`: the broker kept it, nobody knows since when.
    """
    if known is None:
        return Judgement(holds=True, reason="first")
    if known.boot_id == told.boot_id:
        return _judge_same_boot(known, told, is_retained=is_retained)
    if told.boot_number > known.boot_number:
        return Judgement(holds=True, reason="newer-boot")
    if told.online and is_new_boot and not is_retained:
        return Judgement(holds=True, reason="boots-counted-anew")  # its state folder was lost
    return Judgement(holds=False, reason="stale-boot")


def _judge_same_boot(known: Told, told: Told, *, is_retained: bool) -> Judgement:
    if told.connection != known.connection:
        is_newer = told.connection > known.connection
        return Judgement(holds=is_newer, reason="newer-connection" if is_newer else "stale-connection")
    if told.online == known.online:
        return Judgement(holds=False, reason="known")
    if told.online and known.reason != UNHEARD:
        return Judgement(holds=False, reason="ended-already")
    if told.online and is_retained:
        return Judgement(holds=False, reason="kept-alone")  # it was not believed any more
    return Judgement(holds=True, reason="ended" if known.online else "heard-after-all")
