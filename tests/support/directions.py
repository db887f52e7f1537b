"""The director's ports in memory: `FakeDirections` is held to the suite of the one in the controller's database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from homebred_fleet.core.director import Assigned, Standing, Wanted, following
from homebred_fleet.ports.directing import Intent
from homebred_fleet.ports.director import DeviceMetadata
from homebred_protocol.digests import digest_of
from homebred_protocol.targets import Target


@dataclass
class FakeDirections:
    """What is wanted, and what was signed, by device."""

    targets: dict[str, Sequence[Target]] = field(default_factory=dict)
    stop_epoch: int = 0
    stopped: bool = False
    kept: dict[str, DeviceMetadata] = field(default_factory=dict)

    def intent(self, device: str) -> Intent:
        return Intent(targets=self.targets.get(device, ()), stop_epoch=self.stop_epoch, stopped=self.stopped)

    def last(self, device: str) -> DeviceMetadata | None:
        return self.kept.get(device)

    def keep(self, device: str, signed: DeviceMetadata) -> bool:
        last = self.kept.get(device)
        if last is not None and last.standing.version >= signed.standing.version:
            return False
        self.kept[device] = signed
        return True


@dataclass
class WordDirector:
    """Signs nothing: its bytes say what they would be of."""

    signed: list[Wanted] = field(default_factory=list)
    root_expires_at_s: int = 2**40

    def following(self, wanted: Wanted, last: Standing | None, now_s: int) -> DeviceMetadata | None:
        standing = following(wanted, last, now_s, started_at_s=0)
        if standing is None:
            return None
        self.signed.append(wanted)
        return words(standing, wanted.device)


def words(standing: Standing, word: str) -> DeviceMetadata:
    """Metadata in name alone."""
    names = ("targets", "snapshot", "timestamp")
    pieces = {name: f"{standing.version} {name} {word}".encode() for name in names}
    return DeviceMetadata(standing=standing, **pieces)


@dataclass
class PaperImage:
    """Holds what was put in."""

    held: dict[Target, Assigned] = field(default_factory=dict)
    bodies: dict[str, bytes] = field(default_factory=dict)

    def put(self, target: Target, body: bytes = b"{}", *, site: str = "") -> Target:
        digest = digest_of(body).removeprefix("sha256:")
        self.held[target] = Assigned(path=target.path, length=len(body), sha256=digest, site=site)
        self.bodies[target.path] = body
        return target

    def find(self, target: Target) -> Assigned | None:
        return self.held.get(target)

    def body(self, assigned: Assigned) -> bytes:
        return self.bodies[assigned.path]
