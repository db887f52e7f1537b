"""The OpenAI-compatible gateway, where settings open one; nothing of it is imported where they do not."""

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
from homebred_daemon.adapters.logs import StructuredJournal
from homebred_daemon.adapters.secret_files import read_secret
from homebred_daemon.app.serving import Services, note_unread
from homebred_daemon.config import Settings
from homebred_daemon.errors import ConfigurationError, HomebredError
from homebred_daemon.settings import GatewaySettings

STOP_GRACE_S = 1.0
"""For the last words of answers that had their time before."""


@asynccontextmanager
async def gateway(
    settings: Settings, access: Access, services: Services, journal: StructuredJournal
) -> AsyncIterator[None]:
    """A serving gateway for as long as the context lasts; nothing where it is not enabled.

    Raises:
        ConfigurationError: a token is not there, others can read it, or it could be guessed.
        StateError: its port or its socket cannot be had.
    """
    if not settings.gateway.enabled:
        yield
        return
    from homebred_daemon.adapters.openai_gateway.endpoints import Gateway, Reports  # noqa: PLC0415  # only where it is
    from homebred_daemon.adapters.openai_gateway.gatekeeper import Gatekeeper, Tokens  # noqa: PLC0415
    from homebred_daemon.adapters.openai_gateway.http_connection import Bounds  # noqa: PLC0415
    from homebred_daemon.adapters.openai_gateway.server import GatewayServer  # noqa: PLC0415
    from homebred_daemon.adapters.openai_gateway.tasks import Reading  # noqa: PLC0415

    own, requests = settings.gateway, settings.requests
    report_defect = partial(last_resort.defect, journal)
    serving = Gateway(
        services.answering,
        gatekeeper=Gatekeeper(
            Tokens(_tokens(own, os.environ)),
            port=own.port if own.socket is None else None,
            allowed_origins=frozenset(own.allowed_origins.split()),
        ),
        reading=Reading(
            workflows_for=partial(_workflows_for, services),
            default_deadline_s=requests.default_deadline_s,
            new_task_id=lambda: str(uuid4()),
        ),
        room=services.room,
        reports=Reports(
            refused=partial(_note_refused, journal),
            unread=partial(note_unread, journal, services.measures),
            defect=report_defect,
        ),
    )
    with _listening(own, access) as listener:
        server = GatewayServer(
            listener,
            serving.serve,
            bounds=Bounds(max_body_bytes=requests.max_message_bytes, unread_timeout_s=requests.unread_timeout_s),
            max_streams=requests.max_streams,
            report_defect=report_defect,
        )
        await server.start()
        try:
            journal.note(messages.GATEWAY_OPEN, gateway=_place(own))
            yield
        finally:
            await server.stop(STOP_GRACE_S)


@contextmanager
def _listening(own: GatewaySettings, access: Access) -> Iterator[socket.socket]:
    from homebred_daemon.adapters.openai_gateway.server import loopback_listener  # noqa: PLC0415

    if own.socket is None:
        with loopback_listener(own.address, own.port) as listener:
            yield listener
        return
    public = OwnSocket(own.socket, gid=access.socket_gid)
    try:
        yield public.listener
    finally:
        public.remove()


def _tokens(own: GatewaySettings, environ: Mapping[str, str]) -> dict[str, str]:
    tokens = {}
    for name, where in own.tokens.items():
        what = f"the gateway's token of {name}"
        token = read_secret(
            what,
            credential=where.credential,
            file=where.file,
            environ=environ,
            file_setting=f"gateway.tokens.{name}.file",
        )
        if not token:
            raise ConfigurationError(
                f"{what} is nowhere", hint=f"write credential or file into [gateway.tokens.{name}]"
            )
        tokens[name] = token
    return tokens


def _workflows_for(services: Services, caller: tuple[str, ...]) -> tuple[str, ...]:
    """By the standing of the moment."""
    return services.answering.standing.workflows_for(caller)


def _place(own: GatewaySettings) -> str:
    return f"{own.address}:{own.port}" if own.socket is None else str(own.socket)


def _note_refused(journal: StructuredJournal, refusal: HomebredError) -> None:
    journal.note(messages.GATEWAY_REFUSED, error_code=refusal.code)
