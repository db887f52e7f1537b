"""A proxy of TCP on loopback that cuts connections after seeded numbers of bytes, as bad links and middle boxes do."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from random import Random
from types import TracebackType
from typing import Self

_PIECE = 65_536
_RESET = b"\1\0\0\0\0\0\0\0"
"""Of SO_LINGER: on, 0 s."""


class CuttingProxy:
    """Passes connections on to a port of loopback, and cuts each one until it has cut so many."""

    def __init__(self, port: int, *, cuts: int, seed: int, limit: Callable[[Random], int]) -> None:
        """`limit` draws after how many bytes of an answer, its head included, a connection is cut."""
        self._target = port
        self._random = Random(seed)
        self._limit = limit
        self._left = cuts
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.cuts = 0
        self.passed = 0
        """Bytes of answers, heads included."""

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._link, args=(near,), daemon=True).start()

    def _link(self, near: socket.socket) -> None:
        with near, suppress(OSError), socket.create_connection(("127.0.0.1", self._target)) as far:
            asking = threading.Thread(target=self._ask, args=(near, far), daemon=True)
            asking.start()
            with self._lock:
                limit = self._limit(self._random) if self._left > 0 else None
            if self._answer(far, near, limit):
                with self._lock:
                    self.cuts, self._left = self.cuts + 1, self._left - 1
                    is_reset = self._random.random() < 0.5
                if is_reset:
                    near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                else:
                    near.shutdown(socket.SHUT_WR)
            near.shutdown(socket.SHUT_RD)
            asking.join()  # while it reads, closing ends nothing

    def _ask(self, near: socket.socket, far: socket.socket) -> None:
        with suppress(OSError):
            while piece := near.recv(_PIECE):
                far.sendall(piece)
        with suppress(OSError):
            far.shutdown(socket.SHUT_RDWR)

    def _answer(self, far: socket.socket, near: socket.socket, limit: int | None) -> bool:
        """Whether the connection was cut before the answer's end."""
        passed = 0
        while limit is None or passed < limit:
            piece = far.recv(_PIECE if limit is None else min(_PIECE, limit - passed))
            if not piece:
                return False
            near.sendall(piece)
            passed += len(piece)
            with self._lock:
                self.passed += len(piece)
        return True
