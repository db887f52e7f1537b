"""Puts one daemon together from settings, and takes it apart again, in the order that the package states."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from typing import TYPE_CHECKING
from uuid import uuid4

from homebred_daemon import messages
from homebred_daemon.adapters.accounts import Access, resolve_access
from homebred_daemon.adapters.detectors.for_lanes import cloud_detector, recognizer
from homebred_daemon.adapters.gazetteer_files import GazetteerFiles
from homebred_daemon.adapters.json_schema import JsonSchemaChecker
from homebred_daemon.adapters.model_store import ModelStore
from homebred_daemon.adapters.policy_files import PolicyFiles
from homebred_daemon.adapters.system_clock import SystemClock
from homebred_daemon.adapters.worker_folders import remove_leftovers
from homebred_daemon.app.fleet import InFleet, in_fleet
from homebred_daemon.app.followed import Followed
from homebred_daemon.app.gateway import gateway
from homebred_daemon.app.measuring import Measured, Measuring
from homebred_daemon.app.serving import Services, api_server, listening, only_daemon_here
from homebred_daemon.app.stores import open_recorder, open_reviews, recover_at_start
from homebred_daemon.app.surroundings import Surroundings
from homebred_daemon.app.tracing import Tracer
from homebred_daemon.app.way_out import Links, opened
from homebred_daemon.app.workers import worker_pool
from homebred_daemon.config import Settings
from homebred_daemon.inbound.stream_room import StreamRoom
from homebred_daemon.ports.journal import Journal
from homebred_daemon.ports.measures import Measures
from homebred_daemon.ports.policies import PolicyInForce
from homebred_daemon.ports.tracing import Traces
from homebred_daemon.services.answering import Answering
from homebred_daemon.services.caretaking import Caretaking
from homebred_daemon.services.embedding import Embedding
from homebred_daemon.services.engines import WorkerPool
from homebred_daemon.services.feedback import Feedback
from homebred_daemon.services.heartbeat import Heartbeat, status_line
from homebred_daemon.services.models import Site, ledger_documents, standing_of
from homebred_daemon.services.recording import Recorder
from homebred_daemon.services.residency import Residency
from homebred_daemon.services.reviews.review_desk import ReviewDesk
from homebred_daemon.services.sessions import Sessions
from homebred_daemon.services.standing import Means

if TYPE_CHECKING:
    from homebred_daemon.adapters.detectors.ner import NerDetector

STOP_GRACE_S = 1.0
"""For calls that are no tasks, and for the last words of those that drain_s has cut off."""
WARM_UP = "MRN 4471203, call +49 30 1234567"
"""The detector compiles its patterns with the first text that calls for them: better now than with the first task."""


@asynccontextmanager
async def daemon(settings: Settings, around: Surroundings) -> AsyncIterator[None]:
    """A serving daemon, for as long as the context lasts.

    Raises:
        HomebredError: it refuses to start; nothing was left behind.
    """
    policies, clock, journal = _policies(settings), SystemClock(), around.journal
    policy = policies.in_force()
    names = _recognizer(settings, journal)
    links = Links(settings, clock, journal, recognizes=names is not None)
    gazetteers = _gazetteers(settings, names)
    site = _site(settings, policy, links, gazetteers)
    measuring = Measuring(settings.metrics)
    measures, tracer = measuring.measures, Tracer(settings.tracing, clock, measuring.measures)
    access = _access(settings)
    async with AsyncExitStack() as stack:
        stack.enter_context(only_daemon_here(settings, owns_socket=around.inherited is None))
        stack.enter_context(names or nullcontext())
        remove_leftovers(settings.paths.runtime_dir)
        recorder = await stack.enter_async_context(open_recorder(settings, measures))
        reviews = await stack.enter_async_context(open_reviews(settings, clock, journal))
        await recover_at_start(recorder, reviews, clock, journal)
        store = ModelStore(settings.paths.state_dir / "models")
        pool = worker_pool(settings, clock, journal, measures, changed=store.changed)
        await stack.enter_async_context(pool.running())
        means = _means(recorder, reviews, pool, clock, measures, traces=tracer.traces)
        answering = Answering(await standing_of(site, store, recorder), means)
        await stack.enter_async_context(opened(settings, answering, links, clock, measures))
        await stack.enter_async_context(_heartbeat(around, recorder, reviews, answering).beating())
        residency = Residency(answering, pool)
        caretaker = Caretaking(
            site=site,
            policy=policy,
            policies=policies,
            gazetteers=gazetteers,
            store=store,
            answering=answering,
            pool=pool,
            residency=residency,
            recorder=recorder,
            reviews=reviews,
            journal=journal,
            started_at_utc=clock.now(),
        )
        followed = Followed(
            state_dir=settings.paths.state_dir,
            recorder=recorder,
            answering=answering,
            pool=pool,
            reviews=reviews,
            clock=clock,
            journal=journal,
        )
        fleet = await stack.enter_async_context(in_fleet(settings, followed, caretaker, journal))
        services = _services(settings, followed, caretaker, fleet, residency=residency, measures=measures)
        await stack.enter_async_context(measuring.exposed(_measured(followed, links, site, fleet)))
        await stack.enter_async_context(tracer.running())
        site.detector.detect(WARM_UP)
        await stack.enter_async_context(_serving(settings, around, access, services))
        yield


@asynccontextmanager
async def _serving(settings: Settings, around: Surroundings, access: Access, services: Services) -> AsyncIterator[None]:
    """Takes calls; on leaving, no more tasks, then time for those under way, then no more calls."""
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(listening(settings, access, around.inherited))
        server = api_server(settings, access, listener, services, around.journal)
        stack.push_async_callback(server.stop, STOP_GRACE_S)
        await stack.enter_async_context(gateway(settings, access, services, around))
        stack.callback(services.reviews.dismiss)
        stack.push_async_callback(_drained, services, settings.requests.drain_s, around.journal)
        if around.inherited is not None:
            stack.callback(server.accept_no_more)  # who comes now waits in systemd's socket for the next daemon
        await server.start()
        await services.caretaker.reload_models()  # a model added while we started found nobody to tell
        yield


def _services(
    settings: Settings,
    followed: Followed,
    caretaker: Caretaking,
    fleet: InFleet,
    *,
    residency: Residency,
    measures: Measures,
) -> Services:
    answering, recorder, reviews = followed.answering, followed.recorder, followed.reviews
    return Services(
        answering=answering,
        caretaker=caretaker,
        bundles=fleet.bundles,
        imports=fleet.imports,
        residency=residency,
        reviews=reviews,
        embedding=Embedding(lambda: answering.standing, followed.pool, answering.admission, measures),
        feedback=Feedback(recorder, reviews, followed.clock),
        measures=measures,
        room=StreamRoom(settings.requests.max_streams),
    )


def _access(settings: Settings) -> Access:
    access = settings.access
    return resolve_access(group=access.group, operators=access.operators, reviewers=access.reviewers)


def _measured(followed: Followed, links: Links, site: Site, fleet: InFleet) -> Measured:
    return Measured(
        answering=followed.answering,
        pool=followed.pool,
        reviews=followed.reviews,
        links=links.by_alias,
        site=site,
        outbox=fleet.outbox_depth,
    )


def _policies(settings: Settings) -> PolicyFiles:
    policy = settings.policy
    return PolicyFiles(settings.paths.state_dir, policy_file=policy.file, ceiling_file=policy.site_ceiling_file)


def _recognizer(settings: Settings, journal: Journal) -> NerDetector | None:
    if not settings.cloud.endpoints:
        return None
    return recognizer(
        settings.detection.recognizer, lambda code: journal.note(messages.RECOGNIZER_FAILED, error_code=code)
    )


def _gazetteers(settings: Settings, names: NerDetector | None) -> GazetteerFiles:
    further = () if names is None else (names,)
    leaves = bool(settings.cloud.endpoints)
    return GazetteerFiles(
        settings.paths.state_dir,
        configured=settings.detection.gazetteer_file,
        for_cloud=lambda local: cloud_detector(local, *further) if leaves else None,
    )


def _site(settings: Settings, policy: PolicyInForce, links: Links, gazetteers: GazetteerFiles) -> Site:
    detectors = gazetteers.in_force()
    return Site(
        policy=policy.site.policy,
        documents=ledger_documents(policy.site),
        detector=detectors.local,
        cloud_detector=detectors.cloud,
        link=links.of,
        context_tokens=settings.engine.context_tokens,
    )


def _means(
    recorder: Recorder,
    reviews: ReviewDesk,
    pool: WorkerPool,
    clock: SystemClock,
    measures: Measures,
    *,
    traces: Traces,
) -> Means:
    return Means(
        recorder=recorder,
        pool=pool,
        schemas=JsonSchemaChecker(),
        reviews=reviews,
        clock=clock,
        sessions=Sessions(clock),
        new_route_id=lambda: str(uuid4()),
        measures=measures,
        traces=traces,
    )


async def _drained(services: Services, limit_s: float, journal: Journal) -> None:
    """Takes no more tasks and waits for those under way; operators are answered meanwhile."""
    services.caretaker.drain()
    admission = services.answering.admission
    if not await admission.idle_within(limit_s):
        journal.note(messages.DRAINED, streams=admission.streams, seconds=limit_s)


def _heartbeat(around: Surroundings, recorder: Recorder, reviews: ReviewDesk, answering: Answering) -> Heartbeat:
    def status() -> str:
        admission = answering.admission
        return status_line(streams=admission.streams, waiting=reviews.open_items, is_draining=admission.is_draining)

    return Heartbeat(around.manager, around.journal, vital={"recorder": lambda: recorder.is_alive}, status=status)
