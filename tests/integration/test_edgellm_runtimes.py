"""What becomes of TensorRT Edge-LLM's runtimes, on the stand-in: slow, given up, exchanged where memory holds one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.edgellm_bundles import BUILD, write_adapter, write_bundle
from tests.support.stand_in_package import tensorrt_edgellm_facts, write_interpreter, write_stand_in

from homebred_daemon.adapters.engine_process import EngineProcess
from homebred_daemon.adapters.worker_child import WorkerSettings
from homebred_engines.api import (
    Adapter,
    Delta,
    EngineFailedError,
    Finished,
    FinishReason,
    GenerateOptions,
    InvalidRequestError,
    LoadOptions,
    Message,
    ModelRefusedError,
)
from homebred_engines.edgellm_plan import plan_load

QUESTION = [Message(role="user", content="word " * 300)]


@asynccontextmanager
async def worker_of(tmp_path: Path, *, start_s: float = 0) -> AsyncIterator[EngineProcess]:
    stand_in = write_stand_in(tmp_path / "stand-in", tensorrt_edgellm_facts())
    interpreter = write_interpreter(tmp_path, stand_in, start_s=start_s)
    settings = WorkerSettings(engine="edgellm", runtime_dir=tmp_path / "run", interpreter=interpreter)
    async with EngineProcess(settings) as worker:
        yield worker


def options(tmp_path: Path, name: str = "engine", **load: Any) -> LoadOptions:
    folder = tmp_path / name
    if not folder.exists():
        write_bundle(folder)
    return LoadOptions(model_path=str(folder), model_digest=f"sha256:{name}", **load)


def for_one(tmp_path: Path, *adapters: Adapter) -> LoadOptions:
    """With memory for one runtime and its adapters, and for no second one."""
    asked = options(tmp_path, adapters=adapters)
    needed = plan_load(asked, gpu_architecture="sm_87", engine_version="0.11.0").needed_bytes
    return replace(asked, memory_budget_bytes=needed + needed // 2)


def adapter(tmp_path: Path, name: str, *, is_broken: bool = False) -> Adapter:
    path = write_adapter(tmp_path / f"{name}.safetensors", "" if is_broken else name)
    return Adapter(digest=f"sha256:{name}", path=str(path))


async def text_of(worker: EngineProcess, options: GenerateOptions) -> str:
    events = [event async for event in worker.generate(QUESTION, options)]
    assert isinstance(events[-1], Finished)
    return "".join(event.text for event in events if isinstance(event, Delta))


def greedy(adapter: Adapter | None, max_tokens: int = 2) -> GenerateOptions:
    return GenerateOptions(temperature=0, max_tokens=max_tokens, adapter=adapter.digest if adapter else "")


def runtimes_of(worker: EngineProcess) -> list[int]:
    """Processes that the worker has started."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended
            parent = status.read_text().rpartition(")")[2].split()[1]
            found += [int(status.parent.name)] if int(parent) == worker.pid else []
    return found


async def test_a_slow_start_is_progress_and_not_silence(tmp_path: Path) -> None:
    async with worker_of(tmp_path, start_s=2.5) as worker:
        heard: list[float] = []
        await worker.load(options(tmp_path), heard.append)
        assert len([step for step in heard if 0.05 < step < 0.95]) >= 3
        assert heard == sorted(heard)
        assert heard[-1] == 1.0


async def test_a_load_that_is_given_up_is_freed_before_the_next_one(tmp_path: Path) -> None:
    async with worker_of(tmp_path, start_s=1.5) as worker:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await worker.load(options(tmp_path))
        assert (await worker.describe()).engine.model_digest == ""
        stats = await worker.load(options(tmp_path, "another"))
        assert stats.engine.model_digest == "sha256:another"


async def test_without_room_for_two_the_old_runtime_drains_first_and_newcomers_wait(tmp_path: Path) -> None:
    first, second = adapter(tmp_path, "first"), adapter(tmp_path, "second")
    async with worker_of(tmp_path, start_s=1) as worker:
        await worker.load(for_one(tmp_path, first))
        running = worker.generate(QUESTION, greedy(first, max_tokens=200))
        begun = await anext(running)
        async with asyncio.TaskGroup() as group:
            swapping = group.create_task(worker.set_adapters([second]))
            rest = [event async for event in running]
            assert not swapping.done()
            newcomer = group.create_task(text_of(worker, greedy(None)))
        assert isinstance(begun, Delta)
        assert begun.text.startswith("first ")
        assert isinstance(rest[-1], Finished)
        assert (rest[-1].reason, rest[-1].usage.completion_tokens) == (FinishReason.LENGTH, 200)
        assert newcomer.result() == "word word "
        assert (await worker.describe()).engine.adapters == (second.digest,)
        assert await text_of(worker, greedy(second)) == "second word "


