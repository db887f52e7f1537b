"""Wires the daemon and runs it: the only place that sees services and adapters together.

Order of start: settings, policy, ledger, review queue, what a crash left open, models, socket, READY. Order of stop: no
new calls, running ones get a grace, engines end, review queue and ledger are written out and closed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from uuid import uuid4

from homebred_daemon.adapters import logs
from homebred_daemon.adapters.detectors.patterns import default_detector
from homebred_daemon.adapters.engine_launcher import ProcessLauncher
from homebred_daemon.adapters.grpc_api.control import ControlServicer
from homebred_daemon.adapters.grpc_api.inference import InferenceServicer
from homebred_daemon.adapters.grpc_api.reviews import ReviewFace
from homebred_daemon.adapters.grpc_api.server import ApiServer, SocketPath
from homebred_daemon.adapters.json_schema import JsonSchemaChecker
from homebred_daemon.adapters.model_store import ModelStore
from homebred_daemon.adapters.sealing import AesGcmSealer, device_key
from homebred_daemon.adapters.store.ledger import SqliteLedger
from homebred_daemon.adapters.store.review import SqliteReviewStore
from homebred_daemon.adapters.system_clock import SystemClock
from homebred_daemon.config import Settings, load
from homebred_daemon.config_sources import FLAGS
from homebred_daemon.core.link import Link
from homebred_daemon.document_files import site_policy
from homebred_daemon.errors import HomebredError, StateError
from homebred_daemon.services.answering import Answering
from homebred_daemon.services.caretaking import Caretaking
from homebred_daemon.services.engines import Room, WorkerPool
from homebred_daemon.services.feedback import Feedback
from homebred_daemon.services.models import Site, standing_of
from homebred_daemon.services.recording import Recorder
from homebred_daemon.services.recovery import recover
from homebred_daemon.services.review_book import ReviewBook, ReviewTerms
from homebred_daemon.services.review_desk import ReviewDesk
from homebred_daemon.services.review_listeners import MAX_WAITERS, MAX_WATCHERS
from homebred_daemon.services.standing import Means
from homebred_engines.hardening import forbid_dumps

STOP_GRACE_S = 5.0
EXIT_REFUSED = 2
MEGABYTE = 1_000_000
WARM_UP = "MRN 4471203, call +49 30 1234567"
"""The detector compiles its patterns with the first text that calls for them: better now than with the first task."""


def run(arguments: Sequence[str], environ: Mapping[str, str] = os.environ) -> int:
    """The whole life of the daemon process; its exit status."""
    try:
        settings = _settings(arguments, environ)
        forbid_dumps()
        logs.configure(level=settings.log.level, as_json=settings.log.format != "console")
        asyncio.run(_until_stopped(settings))
    except HomebredError as error:
        sys.stderr.write(f"error: {error.message}\nnext:  {error.hint}\n")
        return EXIT_REFUSED
    return 0


@asynccontextmanager
async def daemon(settings: Settings) -> AsyncIterator[None]:
    """A serving daemon, for as long as the context lasts.

    Raises:
        HomebredError: it refuses to start; nothing was left behind.
    """
    policy = site_policy(settings.policy.file, settings.policy.site_ceiling_file)
    site = Site(
        policy=policy.policy,
        documents=tuple((read.kind, read.digest, read.body) for read in policy.documents),
        detector=default_detector(),
        link=Link(settings.link.state),
        context_tokens=settings.engine.context_tokens,
    )
    async with AsyncExitStack() as stack:
        socket_path = SocketPath(settings.paths.socket)
        stack.callback(socket_path.release)
        recorder = await stack.enter_async_context(_recorder(settings))
        store = ModelStore(settings.paths.state_dir / "models")
        clock = SystemClock()
        reviews = await stack.enter_async_context(_reviews(settings, clock))
        await _recover(recorder, reviews, clock)
        pool = _pool(settings, clock)
        await stack.enter_async_context(pool.running())
        means = Means(
            recorder=recorder,
            pool=pool,
            schemas=JsonSchemaChecker(),
            reviews=reviews,
            clock=clock,
            new_route_id=lambda: str(uuid4()),
        )
        answering = Answering(await standing_of(site, store, recorder), means)
        caretaker = Caretaking(
            site=site,
            store=store,
            answering=answering,
            pool=pool,
            recorder=recorder,
            reviews=reviews,
            started_at_utc=clock.now(),
        )
        face = _review_face(reviews, Feedback(recorder, reviews, clock))
        server = _server(settings, socket_path, answering, face, ControlServicer(caretaker, face))
        stack.push_async_callback(server.stop, STOP_GRACE_S)
        stack.callback(reviews.dismiss)
        site.detector.detect(WARM_UP)
        await server.start()
        await caretaker.reload_models()  # a model added while we started found nobody to tell
        yield


async def _until_stopped(settings: Settings) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with daemon(settings):
        logs.logger().info("ready", socket=str(settings.paths.socket), version=version("homebred"))
        await stopped.wait()
        logs.logger().info("stopping")
    logs.logger().info("stopped")


@asynccontextmanager
async def _recorder(settings: Settings) -> AsyncIterator[Recorder]:
    """The ledger's writer; on leaving, everything is written and the file is closed."""
    _make_private(settings.paths.state_dir)
    ledger = SqliteLedger(settings.paths.state_dir / "ledger.sqlite", max_decisions=settings.ledger.max_decisions)
    try:
        recorder = Recorder(ledger)
        async with recorder.running():
            yield recorder
    finally:
        ledger.close()


