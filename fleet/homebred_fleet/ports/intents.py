"""What devices should hear of the controller, as the reconciler reads it and notes what the broker has taken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from homebred_fleet.core.presence import SignsOfLife


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentRef:
    """A signed target by its bytes' digest: a policy, or the manifest of a gazetteer."""

    digest: str
    """`sha256:…`; empty: the device's own configuration."""
    length: int
    """Bytes."""


OWN = DocumentRef(digest="", length=0)
"""What gives a part back to the device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredState:
    """What one device should be like."""

    device: str
    version: int
    issued_at_s: int
    policy: DocumentRef | None
    """None: the device's own configuration holds."""
    gazetteer: DocumentRef | None
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandOrder:
    """A command to one device."""

    id: str
    device: str
    op: str
    issued_at_s: int
    deadline_s: int
    """Not begun after it."""
    issued_by: str
    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedCommands:
    """Which commands devices should hear."""

    now_s: int
    """What has not begun by its deadline is not among them."""
    also_sent: bool = False
    """Those too that a broker may have lost, and those that a device has begun: its last word may have been lost."""
    of: tuple[str, ...] | None = None
    """Of these devices; None: of all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """The fleet's newest stop order."""

    epoch: int
    stopped: bool
    reason_code: str
    issued_at_s: int
    is_published: bool
    """Whether a broker has ever taken it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedStop:
    """A stop order as devices hear it; whoever brings it, the signature says whether it is the director's."""

    epoch: int
    stopped: bool
    reason_code: str
    issued_at_s: int
    key_id: str
    """Empty: nobody has signed it."""
    signature: bytes


class Intents(Protocol):
    """The store, as the reconciler sees it; blocking, called on a thread. Every method may raise StoreError."""

    def versions_in_force(self) -> Mapping[str, int]:
        """Every enrolled device that has a desired state, with its version."""
        ...

    def unpublished(self, *, max_devices: int) -> Sequence[str]:
        """Devices whose newest version no broker has taken yet."""
        ...

    def states_of(self, device_ids: Sequence[str]) -> Sequence[DesiredState]:
        """Their desired states; those that are not enrolled are left out."""
        ...

    def commands_to_send(
        self, wanted: WantedCommands, *, after: CommandOrder | None, max_commands: int
    ) -> Sequence[CommandOrder]:
        """Commands that devices should hear, oldest first; those after one that was read."""
        ...

    def stop_in_force(self) -> Stop | None:
        """The newest stop order; None: there never was one."""
        ...

    def follow_stop(self, order: SignedStop, *, now_s: int) -> bool:
        """Takes an order of the director's over where it is newer, so that none is taken back; whether that was so."""
        ...

    def told_stops(self) -> Sequence[SignedStop]:
        """What enrolled devices say that they heed and that is newer than all that are known; nothing is verified."""
        ...

    def mark_published(
        self, *, versions: Mapping[str, int], sent: Iterable[str], stop_epoch: int | None, now_s: int
    ) -> None:
        """Notes in one transaction what the broker has taken; `sent` has ids of commands."""
        ...

    def expire_commands(self, *, now_s: int) -> int:
        """Gives up what nobody answered in time; how many."""
        ...

    def note_unheard(self, signs: SignsOfLife, *, now_s: int) -> Sequence[str]:
        """Turns every device offline that is online here without a sign of life; those that it turned."""
        ...
