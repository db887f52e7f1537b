"""The worker process from the daemon's side: how it starts, fails, is isolated and ends."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.tiny_gguf import write_tiny_gguf

import homebred_engines
import homebred_protocol
from homebred_daemon.adapters.engine_process import EngineProcess
from homebred_daemon.adapters.worker_child import WorkerSettings
from homebred_engines.api import (
    Adapter,
    AdapterRefusedError,
    Delta,
    EngineFailedError,
    GenerateOptions,
    InvalidRequestError,
    LoadOptions,
    Message,
    ModelConflictError,
    ModelRefusedError,
)

LOAD = LoadOptions(model_path="", model_digest="sha256:0")
_BOUND_S = 20.0


@pytest.fixture
def runtime_dir() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="hb") as name:  # short: a socket's path is bounded
        yield Path(name)


@asynccontextmanager
async def echo_worker(runtime_dir: Path, *, stop_deadline_s: float = 5.0) -> AsyncIterator[EngineProcess]:
    settings = WorkerSettings(engine="echo", runtime_dir=runtime_dir, stop_deadline_s=stop_deadline_s)
    async with EngineProcess(settings) as worker:
        yield worker


async def ask(worker: EngineProcess, text: str) -> str:
    events = worker.generate([Message(role="user", content=text)], GenerateOptions())
    return "".join([event.text async for event in events if isinstance(event, Delta)])


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def wait_for_end(process: subprocess.Popen[bytes]) -> int:
    return process.wait(timeout=_BOUND_S)


async def test_a_worker_answers_from_a_private_folder_and_leaves_nothing(runtime_dir: Path) -> None:
    async with echo_worker(runtime_dir) as worker:
        await worker.load(LOAD)
        assert await ask(worker, "hello there") == "hello there"
        (folder,) = (runtime_dir / name for name in names_in(runtime_dir))
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / "engine.sock").stat().st_mode) == 0o600
        assert names_in(folder / "python") == ["homebred_engines", "homebred_protocol"]
        pid = worker.pid
    assert names_in(runtime_dir) == []
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert (await worker.exited()).exit_code == 0


async def test_a_crash_in_the_middle_of_a_stream_is_reported_with_its_signal(runtime_dir: Path) -> None:
    async with echo_worker(runtime_dir) as worker:
        await worker.load(LOAD)
        stream = worker.generate(
            [Message(role="user", content="[echo crash_after=1 token_delay_s=0.3]\na b")], GenerateOptions()
        )
        await anext(stream)
        with pytest.raises(EngineFailedError, match="SIGABRT") as failure:
            await anext(stream)
        assert failure.value.exit_code == -signal.SIGABRT
        assert not worker.is_alive
        with pytest.raises(EngineFailedError):
            await worker.describe()


async def test_a_failure_inside_the_engine_leaves_the_worker_alive(runtime_dir: Path) -> None:
    async with echo_worker(runtime_dir) as worker:
        await worker.load(LOAD)
        with pytest.raises(EngineFailedError, match="Its script said so"):
            await ask(worker, "[echo fail_after=1]\na b")
        assert await ask(worker, "still here") == "still here"


async def test_a_frozen_worker_is_killed_after_its_bound(runtime_dir: Path) -> None:
    async with echo_worker(runtime_dir, stop_deadline_s=0.3) as worker:
        await worker.load(LOAD)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await ask(worker, "[echo freeze_after=1]\na b")
        started_at = time.monotonic()
    assert time.monotonic() - started_at < _BOUND_S
    assert (await worker.exited()).exit_code == -signal.SIGKILL


async def test_a_hanging_stream_is_cancelled_and_the_worker_goes_on(runtime_dir: Path) -> None:
    async with echo_worker(runtime_dir) as worker:
        await worker.load(LOAD)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await ask(worker, "[echo hang_after=1]\na b")
        assert await ask(worker, "still here") == "still here"


async def test_a_crash_while_loading_and_a_refused_load_are_told_apart(runtime_dir: Path) -> None:
    model = runtime_dir / "model.json"
    async with echo_worker(runtime_dir) as worker:
        model.write_text(json.dumps({"format": "homebred-echo", "refuse_load": "It has to be."}), encoding="utf-8")
        with pytest.raises(ModelRefusedError, match="It has to be"):
            await worker.load(LoadOptions(model_path=str(model), model_digest="sha256:0"))
        model.write_text(json.dumps({"format": "homebred-echo", "crash_on_load": True}), encoding="utf-8")
        with pytest.raises(EngineFailedError, match="SIGABRT"):
            await worker.load(LoadOptions(model_path=str(model), model_digest="sha256:0"))


async def test_what_was_built_here_and_has_been_changed_since_is_loaded_by_no_engine(runtime_dir: Path) -> None:
    changed = {"sha256:0"}
    settings = WorkerSettings(engine="echo", runtime_dir=runtime_dir)
    adapter = Adapter(digest="sha256:1", path="/nowhere")
    async with EngineProcess(settings, changed=changed.intersection) as worker:
        with pytest.raises(ModelRefusedError, match="built on this device as sha256:0 has been changed"):
            await worker.load(LOAD)
        changed.clear()
        await worker.load(LOAD)
        changed.add("sha256:1")
        with pytest.raises(AdapterRefusedError, match="has been changed") as refused:
            await worker.set_adapters([adapter])
        assert refused.value.adapter == "sha256:1"
        assert await ask(worker, "as before") == "as before"


async def test_loads_at_the_same_time_load_once(runtime_dir: Path) -> None:
    model = runtime_dir / "model.json"
    model.write_text(json.dumps({"format": "homebred-echo", "load_delay_s": 0.2}), encoding="utf-8")
    options = LoadOptions(model_path=str(model), model_digest="sha256:0")
    other = LoadOptions(model_path=str(model), model_digest="sha256:1")
    async with echo_worker(runtime_dir) as worker:
        async with asyncio.TaskGroup() as group:
            loads = [group.create_task(worker.load(options)) for _ in range(4)]
        assert {task.result().engine.model_digest for task in loads} == {"sha256:0"}
        with pytest.raises(ModelConflictError):
            await worker.load(other)


async def test_an_abandoned_load_leaves_nothing_loaded(runtime_dir: Path) -> None:
    model = runtime_dir / "model.json"
    model.write_text(json.dumps({"format": "homebred-echo", "load_delay_s": 30}), encoding="utf-8")
    async with echo_worker(runtime_dir) as worker:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await worker.load(LoadOptions(model_path=str(model), model_digest="sha256:0"))
        assert (await worker.load(LOAD)).engine.model_digest == LOAD.model_digest


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"interpreter": Path("/nonexistent/python")}, "cannot be started"),
        ({"interpreter": Path("/bin/false")}, "exited with code 1"),
        ({"engine": "no such engine"}, "exited with code 2"),
        ({"interpreter": Path("/bin/sleep"), "start_deadline_s": 0.2}, "exited|not ready"),
    ],
    ids=["no interpreter", "broken interpreter", "no engine", "not a worker"],
)
async def test_a_worker_that_does_not_start_says_why(
    runtime_dir: Path, settings: dict[str, object], reason: str
) -> None:
    arguments: dict[str, object] = {"engine": "echo", "runtime_dir": runtime_dir} | settings
    with pytest.raises(EngineFailedError, match=reason) as failure:
        await EngineProcess(WorkerSettings(**arguments)).start()  # type: ignore[arg-type] # built from a table
    assert failure.value.hint
    assert names_in(runtime_dir) == []


async def test_what_the_worker_wrote_is_in_the_failure(runtime_dir: Path) -> None:
    settings = WorkerSettings(engine="no such engine", runtime_dir=runtime_dir)
    with pytest.raises(EngineFailedError) as failure:
        await EngineProcess(settings).start()
    assert "no such engine" in failure.value.last_lines


async def test_a_runtime_folder_too_long_for_a_socket_is_refused(runtime_dir: Path) -> None:
    deep = runtime_dir / ("d" * 90)
    with pytest.raises(EngineFailedError, match="too long"):
        await EngineProcess(WorkerSettings(engine="echo", runtime_dir=deep)).start()


async def test_the_worker_cannot_be_dumped(runtime_dir: Path) -> None:
    async with echo_worker(runtime_dir) as worker:
        limits, owner = await asyncio.to_thread(_read_limits_and_owner, worker.pid)
        assert limits["Max core file size"] == ["0", "0", "bytes"]
        assert owner == 0, "the kernel gives the files of a non-dumpable process to root"


async def test_the_worker_goes_before_the_daemon_when_memory_ends(runtime_dir: Path) -> None:
    async with echo_worker(runtime_dir) as worker:
        own, its = await asyncio.to_thread(lambda: (_oom_score("self"), _oom_score(str(worker.pid))))
    assert its == min(1000, own + 500)


@pytest.mark.parametrize("gives_way", [False, True])
async def test_a_worker_gives_way_with_every_thread_that_it_has_or_with_none(
    runtime_dir: Path, tmp_path: Path, *, gives_way: bool
) -> None:
    settings = WorkerSettings(engine="llamacpp", runtime_dir=runtime_dir, gives_way=gives_way)
    async with EngineProcess(settings) as worker:
        model = write_tiny_gguf(tmp_path / "tiny.gguf")
        await worker.load(LoadOptions(model_path=str(model), model_digest="sha256:0", context_tokens=256, threads=2))
        await ask(worker, "a")
        priorities = await asyncio.to_thread(_priorities, worker.pid)
        assert priorities == {19 if gives_way else os.getpriority(os.PRIO_PROCESS, 0)}
        own, its = await asyncio.to_thread(lambda: (_oom_score("self"), _oom_score(str(worker.pid))))
        assert its == (1000 if gives_way else min(1000, own + 500)), "it goes before other workers when memory ends"


def _priorities(pid: int) -> set[int]:
    """Of all threads of a process."""
    return {os.getpriority(os.PRIO_PROCESS, int(task.name)) for task in Path(f"/proc/{pid}/task").iterdir()}


def _oom_score(process: str) -> int:
    return int(Path("/proc", process, "oom_score_adj").read_text(encoding="ascii"))


def _read_limits_and_owner(pid: int) -> tuple[dict[str, list[str]], int]:
    process = Path("/proc") / str(pid)
    rows = (process / "limits").read_text(encoding="ascii").splitlines()
    return {row[:26].strip(): row[26:].split() for row in rows}, (process / "environ").stat().st_uid


def test_no_setting_or_key_of_the_daemon_reaches_the_worker(runtime_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    printer = runtime_dir / "printer"
    printer.write_text("#!/bin/sh\nenv >&2\nexit 3\n", encoding="utf-8")
    printer.chmod(0o700)
    settings = WorkerSettings(engine="echo", runtime_dir=runtime_dir, interpreter=printer, environment={"OWN": "1"})
    monkeypatch.setenv("HOMEBRED_CLOUD_KEY", "secret")
    with pytest.raises(EngineFailedError) as failure:
        asyncio.run(EngineProcess(settings).start())
    assert "OWN=1" in failure.value.last_lines
    assert "HOMEBRED" not in failure.value.last_lines


@pytest.fixture
def worker_folder(runtime_dir: Path) -> Path:
    """A folder that holds only the worker's two packages."""
    folder = runtime_dir / "only"
    for package in (homebred_engines, homebred_protocol):
        source = Path(str(package.__file__)).parent
        shutil.copytree(source, folder / source.name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def start_by_hand(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-s", "-E", "-c", f"import sys; sys.path.insert(0, {str(folder)!r})\n{_RUN}", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
    )


_RUN = textwrap.dedent("""
    class OnlyTheFolder:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] in ("homebred_daemon", "homebred_fleet", "pydantic", "structlog", "typer"):
                raise ImportError(f"the worker must not need {name}")
    sys.meta_path.insert(0, OnlyTheFolder())
    from homebred_engines import worker
    assert worker.__file__.startswith(sys.path[0])
    worker.main()
""")


def test_the_worker_runs_from_a_folder_with_only_its_two_packages(worker_folder: Path, runtime_dir: Path) -> None:
    path = runtime_dir / "w.sock"
    with start_by_hand(worker_folder, "--socket", str(path), "--engine", "echo") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.terminate()
        assert wait_for_end(process) == 0
    assert not path.exists()


def test_the_worker_ends_when_its_parent_does(worker_folder: Path, runtime_dir: Path) -> None:
    with start_by_hand(worker_folder, "--socket", str(runtime_dir / "w.sock"), "--engine", "echo") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        process.stdin.close()  # what the kernel does when the parent dies
        assert wait_for_end(process) == 0


def test_a_live_socket_is_not_stolen_and_a_dead_one_is_replaced(worker_folder: Path, runtime_dir: Path) -> None:
    path = runtime_dir / "w.sock"
    arguments = ("--socket", str(path), "--engine", "echo")
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        with start_by_hand(worker_folder, *arguments) as refused:
            assert wait_for_end(refused) == 64
            assert refused.stderr is not None
            assert b"another worker's socket" in refused.stderr.read()
    with start_by_hand(worker_folder, *arguments) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.terminate()
        assert wait_for_end(process) == 0


_LOAD_AND_LOOK = textwrap.dedent("""
    import asyncio, json, os, socket, sys
    from pathlib import Path
    from homebred_engines.api import LoadOptions
    from homebred_engines.llamacpp import LlamaCppEngine

    def ports():
        links = [os.readlink(link) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
        inodes = {link[8:-1] for link in links if link.startswith("socket:[")}
        tables = [Path("/proc/self/net", name) for name in ("tcp", "tcp6", "udp", "udp6")]
        rows = [row.split() for table in tables if table.exists() for row in table.read_text().splitlines()[1:]]
        return [row[1] for row in rows if row[9] in inodes]

    async def main():
        engine = LlamaCppEngine()
        async for _ in engine.load(LoadOptions(model_path=sys.argv[1], model_digest="sha256:0")):
            pass
        seen = {"ports": ports(), "files": os.listdir(os.environ["TMPDIR"])}
        with socket.create_server(("127.0.0.1", 0)):
            print(json.dumps(seen | {"control": ports()}))
        await engine.unload()

    asyncio.run(main())
""")


def test_llamacpp_listens_on_no_port_and_leaves_no_socket_behind(runtime_dir: Path) -> None:
    model = write_tiny_gguf(runtime_dir / "tiny.gguf")
    temporary = runtime_dir / "t"
    temporary.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", _LOAD_AND_LOOK, str(model)],
        capture_output=True,
        check=True,
        timeout=_BOUND_S,
        env=os.environ | {"TMPDIR": str(temporary)},
    )
    seen = json.loads(done.stdout)
    assert seen["ports"] == []
    assert seen["files"] == []
    assert len(seen["control"]) == 1, "the same look finds a port where there is one"


