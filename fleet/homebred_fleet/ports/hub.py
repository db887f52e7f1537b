"""The broker as the controller's services see it: one connection whose happenings come one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from homebred_fleet.core.ingest import Ack
from homebred_fleet.ports.intents import CommandOrder, DesiredState, SignedStop
from homebred_protocol.mqtt import Happening, SessionTerms
from homebred_protocol.requests import Answer


class Hub(Protocol):
    """Nothing waits but `happenings`; where there is no connection, what is told is lost, and `Delivered` says so.

    A `token` comes back with `Delivered`; 0 where nobody waits for it.
    """

    def connect(self, terms: SessionTerms) -> None:
        """Begins a connection: `Connected` or `Ended` follows."""
        ...

    def subscribe(self, topics: tuple[str, ...]) -> None:
        """Asks for topics."""
        ...

    async def happenings(self) -> Sequence[Happening]:
        """What happened since it was last asked, at least one thing."""
        ...

    def acknowledge(self, receipt: int) -> None:
        """Tells the broker that a message was dealt with: not before what follows from it is on the disk."""
        ...

    def tell_ack(self, ack: Ack) -> None:
        """Tells a device what of a stream is committed."""
        ...

    def tell_desired(self, state: DesiredState, *, token: int) -> None:
        """Tells a device what it should be like, retained."""
        ...

    def withdraw_desired(self, device: str, *, token: int) -> None:
        """Takes back what the broker keeps for a device that is no longer of the fleet."""
        ...

    def tell_command(self, order: CommandOrder, *, expiry_s: int, token: int) -> None:
        """Tells a device to do something; the broker keeps it as long for one that is away."""
        ...

    def tell_stop(self, stop: SignedStop, *, token: int) -> None:
        """Tells the whole fleet to stop or go on, retained."""
        ...

    def withdraw_stop(self, *, token: int) -> None:
        """Takes back what the broker keeps as a stop order: nobody of this fleet has given one."""
        ...

    def tell_answer(self, device: str, answer: Answer, *, expiry_s: int, token: int) -> None:
        """Answers a device's request; the broker keeps it as long for one that is away."""
        ...

    def version_kept(self, payload: bytes) -> int | None:
        """The version of a desired state that the broker keeps; None: it keeps none that can be read."""
        ...

    def stop_kept(self, payload: bytes) -> SignedStop | None:
        """The stop order that the broker keeps; None: it keeps none that can be read."""
        ...

    def close(self) -> None:
        """Ends the connection; nothing happens afterwards."""
        ...
