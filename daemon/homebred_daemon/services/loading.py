"""Loads a model with its adapters into a new worker, within the room it may take and within a time limit.

It keeps no worker and counts no failure: `engines.py` does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from homebred_daemon.core.memory_plan import Bounds, Need
from homebred_daemon.core.supervision import Event
from homebred_daemon.ports.engines import EngineLauncher, EngineWorker, ServedAdapter, ServedModel
from homebred_engines import api
from homebred_engines.registry import ON_GPU

BESIDE_WEIGHTS_BYTES = 160_000_000
"""Of a worker's process and its engine's working buffers; measured with llama.cpp and a model of 98 MB."""


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
    ram_bytes: int | None = None
    """Of all models together, with their caches; None: not bounded."""
    gpu_bytes: int | None = None
    """Of a GPU with memory of its own, in the same way; None: there is none, and `ram_bytes` is for all."""
    max_adapters: int = 8
    """Served at once on one model."""
    keep_alive_s: float = 0.0
    """A model that nobody has used for so long leaves; 0: none does."""
    stall_timeout_s: float = 60.0
    """A busy worker that makes no progress for longer hangs."""

    @property
    def bounds(self) -> Bounds:
        """What all loaded models may take together."""
        return Bounds(max_models=self.max_models, ram=self.ram_bytes, gpu=self.gpu_bytes)

    def need(self, model: ServedModel, adapters: Sequence[ServedAdapter]) -> Need:
        """What the model takes with its caches, and with as many of the adapters as are served at once."""
        largest = sorted((adapter.size_bytes for adapter in adapters), reverse=True)[: self.max_adapters]
        if not model.weights_bytes:
            return Need()  # an engine that says nothing of it, or a server that has it
        taken = (
            BESIDE_WEIGHTS_BYTES
            + model.weights_bytes
            + model.kv_bytes_per_token * model.context_tokens * self.slots
            + sum(largest)
        )
        return Need(gpu=taken) if self._is_on_gpu(model) else Need(ram=taken)

    def load_options(self, model: ServedModel, adapters: Sequence[ServedAdapter], *, beside: Need) -> api.LoadOptions:
        """How the model is to be loaded; `beside` is the most that it may take, 0: what the machine has available."""
        return api.LoadOptions(
            model_path=model.path,
            model_digest=model.digest,
            context_tokens=model.context_tokens,
            slots=self.slots,
            threads=self.threads,
            memory_budget_bytes=beside.gpu if self._is_on_gpu(model) else beside.ram,
            embeddings=model.embeds,
            adapters=tuple(adapter.for_engine() for adapter in adapters[: self.max_adapters]),
        )

    def _is_on_gpu(self, model: ServedModel) -> bool:
        return self.gpu_bytes is not None and model.engine in ON_GPU


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadFailure:
    """Why there is no worker."""

    event: Event
    """What that means for the model."""
    error: Exception


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedWorker:
    """A worker with a model in it."""

    worker: EngineWorker
    adapters: tuple[str, ...]
    """Digests of those that it serves."""
    refused: Mapping[str, api.AdapterRefusedError]
    """Those that it does not take, by digest."""


async def loaded_worker(
    launcher: EngineLauncher, room: Room, engine: str, options: api.LoadOptions, *, gives_way: bool = False
) -> LoadedWorker | LoadFailure:
    """A new worker with the model in it; where that fails, no worker is left behind. `gives_way` is the launcher's."""
    event = Event.NO_START
    try:
        worker = await launcher.start(engine, gives_way=gives_way)
        event = Event.FAILURE
        try:
            return await _loaded_without_refused(room.load_timeout_s, worker, options)
        except BaseException:
            await worker.stop()
            raise
    except (api.ModelRefusedError, api.InvalidRequestError) as error:  # the latter: it cannot have what was configured
        return LoadFailure(event=Event.REFUSAL, error=error)
    except Exception as error:  # noqa: BLE001  # told to all who wait; raised here, it would end the pool
        return LoadFailure(event=event, error=error)


async def _loaded_without_refused(limit_s: float, worker: EngineWorker, options: api.LoadOptions) -> LoadedWorker:
    """One bad adapter does not keep the base from the others."""
    refused: dict[str, api.AdapterRefusedError] = {}
    while True:
        adapters = tuple(adapter for adapter in options.adapters if adapter.digest not in refused)
        try:
            await load_within(limit_s, worker, replace(options, adapters=adapters))
        except api.AdapterRefusedError as error:
            if error.adapter not in {adapter.digest for adapter in adapters}:
                raise
            refused[error.adapter] = error
            continue
        digests = tuple(sorted(adapter.digest for adapter in adapters))
        return LoadedWorker(worker=worker, adapters=digests, refused=refused)


async def load_within(limit_s: float, worker: EngineWorker, options: api.LoadOptions) -> api.WorkerStats:
    """How the worker stands with its model.

    Raises:
        homebred_engines.api.EngineError: the load failed, or took longer than `limit_s` seconds.
    """
    try:
        async with asyncio.timeout(limit_s):
            return await worker.load(options)
    except TimeoutError:
        raise api.EngineFailedError(
            f"The model was not loaded within {limit_s:g} s.",
            hint="Raise engine.load_timeout_s, or choose a smaller model.",
        ) from None
