"""What stands around the daemon: its log, and systemd, which may have started it and bound its socket."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import MutableMapping
from dataclasses import dataclass
from importlib.metadata import version

from homebred_daemon import messages
from homebred_daemon.adapters import last_resort, logs, systemd
from homebred_daemon.config import Settings
from homebred_daemon.errors import ConfigurationError
from homebred_daemon.ports.service_manager import ServiceManager

SOCKET_NAME = "homebred"
"""FileDescriptorName= of the socket unit."""
GATEWAY_SOCKET_NAME = "homebred-gateway"
"""The same of the gateway's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the daemon finds around itself."""

    journal: logs.StructuredJournal
    manager: ServiceManager
    inherited: socket.socket | None
    """The socket that systemd bound; None: the daemon makes its own."""
    inherited_gateway: socket.socket | None = None
    """The same for the gateway."""


def open_journal(settings: Settings, environ: MutableMapping[str, str]) -> logs.StructuredJournal:
    """The log, which from now on also hears what nobody else catches.

    Raises:
        ConfigurationError: it cannot be what the settings say.
    """
    journal = logs.opened(settings.log.format, settings.log.level, environ, sys.stderr)
    last_resort.install(journal)
    journal.note(messages.STARTING, version=version("homebred"), pid=os.getpid())
    return journal


def surroundings(journal: logs.StructuredJournal, environ: MutableMapping[str, str]) -> Surroundings:
    """Takes what systemd has left for this process in its environment.

    Raises:
        ConfigurationError: it is not what the daemon can use.
    """
    known = (SOCKET_NAME, GATEWAY_SOCKET_NAME)
    sockets = systemd.inherited_sockets(environ, os.getpid(), at_loopback=frozenset({GATEWAY_SOCKET_NAME}))
    if sockets.keys() - set(known):
        raise ConfigurationError(
            f"systemd passed sockets of the names {', '.join(sorted(sockets))}; the daemon knows {' and '.join(known)}",
            hint=f"write FileDescriptorName={SOCKET_NAME} in the daemon's socket unit",
        )
    manager = systemd.service_manager(environ, os.getpid())
    return Surroundings(
        journal=journal,
        manager=manager,
        inherited=sockets.get(SOCKET_NAME),
        inherited_gateway=sockets.get(GATEWAY_SOCKET_NAME),
    )
