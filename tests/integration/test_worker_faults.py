"""The worker pool over real echo workers that load slowly, crash, and freeze."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
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
from homebred_engines import api

BOUND_S = 20.0
STOP_DEADLINE_S = 0.5
FREEZE = "[echo freeze_after=1]\na b"
ROOM = Room(max_models=1, slots=2, threads=1, load_timeout_s=BOUND_S, memory_budget_bytes=0)


@dataclass(slots=True)
class Launcher:
    """Starts real workers and keeps count."""

    runtime_dir: Path
    workers: list[EngineProcess]

    async def start(self, engine: str) -> EngineProcess:
        settings = WorkerSettings(engine=engine, runtime_dir=self.runtime_dir, stop_deadline_s=STOP_DEADLINE_S)
        worker = EngineProcess(settings)
        await worker.start()
        self.workers.append(worker)
        return worker


@pytest.fixture
def launcher() -> Iterator[Launcher]:
    with tempfile.TemporaryDirectory(prefix="hb") as name:  # short: a socket's path is bounded
        launcher = Launcher(Path(name) / "run", [])
        yield launcher
        assert list(launcher.runtime_dir.iterdir()) == [], "each worker's folder is gone"
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
        assert await ask(pool, served) == "hello"
        assert "SIGKILL" in str(await held), "who waited for it hears what became of it"
    assert len(launcher.workers) == 2


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
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await worker.stop()
    async with asyncio.timeout(BOUND_S / 2):
        assert (await worker.exited()).exit_code < 0
