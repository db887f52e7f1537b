"""A worker's operating-system side: its private folder, its environment, its start, its last words and its end.

It speaks no protocol with the worker; `engine_process.py` does. It restarts nothing.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from typing_extensions import override

import homebred_engines
import homebred_protocol
from homebred_daemon.adapters.worker_folders import PREFIX, Hold, made_and_held
from homebred_engines.api import EngineFailedError
from homebred_engines.queueing import DEFAULT_QUEUE_LIMIT

_READY_LINE = b"ready\n"
_TAIL_BYTES = 8192
_KILLED_WITHIN_S = 5.0  # the kernel may hold a process that waits for a device; it ends when that answers
_TAIL_WAIT_S = 0.5  # the last lines may come after the exit; a grandchild may hold the pipe for ever
_MAX_SOCKET_PATH_BYTES = 107  # unix(7): sun_path holds 108 with the closing zero
_ENGINE_SOCKET_BYTES = 24  # an engine may make a socket of its own in a folder below
_START_HINT = "`homebred doctor` says what the engine's interpreter lacks; the worker's last lines may say more."
# What a worker may inherit: never the daemon's own settings, keys or proxies.
_INHERITED = ("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH")
_INHERITED_PREFIXES = ("CUDA_", "NVIDIA_", "OMP_")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """How to start a worker."""

    engine: str
    """Its name in the worker's registry: `llamacpp`, `echo`."""
    runtime_dir: Path
    """Where the worker's private folder is made, and removed again."""
    interpreter: Path = Path(sys.executable)
    """A Python from 3.10 with grpcio, protobuf and the engine's library."""
    queue_limit: int = DEFAULT_QUEUE_LIMIT
    """Requests that may wait for a slot."""
    start_deadline_s: float = 20.0
    """From the start to an answering socket, no model loaded."""
    stop_deadline_s: float = 5.0
    """From SIGTERM to SIGKILL."""
    gives_way: bool = False
    """Whether it runs at the lowest priority, and goes before other workers when memory ends."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Further variables for the worker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerExit:
    """How a worker ended."""

    exit_code: int
    """Negative: the signal that ended it."""
    last_lines: str
    """The end of what it wrote to standard error."""
    was_wanted: bool = False
    """Whether this daemon had told it to end."""

    def describe(self) -> str:
        """For people."""
        if self._ran_out_of_memory:
            return (
                "the worker was ended by SIGKILL, which this daemon did not send: the machine is probably out of memory"
            )
        if self.exit_code < 0:
            return f"the worker was ended by {signal.Signals(-self.exit_code).name}"
        return f"the worker exited with code {self.exit_code}"

    @property
    def hint(self) -> str:
        """What to do next, where its end tells; empty: it does not."""
        if not self._ran_out_of_memory:
            return ""
        return (
            "`journalctl -k` says so if it was; lower engine.max_models, engine.slots or engine.context_tokens, or"
            " choose a smaller model."
        )

    @property
    def _ran_out_of_memory(self) -> bool:
        """The kernel's way to get memory back is SIGKILL."""
        return self.exit_code == -signal.SIGKILL and not self.was_wanted


class WorkerChild:
    """One child process, from `start` to `end`."""

    def __init__(
        self, settings: WorkerSettings, folder: Path, hold: Hold, transport: asyncio.SubprocessTransport
    ) -> None:
        self._settings = settings
        self._folder = folder
        self._hold = hold
        self._transport = transport
        self._output = cast("_Output", transport.get_protocol())
        self._is_told_to_end = False
        self.pid = transport.get_pid()

    @classmethod
    async def start(cls, settings: WorkerSettings) -> WorkerChild:
        """Spawns the worker and waits for its ready line. Raises EngineFailedError."""
        folder, hold = await asyncio.to_thread(made_and_held, _make_private_folder, settings.runtime_dir)
        try:
            transport = await _spawn(settings, folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            hold.release()
            raise
        child = cls(settings, folder, hold, transport)
        try:
            await child._wait_until_ready()
        except BaseException:
            await child.end()
            raise
        return child

    @property
    def socket_path(self) -> Path:
        """Where the worker listens."""
        return _socket_path(self._folder)

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return not self._output.exit_code.done()

    async def exited(self) -> WorkerExit:
        """Waits for the end, however it comes."""
        await asyncio.wait([self._output.exit_code])
        await asyncio.wait([self._output.last_line_read], timeout=_TAIL_WAIT_S)
        return WorkerExit(
            exit_code=self._output.exit_code.result(),
            last_lines=self._output.last_lines,
            was_wanted=self._is_told_to_end,
        )

    async def end(self) -> None:
        """SIGTERM, after the bound SIGKILL; then the private folder goes. Harmless when repeated.

        Cancelled while it waits, it sends SIGKILL at once: no worker outlives the one who ended it.
        """
        exit_code = self._output.exit_code
        try:
            if not exit_code.done():
                self._is_told_to_end = True
                self._transport.terminate()
                await asyncio.wait([exit_code], timeout=self._settings.stop_deadline_s)
            if not exit_code.done():
                self._transport.kill()
                await asyncio.wait([exit_code], timeout=_KILLED_WITHIN_S)
        finally:
            self._transport.close()  # kills what still runs
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)
            self._hold.release()

    def failure(self, why: str, *, hint: str = "") -> EngineFailedError:
        """An error with what is known of the process."""
        exit_code = self._output.exit_code.result() if self._output.exit_code.done() else 0
        return EngineFailedError(why, exit_code=exit_code, last_lines=self._output.last_lines, hint=hint)

    async def _wait_until_ready(self) -> None:
        deadline_s = self._settings.start_deadline_s
        waiting = (self._output.ready, self._output.exit_code)
        await asyncio.wait(waiting, timeout=deadline_s, return_when=asyncio.FIRST_COMPLETED)
        if self._output.ready.done():
            return
        if not self._output.exit_code.done():
            raise self.failure(f"Starting {self._settings.engine}: the worker was not ready within {deadline_s:g} s.")
        ending = await self.exited()
        hint = ending.hint or _START_HINT
        raise self.failure(f"Starting {self._settings.engine}: {ending.describe()}.", hint=hint)


