"""Measures what gRPC costs without a model: a Route call, and messages streamed from the echo engine."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tests.bench.daemons import CONTEXT_TOKENS, Home, public_task, running_daemon, temporary_home
from tests.bench.figures import Aim, Bench, Conditions, Found, median_percentile

from homebred_daemon.adapters.engine_process import EngineProcess
from homebred_daemon.adapters.worker_child import WorkerSettings
from homebred_engines import api
from homebred_protocol.client import Client, Task

TEXT = "Please move the appointment on Tuesday to the afternoon and tell the front desk."
WORDS = "again and " * 750
STREAMS = (1, 4)


def _route(conditions: Conditions) -> Mapping[str, Found]:
    rounds, calls = conditions.rounds(7, 3), 200
    task = Task(TEXT, data_classes=("public",))
    route_ms: list[list[float]] = []
    health_ms: list[list[float]] = []
    with (
        _echo_daemon() as (_, socket),
        Client(socket) as client,
        grpc.insecure_channel(f"unix:{socket}") as other,
    ):
        health = health_pb2_grpc.HealthStub(other)
        check = health_pb2.HealthCheckRequest()
        for _ in range(calls):
            client.route(task)
            health.Check(check)
        for _ in range(rounds):
            route_ms.append([_taken_ms(lambda: client.route(task)) for _ in range(calls)])
            health_ms.append([_taken_ms(lambda: health.Check(check)) for _ in range(calls)])
    note = (
        f"one Route call after another from a synchronous client on the socket; median over {rounds} rounds of {calls};"
        " reference: the same with the library's own health check"
    )
    return {
        f"grpc.route_p{percent}_ms": Found(
            value=median_percentile(route_ms, percent), reference=median_percentile(health_ms, percent), note=note
        )
        for percent in (50, 99)
    }


def _stream(conditions: Conditions) -> Mapping[str, Found]:
    with _echo_daemon() as (home, socket), Client(socket) as client:
        return asyncio.run(_streamed(home, client, conditions))


async def _streamed(home: Home, client: Client, conditions: Conditions) -> Mapping[str, Found]:
    """Through the daemon and straight from a worker in turn, with one stream and several."""
    through: dict[int, list[float]] = {streams: [] for streams in STREAMS}
    straight: dict[int, list[float]] = {streams: [] for streams in STREAMS}
    rounds = conditions.rounds(7, 3)
    worker_settings = WorkerSettings(engine="echo", runtime_dir=home.folder / "w")
    with ThreadPoolExecutor(max(STREAMS)) as threads:
        async with EngineProcess(worker_settings) as worker:
            await worker.load(api.LoadOptions(model_path="", model_digest="echo", context_tokens=CONTEXT_TOKENS))
            for _ in range(rounds):
                for streams in STREAMS:
                    through[streams].append(await asyncio.to_thread(_through_daemon, client, threads, streams))
                    straight[streams].append(await _straight(worker, streams))
    note = (
        f"deltas of one word of the echo engine, from request to outcome, at one and at {STREAMS[-1]} streams; median"
        f" of {rounds} rounds; reference: straight from a worker, without the daemon"
    )
    return {
        f"grpc.stream_{streams}_per_s": Found(
            value=median(through[streams]), reference=median(straight[streams]), note=note
        )
        for streams in STREAMS
    }


def _through_daemon(client: Client, threads: ThreadPoolExecutor, streams: int) -> float:
    """Messages per second."""

    def deltas(_: int) -> int:
        with client.stream(public_task(WORDS, max_tokens=0)) as events:
            return sum(isinstance(event, str) for event in events)

    started_s = time.perf_counter()
    messages = sum(threads.map(deltas, range(streams)))
    return messages / (time.perf_counter() - started_s)


async def _straight(worker: EngineProcess, streams: int) -> float:
    """Messages per second."""

    async def deltas() -> int:
        asked = worker.generate([api.Message(role="user", content=WORDS)], api.GenerateOptions())
        return sum([isinstance(event, api.Delta) async for event in asked])

    started_s = time.perf_counter()
    messages = sum(await asyncio.gather(*(deltas() for _ in range(streams))))
    return messages / (time.perf_counter() - started_s)


@contextmanager
def _echo_daemon() -> Iterator[tuple[Home, Path]]:
    """A daemon with a generalist on the echo engine, and its socket."""
    with temporary_home() as home:
        model = home.folder / "model.json"
        model.write_text(json.dumps({"format": "homebred-echo"}), encoding="utf-8")
        home.keep_generalist("echo", model)
        with running_daemon(home) as daemon:
            yield home, daemon.socket


def _taken_ms(act: Callable[[], object]) -> float:
    started_s = time.perf_counter()
    act()
    return (time.perf_counter() - started_s) * 1000


ROUTE = Bench(
    name="grpc.route",
    aims=(
        Aim(name="grpc.route_p50_ms", unit="ms", target=2.0),
        Aim(name="grpc.route_p99_ms", unit="ms", target=10.0),
    ),
    run=_route,
)
STREAM = Bench(
    name="grpc.stream",
    aims=tuple(
        Aim(name=f"grpc.stream_{streams}_per_s", unit="msg/s", better="higher", target=5000.0) for streams in STREAMS
    ),
    run=_stream,
)
