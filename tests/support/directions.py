"""The director's ports in memory: `FakeDirections` is held to the suite of the one in the controller's database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from homebred_fleet.core.director import Assigned, Standing, Wanted
from homebred_fleet.ports.directing import Direction, Intent, Signed
from homebred_protocol.targets import Target


@dataclass
class FakeDirections:
    """What is wanted, and what was signed, by device."""

    targets: dict[str, Sequence[Target]] = field(default_factory=dict)
    stop_epoch: int = 0
    stopped: bool = False
    kept: dict[str, Direction] = field(default_factory=dict)

    def intent(self, device: str) -> Intent:
        return Intent(targets=self.targets.get(device, ()), stop_epoch=self.stop_epoch, stopped=self.stopped)

    def last(self, device: str) -> Direction | None:
        return self.kept.get(device)

    def keep(self, device: str, direction: Direction) -> bool:
        last = self.kept.get(device)
        if last is not None and last.standing.version >= direction.standing.version:
            return False
        self.kept[device] = direction
        return True


@dataclass
class WordSigner:
    """Signs nothing: its bytes say what they would be of."""

    signed: list[Wanted] = field(default_factory=list)

    def sign(self, wanted: Wanted, standing: Standing) -> Signed:
        self.signed.append(wanted)
        names = ("targets", "snapshot", "timestamp")
        return Signed(**{name: f"{standing.version} {name} {wanted.device}".encode() for name in names})


@dataclass
class PaperImage:
    """Holds what was put in."""

    held: dict[Target, Assigned] = field(default_factory=dict)

    def put(self, target: Target) -> Target:
        self.held[target] = Assigned(path=target.path, length=100, sha256="ab" * 32)
        return target

    def find(self, target: Target) -> Assigned | None:
        return self.held.get(target)
