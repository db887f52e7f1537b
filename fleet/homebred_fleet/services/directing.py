"""Tells each device by signed metadata what it should run now: the director of Uptane. Sync, from any thread.

It is signed when the device asks, lazily: what says the same for half of its life is not signed anew. What the image
repository does not hold is left out: a device would refuse it, and keeps what it has (core/director.py has the rules).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from homebred_fleet.core.director import Wanted
from homebred_fleet.ports.directing import Directions, Image
from homebred_fleet.ports.director import DeviceMetadata, Director

TIMESTAMP = "timestamp.json"
_VERSIONED = re.compile(r"([1-9][0-9]{0,18})\.(snapshot|targets)\.json")


class Directing:
    """The director's answers."""

    def __init__(self, directions: Directions, image: Image, director: Director, *, now_s: Callable[[], int]) -> None:
        self._directions = directions
        self._image = image
        self._director = director
        self._now_s = now_s

    def metadata(self, device: str, name: str) -> bytes | None:
        """A file of an enrolled device's own metadata; None: there is none of that name, or not any more.

        Raises:
            StoreError: the database cannot be used.
            StateError: the image repository cannot be read.
            RequestError: what is assigned cannot be said to a device.
        """
        if name == TIMESTAMP:
            return self._current(device).timestamp
        named, last = _VERSIONED.fullmatch(name), self._directions.last(device)
        if named is None or last is None or int(named[1]) != last.standing.version:
            return None
        return last.snapshot if named[2] == "snapshot" else last.targets

    def _current(self, device: str) -> DeviceMetadata:
        wanted, last = self._wanted(device), self._directions.last(device)
        signed = self._director.following(wanted, None if last is None else last.standing, self._now_s())
        if signed is None:
            if last is None:
                raise AssertionError("what was never signed must be signed")
            return last
        if self._directions.keep(device, signed):
            return signed
        return self._directions.last(device) or signed  # somebody else was faster

    def _wanted(self, device: str) -> Wanted:
        intent = self._directions.intent(device)
        held = (self._image.find(target) for target in intent.targets)
        return Wanted(
            device=device,
            targets=tuple(assigned for assigned in held if assigned is not None),
            stop_epoch=intent.stop_epoch,
            stopped=intent.stopped,
        )
