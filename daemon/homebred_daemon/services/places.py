"""Which models have room on this device, which wait for it, and which leave. Bookkeeping only.

It starts, loads and stops nothing: `engines.py` does, by what `settle` answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from homebred_daemon.core.memory_plan import Bounds, Need, Tenant, all_fit, who_leaves
from homebred_daemon.ports.engines import EngineWorker, ServedModel
from homebred_daemon.services.adapting import Adapting
from homebred_engines import api

STAY_S = 10.0
"""A busy model that others wait for serves at least so long before it takes no more requests and makes room."""


@dataclass(slots=True, kw_only=True, eq=False)
class Resident:
    """One worker with its model loaded, from then until its process is gone."""

    worker: EngineWorker
    adapting: Adapting
    since_s: float
    """Monotonic time at which its model was loaded."""
    streams: int = 0
    """Generations that use it."""
    verdict: api.EngineFailedError | None = None
    """Why the pool ended it in the middle of its work; None: it did not."""
    makes_room: bool = False
    """Whether it leaves, or is about to, for the sake of a model that waits."""
    watch: asyncio.Task[Any] | None = None
    """Looks whether it hangs, while it is busy."""
    over: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once it is asked nothing more, and what led to that is known to all."""
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once its process has ended."""


Loaded = Resident | Exception
"""What became of a load: the worker, or why there is none."""


@dataclass(slots=True, kw_only=True, eq=False)
class Place:
    """One model: waiting for room, loading, or loaded."""

    model: ServedModel
    resident: Resident | None = None
    """Set once its model is loaded."""
    loading: asyncio.Future[Loaded] | None = None
    """Shared by all who wait until it is loaded; None: nobody has asked, or it is done."""
    has_room: bool = False
    """Whether one of the loaded models is, or is about to be, this one."""
    holders: int = 0
    """Requests that use it or wait for it."""
    used_s: float = 0.0
    """Monotonic time of its last use."""
    alarm: asyncio.TimerHandle | None = None
    """Has it looked at again; the last one that was set, as only that one may find it unused for long enough."""
    doubt: asyncio.Task[Any] | None = None
    """Finds out whether its worker, slow to say how it stands, is frozen; who asks meanwhile waits for it."""
    is_wanted: bool = True
    """Whether the model store still has it; if not, it leaves when it is idle."""
    is_closing: bool = False
    """Whether its worker takes no more requests, and leaves when those it has have ended; who asks waits for room."""

    @property
    def is_loaded(self) -> bool:
        """Whether it can answer without loading."""
        return self.resident is not None and self.resident.worker.is_alive

    @property
    def requests_waiting(self) -> int:
        """Requests that wait until it is loaded."""
        return self.holders - (self.resident.streams if self.resident else 0)

    @property
    def is_idle(self) -> bool:
        """Whether it has room that nobody would miss; a load under way is never idle."""
        return self.has_room and not self.holders and self.loading is None

    @property
    def must_leave(self) -> bool:
        """Whether it is closing and its last answer has ended, or its model is gone from the store and it is idle."""
        has_drained = self.is_closing and self.resident is not None and not self.resident.streams
        return has_drained or (self.is_idle and not self.is_wanted)

    def vacated(self) -> list[Resident]:
        """The worker that was here, if there was one; it is to be stopped."""
        resident, self.resident, self.has_room, self.doubt, self.is_closing = self.resident, None, False, None, False
        return [] if resident is None else [resident]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moves:
    """What is to be done now."""

    leaving: list[Resident]
    """To be stopped."""
    newcomers: list[Place]
    """They have room from now on: to be loaded once those who leave have left."""


class Places:
    """The places of one device; each is forgotten once it has neither room nor holders."""

    def __init__(self, bounds: Bounds, need_of: Callable[[ServedModel], Need] = lambda _: Need()) -> None:
        """`need_of` says what a model takes while it is loaded."""
        self._bounds = bounds
        self._need_of = need_of
        self._by_model: dict[ServedModel, Place] = {}
        self._queue: list[Place] = []
        self._pinned: frozenset[ServedModel] = frozenset()

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

    def leave_queue(self, place: Place) -> None:
        """It waits no longer; harmless where it did not."""
        self._queue = [queued for queued in self._queue if queued is not place]

    def is_waiting(self, place: Place) -> bool:
        """Whether it is in the queue."""
        return place in self._queue

    @property
    def requests_waiting(self) -> int:
        """Requests whose models are in the queue."""
        return sum(place.requests_waiting for place in self._queue)

    def keep_only(self, models: Collection[ServedModel]) -> None:
        """Marks what is no longer wanted."""
        for place in self:
            place.is_wanted = place.model in models

    def pin(self, models: frozenset[ServedModel]) -> None:
        """From now on these, and no others, are never asked to make room; some room must be left for the rest."""
        self._pinned = models

    def is_pinned(self, model: ServedModel) -> bool:
        """Whether it is never asked to make room."""
        return model in self._pinned

    def beside(self, place: Place) -> Need:
        """The most that it may take, beside all others that have room; 0 where that is not bounded."""
        return self._bounds.beside(
            self._need_of(other.model) for other in self if other.has_room and other is not place
        )

    def spare(self, need: Need) -> Need | None:
        """The most that a guest may take while nobody is served; None: somebody is, or it does not fit."""
        held = [self._need_of(place.model) for place in self if place.has_room]
        is_quiet = not self._queue and not any(place.holders or place.loading for place in self)
        return self._bounds.beside(held) if is_quiet and all_fit([need], held, self._bounds) else None

    def require_possible(self, place: Place) -> None:
        """Raises ModelRefusedError where it could not be loaded even if all went that may be asked to."""
        need = self._need_of(place.model)
        pinned = [
            other.model for other in self if other.has_room and self.is_pinned(other.model) and other is not place
        ]
        if not all_fit([need], map(self._need_of, pinned), self._bounds):
            would_fit_alone = all_fit([need], (), self._bounds)
            in_the_way = [(model, self._need_of(model)) for model in pinned] if would_fit_alone else []
            raise _hopeless(need, self._bounds, in_the_way)

    def is_closed_to_newcomers(self, place: Place, now_s: float) -> bool:
        """Whether a loaded place takes no more requests.

        While models wait for room and all that have it are busy, the longest loaded of these close one by one, until
        those that wait will have room: what they are answering comes to its end, and nobody waits for ever.
        """
        if not place.is_closing and self._queue:
            held = [other for other in self if other.has_room]
            place.is_closing = place is _longest_busy(held, self._pinned, now_s) and not self._will_have_room(held)
            if place.is_closing and place.resident is not None:
                place.resident.makes_room = True
        return place.is_closing

    def _will_have_room(self, held: list[Place]) -> bool:
        """Whether all that wait will fit once those that are closing have left."""
        staying = [self._need_of(place.model) for place in held if not place.is_closing]
        waiting = [self._need_of(queued.model) for queued in self._queue if not queued.has_room]
        return all_fit(waiting, staying, self._bounds)

    def unused_since(self, moment_s: float) -> list[Resident]:
        """Those that nobody has used since then, and that are not pinned, leave."""
        idle = [place for place in self if place.is_idle and not self.is_pinned(place.model)]
        return [resident for place in idle if place.used_s <= moment_s for resident in place.vacated()]

    def settle(self) -> Moves:
        """Has those leave that must, and gives room to those who wait for it, first come first served."""
        leaving = [resident for place in self if place.must_leave for resident in place.vacated()]
        newcomers = []
        for place in [place for place in self._queue if not place.requests_waiting]:  # nobody wants them any more
            self.leave_queue(place)
            place.loading = None
        # One that is still closing cannot have its next turn yet; those behind it need not wait for that.
        while (first := next((place for place in self._queue if not place.has_room), None)) is not None:
            made = self._made_room(first)
            if made is None:
                break
            leaving += made
            self.leave_queue(first)
            newcomers.append(first)
            first.has_room = True
        self._by_model = {place.model: place for place in self if place.has_room or place.holders}
        return Moves(leaving=leaving, newcomers=newcomers)

    def clear(self) -> list[Resident]:
        """Forgets all places; the workers that were there."""
        leaving = [resident for place in self for resident in place.vacated()]
        self._queue.clear()
        self._by_model.clear()
        return leaving

    def _made_room(self, newcomer: Place) -> list[Resident] | None:
        """Who leaves so that it has room: nobody, or the longest unused; None: too much is busy or pinned."""
        tenants = [
            Tenant(
                key=place,
                need=self._need_of(place.model),
                used_s=place.used_s,
                may_leave=place.is_idle and not self.is_pinned(place.model),
            )
            for place in self
            if place.has_room
        ]
        leaving = who_leaves(self._need_of(newcomer.model), tenants, self._bounds)
        if leaving is None:
            return None
        residents = [resident for place in leaving for resident in place.vacated()]
        for resident in residents:
            resident.makes_room = True
        return residents


def _hopeless(need: Need, bounds: Bounds, pinned: list[tuple[ServedModel, Need]]) -> api.ModelRefusedError:
    """What would have to go, or to be raised."""
    where, wanted, bound = ("GPU ", need.gpu, bounds.gpu) if need.gpu else ("", need.ram, bounds.ram)
    others = ", ".join(f"{model.title} ({_megabytes(taken.gpu or taken.ram)})" for model, taken in pinned)
    hold = f" Pinned are {others}." if others else ""
    return api.ModelRefusedError(
        f"It needs about {_megabytes(wanted)} of {where}memory, and all models together may take"
        f" {_megabytes(bound or 0)}.{hold}",
        hint=("Unpin one of these" if others else "Choose a smaller model, less context or fewer slots")
        + f", or raise engine.{'gpu_' if need.gpu else ''}memory_budget_mb.",
    )


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.0f} MB"


def _longest_busy(held: list[Place], pinned: frozenset[ServedModel], now_s: float) -> Place | None:
    """Of those that could close, the one that was loaded first, if it has had its time."""
    since_s = {
        place: place.resident.since_s
        for place in held
        if place.resident is not None and not place.is_closing and place.model not in pinned
    }
    longest = min(since_s, key=since_s.__getitem__, default=None)
    return longest if longest is not None and now_s - since_s[longest] >= STAY_S else None