async def test_llamacpp_serves_a_model_without_a_chat_template_and_refuses_one_beyond_its_means(
    runtime_dir: Path,
) -> None:
    model = await asyncio.to_thread(write_tiny_gguf, runtime_dir / "tiny.gguf", chat_template=False)
    load = LoadOptions(model_path=str(model), model_digest="sha256:0")
    async with EngineProcess(WorkerSettings(engine="llamacpp", runtime_dir=runtime_dir)) as worker:
        with pytest.raises(ModelRefusedError, match="needs about"):
            await worker.load(replace(load, memory_budget_bytes=1000))
        with pytest.raises(InvalidRequestError, match="trained for"):
            await worker.load(replace(load, context_tokens=1_000_000))
        loaded = (await worker.load(load)).engine
        assert (loaded.slots, loaded.context_tokens) == (4, 2048)
        assert loaded.threads >= 1
        options = GenerateOptions(max_tokens=4, temperature=0)
        events = [event async for event in worker.generate([Message(role="user", content="hi")], options)]
        assert len(events) > 1


async def test_a_worker_stopped_under_its_calls_ends_them_as_it_ended_and_cancels_nobodys_task(
    runtime_dir: Path,
) -> None:
    for _ in range(5):  # the channel is closed now before, now after the broken connection is seen
        async with echo_worker(runtime_dir) as worker:
            await worker.load(LOAD)
            slow = [asyncio.ensure_future(ask(worker, "[echo token_delay_s=5]\na b c")) for _ in range(3)]  # noqa: TID251 - a caller's own tasks
            await asyncio.sleep(0.1)
            asked = asyncio.ensure_future(worker.describe())  # noqa: TID251
            os.kill(worker.pid, signal.SIGKILL)
            await worker.stop()
            async with asyncio.timeout(_BOUND_S):
                ended = await asyncio.gather(*slow, asked, return_exceptions=True)
        assert [type(each) for each in ended[:3]] == [EngineFailedError] * 3
        assert not isinstance(ended[3], asyncio.CancelledError)
