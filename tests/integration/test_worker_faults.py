"""The worker pool over real echo workers that load slowly, crash, hang, run out of memory and cannot start."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.support.recorded_journal import RecordedJournal

from homebred_daemon.adapters.engine_process import EngineProcess
from homebred_daemon.adapters.system_clock import SystemClock
from homebred_daemon.adapters.worker_child import WorkerSettings
from homebred_daemon.ports.engines import Prompt, ServedModel
from homebred_daemon.services.engines import WorkerPool
from homebred_daemon.services.loading import Room
from homebred_daemon.services.supervising import ModelRestingError
from homebred_engines import api

BOUND_S = 20.0
STOP_DEADLINE_S = 0.5
FREEZE = "[echo freeze_after=1]\na b"
ROOM = Room(max_models=1, slots=2, threads=1, load_timeout_s=BOUND_S)


@dataclass(slots=True)
class Launcher:
    """Starts real workers and keeps count."""

    runtime_dir: Path
    workers: list[EngineProcess]
    interpreter: Path = Path(sys.executable)

    async def start(self, engine: str, *, gives_way: bool = False) -> EngineProcess:
        settings = WorkerSettings(
            engine=engine,
            runtime_dir=self.runtime_dir,
            interpreter=self.interpreter,
            stop_deadline_s=STOP_DEADLINE_S,
            gives_way=gives_way,
        )
        worker = EngineProcess(settings)
        await worker.start()
        self.workers.append(worker)
        return worker


@pytest.fixture
def launcher() -> Iterator[Launcher]:
    with tempfile.TemporaryDirectory(prefix="hb") as name:  # short: a socket's path is bounded
        launcher = Launcher(Path(name) / "run", [])
        yield launcher
        left = list(launcher.runtime_dir.iterdir()) if launcher.runtime_dir.is_dir() else []
        assert left == [], "each worker's folder is gone"
    for worker in launcher.workers:
        with pytest.raises(ProcessLookupError):
            os.kill(worker.pid, 0)


def model(launcher: Launcher, name: str, **script: object) -> ServedModel:
    """An echo model that behaves as the script says."""
    file = launcher.runtime_dir.parent / f"{name}.json"
    file.write_text(json.dumps({"format": "homebred-echo"} | script))
    return ServedModel(engine="echo", path=str(file), digest=f"sha256:{name}", context_tokens=512)


@asynccontextmanager
async def pool_of(launcher: Launcher, room: Room = ROOM) -> AsyncIterator[WorkerPool]:
    pool = WorkerPool(launcher, SystemClock(), room, RecordedJournal())
    async with asyncio.timeout(BOUND_S), pool.running():
        yield pool


async def ask(pool: WorkerPool, model: ServedModel, text: str = "hello") -> str:
    messages = (api.Message(role="user", content=text),)
    prompt = Prompt(request_id="r", fairness_key="", messages=messages, options=api.GenerateOptions())
    return "".join([event.text async for event in pool.generate(model, prompt) if isinstance(event, api.Delta)])


async def until(condition: Callable[[], bool]) -> None:
    """Waits until it holds; the pool's own bound ends it."""
    for pause_s in itertools.repeat(0.01):
        if condition():
            return
        await asyncio.sleep(pause_s)


async def test_sixteen_first_requests_start_one_worker(launcher: Launcher) -> None:
    slow = model(launcher, "slow", load_delay_s=0.2)
    async with pool_of(launcher) as pool:
        assert await asyncio.gather(*(ask(pool, slow) for _ in range(16))) == ["hello"] * 16
    assert len(launcher.workers) == 1


async def test_a_load_slower_than_every_callers_deadline_still_comes_to_its_end(launcher: Launcher) -> None:
    slow = model(launcher, "slow", load_delay_s=1.0)
    async with pool_of(launcher) as pool:
        late = 0
        while not pool.is_loaded(slow):
            try:
                async with asyncio.timeout(0.2):
                    await ask(pool, slow)
            except TimeoutError:
                late += 1
        assert late > 1
        assert await ask(pool, slow) == "hello"
    assert len(launcher.workers) == 1


