"""A real controller that directs devices to what a real image repository holds, and the people who sign for it.

with signing_controller(folder) as signed:
    path = signed.policy("clinic", b"version = 1\\n")         # signed and published; not assigned yet
    admin(signed.controller, "policy", "assign", path, "--device", name)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.broker import now_s
from tests.support.controller import Controller, running_controller
from tests.support.image_repository import SignedFleet, write_online_key


class SigningController:
    """A controller with both repositories."""

    def __init__(self, controller: Controller, fleet: SignedFleet) -> None:
        self.controller = controller
        self.fleet = fleet
        self._numbers: Counter[str] = Counter()

    def policy(self, site: str, body: bytes, name: str = "main") -> str:
        """Has a policy signed under the next number, and published; its path."""
        return self._published(self.fleet.policy(site, name, self._next(f"policies/{site}/{name}"), body).path)

    def gazetteer(self, site: str, manifest: bytes, name: str = "names") -> str:
        """The same of the manifest of a gazetteer."""
        number = self._next(f"gazetteers/{site}/{name}")
        return self._published(self.fleet.gazetteer(site, name, number, manifest).path)

    def _next(self, line: str) -> int:
        self._numbers[line] += 1
        return self._numbers[line]

    def _published(self, path: str) -> str:
        self.fleet.publish()
        return path


@contextmanager
def signing_controller(folder: Path, **settings: str) -> Iterator[SigningController]:
    """Runs until the end of the block; the image repository is empty, and both have been published."""
    fleet = SignedFleet(folder / "signed", now_s=now_s())
    online = write_online_key(folder / "online.key")
    settings |= {
        "RELEASES__IMAGE": str(fleet.image_folder.parent),
        "RELEASES__DIRECTOR": str(fleet.director_root.published.parent),
        "RELEASES__ONLINE_KEY": str(online),
    }
    with running_controller(folder / "fleet", **settings) as controller:
        yield SigningController(controller, fleet)
