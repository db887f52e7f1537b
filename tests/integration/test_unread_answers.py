"""A peer that takes nothing does not hold one of the controller's connections for ever."""

from __future__ import annotations

import socket
import time
from contextlib import closing
from pathlib import Path

import pytest

from homebred_fleet.adapters.fleet_folder import KeyPair
from homebred_fleet.adapters.http_api import server

PATIENCE_S = 20.0


def test_who_reads_nothing_is_let_go_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(server, "UNREAD_S", 1)
    nobody = KeyPair(certificate=tmp_path / "c", key=tmp_path / "k")
    where = server.Listening(address="127.0.0.1", port=0, identity=nobody, authorities=tmp_path, max_connections=1)
    with closing(server._bound(where)) as listener:
        listener.listen()
        with closing(socket.create_connection(listener.getsockname())):
            taken, _ = listener.accept()
            with closing(taken), pytest.raises(TimeoutError):
                sent_until_lost(taken)


def sent_until_lost(taken: socket.socket) -> None:
    taken.settimeout(0)
    ends_at_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < ends_at_s:
        try:
            taken.send(bytes(65_536))
        except BlockingIOError:
            time.sleep(0.02)
