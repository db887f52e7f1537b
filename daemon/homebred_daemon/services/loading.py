"""Loads a model into a worker within a time limit. It starts no worker, and it ends none where the load fails."""

from __future__ import annotations

import asyncio

from homebred_daemon.ports.engines import EngineWorker
from homebred_engines import api


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
