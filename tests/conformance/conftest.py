"""Worker processes for the conformance suite: one shared for each engine, and fresh ones."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio
from tests.conformance.engine_bench import ECHO, SMOLLM2, SMOLLM2_GGUF, TINY, Bench, Candidate, StartBench, load_options

from homebred_daemon.adapters.engine_process import EngineProcess
from homebred_daemon.adapters.worker_child import WorkerSettings

_needs_smollm2 = pytest.mark.skipif(
    not SMOLLM2_GGUF.exists(), reason=f"{SMOLLM2_GGUF.name} is absent: HOMEBRED_SMOLLM2_GGUF may name it"
)


@pytest.fixture(
    params=[
        pytest.param(ECHO, id=ECHO.name),
        pytest.param(TINY, id=TINY.name),
        pytest.param(SMOLLM2, id=SMOLLM2.name, marks=[pytest.mark.slow, _needs_smollm2]),
    ]
)
def candidate(request: pytest.FixtureRequest) -> Candidate:
    chosen: Candidate = request.param
    return chosen


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def start_bench() -> AsyncIterator[StartBench]:
    """Starts a fresh worker; `loaded` says whether with the model in it."""
    with tempfile.TemporaryDirectory(prefix="hb") as name:
        async with AsyncExitStack() as stack:

            async def start(
                candidate: Candidate, *, loaded: bool = True, slots: int = 2, queue_limit: int = 8
            ) -> Bench:
                folder = Path(tempfile.mkdtemp(dir=name))
                path = await asyncio.to_thread(candidate.write_model, folder)
                worker = await stack.enter_async_context(
                    EngineProcess(WorkerSettings(engine=candidate.engine, runtime_dir=folder, queue_limit=queue_limit))
                )
                options = load_options(candidate, path, slots=slots)
                if loaded:
                    await worker.load(options)
                return Bench(candidate=candidate, worker=worker, load_options=options)

            yield start


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def shared_benches(start_bench: StartBench) -> Callable[[Candidate], Awaitable[Bench]]:
    """One loaded worker for each candidate, for tests that leave it as they found it."""
    started: dict[str, Bench] = {}

    async def bench_of(candidate: Candidate) -> Bench:
        if candidate.name not in started:
            started[candidate.name] = await start_bench(candidate)
        return started[candidate.name]

    return bench_of


@pytest_asyncio.fixture(loop_scope="module")
async def bench(candidate: Candidate, shared_benches: Callable[[Candidate], Awaitable[Bench]]) -> Bench:
    return await shared_benches(candidate)
