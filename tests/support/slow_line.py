"""A line of TCP on loopback that carries so many bytes a second towards the client, as a satellite does."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_PIECE = 2048
_SMALL_BUFFER = 4096


@contextmanager
def slow_line(port: int, *, bytes_per_s: int) -> Iterator[int]:
    """A port that leads to a port of loopback, slowly on the way back; nothing waits on it but a few kilobytes."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    threading.Thread(target=_serve, args=(listener, port, bytes_per_s), daemon=True).start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _serve(listener: socket.socket, port: int, bytes_per_s: int) -> None:
    while True:
        try:
            near, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_link, args=(near, port, bytes_per_s), daemon=True).start()


def _link(near: socket.socket, port: int, bytes_per_s: int) -> None:
    with near, socket.socket() as far:
        far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER)
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SMALL_BUFFER)
        with suppress(OSError):
            far.connect(("127.0.0.1", port))
            asking = threading.Thread(target=_pass_on, args=(near, far), daemon=True)
            asking.start()
            free_s = time.monotonic()
            while piece := far.recv(_PIECE):
                free_s = max(free_s, time.monotonic()) + len(piece) / bytes_per_s
                time.sleep(max(0.0, free_s - time.monotonic()))
                near.sendall(piece)
        with suppress(OSError):
            near.shutdown(socket.SHUT_RDWR)


def _pass_on(near: socket.socket, far: socket.socket) -> None:
    with suppress(OSError):
        while piece := near.recv(65_536):
            far.sendall(piece)
    with suppress(OSError):
        far.shutdown(socket.SHUT_RDWR)