class _Output(asyncio.SubprocessProtocol):
    """Hears the ready line and the exit, and keeps the end of standard error."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.ready: asyncio.Future[int] = loop.create_future()
        self.exit_code: asyncio.Future[int] = loop.create_future()
        self.last_line_read: asyncio.Future[None] = loop.create_future()
        self._tail = b""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.SubprocessTransport", transport)

    @override
    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd != 1:
            self._tail = (self._tail + data)[-_TAIL_BYTES:]
        elif data == _READY_LINE and not self.ready.done():
            self.ready.set_result(0)

    @override
    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        del exc
        if fd not in (0, 1):
            self.last_line_read.set_result(None)

    @override
    def process_exited(self) -> None:
        self.exit_code.set_result(self._transport.get_returncode() or 0)

    @property
    def last_lines(self) -> str:
        return self._tail.decode(errors="replace").strip()


async def _spawn(settings: WorkerSettings, folder: Path) -> asyncio.SubprocessTransport:
    command = [str(settings.interpreter), "-m", "homebred_engines.worker", "--socket", str(_socket_path(folder))]
    command += ["--engine", settings.engine, "--queue-limit", str(settings.queue_limit)]
    command += ["--gives-way"] if settings.gives_way else []
    try:
        # Its own session: a Ctrl-C in the daemon's terminal must not end the worker before the daemon says so.
        # Standard input stays open and silent; its end tells the worker that the daemon is gone.
        transport, _ = await asyncio.get_running_loop().subprocess_exec(
            _Output, *command, cwd=folder, env=environment_of(folder, settings.environment), start_new_session=True
        )
    except OSError as error:
        raise EngineFailedError(
            f"{settings.interpreter} cannot be started: {error.strerror}.",
            hint="Name a Python from 3.10 that has grpcio, protobuf and the engine's library.",
        ) from None
    return transport


def _socket_path(folder: Path) -> Path:
    return folder / "engine.sock"


def _make_private_folder(runtime_dir: Path) -> Path:
    """A 0700 folder with `python/`, which holds the worker's two packages only. Raises EngineFailedError."""
    try:
        return _private_folder(runtime_dir)
    except OSError as error:
        raise EngineFailedError(
            f"A folder for its worker cannot be made in {runtime_dir}: {error.strerror}.",
            hint="Free space there, see that the folder belongs to the daemon's user, or choose another runtime_dir.",
        ) from None


def _private_folder(runtime_dir: Path) -> Path:
    runtime_dir.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=runtime_dir)).resolve()
    try:
        _furnish(folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


def _furnish(folder: Path) -> None:
    if len(os.fsencode(folder)) + _ENGINE_SOCKET_BYTES > _MAX_SOCKET_PATH_BYTES:
        raise EngineFailedError(
            f"{folder} is too long: a Unix socket's path holds {_MAX_SOCKET_PATH_BYTES} bytes.",
            hint="Choose a shorter runtime_dir.",
        )
    link_packages(folder)


def link_packages(folder: Path) -> None:
    """Makes `python/` in a folder, with the two packages that an engine's interpreter gets of ours. Raises OSError."""
    packages = folder / "python"
    packages.mkdir()
    for package in (homebred_engines, homebred_protocol):
        source = Path(str(package.__file__)).resolve().parent
        (packages / source.name).symlink_to(source)


def environment_of(folder: Path, further: Mapping[str, str]) -> dict[str, str]:
    """What a child sees that runs from such a folder: never the daemon's own settings, keys or proxies."""
    inherited = {
        name: value for name, value in os.environ.items() if name in _INHERITED or name.startswith(_INHERITED_PREFIXES)
    }
    own = {
        "PYTHONPATH": str(folder / "python"),
        "PYTHONNOUSERSITE": "1",
        "PYTHONSAFEPATH": "1",
        "HOME": str(folder),
        "TMPDIR": str(folder),
    }
    return inherited | own | dict(further)
