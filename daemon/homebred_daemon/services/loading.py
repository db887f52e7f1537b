"""Loads a model into a new worker, within the room it may take and within a time limit.

It keeps no worker and counts no failure: `engines.py` does.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from homebred_daemon.core.supervision import Event
from homebred_daemon.ports.engines import EngineLauncher, EngineWorker, ServedModel
from homebred_engines import api


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
    stall_timeout_s: float = 60.0
    """A busy worker that makes no progress for longer hangs."""

    @property
    def memory_share_bytes(self) -> int:
        """What one model may take, so that as many as may be loaded fit; 0: what the machine has available."""
        return self.memory_budget_bytes // self.max_models

    def load_options(self, model: ServedModel) -> api.LoadOptions:
        """How the model is to be loaded."""
        return api.LoadOptions(
            model_path=model.path,
            model_digest=model.digest,
            context_tokens=model.context_tokens,
            slots=self.slots,
            threads=self.threads,
            memory_budget_bytes=self.memory_share_bytes,
            embeddings=model.embeds,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadFailure:
    """Why there is no worker."""

    event: Event
    """What that means for the model."""
    error: Exception


async def loaded_worker(launcher: EngineLauncher, room: Room, model: ServedModel) -> EngineWorker | LoadFailure:
    """A new worker with the model in it; where that fails, no worker is left behind."""
    event = Event.NO_START
    try:
        worker = await launcher.start(model.engine)
        event = Event.FAILURE
        try:
            await load_within(room.load_timeout_s, worker, room.load_options(model))
        except BaseException:
            await worker.stop()
            raise
    except (api.ModelRefusedError, api.InvalidRequestError) as error:  # the latter: it cannot have what was configured
        return LoadFailure(event=Event.REFUSAL, error=error)
    except Exception as error:  # noqa: BLE001  # told to all who wait; raised here, it would end the pool
        return LoadFailure(event=event, error=error)
    return worker


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
