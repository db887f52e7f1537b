"""Adapters that come and go on the real llama.cpp, where memory is scarce and readers are slow."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.tiny_gguf import write_tiny_adapter, write_tiny_gguf

from homebred_engines import api
from homebred_engines.llamacpp import LlamaCppEngine
from homebred_engines.llamacpp_plan import plan_load
from homebred_engines.llamacpp_server import LlamaServer

DIGEST = "sha256:" + "0" * 64
LONG = api.GenerateOptions(temperature=0, max_tokens=100)

OPEN_AND_CLOSE = """
import sys
from homebred_engines.api import LoadOptions
from homebred_engines.llamacpp_plan import plan_load
from homebred_engines.llamacpp_server import LlamaServer

for embeddings in (False, True):
    plan = plan_load(LoadOptions(model_path=sys.argv[1], model_digest="d", context_tokens=256, embeddings=embeddings))
    for _ in range(20):
        LlamaServer(plan.options).close()
"""
"""A process of its own can be ended when it hangs."""


def adapters(folder: Path, count: int) -> list[api.Adapter]:
    return [
        api.Adapter(digest=f"sha256:{seed}", path=str(write_tiny_adapter(folder / f"{seed}.gguf", seed=seed)))
        for seed in range(1, count + 1)
    ]


@asynccontextmanager
async def loaded(folder: Path, *, servers: float, context_tokens: int = 256) -> AsyncIterator[LlamaCppEngine]:
    """With memory for so many servers at once."""
    options = api.LoadOptions(
        model_path=str(write_tiny_gguf(folder / "base.gguf")),
        model_digest=DIGEST,
        context_tokens=context_tokens,
        slots=2,
        threads=1,
    )
    plan = plan_load(options)
    budget_bytes = plan.facts.file_bytes + int(servers * (plan.own_bytes + 20_000))
    engine = LlamaCppEngine()
    async for _ in engine.load(replace(options, memory_budget_bytes=budget_bytes)):
        pass
    try:
        yield engine
    finally:
        await engine.unload()


def generating(
    engine: LlamaCppEngine, options: api.GenerateOptions = LONG
) -> aclosing[AsyncGenerator[api.Event, None]]:
    return aclosing(engine.generate([api.Message(role="user", content="go on")], options))


async def _set(engine: LlamaCppEngine, *adapters: api.Adapter) -> None:
    async for _ in engine.set_adapters(adapters):
        pass


async def _said(engine: LlamaCppEngine) -> str:
    short = api.GenerateOptions(temperature=0, max_tokens=2)
    async with generating(engine, short) as events:
        return "".join([getattr(event, "text", "") async for event in events])


def test_a_model_that_nobody_asked_anything_is_freed_as_well(tmp_path: Path) -> None:
    write_tiny_gguf(tmp_path / "base.gguf")
    subprocess.run(
        [sys.executable, "-c", OPEN_AND_CLOSE, str(tmp_path / "base.gguf")], check=True, timeout=60, capture_output=True
    )


async def test_who_does_not_read_holds_up_no_swap(tmp_path: Path) -> None:
    (adapter,) = adapters(tmp_path, 1)
    async with loaded(tmp_path, servers=1) as engine, generating(engine) as unread:
        await anext(unread)
        await asyncio.wait_for(_set(engine, adapter), 10)
        assert engine.stats().adapters == (adapter.digest,)
        rest = [event async for event in unread]
        assert isinstance(rest[-1], api.Finished)
        assert rest[-1].reason is not api.FinishReason.CANCELLED


async def test_who_does_not_read_holds_up_no_unload(tmp_path: Path) -> None:
    async with loaded(tmp_path, servers=1) as engine, generating(engine) as unread:
        await anext(unread)
        await asyncio.wait_for(engine.unload(), 10)


async def test_a_swap_that_keeps_others_waiting_is_seen_to_move(tmp_path: Path) -> None:
    (adapter,) = adapters(tmp_path, 1)
    is_read = threading.Event()
    async with loaded(tmp_path, servers=1) as engine, aclosing(engine.set_adapters([adapter])) as steps:
        try:
            assert [await anext(steps), await anext(steps)] == [0.0, 0.05]
            engine._loader.submit(is_read.wait, 10)  # as from a slow disk
            before = engine.progress()
            assert 0.05 <= await anext(steps) < 1
            assert engine.progress() > before
        finally:
            is_read.set()
        assert [step async for step in steps][-1] == 1


@pytest.mark.thorough("half a minute of loading; the other swaps go through every time")
async def test_no_more_servers_stand_than_memory_holds(tmp_path: Path) -> None:
    first, second = adapters(tmp_path, 2)
    endless = api.GenerateOptions(temperature=0, max_tokens=6000)
    async with loaded(tmp_path, servers=2, context_tokens=8192) as engine, AsyncExitStack() as stack:
        for adapter in (first, second):
            stream = await stack.enter_async_context(generating(engine, endless))
            await anext(stream)
            await _set(engine, adapter)
            standing = [each for each in gc.get_objects() if isinstance(each, LlamaServer) and each._server is not None]
            assert len(standing) <= 2
