"""Wires the daemon and runs it: the only place that sees services and adapters together.

Order of start: settings, policy, access, locks, ledger, models, socket, READY. Order of stop: no new calls, running
ones get a grace, engines end, the ledger is written out and closed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from importlib.metadata import version
from pathlib import Path
from uuid import uuid4

from homebred_daemon.adapters import logs
from homebred_daemon.adapters.accounts import Access, resolve_access
from homebred_daemon.adapters.detectors.patterns import default_detector
from homebred_daemon.adapters.engine_launcher import ProcessLauncher
from homebred_daemon.adapters.grpc_api.control import ControlServicer
from homebred_daemon.adapters.grpc_api.inference import InferenceServicer
from homebred_daemon.adapters.grpc_api.relay import Relay, RelayRules
from homebred_daemon.adapters.grpc_api.server import ApiLimits, ApiServer
from homebred_daemon.adapters.grpc_api.sockets import LOCK_NAME, OwnSocket, SoleRight, private_socket
from homebred_daemon.adapters.json_schema import JsonSchemaChecker
from homebred_daemon.adapters.model_store import ModelStore
from homebred_daemon.adapters.store.ledger import SqliteLedger
from homebred_daemon.adapters.system_clock import SystemClock
from homebred_daemon.config import Settings, load
from homebred_daemon.config_sources import FLAGS
from homebred_daemon.core.link import Link
from homebred_daemon.document_files import site_policy
from homebred_daemon.errors import HomebredError, RequestError
from homebred_daemon.services.answering import Answering
from homebred_daemon.services.caretaking import Caretaking
from homebred_daemon.services.engines import Room, WorkerPool
from homebred_daemon.services.models import Site, standing_of
from homebred_daemon.services.recording import Recorder
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
async def daemon(settings: Settings, inherited: socket.socket | None = None) -> AsyncIterator[None]:
    """A serving daemon, for as long as the context lasts.

    Args:
        settings: what holds.
        inherited: a listening Unix socket to serve on, as systemd hands it over; None: the daemon makes its own.

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
    access = _access(settings)
    async with AsyncExitStack() as stack:
        stack.enter_context(_only_daemon_here(settings, owns_socket=inherited is None))
        recorder = await stack.enter_async_context(_recorder(settings))
        store = ModelStore(settings.paths.state_dir / "models")
        clock = SystemClock()
        pool = _pool(settings, clock)
        await stack.enter_async_context(pool.running())
        means = Means(
            recorder=recorder, pool=pool, schemas=JsonSchemaChecker(), clock=clock, new_route_id=lambda: str(uuid4())
        )
        answering = Answering(await standing_of(site, store, recorder), means)
        caretaker = Caretaking(
            site=site, store=store, answering=answering, pool=pool, recorder=recorder, started_at_utc=clock.now()
        )
        listener = stack.enter_context(_listener(settings, access, inherited))
        server = _server(settings, access, listener, answering, ControlServicer(caretaker))
        stack.push_async_callback(server.stop, STOP_GRACE_S)
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
    ledger = SqliteLedger(settings.paths.state_dir / "ledger.sqlite", max_decisions=settings.ledger.max_decisions)
    try:
        recorder = Recorder(ledger)
        async with recorder.running():
            yield recorder
    finally:
        ledger.close()


def _access(settings: Settings) -> Access:
    access = settings.access
    return resolve_access(group=access.group, operators=access.operators, reviewers=access.reviewers)


@contextmanager
def _only_daemon_here(settings: Settings, *, owns_socket: bool) -> Iterator[None]:
    """The right to everything that two daemons could not share; taken before any of it is opened or bound."""
    paths = settings.paths
    with ExitStack() as stack:
        stack.callback(SoleRight(paths.state_dir / LOCK_NAME).release)
        stack.callback(SoleRight(paths.runtime_dir / LOCK_NAME).release)
        if owns_socket:
            stack.callback(SoleRight(paths.socket.with_name(paths.socket.name + ".lock")).release)
        yield


@contextmanager
def _listener(settings: Settings, access: Access, inherited: socket.socket | None) -> Iterator[socket.socket]:
    """The public socket: the inherited one, which whoever made it keeps, or the daemon's own."""
    if inherited is not None:
        yield inherited
        return
    own = OwnSocket(settings.paths.socket, gid=access.socket_gid)
    try:
        yield own.listener
    finally:
        own.remove()


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
    settings: Settings, access: Access, listener: socket.socket, answering: Answering, control: ControlServicer
) -> ApiServer:
    requests = settings.requests
    backend = private_socket(settings.paths.runtime_dir)
    relay = Relay(
        listener, backend, RelayRules(unread_timeout_s=requests.unread_timeout_s, on_refusal=_log_refused_connection)
    )
    inference = InferenceServicer(
        answering,
        caller_of=lambda context: relay.peer_of(context).principals,
        default_deadline_s=requests.default_deadline_s,
        max_streams=requests.max_streams,
        unread_timeout_s=requests.unread_timeout_s,
        report_defect=logs.defect,
        new_task_id=lambda: str(uuid4()),
    )
    return ApiServer(
        relay,
        backend,
        inference=inference,
        control=control,
        rules=access.rules,
        limits=ApiLimits(max_message_bytes=requests.max_message_bytes, max_streams=requests.max_streams),
    )


def _log_refused_connection(refusal: RequestError) -> None:
    logs.logger().warning("connection refused", why=refusal.message)


def _settings(arguments: Sequence[str], environ: Mapping[str, str]) -> Settings:
    parser = argparse.ArgumentParser(prog="homebredd", description="The homebred daemon, in the foreground.")
    parser.add_argument("--config", type=Path, help="configuration file")
    parser.add_argument("--version", action="version", version=f"homebredd {version('homebred')}")
    for flag, key in FLAGS.items():
        parser.add_argument(flag, dest=flag, metavar=key[-1].upper(), help=f"sets {'.'.join(key)}")
    given = vars(parser.parse_args(arguments))
    flags = {flag: given[flag] for flag in FLAGS if given[flag] is not None}
    return load(given["config"], flags, environ)
