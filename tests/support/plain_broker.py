"""A real mosquitto on a port of loopback, without TLS and without access rules: for what is proved of MQTT alone."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path

from tests.support.free_ports import free_port

STARTS = 3
"""Somebody else may take the port between the look for a free one and mosquitto's own."""


def mosquitto() -> str | None:
    """Where it is; None: it is not installed."""
    return shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")


class PlainBroker:
    """One broker; what it remembers is in its folder, so that it can start again."""

    def __init__(self, folder: Path, *, remembers: bool = False) -> None:
        self.port = 0
        self._folder = folder
        self._remembers = remembers
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the running broker."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> PlainBroker:
        """Starts it, on the port that it had before."""
        for _ in range(STARTS):
            self.port = self.port or free_port()
            if self._started():
                return self
            self.port = 0
        raise AssertionError(f"mosquitto does not start: {(self._folder / 'log').read_text(errors='replace')}")

    def stop(self) -> None:
        """Ends it in good order."""
        self._end(kill=False)

    def kill(self) -> None:
        """Ends it as a lost power line would."""
        self._end(kill=True)

    def _started(self) -> bool:
        program = mosquitto()
        assert program is not None, "mosquitto is not installed: packaging/tools/test_tools.sh does it"
        settings = [
            f"listener {self.port} 127.0.0.1",
            "allow_anonymous true",
            f"persistence {'true' if self._remembers else 'false'}",
            f"persistence_location {self._folder}/",
            f"log_dest file {self._folder / 'log'}",
            "user root",
            "max_queued_messages 0",  # else what a slow reader has not taken yet is dropped beyond a thousand
        ]
        configuration = self._folder / "mosquitto.conf"
        configuration.write_text("\n".join(settings) + "\n")
        self._process = subprocess.Popen([program, "-c", str(configuration)], stderr=subprocess.DEVNULL)
        for _ in range(200):
            if self._process.poll() is not None:
                return False
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return True
            time.sleep(0.02)
        self.kill()
        return False

    def _end(self, *, kill: bool) -> None:
        if self._process is None:
            return
        if kill:
            self._process.kill()
        else:
            self._process.terminate()
        self._process.wait(10)
        self._process = None