async def test_a_crash_while_loading_is_told_to_all_who_wait_and_costs_one_worker(launcher: Launcher) -> None:
    crashing = model(launcher, "crashing", crash_on_load=True)
    async with pool_of(launcher) as pool:
        failures = await asyncio.gather(*(ask(pool, crashing) for _ in range(16)), return_exceptions=True)
        assert [type(failure) for failure in failures] == [api.EngineFailedError] * 16
        assert "SIGABRT" in pool.condition(crashing).note
    assert len(launcher.workers) == 1


async def test_a_load_beyond_its_timeout_is_ended(launcher: Launcher) -> None:
    endless = model(launcher, "endless", load_delay_s=60)
    async with pool_of(launcher, replace(ROOM, load_timeout_s=0.3)) as pool:
        with pytest.raises(api.EngineFailedError, match="not loaded within"):
            await ask(pool, endless)


async def frozen(pool: WorkerPool, model: ServedModel) -> None:
    """Has a worker freeze in the middle of an answer that its caller then leaves."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await ask(pool, model, FREEZE)


async def test_a_frozen_worker_is_killed_though_the_caller_who_needs_its_room_leaves(launcher: Launcher) -> None:
    first, second = model(launcher, "first"), model(launcher, "second")
    async with pool_of(launcher) as pool:
        await ask(pool, first)
        await frozen(pool, first)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(STOP_DEADLINE_S / 2):  # between SIGTERM and SIGKILL
                await ask(pool, second)
        assert await ask(pool, second) == "hello"
        assert not launcher.workers[0].is_alive


async def test_closing_kills_a_frozen_worker(launcher: Launcher) -> None:
    served = model(launcher, "m")
    async with pool_of(launcher) as pool:
        await ask(pool, served)
        await frozen(pool, served)
    assert not launcher.workers[0].is_alive


async def test_a_frozen_worker_does_not_hold_up_its_state_and_is_replaced(launcher: Launcher) -> None:
    served = model(launcher, "m")
    async with pool_of(launcher) as pool, asyncio.TaskGroup() as group:
        await ask(pool, served)
        held = group.create_task(failure_of(ask(pool, served, FREEZE)))
        await asyncio.sleep(0.3)
        started_s = time.monotonic()
        (state,) = await pool.worker_states()
        assert (state.pid, state.stats) == (launcher.workers[0].pid, None)
        assert time.monotonic() - started_s < 3
        await until(lambda: not pool.is_loaded(served))
        assert "hung" in str(await held), "who waited for it hears what became of it"
        await until(lambda: not pool.out_of_service())
        assert await ask(pool, served) == "hello"
    assert len(launcher.workers) == 2


async def test_a_worker_whose_loop_is_frozen_is_found_while_it_is_busy(launcher: Launcher) -> None:
    served = model(launcher, "m")
    async with pool_of(launcher) as pool:
        hung = await failure_of(ask(pool, served, FREEZE))
        assert str(hung).startswith("The engine hung. Its worker did not answer for 5 s.")
        assert pool.out_of_service() == {served}
        await until(lambda: not launcher.workers[0].is_alive)
        await until(lambda: not pool.out_of_service())
        assert await ask(pool, served) == "hello"


@pytest.mark.parametrize("script", ["hang_after=1", "stall_after=1"])
async def test_a_worker_that_answers_but_makes_no_progress_is_ended_as_hung(launcher: Launcher, script: str) -> None:
    served = model(launcher, "m")
    async with pool_of(launcher, replace(ROOM, stall_timeout_s=1.0)) as pool:
        hung = await failure_of(ask(pool, served, f"[echo {script}]\na b"))
        assert "no progress for 1 s" in str(hung)
        assert "engine.stall_timeout_s" in hung.hint
        await until(lambda: not launcher.workers[0].is_alive)
        assert launcher.workers[0].pid


async def test_a_stuck_worker_is_found_though_its_caller_has_left(launcher: Launcher) -> None:
    served = model(launcher, "m")
    async with pool_of(launcher, replace(ROOM, stall_timeout_s=1.0)) as pool:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await ask(pool, served, "[echo stall_after=1]\na b")
        await until(lambda: bool(pool.condition(served).note))
        assert "no progress" in pool.condition(served).note


async def test_a_caller_who_does_not_read_is_no_hang(launcher: Launcher) -> None:
    words, word = 3_000, "w" * 4_000 + " "  # more than the window between two processes holds, as a rule
    served = replace(model(launcher, "m"), context_tokens=4 * words)
    messages = (api.Message(role="user", content=word * words),)
    prompt = Prompt(request_id="r", fairness_key="", messages=messages, options=api.GenerateOptions())
    async with pool_of(launcher, replace(ROOM, stall_timeout_s=0.5)) as pool:
        async with aclosing(pool.generate(served, prompt)) as events:
            await anext(events)
            await asyncio.sleep(5)
            (state,) = await pool.worker_states()
            assert state.stats is not None
            assert state.stats.computing == 0, "it waits for its caller, or the window took all of it"
            assert [await anext(events) for _ in range(words - 1)]
        assert len(launcher.workers) == 1


async def test_a_long_silence_before_the_first_token_is_borne_for_as_long_as_is_configured(launcher: Launcher) -> None:
    served = model(launcher, "m")
    async with pool_of(launcher, replace(ROOM, stall_timeout_s=10.0)) as pool:
        assert await ask(pool, served, "[echo prefill_delay_s=5]\na b") == "a b"


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (signal.SIGSEGV, "SIGSEGV"),
        (signal.SIGBUS, "SIGBUS"),
        (signal.SIGKILL, "SIGKILL, which this daemon did not send: the machine is probably out of memory"),
    ],
    ids=["segmentation fault", "bus error", "out of memory"],
)
async def test_a_worker_ended_by_a_signal_says_which_and_the_next_one_serves(
    launcher: Launcher, number: signal.Signals, words: str
) -> None:
    served, other = model(launcher, "m"), model(launcher, "other")
    async with pool_of(launcher, replace(ROOM, max_models=2)) as pool, asyncio.TaskGroup() as group:
        await ask(pool, other)
        broken = group.create_task(failure_of(ask(pool, served, "[echo token_delay_s=0.1]\n" + "a " * 100)))
        await until(lambda: pool.is_loaded(served))
        await asyncio.sleep(0.3)
        os.kill(launcher.workers[1].pid, number)
        assert words in str(await broken)
        assert words in pool.condition(served).note
        assert await ask(pool, other) == "hello", "the rest is served meanwhile"
        await until(lambda: not pool.out_of_service())
        assert await ask(pool, served) == "hello"
    if number is signal.SIGKILL:
        assert "journalctl -k" in broken.result().hint


async def test_sixteen_callers_of_a_crashed_model_wait_for_one_restart_and_none_waits_through_its_rest(
    launcher: Launcher,
) -> None:
    served = model(launcher, "m")
    async with pool_of(launcher) as pool:
        await failure_of(ask(pool, served, "[echo crash_after=0]\na"))
        started_s = time.monotonic()
        refused = await asyncio.gather(*(ask(pool, served) for _ in range(16)), return_exceptions=True)
        assert {type(one) for one in refused} == {ModelRestingError}
        assert time.monotonic() - started_s < 1
        await until(lambda: not pool.out_of_service())
        assert await asyncio.gather(*(ask(pool, served) for _ in range(16))) == ["hello"] * 16
    assert len(launcher.workers) == 2


async def test_without_its_interpreter_the_worker_says_so_and_is_tried_again_once_it_is_there(
    launcher: Launcher,
) -> None:
    served = model(launcher, "m")
    launcher.interpreter = Path("/nonexistent/python")
    async with pool_of(launcher) as pool:
        missing = await failure_of(ask(pool, served))
        assert "/nonexistent/python cannot be started: No such file or directory." in str(missing)
        assert "grpcio" in missing.hint
        launcher.interpreter = Path(sys.executable)
        await until(lambda: not pool.out_of_service())
        assert await ask(pool, served) == "hello"


async def test_an_engine_whose_library_is_missing_says_where_to_look(launcher: Launcher) -> None:
    served = replace(model(launcher, "m"), engine="no-such-engine")
    async with pool_of(launcher) as pool:
        missing = await failure_of(ask(pool, served))
        assert "exited with code 2" in str(missing)
        assert "homebred doctor" in missing.hint
        assert "no-such-engine" in missing.last_lines


async def test_a_runtime_folder_that_cannot_be_written_is_named_and_everything_goes_on_once_it_can(
    launcher: Launcher,
) -> None:
    served = model(launcher, "m")
    launcher.runtime_dir.write_text("in the way")
    async with pool_of(launcher) as pool:
        refused = await failure_of(ask(pool, served))
        assert f"cannot be made in {launcher.runtime_dir}: File exists." in str(refused)
        assert "choose another runtime_dir" in refused.hint
        launcher.runtime_dir.unlink()
        await until(lambda: not pool.out_of_service())
        assert await ask(pool, served) == "hello"


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for no further file."""
    mounted = tmp_path / "full"
    mounted.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4k,nr_inodes=1", "homebred-test", str(mounted)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting takes a privilege that this user does not have")
    yield mounted
    subprocess.run(["umount", str(mounted)], check=True)


