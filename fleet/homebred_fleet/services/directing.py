"""Tells each device by signed metadata what it should run now: the director of Uptane. Sync, from any thread.

It is signed when the device asks, lazily: what says the same for half of its life is not signed anew. What the image
repository does not hold is left out: a device would refuse it, and keeps what it has (core/director.py has the rules).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from homebred_fleet.core.director import Assigned, Wanted
from homebred_fleet.errors import ConflictError, StoreBusyError
from homebred_fleet.ports.directing import Directions, Image
from homebred_fleet.ports.director import DeviceMetadata, Director

TIMESTAMP = "timestamp.json"
TRIES: Final = 5
"""At keeping what was signed, where somebody else was faster each time."""
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

    def wanted(self, device: str) -> tuple[Assigned, ...]:
        """What an enrolled device may begin to run now, where the image repository holds it.

        Raises:
            ConflictError: the fleet is stopped: nothing.
            StoreError, StateError: what is assigned or signed cannot be read.
        """
        return _unless_stopped(self._wanted(device)).targets

    def carried(self, device: str, life_s: int) -> tuple[DeviceMetadata, tuple[Assigned, ...]]:
        """What goes by hand to an enrolled device, for so long from now on, and the targets that it names.

        What is signed online afterwards goes on above it.

        Raises:
            ConflictError: the fleet is stopped: nobody gets a lease (I8).
            StoreError, StateError, RequestError: it cannot be signed.
        """
        for _ in range(TRIES):
            wanted = replace(_unless_stopped(self._wanted(device)), life_s=life_s)
            last = self._directions.last(device)
            standing = None if last is None else replace(last.standing, content="")  # always anew: life begins now
            signed = self._director.following(wanted, standing, self._now_s())
            if signed is None:
                raise AssertionError("what is of another content must be signed")
            if self._directions.keep(device, signed):
                return signed, wanted.targets
        raise StoreBusyError(f"what is signed for {device} keeps changing", hint="try again")

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


def _unless_stopped(wanted: Wanted) -> Wanted:
    if wanted.stopped:
        raise ConflictError(
            "the fleet is stopped: nobody gets leave to take anything up",
            hint="lift the stop first: homebred-fleet stop off",
        )
    return wanted
