"""Whether anything new may be taken up: the fleet's stop order, of which the higher epoch holds (CONTRACT.md I8).

Only what the director has signed is an order. It verifies no signature.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from homebred_daemon.core.fleet_messages import StopOrder


class Proof(Enum):
    """What became of an order's signature."""

    SIGNED = auto()
    """By a key that the director has now."""
    NOT_SIGNED = auto()
    """By none of the director's keys that this device knows of: it is forged, or a newer root names its key."""
    UNKNOWN = auto()
    """Nobody can say: no root is pinned yet, or what is trusted cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What is known of an order's signature now."""

    proof: Proof
    director_keys: frozenset[str] = frozenset()
    """Ids of all keys that may sign orders now; none where nobody can say."""


NOBODY_KNOWS = Checked(proof=Proof.UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopping:
    """The newest order that was proven; kept on the disk, so that its epoch never falls (I2)."""

    epoch: int = 0
    stopped: bool = False
    reason_code: str = ""
    issued_at_s: int = 0
    key_id: str = ""
    """Whose signature proved it."""
    signature: bytes = b""

    @property
    def order(self) -> StopOrder | None:
        """The order itself, which proves what it says to whoever has the director's keys; None: there never was one."""
        if not self.signature:
            return None
        return StopOrder(
            epoch=self.epoch,
            stopped=self.stopped,
            reason_code=self.reason_code,
            issued_at_s=self.issued_at_s,
            key_id=self.key_id,
            signature=self.signature,
        )

    def heard(self, order: StopOrder, director_keys: frozenset[str]) -> Stopping:
        """What holds after an order that the director has signed; itself where that is known, or older.

        Of two orders of one epoch the one that stops holds: whoever made the second was wrong, and stopping is safe.
        Epochs of a key that root holders have taken away are no floor any more: its thief may have driven them to the
        end (as `core.trust_floors` has it for leases). What that key has stopped stays so until another order comes.
        """
        is_older = order.epoch < self.epoch or (order.epoch == self.epoch and (self.stopped or not order.stopped))
        if is_older and self.key_id in director_keys:
            return self
        return Stopping(
            epoch=order.epoch,
            stopped=order.stopped,
            reason_code=order.reason_code,
            issued_at_s=order.issued_at_s,
            key_id=order.key_id,
            signature=order.signature,
        )
