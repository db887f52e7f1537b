"""How the device stands, for the fleet: a few figures, none of them about a task. It measures and keeps nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from homebred_daemon.core.telemetry import HealthFact
from homebred_daemon.ports.clock import Clock
from homebred_daemon.ports.measures import ProcessFigures
from homebred_daemon.ports.outbox import OutboxDepth
from homebred_daemon.services.answering import Answering
from homebred_daemon.services.engines import WorkerPool
from homebred_daemon.services.reviews.review_desk import ReviewDesk


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Reads it off the daemon's parts."""

    answering: Answering
    pool: WorkerPool
    reviews: ReviewDesk
    clock: Clock
    started_s: float
    """By the monotonic clock."""
    process: Callable[[], ProcessFigures]
    free_disk_bytes: Callable[[], int]

    def fact(self, outbox: OutboxDepth) -> HealthFact:
        """How it stands now."""
        models = {served.model for served in self.answering.standing.specialists.values()}
        return HealthFact(
            uptime_s=int(self.clock.monotonic_s() - self.started_s),
            resident_bytes=self.process().resident_bytes,
            free_disk_bytes=self.free_disk_bytes(),
            outbox_events=outbox.events,
            outbox_bytes=outbox.size_bytes,
            loaded_models=sum(map(self.pool.is_loaded, models)),
            worker_failures=self.pool.failures,
            reviews_waiting=self.reviews.open_items,
        )
