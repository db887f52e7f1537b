"""Where the daemon is, and how grpc is told to connect to it. It opens nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from homebred_protocol.client.errors import RequestError

DEFAULT_SOCKET = Path("/run/homebred/homebred.sock")
SOCKET_VARIABLE = "HOMEBRED_SOCKET"
LONGEST_PATH_BYTES = 107
"""unix(7): sun_path holds 108 bytes, the last one is zero."""
MAX_MESSAGE_BYTES = 64 << 20
"""The most that a daemon can be configured to take; what it does take is its own affair."""
PATIENCE_S = 5.0
"""How long a call that may be made again is, unless the application says otherwise: a restart takes half a second."""
TIMEOUT_S = 30.0
"""Bound of a call that is short by its nature, unless the application says otherwise."""

OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.enable_retries", 0),  # `retrying` knows which calls may be made again; grpc does not
    # A daemon restarts in half a second; after a refused connection grpc would not look again for a whole one.
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.use_local_subchannel_pool", 1),  # each client has its own connection, and no other one's back-off
)


def socket_path(given: Path | str | None, environ: Mapping[str, str] = os.environ) -> Path:
    """The daemon's socket: the given one, else $HOMEBRED_SOCKET, else the installed daemon's."""
    return Path(given or environ.get(SOCKET_VARIABLE) or DEFAULT_SOCKET)


def target(path: Path) -> str:
    """The socket as grpc's address, absolute, so that a later change of folder makes no difference.

    Raises:
        RequestError: the path is too long for a socket.
    """
    absolute = os.path.abspath(path)  # noqa: PTH100  # Path.resolve would follow links, and make it longer
    if len(os.fsencode(absolute)) > LONGEST_PATH_BYTES:
        raise RequestError(
            f"{path} is too long for a socket: at most {LONGEST_PATH_BYTES} bytes", hint="name a shorter one"
        )
    return f"unix:{quote(absolute)}"
