"""Watches one busy worker until it has nothing left to do, or is found hung. It ends nobody: `engines.py` does.

Two things count as hung: an event loop that does not answer, and one that answers while the engine, which owes a step,
makes none for too long. What a caller who does not read leaves lying is nothing the engine owes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from homebred_daemon.core.supervision import Progress
from homebred_daemon.ports.clock import Clock
from homebred_daemon.ports.engines import EngineWorker
from homebred_engines import api

LOOK_EVERY_S = 2.0
FROZEN_AFTER_S = 5.0
"""A worker that has not said in this time how it stands never will; a busy machine makes it slow, but not so slow."""


class WorkerHungError(api.EngineFailedError):
    """The engine hung."""

    default_hint = "The worker is replaced; if that repeats, look at its device and the machine's load."


async def hang_of(
    worker: EngineWorker,
    clock: Clock,
    *,
    stall_timeout_s: float,
    is_used: Callable[[], bool],
    may_be_silent: Callable[[], bool] = lambda: False,
) -> WorkerHungError | None:
    """How the worker hung; None once it has nothing left to do, or has ended.

    While it `may_be_silent`, as where a library lets no other thread run as it loads, no answer says nothing of it.
    """
    progress = Progress(steps=-1, moved_at_s=clock.monotonic_s())
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        try:
            stats = await describe_or_frozen(worker)
        except WorkerHungError as hung:
            if may_be_silent():
                continue
            return hung
        if stats is None or not (is_used() or stats.running or stats.queued):
            return None
        now_s = clock.monotonic_s()
        progress = progress.seen(stats.progress, computing=stats.computing, now_s=now_s)
        if progress.stalled_s(now_s) >= stall_timeout_s:
            return WorkerHungError(
                f"It made no progress for {stall_timeout_s:g} s, though {stats.computing} generations waited for it.",
                hint="The worker is replaced; if the machine is only slow, raise engine.stall_timeout_s.",
            )


async def describe_or_frozen(worker: EngineWorker) -> api.WorkerStats | None:
    """How a worker stands; None: it ended while it was asked.

    Raises:
        WorkerHungError: it does not answer.
    """
    for _ in range(2):  # twice, for it may be this process that was held up: then the second answer is at hand
        try:
            async with asyncio.timeout(FROZEN_AFTER_S / 2):
                return await worker.describe()
        except TimeoutError:
            continue
        except api.EngineError:
            return None
    raise WorkerHungError(f"Its worker did not answer for {FROZEN_AFTER_S:g} s.")