@pytest.mark.parametrize("rooms", [1, 2])
async def test_an_adapter_that_the_runtime_does_not_take_leaves_the_old_ones(tmp_path: Path, rooms: int) -> None:
    first, broken = adapter(tmp_path, "first"), adapter(tmp_path, "broken", is_broken=True)
    async with worker_of(tmp_path) as worker:
        await worker.load(for_one(tmp_path, first) if rooms == 1 else options(tmp_path, adapters=(first,)))
        with pytest.raises(EngineFailedError, match="loading the engine"):
            await worker.set_adapters([broken])
        assert (await worker.describe()).engine.adapters == (first.digest,)
        assert await text_of(worker, greedy(first)) == "first word "


async def test_unloading_while_adapters_are_set_leaves_nothing(tmp_path: Path) -> None:
    first, second = adapter(tmp_path, "first"), adapter(tmp_path, "second")
    async with worker_of(tmp_path, start_s=1) as worker:
        await worker.load(options(tmp_path, adapters=(first,)))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await worker.set_adapters([second])
        await worker.unload()
        assert (await worker.describe()).engine.adapters == ()
        await worker.load(options(tmp_path, "another"))
        assert await text_of(worker, greedy(None)) == "word word "


async def test_streams_go_on_while_a_second_runtime_is_loaded(tmp_path: Path) -> None:
    """Which holds Python's lock in its own process all the while; in the worker it would stop everything."""
    first, second = adapter(tmp_path, "first"), adapter(tmp_path, "second")
    async with worker_of(tmp_path, start_s=1.5) as worker:
        await worker.load(options(tmp_path, adapters=(first,)))
        running = worker.generate(QUESTION, greedy(first, max_tokens=300))
        await anext(running)
        async with asyncio.TaskGroup() as group:
            swapping = group.create_task(worker.set_adapters([second]))
            rest = [event async for event in running]
            assert not swapping.done(), "the stream ended while the second runtime was being loaded"
        assert isinstance(rest[-1], Finished)
        assert rest[-1].usage.completion_tokens == 300


async def test_a_worker_whose_runtime_is_killed_ends_and_its_stream_hears_of_it(tmp_path: Path) -> None:
    async with worker_of(tmp_path) as worker:
        await worker.load(options(tmp_path))
        running = worker.generate(QUESTION, GenerateOptions(temperature=0))
        await anext(running)
        children = await asyncio.to_thread(runtimes_of, worker)
        assert len(children) == 1
        os.kill(children[0], signal.SIGKILL)
        with pytest.raises(EngineFailedError):
            async for _ in running:
                pass


async def test_a_runtime_ends_with_its_worker(tmp_path: Path) -> None:
    async with worker_of(tmp_path) as worker:
        await worker.load(options(tmp_path))
        (child,) = await asyncio.to_thread(runtimes_of, worker)
    async with asyncio.timeout(10):
        while await asyncio.to_thread(Path(f"/proc/{child}/cmdline").exists):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)


async def test_an_engine_for_another_gpu_version_budget_or_batch_is_refused_before_loading(tmp_path: Path) -> None:
    async with worker_of(tmp_path) as worker:
        write_bundle(tmp_path / "thor", build=replace(BUILD, gpu_architecture="sm_110"))
        with pytest.raises(ModelRefusedError, match="sm_110") as refusal:
            await worker.load(options(tmp_path, "thor"))
        assert "homebred engines build" in refusal.value.hint
        write_bundle(tmp_path / "older", build=replace(BUILD, engine_version="0.10.0"))
        with pytest.raises(ModelRefusedError, match=r"0\.11\.0 is installed"):
            await worker.load(options(tmp_path, "older"))
        with pytest.raises(ModelRefusedError, match="MB may be used"):
            await worker.load(options(tmp_path, memory_budget_bytes=1000))
        with pytest.raises(InvalidRequestError, match="built for 4 of 2048"):
            await worker.load(options(tmp_path, slots=8))
        assert (await worker.load(options(tmp_path))).engine.slots == 4


async def test_a_worker_without_the_package_says_so_and_what_to_set(tmp_path: Path) -> None:
    settings = WorkerSettings(engine="edgellm", runtime_dir=tmp_path / "run")
    with pytest.raises(EngineFailedError) as failure:
        await EngineProcess(settings).start()
    assert "tensorrt_edgellm is not installed" in failure.value.last_lines
    assert "engine.python" in failure.value.last_lines
