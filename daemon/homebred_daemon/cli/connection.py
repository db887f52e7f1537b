"""Which socket a client command calls: flag, environment, file, default; without loading all settings."""

from __future__ import annotations

import os
from pathlib import Path

from homebred_daemon.config_sources import client_socket


def socket_of(socket: Path | None, config: Path | None) -> Path:
    """The daemon's socket.

    Raises:
        ConfigurationError: the file that would name it cannot be used.
    """
    return client_socket(socket, config, os.environ)
