"""A worker pool over fake workers, and those who ask it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from tests.support.fake_workers import Fleet
from tests.support.manual_clock import ManualClock
from tests.support.recorded_journal import RecordedJournal

from homebred_daemon.ports.engines import Prompt, ServedAdapter, ServedModel
from homebred_daemon.ports.measures import UNMEASURED, Measures
from homebred_daemon.services.engines import WorkerPool
from homebred_daemon.services.loading import Room
from homebred_engines import api


def model(name: str, engine: str = "echo") -> ServedModel:
    return ServedModel(engine=engine, path=name, digest=f"sha256:{name}", context_tokens=512)


def adapter(name: str) -> ServedAdapter:
    return ServedAdapter(digest=name, path=f"/adapters/{name}", size_bytes=1)


def prompt(request_id: str = "r", adapter: ServedAdapter | None = None) -> Prompt:
    messages = (api.Message(role="user", content="hello"),)
    options = api.GenerateOptions()
    return Prompt(request_id=request_id, fairness_key="", messages=messages, options=options, adapter=adapter)


@asynccontextmanager
async def pool_of(
    fleet: Fleet,
    max_models: int = 2,
    clock: ManualClock | None = None,
    journal: RecordedJournal | None = None,
    measures: Measures = UNMEASURED,
    *,
    keep_alive_s: float = 0.0,
    max_adapters: int = 2,
) -> AsyncIterator[WorkerPool]:
    room = Room(
        max_models=max_models,
        slots=2,
        threads=3,
        load_timeout_s=60,
        ram_bytes=1 << 30,
        max_adapters=max_adapters,
        keep_alive_s=keep_alive_s,
    )
    pool = WorkerPool(fleet, clock or ManualClock(), room, journal or RecordedJournal(), measures=measures)
    async with pool.running():
        yield pool


async def ask(pool: WorkerPool, name: str, request_id: str = "r") -> str:
    events = [event async for event in pool.generate(model(name), prompt(request_id))]
    return "".join(event.text for event in events if isinstance(event, api.Delta))


async def asked(pool: WorkerPool, name: str, request_id: str = "r") -> str | Exception:
    """What `ask` answers or fails with."""
    try:
        return await ask(pool, name, request_id)
    except (api.EngineError, OSError) as error:
        return error


async def until(condition: Callable[[], bool]) -> None:
    """Lets others run until it holds."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came to that")


async def settled() -> None:
    """Lets others run as far as they come without time passing."""
    for _ in range(50):
        await asyncio.sleep(0)
