"""Stop orders of a fleet whose director's signatures are only symbols, and whoever checks them on a device.

Who knows a key's name can sign with it: tests play thieves with names that no director has.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from hashlib import sha256

from homebred_daemon.core.fleet_messages import StopOrder
from homebred_daemon.core.stopping import Checked, Proof
from homebred_fleet.errors import StateError
from homebred_fleet.ports.intents import SignedStop, Stop
from homebred_protocol.schemas import CURRENT
from homebred_protocol.stop_orders import to_be_signed
from homebred_protocol.v1 import fleet_pb2 as wire

DIRECTOR = "director-1"


def signed_stop(epoch: int, *, stopped: bool, key: str = DIRECTOR, reason_code: str = "") -> StopOrder:
    """An order that whoever has this key has signed."""
    order = StopOrder(epoch=epoch, stopped=stopped, reason_code=reason_code, key_id=key)
    return replace(order, signature=_signature(key, order))


def stop_bytes(order: StopOrder) -> bytes:
    """As it comes over the broker."""
    return wire.StopOrder(
        schema=CURRENT,
        epoch=order.epoch,
        stopped=order.stopped,
        reason_code=order.reason_code,
        issued_at_s=order.issued_at_s,
        key_id=order.key_id,
        signature=order.signature,
    ).SerializeToString()


def order_in(payload: bytes) -> StopOrder:
    """Of a message."""
    said = wire.StopOrder.FromString(payload)
    return StopOrder(
        epoch=said.epoch,
        stopped=said.stopped,
        reason_code=said.reason_code,
        issued_at_s=said.issued_at_s,
        key_id=said.key_id,
        signature=said.signature,
    )


@dataclass
class KnownKeys:
    """Fulfils `ports.fleet.StopCheck`: a device that knows these keys as the director's."""

    keys: set[str] = field(default_factory=lambda: {DIRECTOR})
    is_readable: bool = True
    """Else nobody can say."""

    def check(self, order: StopOrder) -> Checked:
        if not self.is_readable:
            return Checked(proof=Proof.UNKNOWN)
        is_signed = order.key_id in self.keys and order.signature == _signature(order.key_id, order)
        return Checked(proof=Proof.SIGNED if is_signed else Proof.NOT_SIGNED, director_keys=frozenset(self.keys))


@dataclass
class SymbolicSigner:
    """Fulfils `homebred_fleet.ports.director.StopSigner`."""

    key: str = DIRECTOR
    """Empty: there is no director."""

    def signed(self, stop: Stop) -> SignedStop:
        self._require()
        order = StopOrder(
            epoch=stop.epoch,
            stopped=stop.stopped,
            reason_code=stop.reason_code,
            issued_at_s=stop.issued_at_s,
            key_id=self.key,
        )
        return as_signed(replace(order, signature=_signature(self.key, order)))

    def has_signed(self, order: SignedStop) -> bool:
        self._require()
        fields = {name: getattr(order, name) for name in StopOrder.__slots__}
        return KnownKeys({self.key}).check(StopOrder(**fields)).proof is Proof.SIGNED

    def _require(self) -> None:
        if not self.key:
            raise StateError("there is no director here", hint="make one")


def as_signed(order: StopOrder) -> SignedStop:
    """The same order as the controller has it."""
    return SignedStop(**{name: getattr(order, name) for name in StopOrder.__slots__})


def _signature(key: str, order: StopOrder) -> bytes:
    said = to_be_signed(
        epoch=order.epoch, stopped=order.stopped, issued_at_s=order.issued_at_s, reason_code=order.reason_code
    )
    return sha256(key.encode() + said).digest()
