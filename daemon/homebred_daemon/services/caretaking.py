"""Looks after the running daemon: gathers the state of every part, takes up a changed model store."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from homebred_daemon.core.shelf import StoredSpecialist
from homebred_daemon.inbound.caretaking import DaemonState, SpecialistState, WorkerState
from homebred_daemon.ports.specialists import SpecialistStore
from homebred_daemon.services.answering import Answering
from homebred_daemon.services.engines import WorkerPool
from homebred_daemon.services.models import Site, standing_of
from homebred_daemon.services.recording import Recorder
from homebred_daemon.services.residency import Residency
from homebred_daemon.services.standing import Standing


class Caretaking:
    """The caretaker of one daemon."""

    def __init__(
        self,
        *,
        site: Site,
        store: SpecialistStore,
        answering: Answering,
        pool: WorkerPool,
        residency: Residency,
        recorder: Recorder,
        started_at_utc: datetime,
    ) -> None:
        self._site = site
        self._store = store
        self._answering = answering
        self._pool = pool
        self._residency = residency
        self._recorder = recorder
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
        self._residency.take_up(standing)
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
        )

    def _specialist(self, stored: StoredSpecialist, standing: Standing) -> SpecialistState:
        served = standing.specialists.get(stored.manifest.id)
        state = SpecialistState(id=stored.manifest.id, engine=stored.manifest.engine, base_digest=stored.base_digest)
        if served is None:
            return replace(state, note="its base model is missing or cut short: add it again")
        condition = self._pool.condition(served.model)
        return replace(
            state,
            available=True,
            loaded=self._pool.is_loaded(served.model),
            note=condition.note or stored.note,
            pinned=self._pool.is_pinned(served.model),
            parked=condition.is_parked,
        )
