"""Keeps engine workers: one a model file, loaded at first use and once only, the longest unused unloaded at the bound.

Loads and stops are the pool's own: a caller who leaves takes neither along. It neither chooses specialists nor starts
processes itself, and it does not nurse a crashing worker: one that ended is forgotten, and the next request starts
another.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Coroutine
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from homebred_daemon.inbound.caretaking import WorkerState
from homebred_daemon.ports.clock import Clock
from homebred_daemon.ports.engines import EngineLauncher, EngineWorker, Prompt, ServedModel
from homebred_daemon.services.loading import load_within
from homebred_daemon.services.places import Loaded, Place, Places
from homebred_engines import api

MAX_WAITING = 64
"""Requests that wait for room at the same time; more are refused."""
RETRY_AFTER_S = 1.0
STATS_WITHIN_S = 1.0
"""Who asks for the workers' state is not kept longer than this."""
FROZEN_AFTER_S = 5.0
"""A worker that has not said in this time how it stands never will; a busy machine makes it slow, but not so slow."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What workers may take."""

    max_models: int
    """Models loaded at once."""
    slots: int
    """Generations side by side on one model."""
    threads: int
    """0: cores - 1."""
    load_timeout_s: float
    """A model that takes longer to load has failed."""
    memory_budget_bytes: int
    """Of all models together, with their caches; each may take its equal share. 0: what the machine has available."""

    @property
    def memory_share_bytes(self) -> int:
        """What one model may take, so that as many as may be loaded fit; 0: what the machine has available."""
        return self.memory_budget_bytes // self.max_models


