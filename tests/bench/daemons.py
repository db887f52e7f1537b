"""Starts the product's daemon for a bench, in folders of its own, and ends it by its id, whatever happens."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from homebred_daemon.adapters.model_store import ModelStore
from homebred_daemon.core.measurements import Measurement
from homebred_protocol.client import Task

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = Path(sys.executable).parent
SPECIALIST = "generalist"
CONTEXT_TOKENS = 2048
_READY_DEADLINE_S = 30.0
_STOP_DEADLINE_S = 20.0
_POLL_S = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningDaemon:
    """A homebredd that serves."""

    pid: int
    socket: Path
    ready_s: float
    """From exec to the first answered health check."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """Where one daemon keeps everything."""

    folder: Path

    @property
    def state_dir(self) -> Path:
        return self.folder / "state"

    @property
    def socket(self) -> Path:
        return self.folder / "run" / "homebred.sock"

    @property
    def log(self) -> Path:
        return self.folder / "homebredd.log"

    def keep_generalist(self, engine: str, base: Path, *, context_tokens: int = CONTEXT_TOKENS) -> None:
        """Puts a specialist for any task into the model store.

        Its fitness is stated, not measured: the router must take it, and nothing here says how good it is.
        """
        offered = self.folder / "offered"
        offered.mkdir()
        (offered / base.name).symlink_to(base)
        self.keep(offered, SPECIALIST, base=base.name, workflow="*", engine=engine, context_tokens=context_tokens)

    def drop(self, name: str) -> None:
        """Takes a specialist out of the model store; the daemon hears of it when it reloads."""
        ModelStore(self.state_dir / "models").remove(name)

    def keep(
        self,
        offered: Path,
        name: str,
        *,
        base: str,
        workflow: str,
        engine: str = "llamacpp",
        context_tokens: int = CONTEXT_TOKENS,
        adapter: str = "",
    ) -> None:
        """Puts a specialist of one workflow into the model store, from a folder with its files."""
        manifest = [
            "version = 1",
            f'id = "{name}"',
            'title = "Answers anything, for the benches"',
            f'engine = "{engine}"',
            f"max_context = {context_tokens}",
            f'[base]\nfile = "{base}"',
            *([f'[adapter]\nfile = "{adapter}"'] if adapter else []),
            f'[workflows."{workflow}"]\n',
        ]
        (offered / "specialist.toml").write_text("\n".join(manifest), encoding="utf-8")
        store = ModelStore(self.state_dir / "models")
        stored = store.add(offered).specialist
        stated = Measurement(
            fitness=1.0,
            samples=1000,
            golden_digest="",
            manifest_digest=stored.manifest.digest,
            base_digest=stored.base_digest,
            adapter_digest=stored.adapter_digest,
            measured_at_utc=datetime.now(UTC),
            engine=engine,
            engine_version="",
        )
        store.record_fitness(name, {workflow: stated})


@contextmanager
def temporary_home() -> Iterator[Home]:
    """A home with a short path, as a Unix socket's is bounded; removed in the end."""
    folder = Path(tempfile.mkdtemp(prefix="hb-"))
    try:
        yield Home(folder=folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running_daemon(
    home: Home, *, command: Sequence[str] = (), variables: Mapping[str, str] = MappingProxyType({})
) -> Iterator[RunningDaemon]:
    """A homebredd of this checkout with default settings, apart from its folders and `variables`.

    Raises:
        RuntimeError: it does not serve; with the end of its log.
    """
    arguments = ["--state-dir", str(home.state_dir), "--runtime-dir", str(home.socket.parent)]
    environment = product_environment() | dict(variables)
    started_s = time.perf_counter()
    with home.log.open("ab") as log:
        process = subprocess.Popen(
            [*(command or (str(COMMANDS / "homebredd"),)), *arguments], env=environment, stdout=log, stderr=log
        )
    try:
        _wait_until_serving(process, home)
        ready_s = time.perf_counter() - started_s
        yield RunningDaemon(pid=process.pid, socket=home.socket, ready_s=ready_s)
    finally:
        end(process)


def product_environment() -> dict[str, str]:
    """This environment without settings of a homebred that may be installed here."""
    return {name: value for name, value in os.environ.items() if not name.startswith("HOMEBRED_")}


def end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, after a bound SIGKILL; returns when the process is gone."""
    process.terminate()
    try:
        process.wait(_STOP_DEADLINE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def public_task(text: str, *, max_tokens: int) -> Task:
    """A greedy request that any generalist may answer."""
    return Task(text, data_classes=("public",), max_tokens=max_tokens, temperature=0)


def _wait_until_serving(process: subprocess.Popen[bytes], home: Home) -> None:
    deadline_s = time.perf_counter() + _READY_DEADLINE_S
    while not _listens(home.socket):
        if process.poll() is not None or time.perf_counter() > deadline_s:
            raise RuntimeError(f"homebredd does not serve (exit status {process.poll()}): {_last_lines(home.log)}")
        time.sleep(_POLL_S)
    with grpc.insecure_channel(f"unix:{home.socket}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest()
        while stub.Check(request, timeout=_READY_DEADLINE_S).status != health_pb2.HealthCheckResponse.SERVING:
            time.sleep(_POLL_S)


def _listens(path: Path) -> bool:
    """Asked before grpc is: that one would wait a second after a refusal."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def _last_lines(log: Path) -> str:
    return " | ".join(log.read_text(errors="replace").splitlines()[-5:])
