"""A model that takes its time to start, on the stand-in: heard of all along, and given up without a trace."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.support.checkpoints import write_checkpoint
from tests.support.stand_in_package import FREE_DEVICE_BYTES, tensorrt_llm_facts, write_interpreter, write_stand_in

from homebred_daemon.adapters.engine_process import EngineProcess
from homebred_daemon.adapters.worker_child import WorkerSettings
from homebred_engines.api import (
    EngineFailedError,
    GenerateOptions,
    InvalidRequestError,
    LoadOptions,
    Message,
    ModelRefusedError,
    UnsupportedOptionError,
    WorkerStats,
)

QUESTION = [Message(role="user", content="word " * 1500)]


@asynccontextmanager
async def worker_of(tmp_path: Path, *, start_s: float) -> AsyncIterator[EngineProcess]:
    stand_in = write_stand_in(tmp_path / "stand-in", tensorrt_llm_facts())
    interpreter = write_interpreter(tmp_path, stand_in, start_s=start_s)
    settings = WorkerSettings(engine="trtllm", runtime_dir=tmp_path / "run", interpreter=interpreter)
    async with EngineProcess(settings) as worker:
        yield worker


def options(tmp_path: Path, name: str = "model", **load: Any) -> LoadOptions:
    folder = tmp_path / name
    if not folder.exists():
        write_checkpoint(folder)
    return LoadOptions(model_path=str(folder), model_digest=f"sha256:{name}", **load)


async def until(worker: EngineProcess, condition: Callable[[WorkerStats], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition(await worker.describe()):  # noqa: ASYNC110 - it happens in another process
            await asyncio.sleep(0.02)


async def test_a_slow_start_is_progress_and_not_silence(tmp_path: Path) -> None:
    async with worker_of(tmp_path, start_s=2.5) as worker:
        heard: list[float] = []
        await worker.load(options(tmp_path), heard.append)
        on_the_way = [step for step in heard if 0.05 < step < 0.95]
        assert len(on_the_way) >= 3
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


async def test_the_steps_that_read_a_prompt_move_progress(tmp_path: Path) -> None:
    async with worker_of(tmp_path, start_s=0) as worker:
        await worker.load(options(tmp_path, context_tokens=4096, slots=1))
        before = (await worker.describe()).progress
        async with aclosing(worker.generate(QUESTION, GenerateOptions())) as events:
            first = asyncio.get_running_loop().create_task(anext(events))
            await until(worker, lambda stats: stats.progress > before)
            assert not first.done()
            await first


async def test_a_model_beyond_budget_device_training_or_library_is_refused(tmp_path: Path) -> None:
    async with worker_of(tmp_path, start_s=0) as worker:
        with pytest.raises(ModelRefusedError, match="MB may be used"):
            await worker.load(options(tmp_path, memory_budget_bytes=1000))
        write_checkpoint(tmp_path / "huge", num_hidden_layers=FREE_DEVICE_BYTES // 1_000_000)
        with pytest.raises(ModelRefusedError, match="8000 MB may be used"):
            await worker.load(options(tmp_path, "huge", memory_budget_bytes=1 << 60))
        with pytest.raises(InvalidRequestError, match="trained for 8192"):
            await worker.load(options(tmp_path, context_tokens=8193))
        with pytest.raises(UnsupportedOptionError, match="no embeddings"):
            await worker.load(options(tmp_path, embeddings=True))


async def test_a_worker_without_the_package_says_so_and_what_to_set(tmp_path: Path) -> None:
    settings = WorkerSettings(engine="trtllm", runtime_dir=tmp_path / "run")
    with pytest.raises(EngineFailedError) as failure:
        await EngineProcess(settings).start()
    assert "tensorrt_llm is not installed" in failure.value.last_lines
    assert "engine.python" in failure.value.last_lines
