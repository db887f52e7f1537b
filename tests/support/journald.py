"""Plays journald: takes entries of the native protocol, by datagram or by a sealed file that comes along."""

from __future__ import annotations

import fcntl
import os
import socket
from pathlib import Path

WRITE_SEAL = fcntl.F_SEAL_WRITE


class Journald:
    """Listens at a path until it is closed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(0)

    def close(self) -> None:
        """Goes, path and all."""
        self._socket.close()
        self.path.unlink()

    def entries(self) -> list[dict[str, str]]:
        """All that have come since it was last asked."""
        entries: list[dict[str, str]] = []
        while True:
            try:
                datagram, files, _, _ = socket.recv_fds(self._socket, 1 << 18, 1)
            except BlockingIOError:
                return entries
            if files:
                assert datagram == b""
                assert fcntl.fcntl(files[0], fcntl.F_GET_SEALS) & WRITE_SEAL
                with os.fdopen(files[0], "rb") as sealed:
                    sealed.seek(0)
                    datagram = sealed.read()
            entries.append(decoded(datagram))


def decoded(datagram: bytes) -> dict[str, str]:
    """The fields of one entry ("Native Journal Protocol")."""
    fields = {}
    while datagram:
        line, _, rest = datagram.partition(b"\n")
        name, equals, text = line.partition(b"=")
        if not equals:
            length = int.from_bytes(rest[:8], "little")
            text, rest = rest[8 : 8 + length], rest[8 + length + 1 :]
        fields[name.decode()] = text.decode()
        datagram = rest
    return fields