class WorkerPool:
    """The loaded models of this device, for as long as `running` lasts."""

    def __init__(self, launcher: EngineLauncher, clock: Clock, room: Room) -> None:
        self._launcher = launcher
        self._clock = clock
        self._room = room
        self._places = Places(room.max_models)
        self._last_failures: dict[ServedModel, str] = {}
        self._tasks = asyncio.TaskGroup()
        self._stops: set[asyncio.Task[Any]] = set()
        self._abandonable: set[asyncio.Task[Any]] = set()
        """Tasks that closing cancels; stops it waits for."""
        self._is_open = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serves for as long as the context lasts; on leaving, every worker is ended."""
        failure: BaseException | None = None
        async with self._tasks:
            self._is_open = True
            try:
                yield
            except BaseException as error:  # noqa: BLE001  # raised below: the group would wrap it
                failure = error
            finally:
                self._close()
        if failure is not None:
            raise failure

    async def generate(self, model: ServedModel, prompt: Prompt) -> AsyncGenerator[api.Event, None]:
        """Streams one generation on the model's worker; waits for room and loads the model first where needed.

        Raises:
            homebred_engines.api.EngineError: before or between events.
        """
        place = self._places.hold(model)
        try:
            worker = await self._loaded(place)
            stream = worker.generate(
                prompt.messages, prompt.options, request_id=prompt.request_id, fairness_key=prompt.fairness_key
            )
            async with aclosing(stream) as events:
                async for event in events:
                    yield event
            self._last_failures.pop(model, None)
        except (api.EngineFailedError, api.ModelRefusedError) as error:
            self._last_failures[model] = str(error)
            raise
        finally:
            place.holders -= 1
            place.used_s = self._clock.monotonic_s()
            self._settle()

    def is_loaded(self, model: ServedModel) -> bool:
        """Whether the model can answer without loading."""
        place = self._places.find(model)
        return place is not None and place.is_loaded

    def last_failure(self, model: ServedModel) -> str:
        """Why the model's last load or generation failed; empty: it did not."""
        return self._last_failures.get(model, "")

    async def worker_states(self) -> tuple[WorkerState, ...]:
        """How the workers that are up stand, asked side by side; one that is slow to say has only its pid.

        One that does not say at all is retired, so that the next request starts another.
        """
        asked = [
            (place, place.worker.pid, self._own(self._stats(place, place.worker), self._abandonable))
            for place in self._places
            if place.worker is not None and place.is_loaded
        ]
        if asked:
            await asyncio.wait([task for _, _, task in asked], timeout=STATS_WITHIN_S)
        for place, _, task in asked:
            place.doubt = None if task.done() else task
        return tuple(
            WorkerState(pid=pid, stats=task.result() if task.done() and not task.cancelled() else None)
            for _, pid, task in asked
        )

    def keep_only(self, models: Collection[ServedModel]) -> None:
        """Has every other model leave, as soon as nobody uses it."""
        self._places.keep_only(models)
        self._last_failures = {model: why for model, why in self._last_failures.items() if model in models}
        self._settle()

    async def _loaded(self, place: Place) -> EngineWorker:
        """The place's worker, with its model loaded: once, however many wait and whoever of them leaves.

        Raises:
            homebred_engines.api.QueueFullError: too many wait for room.
            Exception: what the load failed with, to all who waited for it.
        """
        if place.doubt is not None:
            await asyncio.wait([place.doubt])
        if not self._is_open:
            raise _stopping()
        if place.worker is not None and place.worker.is_alive:
            return place.worker
        if place.loading is None:
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
        return loaded

    def _settle(self) -> None:
        """Does what is to be done since something has changed."""
        moves = self._places.settle()
        self._end(moves.leaving)
        for place in moves.newcomers:
            self._own(self._load(place), self._abandonable)

    async def _load(self, place: Place) -> None:
        """Loads a newcomer and tells all who wait."""
        loaded = await self._load_outcome(place.model)
        loading, place.loading = place.loading, None
        place.used_s = self._clock.monotonic_s()
        if isinstance(loaded, Exception):
            place.has_room = False
        else:
            place.worker = loaded
        if loading is not None:
            loading.set_result(loaded)
        self._settle()

    async def _load_outcome(self, model: ServedModel) -> Loaded:
        """A new worker with the model loaded, once those on their way out have freed their memory."""
        try:
            if self._stops:
                await asyncio.wait(self._stops)
            worker = await self._launcher.start(model.engine)
            try:
                await load_within(self._room.load_timeout_s, worker, self._load_options(model))
            except BaseException:
                await worker.stop()
                raise
        except Exception as error:  # noqa: BLE001  # told to all who wait; raised here, it would end the pool
            return error
        return worker

    async def _stats(self, place: Place, worker: EngineWorker) -> api.WorkerStats | None:
        """How a worker stands; None: it ended while it was asked, or it is frozen and now retired."""
        try:
            async with asyncio.timeout(FROZEN_AFTER_S):
                return await worker.describe()
        except TimeoutError:
            if place.worker is worker:
                self._end(place.vacated())
                self._settle()
        except api.EngineError:
            pass  # it ended as we asked: its pid is all there is to say
        return None

    async def _stop(self, worker: EngineWorker) -> None:
        try:
            await worker.stop()
        except Exception as error:  # noqa: BLE001  # nobody waits for it; raised, it would end the pool
            context = {"message": "an engine worker could not be stopped", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)

    def _close(self) -> None:
        """Ends every worker; who still waits for one is told."""
        self._is_open = False
        for place in self._places:
            if place.loading is not None:
                place.loading.set_result(_stopping())
        for task in self._abandonable:
            task.cancel()
        self._end(self._places.clear())

    def _end(self, workers: list[EngineWorker]) -> None:
        for worker in workers:
            self._own(self._stop(worker), self._stops)

    def _own(self, work: Coroutine[Any, Any, T], among: set[asyncio.Task[Any]]) -> asyncio.Task[T]:
        """Runs the work as the pool's own task."""
        task = self._tasks.create_task(work)
        among.add(task)
        task.add_done_callback(among.discard)
        return task

    def _load_options(self, model: ServedModel) -> api.LoadOptions:
        return api.LoadOptions(
            model_path=model.path,
            model_digest=model.digest,
            context_tokens=model.context_tokens,
            slots=self._room.slots,
            threads=self._room.threads,
            memory_budget_bytes=self._room.memory_share_bytes,
        )


def _stopping() -> api.EngineFailedError:
    return api.EngineFailedError("The daemon is stopping.", hint="Ask again once it has started.")
