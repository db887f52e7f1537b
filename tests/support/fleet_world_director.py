"""The director of a fleet in virtual time: its keys, all orders that they have signed, thieves and forgers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tests.support.stop_orders import signed_stop, stop_bytes

from homebred_daemon.core.fleet_messages import StopOrder
from homebred_protocol.limits import MAX_GIVEN

if TYPE_CHECKING:
    from tests.support.fleet_world import World


class Director:
    """Who signs stop orders."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._keys = 1
        self.key = "director-1"
        """With which the controller signs."""
        self.named = frozenset({self.key})
        """All that the newest root names."""
        self._given: list[StopOrder] = []

    def ordered(self, epoch: int, *, stopped: bool) -> bytes:
        """The controller's order, as it signs it now."""
        return self._give(signed_stop(epoch, stopped=stopped, key=self.key))

    def rank(self, order: StopOrder | None) -> int | None:
        """When an order was given, among all; None: no key of the director's has signed it."""
        return self._given.index(order) if order in self._given else None

    def rotate(self, *, at_once: bool) -> None:
        """Root holders give it another key, beside the one before for a while or in its place."""
        self._keys += 1
        before, self.key = self.key, f"director-{self._keys}"
        self.named = frozenset({self.key} if at_once else {self.key, before})
        self._have_all_look()
        if not at_once:
            self.world.later(30.0, self._drop_others)

    def forged(self, epoch: int, *, stopped: bool) -> bytes:
        """Beside the order in force, one that the director has not signed, or not so."""
        chance = self.world.chance
        genuine = signed_stop(epoch + 1, stopped=not stopped, key=self.key)
        forgeries = [
            StopOrder(epoch=MAX_GIVEN, stopped=True),
            StopOrder(epoch=epoch + 1, stopped=False),
            signed_stop(epoch + 1, stopped=chance.random() < 0.5, key="thief"),
            replace(genuine, stopped=stopped),
            replace(genuine, epoch=epoch + 7),
            replace(genuine, key_id="thief"),
        ]
        return stop_bytes(chance.choice(forgeries))

    def replayed(self) -> bytes:
        """One of all that were ever given; empty: none was."""
        return stop_bytes(self.world.chance.choice(self._given)) if self._given else b""

    def stolen(self) -> bytes:
        """A thief of its key gives the highest epoch of all."""
        return self._give(signed_stop(MAX_GIVEN, stopped=self.world.chance.random() < 0.7, key=self.key))

    def _give(self, order: StopOrder) -> bytes:
        if order not in self._given:
            self._given.append(order)
        return stop_bytes(order)

    def _drop_others(self) -> None:
        self.named = frozenset({self.key})
        self._have_all_look()

    def _have_all_look(self) -> None:
        for device in self.world.devices:
            device.look()
