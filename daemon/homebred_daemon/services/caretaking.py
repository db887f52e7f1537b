"""Looks after the running daemon: gathers the state of every part, takes up a changed model store or another policy.

It answers no task and loads no model.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from homebred_daemon import fleet_messages, messages
from homebred_daemon.core.sensitivity import ATTACHED_TYPES
from homebred_daemon.core.shelf import StoredSpecialist
from homebred_daemon.errors import ConfigurationError, RequestError
from homebred_daemon.inbound.caretaking import (
    DaemonState,
    FleetState,
    MembershipState,
    PolicyChange,
    ReviewsState,
    SpecialistState,
    WorkerState,
)
from homebred_daemon.ports.gazetteers import GazetteerStore
from homebred_daemon.ports.journal import Journal
from homebred_daemon.ports.policies import PolicyInForce, PolicyStore
from homebred_daemon.ports.specialists import SpecialistStore
from homebred_daemon.services.answering import Answering
from homebred_daemon.services.engines import WorkerPool
from homebred_daemon.services.models import Site, standing_of
from homebred_daemon.services.recording import Recorder
from homebred_daemon.services.residency import Residency
from homebred_daemon.services.reviews.review_desk import ReviewDesk
from homebred_daemon.services.standing import Standing
from homebred_protocol.documents.policy import advice


class Caretaking:
    """The caretaker of one daemon."""

    def __init__(
        self,
        *,
        site: Site,
        policy: PolicyInForce,
        policies: PolicyStore,
        gazetteers: GazetteerStore,
        store: SpecialistStore,
        answering: Answering,
        pool: WorkerPool,
        residency: Residency,
        recorder: Recorder,
        reviews: ReviewDesk,
        journal: Journal,
        started_at_utc: datetime,
    ) -> None:
        self._site = site
        self._policy = policy
        self._policies = policies
        self._gazetteers = gazetteers
        self._store = store
        self._answering = answering
        self._pool = pool
        self._residency = residency
        self._recorder = recorder
        self._reviews = reviews
        self._journal = journal
        self._started_at_utc = started_at_utc
        self.fleet: Callable[[], Awaitable[FleetState]] | None = None
        """Says how the link with the fleet stands, once there is one."""
        self.membership: Callable[[], Awaitable[MembershipState]] | None = None
        """Says who the device is in its fleet, where it is in one."""
        self._changing = asyncio.Lock()
        """Held while what stands changes: two changes at once would each undo the other."""

    async def state(self) -> DaemonState:
        """The state of every part; a worker that is slow to say how it stands has only its pid."""
        return await self._state(await self._pool.worker_states())

    async def reload_models(self) -> DaemonState:
        """Takes up what has changed in the model store; where that fails, what held still holds.

        The state it returns names no workers: they are not waited for.

        Raises:
            StateError: the store cannot be read, or the ledger cannot be written.
        """
        async with self._changing:
            standing = await standing_of(self._site, self._store, self._recorder)
            self._residency.take_up(standing)
            self._journal.note(
                messages.MODELS_RELOADED,
                registry=standing.decider.registry.digest,
                specialists=len(standing.specialists),
                damaged=len(standing.shelf.damaged),
            )
        return await self._state(workers=())

    def policy(self) -> PolicyInForce:
        """The policy that tasks accepted now are decided under."""
        return self._policy

    async def set_policy(self, body: bytes, *, check_only: bool = False) -> PolicyChange:
        """Takes another policy, for tasks accepted from now on and after a restart; empty: the configured one again.

        Raises:
            RequestError: it is wrong, with every complaint; the old one still holds.
            StateError: it could not be stored; the old one still holds.
        """
        async with self._changing:
            offered = await asyncio.to_thread(self._offered, body)
            change = PolicyChange(
                digest=offered.site.policy.digest,
                previous_digest=self._policy.site.policy.digest,
                warnings=advice(offered.site.policy, self._site.detector.entity_types | ATTACHED_TYPES),
            )
            if not check_only:
                await self._take(offered, body)
        return change

    async def set_gazetteer(self, path: Path | None) -> None:
        """Takes a list of the fleet beside the site's own, for tasks from now on and after a restart; None: none.

        Raises:
            RequestError: it is wrong, with every complaint; what held still does.
            StateError: it could not be stored; what held still does.
        """
        async with self._changing:
            try:
                offered = await asyncio.to_thread(self._gazetteers.offered, path)
            except ConfigurationError as error:
                raise RequestError(error.message, hint=error.hint) from error
            site = replace(self._site, detector=offered.local, cloud_detector=offered.cloud)
            standing = await standing_of(site, self._store, self._recorder)
            await asyncio.to_thread(self._gazetteers.keep, path)
            self._site = site
            self._journal.note(fleet_messages.GAZETTEER_CHANGED, gazetteer=offered.local.digest)
            self._residency.take_up(standing)

    def drain(self, *, resume: bool = False) -> int:
        """Takes no more tasks, or takes them again; the number of those being answered."""
        admission = self._answering.admission
        if admission.is_draining == resume:
            self._journal.note(messages.RESUMED) if resume else self._journal.note(
                messages.DRAINING, streams=admission.streams
            )
        admission.is_draining = not resume
        return admission.streams

    def _offered(self, body: bytes) -> PolicyInForce:
        try:
            return self._policies.offered(body) if body else self._policies.configured()
        except ConfigurationError as error:
            raise RequestError(error.message, hint=error.hint) from error

    async def _take(self, offered: PolicyInForce, body: bytes) -> None:
        """Keeps it, then has it hold: after a crash in between, it holds from the next start on."""
        site = self._site.under(offered.site)
        standing = await standing_of(site, self._store, self._recorder)
        if body:
            await asyncio.to_thread(self._policies.keep, body)
        else:
            await asyncio.to_thread(self._policies.forget)
        previous = self._policy.site.policy.digest
        self._site, self._policy = site, offered
        self._journal.note(
            messages.POLICY_CHANGED, policy=offered.site.policy.digest, previous_policy=previous, origin=offered.origin
        )
        self._residency.take_up(standing)

    async def _state(self, workers: tuple[WorkerState, ...]) -> DaemonState:
        standing = self._answering.standing
        policy = standing.decider.policy
        return DaemonState(
            started_at_utc=self._started_at_utc,
            policy_digest=policy.digest,
            ceiling_digest=policy.ceiling_digest,
            registry_digest=standing.decider.registry.digest,
            link=standing.link.link.value,
            specialists=(
                *(self._specialist(stored, standing) for stored in standing.shelf.specialists),
                *(SpecialistState(id=damaged.id, note=damaged.why) for damaged in standing.shelf.damaged),
            ),
            workers=workers,
            streams=self._answering.admission.streams,
            outcomes=await self._recorder.status_counts(),
            policy_origin=self._policy.origin,
            is_draining=self._answering.admission.is_draining,
            reviews=await self._reviews_state(),
            fleet=None if self.fleet is None else await self.fleet(),
            membership=None if self.membership is None else await self.membership(),
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
        state = SpecialistState(
            id=stored.manifest.id,
            engine=stored.manifest.engine,
            base_digest=stored.base_digest,
            adapter_digest=stored.adapter_digest,
        )
        if served is None:
            return replace(state, note="its base model or adapter is missing or cut short: add it again")
        condition = self._pool.condition(served.model, served.adapter)
        return replace(
            state,
            available=True,
            loaded=self._pool.is_loaded(served.model),
            note=condition.note or stored.note,
            pinned=self._pool.is_pinned(served.model),
            parked=condition.is_parked,
        )
