"""Ports for servers that must be told theirs."""

from __future__ import annotations

import os
import secrets
import socket
from contextlib import closing, suppress

HOST = "127.0.0.1"
_FIRST, _PORTS = 15_000, 17_000


def free_port() -> int:
    """A port of loopback that nobody has at this moment, and that no connection is given by chance.

    It is below those that the kernel gives to connections (ip(7): from 32768 on): a server that was killed finds it
    free again. `random` would give all test processes the same. Those of one run have ports of their own, since it
    takes a while until a server listens.
    """
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    while True:
        port = _FIRST + secrets.randbelow(_PORTS // processes) * processes + process
        with closing(socket.socket()) as probe, suppress(OSError):
            probe.bind((HOST, port))
            return port
