"""Worker processes for the conformance suite: one shared for each engine, and fresh ones."""

from __future__ import annotations

import asyncio
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio
from tests.conformance.engine_bench import (
    ECHO,
    EDGELLM_MODEL,
    EDGELLM_PYTHON,
    EDGELLM_REAL,
    EDGELLM_STAND_IN,
    SERVED_TINY,
    SMOLLM2,
    SMOLLM2_GGUF,
    TINY,
    TRTLLM_MODEL,
    TRTLLM_PYTHON,
    TRTLLM_REAL,
    TRTLLM_STAND_IN,
    Bench,
    Candidate,
    StartBench,
    load_options,
)

from homebred_daemon.adapters.engine_process import EngineProcess
from homebred_daemon.adapters.worker_child import WorkerSettings

_of_a_real_model = pytest.mark.thorough("a real model takes its time, and the tiny one is the same engine")
_needs_smollm2 = pytest.mark.skipif(
    not SMOLLM2_GGUF.exists(), reason=f"{SMOLLM2_GGUF.name} is absent: HOMEBRED_SMOLLM2_GGUF may name it"
)


def _why_not(package: str, python: Path, model: Path, variables: str) -> str:
    """Empty: it imports, and there is a model for it."""
    try:
        tried = subprocess.run(
            [str(python), "-c", f"import {package}"], capture_output=True, text=True, check=False, timeout=300
        )
    except OSError as error:
        return f"{python} cannot be started: {error.strerror}"
    if tried.returncode:
        words = (tried.stderr.strip().splitlines() or ["it says nothing"])[-1]
        return f"{package} does not import here ({variables}_PYTHON may name where): {words}"
    return "" if model.is_dir() else f"{variables}_MODEL names no folder"


_no_trtllm = _why_not("tensorrt_llm", TRTLLM_PYTHON, TRTLLM_MODEL, "HOMEBRED_TRTLLM")
_no_edgellm = _why_not("tensorrt_edgellm", EDGELLM_PYTHON, EDGELLM_MODEL, "HOMEBRED_EDGELLM")
CANDIDATES = [
    pytest.param(ECHO, id=ECHO.name),
    pytest.param(TINY, id=TINY.name),
    pytest.param(SERVED_TINY, id=SERVED_TINY.name),
    pytest.param(SMOLLM2, id=SMOLLM2.name, marks=[pytest.mark.slow, _of_a_real_model, _needs_smollm2]),
    pytest.param(TRTLLM_STAND_IN, id=TRTLLM_STAND_IN.name),
    pytest.param(
        TRTLLM_REAL,
        id=TRTLLM_REAL.name,
        marks=[pytest.mark.slow, pytest.mark.skipif(bool(_no_trtllm), reason=_no_trtllm)],
    ),
    pytest.param(EDGELLM_STAND_IN, id=EDGELLM_STAND_IN.name),
    pytest.param(
        EDGELLM_REAL,
        id=EDGELLM_REAL.name,
        marks=[pytest.mark.slow, pytest.mark.skipif(bool(_no_edgellm), reason=_no_edgellm)],
    ),
]


@pytest.fixture(params=CANDIDATES)
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
                model = candidate.model(folder, candidate.context_tokens)
                path = await asyncio.to_thread(stack.enter_context, model)
                settings = WorkerSettings(
                    engine=candidate.engine,
                    runtime_dir=folder,
                    interpreter=await asyncio.to_thread(candidate.make_interpreter, folder),
                    queue_limit=queue_limit,
                )
                worker = await stack.enter_async_context(EngineProcess(settings))
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
