"""What the link with the fleet needs of the device: a memory that outlives it, documents, and words on the wire."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from homebred_daemon.core.desired_state import KeptDesired
from homebred_daemon.core.fleet_messages import Desired, Document, PartReport, Said, StopOrder, Told
from homebred_daemon.core.stopping import Checked, Stopping
from homebred_daemon.ports.identity import Identity
from homebred_protocol.mqtt import HandOver, MqttConnection
from homebred_protocol.targets import Kind


class FleetMemory(Protocol):
    """What no restart may forget (I2): floors, what is desired, the stop order. Every method may raise StateError."""

    def desired(self) -> KeptDesired:
        """What is desired, and what became of it."""
        ...

    def stopping(self) -> Stopping:
        """The stop order that holds."""
        ...

    def keep_desired(self, desired: Desired) -> None:
        """Keeps it, its version as the floor; what was refused before is forgotten."""
        ...

    def keep_part(self, report: PartReport, applied: str) -> None:
        """Keeps what became of a part, and the digest of what holds of it."""
        ...

    def keep_stop(self, stopping: Stopping) -> None:
        """Keeps a stop order; an older one that the same key has signed changes nothing."""
        ...

    def close(self) -> None:
        """Nothing may be called afterwards."""
        ...


class StopCheck(Protocol):
    """Who knows the director's keys."""

    def check(self, order: StopOrder) -> Checked:
        """Whether the director has signed an order; that nobody can say is an answer too. From any thread."""
        ...


class DocumentFolder(Protocol):
    """Where documents of the fleet lie, by their digest. Every method may raise StateError."""

    @property
    def path(self) -> Path:
        """For whoever fetches into it."""
        ...

    def find(self, digest: str) -> Path | None:
        """A document that is there, whole; None: it is not, or is damaged."""
        ...

    def keep(self, digest: str, body: bytes) -> None:
        """Keeps a document's bytes, which are those of the digest."""
        ...

    def forget_all_but(self, digests: frozenset[str]) -> None:
        """Removes every other one; what came so far of these stays, so that they are gone on with."""
        ...


class SignedDocuments(Protocol):
    """What both repositories hold for this device of policies and gazetteers."""

    async def document(self, kind: Kind, digest: str, *, stop_epoch: int) -> bytes:
        """The bytes of a target that the director names for this device; its number is a floor from then on.

        `stop_epoch` is that of the newest stop order heard: an older lease is in force no longer (I8).

        Raises:
            UntrustedError: there is none that may be taken now, with why.
            FleetError: nobody can say which roots to look from.
            StateError: what is trusted cannot be read or kept.
        """
        ...


class ListLine(Protocol):
    """Who brings lists of gazetteers."""

    async def fetch(self, digest: str, length: int, into: Path) -> Path:
        """A list by its digest, verified, in a file of that folder; goes on where an earlier try ended.

        Raises:
            FleetError: refused, unreachable, or not what the digest says.
            StateError: it cannot be kept.
        """
        ...


class FleetDocuments(Protocol):
    """Has documents here, and has them hold."""

    async def obtain(self, name: str, document: Document, *, stop_epoch: int) -> None:
        """Has the bytes of a part's document on this device, as they are signed for it.

        Raises:
            UntrustedError: not so, with why; it may pass unless the reason is one of `core.trust_refusals.FINAL`.
            FleetError, StateError: not now; it may pass.
            RequestError: it never will be.
        """
        ...

    async def apply(self, name: str, digest: str) -> None:
        """Checks a document and has it hold from now on, and after a restart; an empty digest: the device's own.

        Raises:
            RequestError: it is not valid here; the one before still holds.
            StateError: it could not be kept; the one before still holds.
        """
        ...

    async def keep_only(self, digests: frozenset[str]) -> None:
        """Removes every document that is neither wanted nor holds. Raises StateError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What is published."""

    topic: str
    payload: bytes
    retain: bool


class FleetWords(Protocol):
    """The controller's bytes as values, and the device's values as bytes, of one device."""

    @property
    def topics(self) -> tuple[str, ...]:
        """What the device subscribes to."""
        ...

    def read(self, topic: str, payload: bytes) -> Said:
        """What a message says; `Unreadable` where it says nothing. It never fails."""
        ...

    def message(self, told: Told) -> Message:
        """What the device says."""
        ...

    def telemetry_topic(self, stream: str) -> str:
        """Where batches of a stream go."""
        ...


Dial = Callable[[Identity, HandOver], MqttConnection]
"""Makes a connection, not connected yet, to the broker of an identity. May raise OSError: no file can be opened."""
