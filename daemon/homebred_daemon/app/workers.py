"""The pool of engine workers, as this device is configured for it."""

from __future__ import annotations

from homebred_daemon.adapters import logs
from homebred_daemon.adapters.engine_launcher import ProcessLauncher
from homebred_daemon.adapters.system_clock import SystemClock
from homebred_daemon.config import Settings
from homebred_daemon.core.supervision import Health, Phase
from homebred_daemon.ports.engines import ServedModel
from homebred_daemon.services.engines import WorkerPool
from homebred_daemon.services.loading import Room

MEGABYTE = 1_000_000


def worker_pool(settings: Settings, clock: SystemClock) -> WorkerPool:
    """The pool; it serves once it runs."""
    engine = settings.engine
    launcher = ProcessLauncher(
        interpreter=engine.python, runtime_dir=settings.paths.runtime_dir, queue_limit=engine.queue_limit
    )
    room = Room(
        max_models=engine.max_models,
        slots=engine.slots,
        threads=engine.threads,
        load_timeout_s=engine.load_timeout_s,
        memory_budget_bytes=engine.memory_budget_mb * MEGABYTE,
        stall_timeout_s=engine.stall_timeout_s,
    )
    return WorkerPool(launcher, clock, room, on_health_change=_log_health)


def _log_health(model: ServedModel, health: Health) -> None:
    """A model failed, or came back."""
    if health.phase is Phase.HEALTHY:
        logs.logger().info("model healthy", model=model.digest)
        return
    logs.logger().warning(
        "model failed", model=model.digest, phase=health.phase, failures=health.failures, why=health.last
    )
