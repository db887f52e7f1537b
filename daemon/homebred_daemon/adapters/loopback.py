"""This device's own loopback: how to listen at it and reach what listens, and by which names callers may call it."""

from __future__ import annotations

import asyncio
import socket
from contextlib import closing, suppress
from typing import Final

ADDRESS: Final = "127.0.0.1"
NAMES: Final = (ADDRESS, "localhost", "[::1]")
"""In a request's Host. A page that was led here by a name of its own (DNS rebinding) gives that name."""
BACKLOG: Final = 100


def listener(address: str, port: int) -> socket.socket:
    """A socket that only this device's own programs reach.

    Raises:
        OSError: the port is taken, or there is no such address here.
    """
    listening = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address, port))
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


async def connected(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to a program of this device. Raises OSError where none listens at the port."""
    return await asyncio.open_connection(ADDRESS, port)


def listens(port: int, within_s: float) -> bool:
    """Whether a program of this device takes connections at a port; blocks for so long at most."""
    with suppress(OSError), socket.create_connection((ADDRESS, port), within_s):
        return True
    return False


def free_port() -> int:
    """A port that nobody has at this moment."""
    with closing(socket.socket()) as probe:
        probe.bind((ADDRESS, 0))
        return int(probe.getsockname()[1])
