"""Keeps engine workers: one a base model, loaded at first use and once only, the longest unused unloaded at the bound.

Loads and stops are the pool's own: a caller who leaves takes neither along. A worker that crashes or hangs is replaced
by the next request once its model may be tried again (`supervising.py`); until then requests fail at once. It chooses
no specialists and starts no processes itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from homebred_daemon.core.memory_plan import Need
from homebred_daemon.core.supervision import FAULTS_TO_BREAK, Event
from homebred_daemon.inbound.caretaking import WorkerState
from homebred_daemon.ports.clock import Clock
from homebred_daemon.ports.engines import EngineLauncher, EngineWorker, Prompt, ServedAdapter, ServedModel
from homebred_daemon.ports.journal import Journal
from homebred_daemon.ports.measures import UNMEASURED, Measures
from homebred_daemon.services.adapting import AdapterChange, AdaptersNotChangedError, Adapting
from homebred_daemon.services.background import task_group
from homebred_daemon.services.guest import Guest
from homebred_daemon.services.loading import LoadedWorker, LoadFailure, Room, loaded_worker
from homebred_daemon.services.places import Place, Places, Resident
from homebred_daemon.services.pool_notes import PoolNotes
from homebred_daemon.services.supervising import Condition, OnChange, Supervisor, unheard
from homebred_daemon.services.watching import WorkerHungError, describe_or_frozen, hang_of
from homebred_engines import api

MAX_WAITING = 64
"""Requests that wait for room at the same time; more are refused."""
RETRY_AFTER_S = 1.0
STATS_WITHIN_S = 1.0
"""Who asks for the workers' state is not kept longer than this."""

T = TypeVar("T")


