"""Whether there is an OpenAI-compatible gateway; nothing of it is imported where settings open none."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from homebred_daemon.adapters.accounts import Access
from homebred_daemon.app.serving import Services
from homebred_daemon.app.surroundings import Surroundings
from homebred_daemon.config import Settings
from homebred_daemon.errors import ConfigurationError


@asynccontextmanager
async def gateway(settings: Settings, access: Access, services: Services, around: Surroundings) -> AsyncIterator[None]:
    """A serving gateway for as long as the context lasts, where it is enabled.

    Raises:
        ConfigurationError: a token is not there, others can read it, or it could be guessed.
        StateError: its port or its socket cannot be had.
    """
    if not settings.gateway.enabled:
        _refuse_unserved(around.inherited_gateway)
        yield
        return
    from homebred_daemon.app.open_gateway import open_gateway  # noqa: PLC0415  # h11 and all: only where it is used

    async with open_gateway(settings, access, services, around):
        yield


def _refuse_unserved(inherited: socket.socket | None) -> None:
    """Whoever called a socket that nobody serves would wait for ever. Raises ConfigurationError."""
    if inherited is not None:
        raise ConfigurationError(
            "systemd listens for the gateway, which the settings do not enable",
            hint="set gateway.enabled, or run `systemctl disable --now homebred-gateway.socket`",
        )
