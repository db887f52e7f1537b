"""Which models have room on this device, which wait for it, and which leave. Bookkeeping only.

It starts, loads and stops nothing: `engines.py` does, by what `settle` answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from homebred_daemon.ports.engines import EngineWorker, ServedModel

Loaded = EngineWorker | Exception
"""What became of a load: the worker, or why there is none."""


@dataclass(slots=True, kw_only=True, eq=False)
class Place:
    """One model: waiting for room, loading, or loaded."""

    model: ServedModel
    worker: EngineWorker | None = None
    """Set once its model is loaded."""
    loading: asyncio.Future[Loaded] | None = None
    """Shared by all who wait until it is loaded; None: nobody has asked, or it is done."""
    has_room: bool = False
    """Whether one of the loaded models is, or is about to be, this one."""
    holders: int = 0
    """Requests that use it or wait for it."""
    used_s: float = 0.0
    """Monotonic time of its last use."""
    doubt: asyncio.Task[Any] | None = None
    """Finds out whether its worker, slow to say how it stands, is frozen; who asks meanwhile waits for it."""
    is_wanted: bool = True
    """Whether the model store still has it; if not, it leaves when it is idle."""

    @property
    def is_loaded(self) -> bool:
        """Whether it can answer without loading."""
        return self.worker is not None and self.worker.is_alive

    @property
    def is_idle(self) -> bool:
        """Whether it has room that nobody would miss; a load under way is never idle."""
        return self.has_room and not self.holders and self.loading is None

    @property
    def must_leave(self) -> bool:
        """Whether its worker ended by itself, or its model is gone from the store and nobody uses it any more."""
        has_ended = self.worker is not None and not self.worker.is_alive
        return has_ended or (self.is_idle and not self.is_wanted)

    def vacated(self) -> list[EngineWorker]:
        """The worker that was here, if there was one; it is to be stopped."""
        worker, self.worker, self.has_room, self.doubt = self.worker, None, False, None
        return [] if worker is None else [worker]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moves:
    """What is to be done now."""

    leaving: list[EngineWorker]
    """To be stopped."""
    newcomers: list[Place]
    """They have room from now on: to be loaded once those who leave have left."""


class Places:
    """The places of one device; each is forgotten once it has neither room nor holders."""

    def __init__(self, max_models: int) -> None:
        self._max_models = max_models
        self._by_model: dict[ServedModel, Place] = {}
        self._queue: list[Place] = []

    def __iter__(self) -> Iterator[Place]:
        """All of them."""
        return iter(self._by_model.values())

    def find(self, model: ServedModel) -> Place | None:
        """The model's place, if it has one."""
        return self._by_model.get(model)

    def hold(self, model: ServedModel) -> Place:
        """The model's place, with one holder more."""
        place = self._by_model.setdefault(model, Place(model=model))
        place.holders += 1
        return place

    def wait_for_room(self, place: Place) -> None:
        """Puts the place last in the queue."""
        self._queue.append(place)

    def is_waiting(self, place: Place) -> bool:
        """Whether it is in the queue."""
        return place in self._queue

    @property
    def requests_waiting(self) -> int:
        """Requests whose models are in the queue."""
        return sum(place.holders for place in self._queue)

    def keep_only(self, models: Collection[ServedModel]) -> None:
        """Marks what is no longer wanted."""
        for place in self:
            place.is_wanted = place.model in models

    def settle(self) -> Moves:
        """Has those leave that must, and gives room to those who wait for it, first come first served."""
        leaving = [worker for place in self if place.must_leave for worker in place.vacated()]
        newcomers = []
        self._queue = [place for place in self._queue if place.holders]  # nobody wants the others any more
        while self._queue and (made := self._made_room()) is not None:
            leaving += made
            newcomers.append(self._queue.pop(0))
            newcomers[-1].has_room = True
        self._by_model = {place.model: place for place in self if place.has_room or place.holders}
        return Moves(leaving=leaving, newcomers=newcomers)

    def clear(self) -> list[EngineWorker]:
        """Forgets all places; the workers that were there."""
        leaving = [worker for place in self for worker in place.vacated()]
        self._queue.clear()
        self._by_model.clear()
        return leaving

    def _made_room(self) -> list[EngineWorker] | None:
        """Who leaves so that one more model has room: nobody, or the longest unused; None: all are busy."""
        held = [place for place in self if place.has_room]
        if len(held) < self._max_models:
            return []
        idle = [place for place in held if place.is_idle]
        return min(idle, key=lambda place: place.used_s).vacated() if idle else None
