"""Looks after the running daemon: gathers the state of every part, takes up a changed model store."""

from __future__ import annotations

from datetime import datetime

from homebred_daemon.core.shelf import StoredSpecialist
from homebred_daemon.inbound.caretaking import DaemonState, ReviewsState, SpecialistState, WorkerState
from homebred_daemon.ports.specialists import SpecialistStore
from homebred_daemon.services.answering import Answering
from homebred_daemon.services.engines import WorkerPool
from homebred_daemon.services.models import Site, standing_of
from homebred_daemon.services.recording import Recorder
from homebred_daemon.services.review_desk import ReviewDesk
from homebred_daemon.services.standing import Served, Standing


class Caretaking:
    """The caretaker of one daemon."""

    def __init__(
        self,
        *,
        site: Site,
        store: SpecialistStore,
        answering: Answering,
        pool: WorkerPool,
        recorder: Recorder,
        reviews: ReviewDesk,
        started_at_utc: datetime,
    ) -> None:
        self._site = site
        self._store = store
        self._answering = answering
        self._pool = pool
        self._recorder = recorder
        self._reviews = reviews
        self._started_at_utc = started_at_utc

    async def state(self) -> DaemonState:
        """The state of every part; a worker that is slow to say how it stands has only its pid."""
        return await self._state(await self._pool.worker_states())

    async def reload_models(self) -> DaemonState:
        """Takes up what has changed in the model store; where that fails, what held still holds.

        The state it returns names no workers: they are not waited for.

        Raises:
            StateError: the store cannot be read, or the ledger cannot be written.
        """
        standing = await standing_of(self._site, self._store, self._recorder)
        self._answering.standing = standing
        self._pool.keep_only({served.model for served in standing.specialists.values()})
        return await self._state(workers=())

    async def _state(self, workers: tuple[WorkerState, ...]) -> DaemonState:
        standing = self._answering.standing
        policy = standing.decider.policy
        return DaemonState(
            started_at_utc=self._started_at_utc,
            policy_digest=policy.digest,
            ceiling_digest=policy.ceiling_digest,
            registry_digest=standing.decider.registry.digest,
            link=standing.link.value,
            specialists=(
                *(self._specialist(stored, standing) for stored in standing.shelf.specialists),
                *(SpecialistState(id=damaged.id, note=damaged.why) for damaged in standing.shelf.damaged),
            ),
            workers=workers,
            streams=self._answering.streams,
            outcomes=await self._recorder.status_counts(),
            reviews=await self._reviews_state(),
        )

    async def _reviews_state(self) -> ReviewsState:
        counts = await self._reviews.counts()
        return ReviewsState(
            capacity=self._reviews.capacity,
            waiting=counts.waiting,
            claimed=counts.claimed,
            answered=counts.answered,
            declined=counts.declined,
            expired=counts.expired,
            oldest_filed_at_utc=counts.oldest_filed_at_utc,
        )

    def _specialist(self, stored: StoredSpecialist, standing: Standing) -> SpecialistState:
        served = standing.specialists.get(stored.manifest.id)
        return SpecialistState(
            id=stored.manifest.id,
            engine=stored.manifest.engine,
            base_digest=stored.base_digest,
            available=served is not None,
            loaded=served is not None and self._pool.is_loaded(served.model),
            note=self._note(stored, served),
        )

    def _note(self, stored: StoredSpecialist, served: Served | None) -> str:
        if served is None:
            return "its base model is missing or cut short: add it again"
        failure = self._pool.last_failure(served.model)
        return f"its engine failed: {failure}" if failure else stored.note
