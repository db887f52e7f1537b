"""The way between one end of a fleet in virtual time and its broker."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from tests.support.fake_mqtt import FakeConnection

from homebred_protocol.mqtt import Ended, Happening

if TYPE_CHECKING:
    from tests.support.fleet_world import World


class End(Protocol):
    """Whose line it is."""

    def happened(self, line: Line, happening: Happening) -> None: ...


class Line:
    """A connection to the broker with a way between: bytes take time, keep their order, and may never arrive."""

    def __init__(self, world: World, owner: End, delay_s: float) -> None:
        self._world = world
        self._owner = owner
        self._delay_s = delay_s
        self._up_s = self._down_s = 0.0
        self.is_cut = False
        self.is_dead = False
        self._far = FakeConnection(world.broker, self._from_broker)

    def send(self, act: Callable[[FakeConnection], None]) -> None:
        """Towards the broker."""
        self._up_s = max(self._up_s, self._world.now_s + self._delay_s * (0.5 + self._world.chance.random()))
        self._world.later(self._up_s - self._world.now_s, lambda: self._arrive(act))

    def _arrive(self, act: Callable[[FakeConnection], None]) -> None:
        if not self.is_cut:
            act(self._far)
            self._world.broker.settle()

    def _from_broker(self, happening: Happening) -> None:
        if self.is_cut:
            return
        self._down_s = max(self._down_s, self._world.now_s + self._delay_s * (0.5 + self._world.chance.random()))
        self._world.later(self._down_s - self._world.now_s, lambda: self._hear(happening))

    def _hear(self, happening: Happening) -> None:
        if not self.is_cut and not self.is_dead:
            self._owner.happened(self, happening)

    def cut(self, notice_s: float) -> None:
        """Nothing gets through any more; both ends notice later."""
        self.is_cut = True
        self._world.later(notice_s, self._notice)

    def _notice(self) -> None:
        self.drop()
        if not self.is_dead:
            self._owner.happened(self, Ended("lost"))

    def die(self) -> None:
        """Its process is gone: what it wrote is on its way, and nobody hears an answer."""
        self.is_dead = True
        self._world.later(self._delay_s * 2, self.drop)

    def drop(self) -> None:
        """The broker loses sight of it."""
        self._far.close()
        self._world.broker.settle()
