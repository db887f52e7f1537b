"""The demo's fleet: a controller and its broker as real processes on loopback, in the stage's folder.

The controller is driven through its own commands, as an admin drives it. What the audience sees of it is `fleet`'s.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from homebred_daemon.adapters.loopback import free_port, listens
from homebred_daemon.demo.signers import Signers
from homebred_daemon.errors import HomebredError

HOST = "localhost"
READY_WITHIN_S = 20.0
STOPPED_WITHIN_S = 15.0
COMMAND_WITHIN_S = 60.0
POLL_S = 0.1
HOMEBRED = "from homebred_daemon.cli import main; main()"
PROFILE = "HOMEBRED_FLEET_PROFILE"
WHERE_ADMINISTRATORS_LOOK = ":/usr/sbin:/usr/local/sbin"


class FleetStage:
    """A fleet's folder, made by `homebred-fleet init`; `running` starts broker and controller."""

    def __init__(self, folder: Path) -> None:
        """Founds the fleet. Raises HomebredError."""
        self._folder = folder
        self._http_port, self._broker_port = free_port(), free_port()
        ports = ("--http-port", str(self._http_port), "--broker-port", str(self._broker_port))
        user = ("--broker-user", "root") if os.geteuid() == 0 else ()  # the stage's folder is nobody else's to enter
        self.fingerprint = str(self.ask("init", str(folder), *ports, *user)["fingerprint"])
        """Of the root that devices pin."""
        self.signers = Signers(folder / "signed", self.ask)

    @property
    def url(self) -> str:
        """Where devices enrol."""
        return f"https://{HOST}:{self._http_port}"

    @contextmanager
    def running(self) -> Iterator[None]:
        """Broker and controller, until the context is left. Raises HomebredError."""
        broker = [_mosquitto(), "-c", str(self._folder / "broker" / "mosquitto.conf")]
        controller = [sys.executable, "-m", "homebred_fleet", "serve", "--config", str(self._folder / "fleet.toml")]
        with (
            self._process("broker", broker, self._broker_port, {}),
            self._process("controller", controller, self._http_port, self.signers.settings),
        ):
            yield

    def ask(self, *words: str) -> Any:
        """What a command of `homebred-fleet` answers. Raises HomebredError."""
        command = [sys.executable, "-m", "homebred_fleet", *words, "--json"]
        environment = os.environ | {PROFILE: str(self._folder / "admin.toml")}
        return _answer("homebred-fleet", words, command, environment)

    def enroll(self, state_dir: Path, site: str, role: str) -> str:
        """Has the device of a state folder join, with a token made for it alone; its name in the fleet."""
        token = str(self.ask("tokens", "create", "--site", site, "--label", f"role={role}")["token"])
        file = state_dir / "token"
        file.write_text(token, encoding="ascii")
        words = ("enroll", self.url, "--token-file", str(file), "--fingerprint", self.fingerprint)
        answer = homebred(*words, state_dir=state_dir)
        file.unlink()
        return str(answer["device_id"])

    @contextmanager
    def _process(self, name: str, command: list[str], port: int, settings: dict[str, str]) -> Iterator[None]:
        log, environ = self._folder / f"{name}.log", os.environ | settings
        with log.open("ab") as sink:
            process = subprocess.Popen(command, stdout=sink, stderr=sink, env=environ)  # noqa: S603  # our own
        try:
            _wait_until_it_listens(name, process, port, log)
            yield
        finally:
            _stop(process)


def homebred(*words: str, state_dir: Path) -> Any:
    """What a command of `homebred` answers for a device's state folder. Raises HomebredError."""
    command = [sys.executable, "-c", HOMEBRED, *words, "--state-dir", str(state_dir), "--json"]
    return _answer("homebred", words, command, dict(os.environ))


def _answer(program: str, words: tuple[str, ...], command: list[str], environment: dict[str, str]) -> Any:
    ran = subprocess.run(  # noqa: S603  # the product's own
        command, capture_output=True, text=True, timeout=COMMAND_WITHIN_S, check=False, env=environment
    )
    said = json.loads(ran.stdout) if ran.stdout.startswith("{") else {}
    if ran.returncode:
        error = said.get("error", {"message": ran.stdout + ran.stderr, "hint": "run the demo again, then report this"})
        raise HomebredError(f"{program} {' '.join(words[:2])}: {error['message']}", hint=error["hint"])
    return said


def _mosquitto() -> str:
    found = shutil.which("mosquitto", path=os.environ.get("PATH", "") + WHERE_ADMINISTRATORS_LOOK)
    if found is None:
        raise HomebredError("the fleet's chapter needs the broker mosquitto", hint="install it: apt install mosquitto")
    return found


def _wait_until_it_listens(name: str, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline_s = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline_s and process.poll() is None:
        if listens(port, POLL_S):
            return
        time.sleep(POLL_S)
    written = log.read_text(encoding="utf-8", errors="replace")[-2000:]
    raise HomebredError(f"the {name} did not start; it wrote:\n{written}", hint="run the demo again")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOPPED_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
