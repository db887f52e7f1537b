"""A proxy of TCP on loopback that counts what goes each way and does not look at it."""

from __future__ import annotations

import socket
import threading
from types import TracebackType
from typing import Self


class CountingProxy:
    """Passes connections on to a port of loopback."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self.sent = self.received = self.pieces = 0
        """Bytes to and from the port, and in how many pieces: at most so many segments of TCP."""

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listener.getsockname()[1])

    @property
    def total(self) -> int:
        """Bytes both ways."""
        return self.sent + self.received

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()
        for each in self._open:
            each.close()

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._target))
            self._open += [near, far]
            threading.Thread(target=self._pass, args=(near, far, True), daemon=True).start()
            threading.Thread(target=self._pass, args=(far, near, False), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, upwards: bool) -> None:  # noqa: FBT001  # of a thread
        try:
            while piece := source.recv(65_536):
                with self._lock:
                    self.pieces += 1
                    if upwards:
                        self.sent += len(piece)
                    else:
                        self.received += len(piece)
                target.sendall(piece)
        except OSError:
            return
        finally:
            for each in (source, target):
                try:
                    each.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue
