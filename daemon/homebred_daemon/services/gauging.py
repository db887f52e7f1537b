"""Reads how the daemon stands at the moment that somebody wants to know: queues, models, reviews, links, the process.

What happens in between is counted elsewhere (`tallying.py`). It changes nothing, and asks nothing of the ledger, which
would take the longer the more it holds.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

from homebred_daemon.core import measures
from homebred_daemon.core.link import Link
from homebred_daemon.core.measures import Counter, Gauge, Reading, Total
from homebred_daemon.inbound.caretaking import WorkerState
from homebred_daemon.ports.measures import ProcessFigures
from homebred_daemon.ports.outbox import NO_OUTBOX, OutboxDepth
from homebred_daemon.ports.review import ReviewCounts
from homebred_daemon.services.answering import Answering
from homebred_daemon.services.engines import WorkerPool
from homebred_daemon.services.reviews.review_desk import ReviewDesk


async def no_outbox() -> OutboxDepth:
    """What waits for its fleet on a device that is in none."""
    return NO_OUTBOX


class Gauging:
    """The gauges of one daemon."""

    def __init__(
        self,
        answering: Answering,
        pool: WorkerPool,
        reviews: ReviewDesk,
        *,
        links: Callable[[], Mapping[str, Link]],
        process: Callable[[], ProcessFigures],
        version: str,
        outbox: Callable[[], Awaitable[OutboxDepth]] = no_outbox,
    ) -> None:
        """`links` gives what the router sees of each cloud endpoint, by alias."""
        self._answering = answering
        self._pool = pool
        self._reviews = reviews
        self._links = links
        self._process = process
        self._version = version
        self._outbox = outbox

    async def readings(self) -> list[Reading]:
        """All of them.

        Raises:
            StateError: the review queue cannot be read.
        """
        workers, reviews = await self._pool.worker_states(), await self._reviews.counts()
        return [
            _of(measures.BUILD, 1, self._version),
            _of(measures.TASKS_RUNNING, self._answering.admission.streams),
            _of(measures.DRAINING, self._answering.admission.is_draining),
            *_of_workers(workers),
            *self._of_models(),
            *_of_reviews(reviews, self._reviews.capacity),
            *(
                _of(measures.LINK, link is state, alias, state)
                for alias, link in self._links().items()
                for state in Link
            ),
            *_of_outbox(await self._outbox()),
            *_of_process(self._process()),
        ]

    def _of_models(self) -> Iterator[Reading]:
        models = {served.model for served in self._answering.standing.specialists.values()}
        yield _of(measures.MODELS_RESIDENT, sum(map(self._pool.is_loaded, models)))
        yield _of(measures.MODELS_PARKED, sum(self._pool.condition(model).is_parked for model in models))


def _of_outbox(depth: OutboxDepth) -> Iterator[Reading]:
    yield _of(measures.OUTBOX_EVENTS, depth.events)
    yield _of(measures.OUTBOX_BYTES, depth.size_bytes)
    yield _of(measures.OUTBOX_LOST, depth.lost_events)
    yield _of(measures.OUTBOX_CUT, depth.cut_events)
    yield _of(measures.OUTBOX_ACKNOWLEDGED, depth.acknowledged_events)


def _of_workers(workers: Sequence[WorkerState]) -> Iterator[Reading]:
    told = [worker.stats for worker in workers if worker.stats is not None]
    yield _of(measures.ENGINES_SILENT, len(workers) - len(told))
    yield _of(measures.ENGINE_QUEUED, sum(stats.queued for stats in told))
    yield _of(measures.ENGINE_QUEUE_LIMIT, sum(stats.queue_limit for stats in told))
    yield _of(measures.ENGINE_RUNNING, sum(stats.running for stats in told))
    yield _of(measures.ENGINE_SLOTS, sum(stats.engine.slots for stats in told))
    yield _of(measures.ADAPTERS_RESIDENT, sum(len(stats.engine.adapters) for stats in told))
    yield _of(measures.ENGINE_MEMORY_BYTES, sum(stats.resident_bytes for stats in told))


def _of_reviews(counts: ReviewCounts, capacity: int) -> Iterator[Reading]:
    yield _of(measures.REVIEWS_CAPACITY, capacity)
    yield _of(measures.REVIEWS_OPEN, counts.waiting, "waiting")
    yield _of(measures.REVIEWS_OPEN, counts.claimed, "claimed")
    yield _of(measures.REVIEWS_ENDED, counts.answered, "answered")
    yield _of(measures.REVIEWS_ENDED, counts.declined, "declined")
    yield _of(measures.REVIEWS_ENDED, counts.expired, "expired")


def _of_process(process: ProcessFigures) -> Iterator[Reading]:
    yield _of(measures.PROCESS_MEMORY_BYTES, process.resident_bytes)
    yield _of(measures.PROCESS_CPU_SECONDS, process.cpu_s)
    yield _of(measures.PROCESS_OPEN_FILES, process.open_files)
    yield _of(measures.PROCESS_MOST_FILES, process.most_files)
    yield _of(measures.PROCESS_STARTED, process.started_at_s)


def _of(measure: Counter | Total | Gauge, value: float, *words: str) -> Reading:
    return Reading(measure=measure, words=words, value=value)
