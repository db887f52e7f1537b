"""Calls the daemon for a command: by flag, environment, file or default, without loading all settings.

grpc is imported when a call is about to be made, and not before.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from homebred_daemon.config_sources import client_socket

if TYPE_CHECKING:
    from homebred_protocol.client import Client, Control


def socket_of(socket: Path | None, config: Path | None) -> Path:
    """The daemon's socket.

    Raises:
        ConfigurationError: the file that would name it cannot be used.
    """
    return client_socket(socket, config, os.environ)


def caller(socket: Path | None, config: Path | None) -> AbstractContextManager[Client]:
    """What applications can do; every error a HomebredError."""
    from homebred_daemon.adapters.grpc_client import calling  # noqa: PLC0415

    return calling(socket_of(socket, config))


def controller(socket: Path | None, config: Path | None) -> AbstractContextManager[Control]:
    """What operators and reviewers can do; every error a HomebredError."""
    from homebred_daemon.adapters.grpc_client import controlling  # noqa: PLC0415

    return controlling(socket_of(socket, config))