class WorkerPool:
    """The loaded models of this device, for as long as `running` lasts."""

    def __init__(
        self,
        launcher: EngineLauncher,
        clock: Clock,
        room: Room,
        journal: Journal,
        *,
        on_health_change: OnChange = unheard,
        measures: Measures = UNMEASURED,
    ) -> None:
        self._launcher = launcher
        self._clock = clock
        self._room = room
        self._notes = PoolNotes(journal, measures)
        self.failures = 0
        """Workers that ended of themselves, hung, or failed at every task."""
        self._adapters: Mapping[ServedModel, Sequence[ServedAdapter]] = {}
        """Those of the specialists on each base."""
        self._places = Places(room.bounds, lambda model: room.need(model, self._adapters.get(model, ())))
        self._supervisor = Supervisor(clock, on_health_change)
        self._tasks: asyncio.TaskGroup
        self._stops: set[asyncio.Task[Any]] = set()
        self._abandonable: set[asyncio.Task[Any]] = set()
        """Tasks that closing cancels; stops it waits for."""
        self._is_open = False
        self.guest = Guest(launcher, room, self)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serves for as long as the context lasts; on leaving, every worker is ended."""
        async with task_group() as self._tasks:
            self._is_open = True
            try:
                yield
            finally:
                self._close()

    async def generate(self, model: ServedModel, prompt: Prompt) -> AsyncGenerator[api.Event, None]:
        """Streams one generation on the model's worker; waits for room and loads model and adapter where needed.

        Raises:
            ModelRestingError: the model failed and is not asked now.
            homebred_engines.api.EngineError: before or between events.
        """
        adapter = prompt.adapter
        async with self._serving(model, adapter) as worker:
            options = replace(prompt.options, adapter=adapter.digest) if adapter else prompt.options
            stream = worker.generate(
                prompt.messages, options, request_id=prompt.request_id, fairness_key=prompt.fairness_key
            )
            async with aclosing(stream) as events:
                async for event in events:
                    yield event

    async def embed(self, model: ServedModel, texts: Sequence[str], *, fairness_key: str) -> api.Embedded:
        """One vector a text, in the same way.

        Raises:
            ModelRestingError: the model failed and is not asked now.
            homebred_engines.api.EngineError: there are none.
        """
        async with self._serving(model) as worker:
            return await worker.embed(texts, fairness_key=fairness_key)

    @asynccontextmanager
    async def _serving(self, model: ServedModel, adapter: ServedAdapter | None = None) -> AsyncIterator[EngineWorker]:
        """The model's worker, for one request; what becomes of it is held for or against the model."""
        with self._held(model) as place:
            resident = await self._seated(place)
            try:
                self._watch(place, resident)
                async with resident.adapting.serving(adapter):
                    yield resident.worker
                if place.resident is resident:
                    self._supervisor.succeeded(model)
            except api.EngineFailedError as error:
                verdict = await self._broke_off(place, resident, error)
                if verdict is error:
                    raise
                raise verdict from error
            finally:
                resident.streams -= 1

    async def load(self, model: ServedModel, adapter: ServedAdapter | None = None) -> WorkerState:
        """Has model and adapter loaded now, whatever happened to them before; waits for room like a request.

        Raises:
            homebred_engines.api.EngineError: it cannot be loaded.
        """
        self._supervisor.revive(model)
        with self._held(model) as place:
            resident = await self._seated(place)
            try:
                resident.adapting.forgive(adapter)
                async with resident.adapting.serving(adapter):
                    pass
            finally:
                resident.streams -= 1
            return WorkerState(pid=resident.worker.pid, stats=await self._stats(place, resident))

    async def unload(self, model: ServedModel) -> bool:
        """Frees the model once its running answers have ended, and returns when it is gone; whether there was one.

        Who asks for it meanwhile waits, and then has it loaded again.
        """
        place = self._places.find(model)
        if place is None:
            return False
        if place.resident is None and place.has_room and place.loading is not None:
            await asyncio.wait([place.loading])
        resident = place.resident
        if resident is None:
            return False
        place.is_closing = True
        self._settle()
        await resident.gone.wait()
        return True

    def pin(self, models: frozenset[ServedModel]) -> None:
        """From now on these models, and no others, are never unloaded to make room; fewer than may be loaded."""
        self._places.pin(models)
        for place in self._places:
            self._retire_later(place)
        self._refuse_impossible()
        self._settle()

    def is_pinned(self, model: ServedModel) -> bool:
        """Whether the model is never unloaded to make room."""
        return self._places.is_pinned(model)

    @property
    def max_models(self) -> int:
        """Models loaded at once."""
        return self._room.max_models

    def is_loaded(self, model: ServedModel) -> bool:
        """Whether the model can answer without loading."""
        place = self._places.find(model)
        return place is not None and place.is_loaded

    def in_use(self) -> frozenset[str]:
        """Digests of models and adapters that requests run on, or wait for: their files must stay."""
        found: set[str] = set()
        for place in self._places:
            if place.holders:
                found.add(place.model.digest)
            if place.resident is not None:
                found |= place.resident.adapting.in_use
        return frozenset(found)

    def spare(self, need: Need) -> Need | None:
        """The most that a guest may take, 0: not bounded; None: somebody is served or waits, or it does not fit."""
        return None if self._stops else self._places.spare(need)

    def condition(self, model: ServedModel, adapter: ServedAdapter | None = None) -> Condition:
        """What is to be said of the model's failures, of room that it cannot have, and of its adapter."""
        condition = self._supervisor.condition(model)
        return condition if condition.note else replace(condition, note=self._obstacle(model, adapter))

    def _obstacle(self, model: ServedModel, adapter: ServedAdapter | None) -> str:
        place = self._places.find(model) or Place(model=model)
        if place.resident is not None:
            return place.resident.adapting.refusal(adapter)
        try:
            self._places.require_possible(place)
        except api.ModelRefusedError as error:
            return f"it cannot be loaded: {error.why} {error.hint}"
        return ""

    def out_of_service(self) -> frozenset[ServedModel]:
        """Models that failed and may not be asked now."""
        return self._supervisor.out_of_service()

    async def worker_states(self) -> tuple[WorkerState, ...]:
        """How the workers that are up stand, asked side by side; one that is slow to say has only its pid.

        One that does not say at all is retired as hung.
        """
        asked = [
            (place, place.resident.worker.pid, self._own(self._stats(place, place.resident), self._abandonable))
            for place in self._places
            if place.resident is not None and place.is_loaded
        ]
        if asked:
            await asyncio.wait([task for _, _, task in asked], timeout=STATS_WITHIN_S)
        for place, _, task in asked:
            place.doubt = None if task.done() else task
        return tuple(
            WorkerState(pid=pid, stats=task.result() if task.done() and not task.cancelled() else None)
            for _, pid, task in asked
        )

    def keep_only(self, models: Mapping[ServedModel, Sequence[ServedAdapter]]) -> None:
        """Has every other model leave, as soon as nobody uses it, and has these serve their adapters."""
        self._adapters = models
        self._places.keep_only(models)
        for place in self._places:
            if place.resident is not None:
                place.resident.adapting.want(models.get(place.model, ()))
        self._supervisor.keep_only(models)
        self._refuse_impossible()
        self._settle()

    @contextmanager
    def _held(self, model: ServedModel) -> Iterator[Place]:
        """The model's place, which is not given away meanwhile."""
        self.guest.interrupt()
        place = self._places.hold(model)
        try:
            yield place
        finally:
            place.holders -= 1
            place.used_s = self._clock.monotonic_s()
            self._settle()
            self._retire_later(place)

    def _retire_later(self, place: Place) -> None:
        """Looks at it again once nobody may have used it for so long, where nobody uses it now."""
        if self._room.keep_alive_s and place.is_idle:
            if place.alarm is not None:
                place.alarm.cancel()
            place.alarm = asyncio.get_running_loop().call_later(self._room.keep_alive_s, self._retire_unused)

    def _retire_unused(self) -> None:
        self._end(self._places.unused_since(self._clock.monotonic_s() - self._room.keep_alive_s))
        self._settle()

    async def _seated(self, place: Place) -> Resident:
        """The place's worker, with its model loaded and one stream more: once, however many wait and whoever leaves.

        Raises:
            ModelRestingError: no worker may be started for it now.
            homebred_engines.api.QueueFullError: too many wait for room.
            Exception: what the load failed with, to all who waited for it.
        """
        while True:
            if place.doubt is not None:
                await asyncio.wait([place.doubt])
            if not self._is_open:
                raise _stopping()
            resident = place.resident
            if resident is not None and not resident.worker.is_alive:
                await resident.over.wait()  # how it ended decides whether another may be started
            elif resident is not None and not self._places.is_closed_to_newcomers(place, self._clock.monotonic_s()):
                resident.streams += 1
                return resident
            else:
                await self._load_waited_for(place)

    async def _load_waited_for(self, place: Place) -> None:
        """Returns once its model was loaded, for whom it has not left again already."""
        if place.loading is None:
            self._supervisor.admit(place.model)
            self._places.require_possible(place)
            place.loading = asyncio.get_running_loop().create_future()
            self._places.wait_for_room(place)
            self._settle()
        if self._places.is_waiting(place) and self._places.requests_waiting > MAX_WAITING:
            raise api.QueueFullError(
                f"{MAX_WAITING} requests wait until one of the {self._room.max_models} models that may be loaded at"
                " once is idle.",
                retry_after_s=RETRY_AFTER_S,
            )
        loaded = await asyncio.shield(place.loading)
        if isinstance(loaded, Exception):
            raise loaded

    def _refuse_impossible(self) -> None:
        """Who waits for room that cannot be had any more waits no longer, and nobody behind it."""
        for place in self._places:
            try:
                self._places.require_possible(place)
            except api.ModelRefusedError as error:
                self._turn_away(place, error)

    def _turn_away(self, place: Place, error: api.EngineError) -> None:
        """Tells those who wait for room with it; harmless where it does not wait."""
        if self._places.is_waiting(place) and place.loading is not None:
            self._places.leave_queue(place)
            loading, place.loading = place.loading, None
            loading.set_result(error)

    def _settle(self) -> None:
        """Does what is to be done since something has changed."""
        moves = self._places.settle()
        if evicted := sum(resident.makes_room for resident in moves.leaving):
            self._notes.evicted(evicted)
        self._end(moves.leaving)
        for place in moves.newcomers:
            self._own(self._load(place), self._abandonable)

    async def _load(self, place: Place) -> None:
        """Loads a newcomer, once those on their way out have freed their memory, and tells all who wait."""
        if self._stops:
            await asyncio.wait(self._stops)
        await self.guest.leave()
        started_s = self._clock.monotonic_s()
        adapters = self._adapters.get(place.model, ())
        options = self._room.load_options(place.model, adapters, beside=self._places.beside(place))
        loaded_now = await loaded_worker(self._launcher, self._room, place.model.engine, options)
        loading, place.loading = place.loading, None
        place.used_s = self._clock.monotonic_s()
        loaded: Resident | Exception
        if isinstance(loaded_now, LoadFailure):
            loaded = loaded_now.error
            place.has_room = False
            self._notes.not_loaded(place.model, loaded_now.event)
            self._supervisor.failed(place.model, loaded_now.event, loaded_now.error)
        else:
            loaded = place.resident = self._resident(place, loaded_now)
            self._notes.loaded(
                place.model,
                pid=loaded.worker.pid,
                took_s=place.used_s - started_s,
                had_failed=self._supervisor.has_failed(place.model),
            )
            self._own(self._attend(place, loaded), self._abandonable)
        if loading is not None:
            loading.set_result(loaded)
        self._settle()
        self._retire_later(place)

    def _resident(self, place: Place, loaded: LoadedWorker) -> Resident:
        adapting = Adapting(
            loaded.worker,
            self._clock,
            most=self._room.max_adapters,
            limit_s=self._room.load_timeout_s,
            own=lambda work: self._own(work, self._abandonable),
            on_change=partial(self._adapters_changed, place, loaded.worker),
        )
        for refused in loaded.refused.values():
            self._notes.adapter_refused(place.model, refused.adapter)
        adapting.begin(loaded)
        adapting.want(self._adapters.get(place.model, ()))
        return Resident(worker=loaded.worker, adapting=adapting, since_s=place.used_s)

    async def _attend(self, place: Place, resident: Resident) -> None:
        """Hears of the worker's end, whenever it comes; an end that the pool did not want is a failure."""
        self._failed(place, resident, await resident.worker.ended())

    def _watch(self, place: Place, resident: Resident) -> None:
        """Has the worker looked at until it has nothing left to do."""
        if resident.watch is None:
            resident.watch = self._own(self._watched(place, resident), self._abandonable)

    async def _watched(self, place: Place, resident: Resident) -> None:
        hung = await hang_of(
            resident.worker,
            self._clock,
            stall_timeout_s=self._room.stall_timeout_s,
            is_used=lambda: resident.streams > 0,
            may_be_silent=lambda: resident.adapting.is_changing,
        )
        resident.watch = None
        if hung is not None:
            self._condemn(place, resident, hung)

    async def _broke_off(self, place: Place, resident: Resident, error: api.EngineFailedError) -> api.EngineFailedError:
        """What became of a generation whose engine failed, in the words of whoever ended its worker.

        The error itself is its caller's alone: an engine's words may quote the task (I4).
        """
        if not resident.worker.is_alive:
            self._failed(place, resident, await resident.worker.ended())
        elif not isinstance(error, AdaptersNotChangedError) and self._is_broken(place, resident):
            self._condemn(place, resident, _faulty())
            return error
        verdict = resident.verdict
        return error if verdict is None else type(verdict)(verdict.why, hint=verdict.hint)

    def _adapters_changed(self, place: Place, worker: EngineWorker, change: AdapterChange) -> None:
        """One that failed is held against the model once, however many waited for it."""
        self._notes.adapters_changed(place.model, change)
        resident = place.resident
        if not isinstance(change.failure, api.EngineFailedError) or resident is None or resident.worker is not worker:
            return
        if worker.is_alive and self._is_broken(place, resident):
            self._condemn(place, resident, _faulty())

    def _is_broken(self, place: Place, resident: Resident) -> bool:
        """Whether one more fault in a worker that lives makes it one too many."""
        return not resident.over.is_set() and self._supervisor.faulted(place.model)

    def _condemn(self, place: Place, resident: Resident, verdict: api.EngineFailedError) -> None:
        """Ends a worker that does not do its work."""
        if not resident.over.is_set():
            resident.verdict = verdict
            self._failed(place, resident, verdict)

    def _failed(self, place: Place, resident: Resident, error: api.EngineFailedError) -> None:
        """A worker crashed or is condemned: counted once, whoever notices; its model rests."""
        if resident.over.is_set():
            return
        served_s = self._clock.monotonic_s() - resident.since_s
        pid, has_verdict = resident.worker.pid, resident.verdict is not None
        self.failures += 1
        self._notes.failed(place.model, error, pid=pid, served_s=served_s, verdict=has_verdict)
        self._supervisor.failed(place.model, Event.FAILURE, error, served_s=served_s)
        self._turn_away(place, error)  # who waits for its next turn, which does not come now
        self._end(place.vacated())
        self._settle()

    async def _stats(self, place: Place, resident: Resident) -> api.WorkerStats | None:
        """How a worker stands; None: it ended while it was asked, or it is frozen and now retired."""
        try:
            return await describe_or_frozen(resident.worker)
        except WorkerHungError as hung:
            if not resident.adapting.is_changing:
                self._condemn(place, resident, hung)
        return None

    async def _stop(self, resident: Resident) -> None:
        try:
            await resident.worker.stop()
        except Exception as error:  # noqa: BLE001  # nobody waits for it; raised, it would end the pool
            context = {"message": "an engine worker could not be stopped", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)
        finally:
            resident.gone.set()
            self._notes.gone(resident.worker.pid)

    def _close(self) -> None:
        """Ends every worker; who still waits for one is told."""
        self._is_open = False
        for place in self._places:
            if place.loading is not None:
                place.loading.set_result(_stopping())
        for task in self._abandonable:
            task.cancel()
        self._end(self._places.clear())
        self._own(self.guest.leave(), self._stops)

    def _end(self, residents: list[Resident]) -> None:
        for resident in residents:
            resident.over.set()
            self._own(self._stop(resident), self._stops)

    def _own(self, work: Coroutine[Any, Any, T], among: set[asyncio.Task[Any]]) -> asyncio.Task[T]:
        """Runs the work as the pool's own task."""
        task = self._tasks.create_task(work)
        among.add(task)
        task.add_done_callback(among.discard)
        return task


def _stopping() -> api.EngineFailedError:
    return api.EngineFailedError("The daemon is stopping.", hint="Ask again once it has started.")


def _faulty() -> api.EngineFailedError:
    return api.EngineFailedError(
        f"{FAULTS_TO_BREAK} tasks in a row failed in its worker, and their callers were told why.",
        hint="`homebred doctor` looks at the engine.",
    )