async def test_a_full_disk_is_named(launcher: Launcher, full_disk: Path) -> None:
    launcher.runtime_dir, served = full_disk, model(launcher, "m")
    async with pool_of(launcher) as pool:
        refused = await failure_of(ask(pool, served))
        assert "No space left on device" in str(refused)
        assert refused.hint.startswith("Free space there")


async def test_an_unloaded_models_process_is_gone_when_unloading_returns(launcher: Launcher) -> None:
    served = model(launcher, "m")
    async with pool_of(launcher) as pool, asyncio.TaskGroup() as group:
        running = group.create_task(ask(pool, served, "[echo token_delay_s=0.05]\n" + "a " * 20))
        await until(lambda: pool.is_loaded(served))
        await asyncio.sleep(0.2)
        assert await pool.unload(served)
        assert (await running).split() == ["a"] * 20, "what ran came to its end first"
        with pytest.raises(ProcessLookupError):
            os.kill(launcher.workers[0].pid, 0)
        assert await ask(pool, served) == "hello"


async def failure_of(asking: object) -> api.EngineFailedError:
    with pytest.raises(api.EngineFailedError) as failure:
        await asking  # type: ignore[misc]  # any coroutine will do
    return failure.value


async def test_a_stop_cut_short_kills_at_once(launcher: Launcher) -> None:
    settings = WorkerSettings(engine="echo", runtime_dir=launcher.runtime_dir, stop_deadline_s=BOUND_S)
    worker = EngineProcess(settings)
    await worker.start()
    launcher.workers.append(worker)
    await worker.load(api.LoadOptions(model_path="", model_digest="sha256:0"))
    async with aclosing(worker.generate([api.Message(role="user", content=FREEZE)], api.GenerateOptions())) as events:
        await anext(events)
        with pytest.raises(TimeoutError):  # or the cancellation would come before the freeze
            await asyncio.wait_for(anext(events), 0.5)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await worker.stop()
    async with asyncio.timeout(BOUND_S / 2):
        assert (await worker.exited()).exit_code < 0