@asynccontextmanager
async def _reviews(settings: Settings, clock: SystemClock) -> AsyncIterator[ReviewDesk]:
    """The review queue; on leaving, what is under way is on the disk and the file is closed."""
    state_dir = settings.paths.state_dir
    sealer = AesGcmSealer(device_key(settings.review.key_file, state_dir, os.environ))
    terms = ReviewTerms(
        max_items=settings.review.max_items,
        max_bytes=settings.review.max_mb * MEGABYTE,
        retention_s=settings.review.retention_h * 3600,
        lease_s=settings.review.lease_s,
    )
    book = ReviewBook(SqliteReviewStore(state_dir / "review.sqlite"), sealer, JsonSchemaChecker(), terms)
    try:
        desk = ReviewDesk(book, terms, clock, new_claim_id=lambda: str(uuid4()), report=_report)
        async with desk.running():
            yield desk
    finally:
        book.close()


def _report(error: HomebredError) -> None:
    logs.logger().error("the review queue is in trouble", **error.record())


async def _recover(recorder: Recorder, reviews: ReviewDesk, clock: SystemClock) -> None:
    recovered = await recover(recorder, reviews, clock)
    if recovered.reviews or recovered.interrupted:
        logs.logger().warning(
            "the daemon had not ended in good order", interrupted=recovered.interrupted, reviews=recovered.reviews
        )


def _review_face(reviews: ReviewDesk, feedback: Feedback) -> ReviewFace:
    own = own_principals()
    return ReviewFace(
        reviews=reviews,
        feedbacks=feedback,
        caller_of=lambda _: own,
        sees_all=lambda caller: bool({"uid:0", own[0]} & set(caller)),
        report_defect=logs.defect,
    )


def _make_private(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StateError(
            f"the state folder {folder} cannot be made: {error.strerror}",
            hint="run as the user it belongs to, or choose another with --state-dir",
        ) from error


def _pool(settings: Settings, clock: SystemClock) -> WorkerPool:
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
    )
    return WorkerPool(launcher, clock, room)


def _server(
    settings: Settings, socket_path: SocketPath, answering: Answering, face: ReviewFace, control: ControlServicer
) -> ApiServer:
    caller = own_principals()  # the socket is open to this user alone
    for principal in sorted(set(answering.standing.decider.policy.callers) - set(caller)):
        logs.logger().warning("caller profile cannot apply: only this user can call", principal=principal)
    inference = InferenceServicer(
        answering,
        face,
        caller_of=lambda _: caller,
        default_deadline_s=settings.requests.default_deadline_s,
        max_streams=settings.requests.max_streams,
        report_defect=logs.defect,
        new_task_id=lambda: str(uuid4()),
    )
    return ApiServer(
        socket_path,
        inference=inference,
        control=control,
        max_message_bytes=settings.requests.max_message_bytes,
        max_streams=settings.requests.max_streams + MAX_WATCHERS + MAX_WAITERS,  # all of these are held open
    )


def own_principals() -> tuple[str, ...]:
    """The daemon's own user and groups, as the policy's caller profiles name them."""
    groups = sorted({os.getegid(), *os.getgroups()})
    return (f"uid:{os.geteuid()}", *(f"gid:{group}" for group in groups))


def _settings(arguments: Sequence[str], environ: Mapping[str, str]) -> Settings:
    parser = argparse.ArgumentParser(prog="homebredd", description="The homebred daemon, in the foreground.")
    parser.add_argument("--config", type=Path, help="configuration file")
    parser.add_argument("--version", action="version", version=f"homebredd {version('homebred')}")
    for flag, key in FLAGS.items():
        parser.add_argument(flag, dest=flag, metavar=key[-1].upper(), help=f"sets {'.'.join(key)}")
    given = vars(parser.parse_args(arguments))
    flags = {flag: given[flag] for flag in FLAGS if given[flag] is not None}
    return load(given["config"], flags, environ)
