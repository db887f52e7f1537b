"""A fleet in virtual time: the cores of device and controller, a broker in memory, and everything that can go wrong.

One seed makes one world, and the same seed the same. Devices drive `core.fleet_session` over an outbox in memory; the
controller judges by its own cores and keeps its rows in a set that complains of doubles. `check` says what was broken.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.support.fake_mqtt import FakeBroker
from tests.support.fleet_world_controller import Controller
from tests.support.fleet_world_device import Device

CALM_S = 8 * 3600.0
"""After the last fault: the longest waits of device and controller are over by then."""
YEARS_10_S = 315_360_000


@dataclass(frozen=True)
class Faults:
    """How often what goes wrong; a mutant of device or controller by name."""

    seed: int
    mutant: str = ""
    kinds: tuple[str, ...] = ()
    """The only faults there are; empty: all."""
    devices: int = 2
    rounds: int = 10
    """Faults that begin, one after the other."""
    events: int = 36
    """Of each device."""


class _All:
    def __contains__(self, name: object) -> bool:
        return True


class World:
    """Time, chance, and all that lives in it."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self.chance = random.Random(faults.seed)
        self.now_s = 1000.0
        self.log: list[str] = []
        self.broken: list[str] = []
        self.broker = FakeBroker()
        self.broker.now_s = self.now_s
        self.will_delay_s = self.chance.choice([0, 3, 30])
        self.chaos = 0.0
        """How likely a message to the controller or an answer of it is late, doubled, or out of order."""
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._entries = 0
        self.controller = Controller(self)
        self._kinds: tuple[str, ...] | _All = faults.kinds or _All()
        self.devices = [Device(self, f"dev-{number}") for number in range(faults.devices)]

    def later(self, delay_s: float, act: Callable[[], None]) -> None:
        """Does something when that much time has passed."""
        self._entries += 1
        heapq.heappush(self._agenda, (self.now_s + delay_s, self._entries, act))

    def note(self, text: str) -> None:
        """One line of the world's story, for whoever replays a seed."""
        self.log.append(f"{self.now_s - 1000:9.2f} {text}")

    def run_until(self, ends_at_s: float) -> None:
        """Lets time pass."""
        while self._agenda and self._agenda[0][0] <= ends_at_s:
            self._to(self._agenda[0][0])
            heapq.heappop(self._agenda)[2]()
        self._to(ends_at_s)

    def _to(self, now_s: float) -> None:
        passed_s, self.now_s = now_s - self.now_s, now_s
        self.broker.pass_s(passed_s)

    def run(self) -> list[str]:
        """Faults, then calm; what was broken."""
        self.controller.start()
        for device in self.devices:
            device.start()
        for _ in range(self.faults.rounds):
            self._fault()
            self.run_until(self.now_s + self.chance.choice([0.5, 3, 20, 90]))
            if len(self.broken) > 3:
                return self.broken
        self._heal()
        self.run_until(self.now_s + CALM_S)
        self._check()
        return self.broken

    def _fault(self) -> None:
        chance, device = self.chance, self.chance.choice(self.devices)
        name, act = chance.choice([fault for fault in self._faults(device) if fault[0] in self._kinds])
        self.note(f"-- {name} ({device.id})")
        act()

    def _faults(self, device: Device) -> list[tuple[str, Callable[[], None]]]:
        chance = self.chance
        return [
            ("partition", lambda: device.partition(chance.choice([1, 10, 60, 400]))),
            ("partition", lambda: device.partition(chance.choice([1, 10, 60, 400]))),
            ("chaos", lambda: self._set_chaos(chance.choice([0.0, 0.2, 0.6]))),
            ("broker forgets", lambda: self.broker.restart(remembers=False)),
            ("broker restarts", lambda: self.broker.restart(remembers=True)),
            ("broker away", lambda: self._broker_away(chance.choice([2, 30, 200]))),
            ("controller killed", lambda: self.controller.kill(chance.choice([0.5, 5, 60]))),
            ("controller killed before its commit", lambda: self.controller.kill_at("before")),
            ("controller killed after its commit", lambda: self.controller.kill_at("after")),
            ("controller restored", self.controller.restore),
            ("device killed", lambda: device.kill(chance.choice([0.5, 5, 60]))),
            ("device killed at its disk", lambda: setattr(device, "dies_at_disk", chance.choice([1, 2, 3]))),
            ("device stopped well", lambda: device.stop_well(chance.choice([0.5, 5, 60]))),
            ("clock", lambda: setattr(device, "clock_s", chance.choice([-YEARS_10_S, 0, YEARS_10_S]))),
            ("disk full", lambda: device.fill_disk(chance.choice([5, 60, 300]))),
            ("no files left", lambda: device.exhaust_files(chance.choice([5, 60, 300]))),
            ("desired", lambda: self.controller.assign(device.id)),
            ("desired", lambda: self.controller.assign(device.id)),
            ("old desired replayed", lambda: self.controller.replay(device.id)),
            ("another's desired", lambda: self.controller.misdirect(device.id)),
            ("stop order", lambda: self.controller.order_stop(stopped=chance.random() < 0.5)),
            ("forged stop order", self.controller.forge_stop),
            ("old stop order replayed", self.controller.replay_stop),
            ("director's key changed", lambda: self.controller.rotate(at_once=chance.random() < 0.7)),
            ("director's key stolen", self.controller.steal),
            ("trust unreadable", lambda: device.lose_trust(chance.choice([5, 60, 300]))),
            ("old schema", lambda: self.controller.cannot_read(chance.choice([30, 700]))),
            ("refusals", self.controller.refuse_next),
        ]

    def _set_chaos(self, chaos: float) -> None:
        self.chaos = chaos

    def _broker_away(self, seconds: float) -> None:
        self.broker.restart(remembers=self.chance.random() < 0.5)
        self.broker.reachable = False
        self.later(seconds, self._broker_back)

    def _broker_back(self) -> None:
        self.broker.reachable = True

    def _heal(self) -> None:
        self.note("-- calm")
        self.chaos = 0.0
        self.broker.reachable = True
        self.controller.heal()
        for device in self.devices:
            device.heal()

    def _check(self) -> None:
        for device in self.devices:
            self.broken += [f"{device.id}: {each}" for each in (*device.check(), *self.controller.check(device))]
