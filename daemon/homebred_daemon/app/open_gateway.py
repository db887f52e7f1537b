"""Puts the OpenAI-compatible gateway together: its socket, its tokens, and the same services as gRPC's."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from uuid import uuid4

from homebred_daemon import messages
from homebred_daemon.adapters import last_resort
from homebred_daemon.adapters.accounts import Access
from homebred_daemon.adapters.grpc_api.sockets import OwnSocket
from homebred_daemon.adapters.openai_gateway.endpoints import Gateway, Reports
from homebred_daemon.adapters.openai_gateway.gatekeeper import Gatekeeper, Tokens
from homebred_daemon.adapters.openai_gateway.http_connection import Bounds
from homebred_daemon.adapters.openai_gateway.server import GatewayServer, loopback_listener
from homebred_daemon.adapters.openai_gateway.tasks import Reading
from homebred_daemon.adapters.secret_files import read_secret
from homebred_daemon.app.serving import Services, note_unread
from homebred_daemon.app.surroundings import Surroundings
from homebred_daemon.config import Settings
from homebred_daemon.errors import ConfigurationError, HomebredError
from homebred_daemon.ports.journal import Journal
from homebred_daemon.settings import GatewaySettings

STOP_GRACE_S = 1.0
"""For the last words of answers that had their time before."""


@asynccontextmanager
async def open_gateway(
    settings: Settings, access: Access, services: Services, around: Surroundings
) -> AsyncIterator[None]:
    """A serving gateway for as long as the context lasts; arguments and errors as `gateway`."""
    requests, journal = settings.requests, around.journal
    reports = Reports(
        refused=partial(_note_refused, journal),
        unread=partial(note_unread, journal, services.measures),
        defect=partial(last_resort.defect, journal),
    )
    tokens = Tokens(_tokens(settings.gateway, os.environ))
    with _listening(settings.gateway, access, around.inherited_gateway) as listener:
        gatekeeper = Gatekeeper(
            tokens, port=_port(listener), allowed_origins=frozenset(settings.gateway.allowed_origins.split())
        )
        reading = Reading(
            workflows_for=partial(_workflows_for, services),
            default_deadline_s=requests.default_deadline_s,
            new_task_id=lambda: str(uuid4()),
        )
        serving = Gateway(
            services.answering,
            services.embedding,
            gatekeeper=gatekeeper,
            reading=reading,
            room=services.room,
            reports=reports,
        )
        server = GatewayServer(
            listener,
            serving.serve,
            bounds=Bounds(max_body_bytes=requests.max_message_bytes, unread_timeout_s=requests.unread_timeout_s),
            max_streams=requests.max_streams,
            report_defect=reports.defect,
        )
        await server.start()
        try:
            journal.note(messages.GATEWAY_OPEN, gateway=_place(listener))
            yield
        finally:
            await server.stop(STOP_GRACE_S)


@contextmanager
def _listening(own: GatewaySettings, access: Access, inherited: socket.socket | None) -> Iterator[socket.socket]:
    """The inherited socket, which whoever made it keeps, or the gateway's own."""
    if inherited is not None:
        yield inherited
    elif own.socket is None:
        with loopback_listener(own.address, own.port) as listener:
            yield listener
    else:
        public = OwnSocket(own.socket, gid=access.socket_gid)
        try:
            yield public.listener
        finally:
            public.remove()


def _tokens(own: GatewaySettings, environ: Mapping[str, str]) -> dict[str, str]:
    """Every caller's token, by its name."""
    tokens = {}
    for name, where in own.tokens.items():
        what, setting = f"the gateway's token of {name}", f"gateway.tokens.{name}"
        token = read_secret(
            what, credential=where.credential, file=where.file, environ=environ, file_setting=f"{setting}.file"
        )
        if not token:
            raise ConfigurationError(f"{what} is nowhere", hint=f"write credential or file into [{setting}]")
        tokens[name] = token
    return tokens


def _workflows_for(services: Services, caller: tuple[str, ...]) -> tuple[str, ...]:
    """By the standing of the moment."""
    return services.answering.standing.workflows_for(caller)


def _port(listener: socket.socket) -> int | None:
    """Where it listens; None: at a Unix socket."""
    return None if listener.family == socket.AF_UNIX else int(listener.getsockname()[1])


def _place(listener: socket.socket) -> str:
    name = listener.getsockname()
    return str(name) if listener.family == socket.AF_UNIX else f"{name[0]}:{name[1]}"


def _note_refused(journal: Journal, refusal: HomebredError) -> None:
    journal.note(messages.GATEWAY_REFUSED, error_code=refusal.code)
