"""A real homebredd in a folder of the test's own, with echo specialists whose fitness the test says."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.support.tiny_gguf import write_tiny_adapter, write_tiny_gguf
from tests.support.wire_client import DaemonClient

from homebred_daemon.adapters.model_store import ModelStore
from homebred_daemon.core.measurements import Measurement
from homebred_daemon.core.shelf import StoredSpecialist
from homebred_daemon.errors import DaemonUnreachableError

READY_WITHIN_S = 20.0
ECHO_FORMAT = "homebred-echo"


@dataclass(slots=True)
class Site:
    """A folder with state, runtime and model store."""

    folder: Path
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def state(self) -> Path:
        """The state folder."""
        return self.folder / "state"

    @property
    def socket(self) -> Path:
        """The daemon's socket."""
        return self.folder / "run" / "homebred.sock"

    @property
    def log(self) -> str:
        """All that the daemons of this site wrote."""
        return (self.folder / "log").read_text()

    def add_echo(
        self,
        name: str,
        *,
        workflow: str = "*",
        fitness: float = 1.0,
        samples: int = 150,
        size_rank: int = 0,
        script: Mapping[str, Any] | None = None,
        prompt: str = "",
        capabilities: Sequence[str] = (),
    ) -> None:
        """Adds an echo specialist; `prompt` is further TOML of its [prompt] table."""
        folder = self.folder / "offered" / name
        folder.mkdir(parents=True)
        (folder / "model.json").write_text(json.dumps({"format": ECHO_FORMAT} | dict(script or {})))
        (folder / "specialist.toml").write_text(
            f'version = 1\nid = "{name}"\ntitle = "Echoes"\nengine = "echo"\nsize_rank = {size_rank}\n'
            f"capabilities = {json.dumps(list(capabilities))}\n"
            f'[base]\nfile = "model.json"\n[prompt]\n{prompt}\n[workflows."{workflow}"]\n'
        )
        self.add(folder, workflow=workflow, fitness=fitness, samples=samples)

    def add_tiny(self, name: str, *, adapter_seed: int = 0, max_tokens: int = 16, replaces: bool = False) -> None:
        """Adds a specialist of its own workflow on the one tiny GGUF model; a seed makes it an adapter."""
        folder = self.folder / "offered" / f"{name}-{adapter_seed}"
        folder.mkdir(parents=True)
        write_tiny_gguf(folder / "tiny.gguf")
        adapter = '[adapter]\nfile = "adapter.gguf"' if adapter_seed else ""
        if adapter_seed:
            write_tiny_adapter(folder / "adapter.gguf", seed=adapter_seed)
        (folder / "specialist.toml").write_text(
            f'version = 1\nid = "{name}"\ntitle = "Babbles"\nengine = "llamacpp"\nmax_context = 512\n'
            f'[base]\nfile = "tiny.gguf"\n{adapter}\n[prompt]\nmax_tokens = {max_tokens}\n[workflows."{name}"]\n'
        )
        self.add(folder, workflow=name, replaces=replaces)

    def add(
        self, folder: Path, *, workflow: str, fitness: float = 1.0, samples: int = 150, replaces: bool = False
    ) -> None:
        """Adds a specialist's folder, as one that was measured; without samples as one that was not."""
        store = ModelStore(self.state / "models")
        stored = store.add(folder, replaces=replaces).specialist
        if samples:
            store.record_fitness(stored.manifest.id, {workflow: _measured(fitness, samples, stored)})

    def command(self, *flags: str) -> list[str]:
        """The command line of a daemon here."""
        paths = ["--state-dir", str(self.state), "--runtime-dir", str(self.folder / "run")]
        return [sys.executable, "-m", "homebred_daemon", *paths, *flags]

    @contextmanager
    def daemon(self, *flags: str, killed: bool = False) -> Iterator[DaemonClient]:
        """A running daemon; on leaving it is told to stop and held to a clean exit, or it is killed."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(self.command(*flags), stdout=log, stderr=log)
        try:
            with DaemonClient(self.socket) as client:
                self._wait(client)
                try:
                    yield client
                finally:
                    if killed:
                        self.process.kill()  # before the client leaves, which would end its streams
        finally:
            self.process.terminate()
            status = self._ended()
        assert killed or status == 0, self.log

    def _ended(self) -> int:
        assert self.process is not None
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def _wait(self, client: DaemonClient) -> None:
        deadline_s = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < deadline_s:
            assert self.process is not None
            assert self.process.poll() is None, self.log
            try:
                client.status()
            except DaemonUnreachableError:
                time.sleep(0.02)
            else:
                return
        raise AssertionError(f"the daemon did not answer: {self.log}")


def _measured(fitness: float, samples: int, stored: StoredSpecialist) -> Measurement:
    return Measurement(
        fitness=fitness,
        samples=samples,
        golden_digest="sha256:" + "0" * 64,
        manifest_digest=stored.manifest.digest,
        base_digest=stored.base_digest,
        adapter_digest=stored.adapter_digest,
        measured_at_utc=datetime(2026, 11, 23, tzinfo=UTC),
        engine=stored.manifest.engine,
        engine_version="1",
    )
