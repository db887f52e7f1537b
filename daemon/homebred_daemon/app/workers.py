"""The pool of engine workers, as this device is configured for it."""

from __future__ import annotations

from functools import partial

from homebred_daemon import messages
from homebred_daemon.adapters.device_memory import available_ram_bytes, free_gpu_bytes
from homebred_daemon.adapters.engine_launcher import ProcessLauncher
from homebred_daemon.adapters.engine_process import Changed
from homebred_daemon.adapters.system_clock import SystemClock
from homebred_daemon.config import Settings
from homebred_daemon.core.supervision import Health, Phase, backoff_s
from homebred_daemon.log_events import Value
from homebred_daemon.ports.engines import ServedModel
from homebred_daemon.ports.journal import Journal
from homebred_daemon.ports.measures import Measures
from homebred_daemon.services.engines import WorkerPool
from homebred_daemon.services.loading import Room
from homebred_daemon.settings import EngineSettings

MEGABYTE = 1_000_000
SHARE_OF_FREE = 0.9
"""The rest is for the daemon, and for what a model takes beside weights and caches."""


def worker_pool(
    settings: Settings, clock: SystemClock, journal: Journal, measures: Measures, *, changed: Changed
) -> WorkerPool:
    """The pool; it serves once it runs."""
    engine = settings.engine
    launcher = ProcessLauncher(
        interpreter=engine.python,
        runtime_dir=settings.paths.runtime_dir,
        queue_limit=engine.queue_limit,
        changed=changed,
    )
    room = Room(
        max_models=engine.max_models,
        slots=engine.slots,
        threads=engine.threads,
        load_timeout_s=engine.load_timeout_s,
        ram_bytes=ram_budget_bytes(engine),
        gpu_bytes=gpu_budget_bytes(engine),
        max_adapters=engine.max_adapters,
        keep_alive_s=engine.keep_alive_s,
        stall_timeout_s=engine.stall_timeout_s,
    )
    return WorkerPool(
        launcher, clock, room, journal, on_health_change=partial(_note_health, journal), measures=measures
    )


def ram_budget_bytes(engine: EngineSettings) -> int:
    """What all loaded models may take: as configured, else a share of what is available. Raises StateError."""
    return engine.memory_budget_mb * MEGABYTE or int(available_ram_bytes() * SHARE_OF_FREE)


def gpu_budget_bytes(engine: EngineSettings) -> int | None:
    """The same of a GPU with memory of its own; None: there is none."""
    free = free_gpu_bytes()
    return None if free is None else engine.gpu_memory_budget_mb * MEGABYTE or int(free * SHARE_OF_FREE)


def _note_health(journal: Journal, model: ServedModel, health: Health) -> None:
    """A model failed, or came back."""
    about: dict[str, Value] = {"engine": model.engine, "model": model.digest}
    match health.phase:
        case Phase.HEALTHY:
            journal.note(messages.MODEL_HEALTHY, **about)
        case Phase.BACKING_OFF:
            rest_s = backoff_s(health.failures)
            journal.note(messages.MODEL_BACKING_OFF, **about, failures=health.failures, seconds=rest_s)
        case Phase.PARKED:
            journal.note(messages.MODEL_PARKED, **about, failures=health.failures)
