"""The demo's stage: a temporary folder with two devices in it, whose daemons are real processes that live and die."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from homebred_daemon.adapters.grpc_client import in_our_words
from homebred_daemon.adapters.model_store import ModelStore
from homebred_daemon.demo.content import POLICY
from homebred_daemon.errors import HomebredError
from homebred_protocol.client import Client, Control, DaemonUnreachableError

READY_WITHIN_S = 30.0
STOPPED_WITHIN_S = 15.0
POLL_S = 0.2
RELEASE_SETTINGS = "[transfer]\nreserve_mb = 64\n[probation]\nsoak_h = 0\nleast_outcomes = 20\n"
"""So that a release can settle while somebody looks on; a site has it take a day."""
CLOUD_SETTINGS = """
[cloud.endpoints."cloud/default"]
base_url = "{url}"
wire_format = "openai_chat"
model = "stand-in"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningDaemon:
    """A daemon process that answers."""

    client: Client
    control: Control
    socket: Path
    ready_s: float
    """From starting the process to its first answer."""
    process: subprocess.Popen[bytes]

    def kill(self) -> None:
        """Ends it as a power cut would: SIGKILL, in the middle of whatever it does."""
        self.process.kill()
        self.process.wait()


class Device:
    """One device of the story: a state folder of its own, and the daemons that live and die over it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.ledger = self.state / "ledger.sqlite"
        self.state.mkdir(mode=0o700, parents=True)

    def store(self) -> ModelStore:
        """The model store that its daemons serve from."""
        return ModelStore(self.state / "models")

    def take_models_of(self, other: Device) -> None:
        """Has the same models as another, which share their bytes with it on the disk."""
        shutil.copytree(other.state / "models", self.state / "models", copy_function=os.link)

    @contextmanager
    def daemon(self, link: str, cloud_url: str = "") -> Iterator[RunningDaemon]:
        """A daemon on this device, with the link as it stands; stopped cleanly on leaving. No URL: it has no cloud.

        Raises:
            HomebredError: it did not start or did not stop, with what it wrote.
        """
        runtime, log = self.folder / "run", self.folder / "daemon.log"
        command = [sys.executable, "-m", "homebred_daemon", "--state-dir", str(self.state)]
        command += ["--runtime-dir", str(runtime), "--policy", str(POLICY), "--link", link]
        command += ["--config", str(self._configured(cloud_url))]
        started_s = time.monotonic()
        with log.open("ab") as sink:
            process = subprocess.Popen(command, stdout=sink, stderr=sink, env=_environment())  # noqa: S603  # our own
        try:
            socket = runtime / "homebred.sock"
            with in_our_words(), Client(socket) as client, Control(socket, patience_s=POLL_S) as control:
                _wait_until_it_answers(control, process, log)
                ready_s = time.monotonic() - started_s
                yield RunningDaemon(client=client, control=control, socket=socket, ready_s=ready_s, process=process)
        finally:
            _stop(process, log)

    def _configured(self, cloud_url: str) -> Path:
        file = self.folder / "homebred.toml"
        file.write_text(RELEASE_SETTINGS + (CLOUD_SETTINGS.format(url=cloud_url) if cloud_url else ""))
        return file


class Stage:
    """A folder of our own with two devices in it; on leaving, nothing of it runs or remains."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="homebred-demo-"))
        self.clinic = Device(self.folder / "clinic")
        self.factory = Device(self.folder / "factory")

    def __enter__(self) -> Self:
        """The stage itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Removes everything."""
        shutil.rmtree(self.folder)


def _environment() -> dict[str, str]:
    """Without the caller's own settings: the story runs on its own."""
    return {name: value for name, value in os.environ.items() if not name.startswith("HOMEBRED_")}


def _wait_until_it_answers(control: Control, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline_s = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline_s and process.poll() is None:
        with suppress(DaemonUnreachableError):  # after POLL_S
            control.status()
            return
    raise _failure("the daemon did not start", log)


def _stop(process: subprocess.Popen[bytes], log: Path) -> None:
    if process.returncode == -signal.SIGKILL:
        return  # the story killed it
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOPPED_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise _failure("the daemon did not stop when told to and was killed", log) from None


def _failure(what: str, log: Path) -> HomebredError:
    written = log.read_text(encoding="utf-8", errors="replace")[-2000:] if log.exists() else ""
    return HomebredError(f"{what}; it wrote:\n{written}", hint="run `homebred doctor`, then the demo again")
