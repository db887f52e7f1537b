"""Keeps engine workers: one a model file, loaded at first use and once only, the longest unused unloaded at the bound.

It neither chooses specialists nor starts processes itself, and it does not nurse a crashing worker: a worker that ended
is forgotten, and the next request starts another.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field

from homebred_daemon.ports import Clock, EngineLauncher, EngineWorker, Prompt, ServedModel
from homebred_engines import api


@dataclass(slots=True, kw_only=True)
class _Place:
    """Where one model is, or is about to be."""

    model: ServedModel
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    worker: EngineWorker | None = None
    has_room: bool = False
    """Whether one of the loaded models is, or is about to be, this one."""
    running: int = 0
    """Generations that hold it; it is unloaded only at 0."""
    used_s: float = 0.0
    """Monotonic time of its last use."""

    @property
    def has_ended(self) -> bool:
        """Whether its worker ended by itself."""
        return self.worker is not None and not self.worker.is_alive

    def vacated(self) -> list[EngineWorker]:
        """The worker that was here, if there was one; it is to be stopped."""
        worker, self.worker, self.has_room = self.worker, None, False
        return [] if worker is None else [worker]


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
    """Of one model with its caches; 0: what the machine has available."""


class WorkerPool:
    """The loaded models of this device."""

    def __init__(self, launcher: EngineLauncher, clock: Clock, room: Room) -> None:
        self._launcher = launcher
        self._clock = clock
        self._room = room
        self._places: dict[tuple[str, str], _Place] = {}
        self._last_failures: dict[tuple[str, str], str] = {}

    async def generate(self, model: ServedModel, prompt: Prompt) -> AsyncGenerator[api.Event, None]:
        """Streams one generation on the model's worker, loading it first where needed.

        Raises:
            homebred_engines.api.EngineError: before or between events.
        """
        key = (model.engine, model.digest)
        place = self._places.setdefault(key, _Place(model=model))
        place.running += 1
        try:
            worker = await self._loaded(place)
            stream = worker.generate(
                prompt.messages, prompt.options, request_id=prompt.request_id, fairness_key=prompt.fairness_key
            )
            async with aclosing(stream) as events:
                async for event in events:
                    yield event
            self._last_failures.pop(key, None)
        except (api.EngineFailedError, api.ModelRefusedError) as error:
            self._last_failures[key] = str(error)
            raise
        finally:
            place.running -= 1
            place.used_s = self._clock.monotonic_s()

    def is_loaded(self, model: ServedModel) -> bool:
        """Whether the model can answer without loading."""
        place = self._places.get((model.engine, model.digest))
        return place is not None and place.worker is not None and place.worker.is_alive

    def last_failure(self, model: ServedModel) -> str:
        """Why the model's last load or generation failed; empty: it did not."""
        return self._last_failures.get((model.engine, model.digest), "")

    def workers(self) -> tuple[EngineWorker, ...]:
        """The workers that are up."""
        return tuple(place.worker for place in self._places.values() if place.worker and place.worker.is_alive)

    async def close(self) -> None:
        """Ends every worker."""
        workers = [place.worker for place in self._places.values() if place.worker is not None]
        self._places.clear()
        async with asyncio.TaskGroup() as group:
            for worker in workers:
                group.create_task(worker.stop())

    async def _loaded(self, place: _Place) -> EngineWorker:
        """The place's worker, started and loaded once however many ask at the same time."""
        async with place.lock:
            if place.worker is not None and place.worker.is_alive:
                return place.worker
            try:
                await self._make_room(place)
                place.worker = await self._started(place.model)
            finally:
                place.has_room = place.worker is not None
            return place.worker

    async def _started(self, model: ServedModel) -> EngineWorker:
        """A new worker with the model loaded; where that fails, no worker is left."""
        worker = await self._launcher.start(model.engine)
        try:
            async with asyncio.timeout(self._room.load_timeout_s):
                await worker.load(self._load_options(model))
        except TimeoutError:
            await worker.stop()
            raise api.EngineFailedError(
                f"The model was not loaded within {self._room.load_timeout_s:g} s.",
                hint="Raise engine.load_timeout_s, or choose a smaller model.",
            ) from None
        except BaseException:
            await worker.stop()
            raise
        return worker

    async def _make_room(self, newcomer: _Place) -> None:
        """Unloads the longest unused models until the newcomer fits.

        Room is taken before anything is awaited, so that models that load at the same time do not take it twice.

        Raises:
            homebred_engines.api.QueueFullError: every loaded model is busy.
        """
        leaving = [worker for place in self._places.values() if place.has_ended for worker in place.vacated()]
        try:
            leaving += self._took_room(newcomer)
        finally:
            for worker in leaving:
                await worker.stop()

    def _took_room(self, newcomer: _Place) -> list[EngineWorker]:
        """Gives the newcomer its room at once; the workers that had it must be stopped before it is used."""
        held = [place for place in self._places.values() if place.has_room and place is not newcomer]
        idle = sorted((place for place in held if place.running == 0), key=lambda place: place.used_s)
        surplus = max(0, len(held) + 1 - self._room.max_models)
        if surplus > len(idle):
            raise api.QueueFullError(f"All {len(held)} models that may be loaded at once are busy.", retry_after_s=1.0)
        newcomer.has_room = True
        leaving = [worker for place in idle[:surplus] for worker in place.vacated()]
        self._places = {key: place for key, place in self._places.items() if place.has_room or place.running}
        return leaving

    def _load_options(self, model: ServedModel) -> api.LoadOptions:
        return api.LoadOptions(
            model_path=model.path,
            model_digest=model.digest,
            context_tokens=model.context_tokens,
            slots=self._room.slots,
            threads=self._room.threads,
            memory_budget_bytes=self._room.memory_budget_bytes,
        )
