"""Sixty-four streams through one daemon for minutes, among them callers that vanish, freeze and never read.

`python -m tests.support.soak --seconds 300` prints the figures. Honest callers are measured first alone, then beside
the bad ones; the daemon's and the worker's memory, descriptors and threads are sampled all the while.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from tests.support.bad_callers import ASKED, POURED
from tests.support.daemon_process import Site
from tests.support.killed_daemons import wait_until_up, worker_processes
from tests.support.obligations import STATUS_WORDS
from tests.support.power_cuts import REPOSITORY
from tests.support.wire_client import DaemonClient

from homebred_protocol.v1 import control_pb2, inference_pb2_grpc
from homebred_protocol.v1 import inference_pb2 as wire

HONEST = 40
BAD = {"vanish": 12, "freeze": 6, "unread": 6}
"""With the honest ones: 64 streams at any time."""
WORDS, TOKEN_DELAY_S = 40, 0.05
SAMPLE_S = 0.5
STATUS_WITHIN_S = 5.0
IDLE_WITHIN_S = 30.0
HERD_WITHIN_S = 60.0
_DOES = {"vanish": "vanish", "freeze": "freeze", "unread": "never read"}
CONFIG = """[requests]
max_streams = 96
unread_timeout_s = 1.0
[engine]
slots = 64
"""
MEGABYTE = 1_000_000


@dataclass(slots=True)
class Served:
    """What honest callers got."""

    ended: list[str] = field(default_factory=list)
    """Outcomes, or codes of errors."""
    first_ms: list[float] = field(default_factory=list)
    gap_ms: list[float] = field(default_factory=list)
    """Between two messages; the engine waits 50 ms of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The processes at one moment."""

    at_s: float
    daemon_mb: float
    workers_mb: float
    descriptors: int
    threads: int
    streams: int
    status_ms: float


@dataclass(slots=True, kw_only=True)
class Report:
    """A soak."""

    seconds: float
    alone: Served
    beside: Served
    samples: list[Sample]
    idle_before: Mapping[str, int]
    """Descriptors, threads and tasks of the daemon before the bad callers came."""
    idle_after: Mapping[str, int]
    bad: Mapping[str, tuple[int, int]]
    """How many there were of each kind, and of how many the daemon ended the call."""

    @property
    def growth_mb(self) -> tuple[float, float]:
        """Median memory of daemon and workers in the last quarter over that in the second."""
        quarter = len(self.samples) // 4
        early, late = self.samples[quarter : 2 * quarter], self.samples[-quarter:]
        return (
            statistics.median(one.daemon_mb for one in late) - statistics.median(one.daemon_mb for one in early),
            statistics.median(one.workers_mb for one in late) - statistics.median(one.workers_mb for one in early),
        )

    def table(self) -> str:
        """For people."""
        rows: list[tuple[str, ...]] = [("", "alone", "beside bad callers")]
        for name, value in (("time to first word", "first_ms"), ("between words", "gap_ms")):
            for share in (0.5, 0.99):
                cells = [f"{quantile(getattr(served, value), share):.1f} ms" for served in (self.alone, self.beside)]
                rows.append((f"{name}, p{share * 100:.0f}", *cells))
        rows.append(("honest streams ended", *(f"{len(served.ended)}" for served in (self.alone, self.beside))))
        failed = (f"{sum(word != 'answer' for word in one.ended)}" for one in (self.alone, self.beside))
        rows.append(("… not with an answer", *failed))
        rows += [
            (f"callers that {_DOES[kind]}", "", f"{number}, {dropped} dropped")
            for kind, (number, dropped) in self.bad.items()
        ]
        rows += [
            (f"{name} when idle", str(self.idle_before[name]), str(self.idle_after[name])) for name in self.idle_before
        ]
        peak = max(sample.daemon_mb for sample in self.samples)
        rows.append(("daemon RSS: peak, growth", "", f"{peak:.1f} MB, {self.growth_mb[0]:+.1f} MB"))
        peak = max(sample.workers_mb for sample in self.samples)
        rows.append(("workers RSS: peak, growth", "", f"{peak:.1f} MB, {self.growth_mb[1]:+.1f} MB"))
        slowest = max(sample.status_ms for sample in self.samples)
        rows.append(("status: calls, slowest", "", f"{len(self.samples)}, {slowest:.0f} ms"))
        return "\n".join(f"{name:28} {one:>12} {two:>22}" for name, one, two in rows)


def quantile(values: list[float], share: float) -> float:
    """The value that this share does not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else float("nan")


def soak(folder: Path, *, seconds: float, kinds: Mapping[str, int]) -> Report:
    """Runs it all; a quarter of the time goes to the honest callers alone."""
    site = Site(folder)
    site.add_echo("repeater", script={"replies": {ASKED: POURED}})
    with _daemon(site) as client:
        asyncio.run(_honest(site.socket, seconds=2, served=Served()))  # the worker is loaded, caches are warm
        alone = Served()
        asyncio.run(_honest(site.socket, seconds=seconds / 4, served=alone))
        idle_before = _idle(site, client)
        beside, samples, over = Served(), list[Sample](), threading.Event()
        sampler = threading.Thread(target=_sample, args=(site, samples, over))
        sampler.start()
        herds = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.support.bad_callers", str(site.socket), kind, *rest],
                cwd=REPOSITORY,
                stdout=subprocess.PIPE,
                text=True,
            )
            for kind, number in kinds.items()
            for rest in [(str(number), str(seconds), "7")]
        ]
        asyncio.run(_honest(site.socket, seconds=seconds, served=beside))
        bad = {kind: _counts(herd) for kind, herd in zip(kinds, herds, strict=True)}
        over.set()
        sampler.join()
        return Report(
            seconds=seconds,
            alone=alone,
            beside=beside,
            samples=samples,
            idle_before=idle_before,
            idle_after=_idle(site, client),
            bad=bad,
        )


def _counts(herd: subprocess.Popen[str]) -> tuple[int, int]:
    begun, dropped = herd.communicate(timeout=HERD_WITHIN_S)[0].split()
    return int(begun), int(dropped)


@contextmanager
def _daemon(site: Site) -> Iterator[DaemonClient]:
    config = site.folder / "homebred.toml"
    config.write_text(CONFIG)
    flags = site.command("--config", str(config))[3:]
    command = [sys.executable, "-m", "tests.support.watched_daemon", str(site.folder / "tasks"), *flags]
    with (site.folder / "log").open("ab") as log:
        site.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=REPOSITORY)
    try:
        wait_until_up(site)
        with DaemonClient(site.socket) as client:
            yield client
    finally:
        site.process.send_signal(signal.SIGTERM)
        site.process.wait(60)


async def _honest(socket: Path, *, seconds: float, served: Served) -> None:
    """Forty callers, one stream after another each."""
    ends_s = time.monotonic() + seconds
    async with grpc.aio.insecure_channel(f"unix:{socket}") as channel, asyncio.TaskGroup() as group:
        stub = inference_pb2_grpc.InferenceStub(channel)
        for number in range(HONEST):
            group.create_task(_caller(stub, number, ends_s, served))


async def _caller(stub: inference_pb2_grpc.InferenceAsyncStub, number: int, ends_s: float, served: Served) -> None:
    await asyncio.sleep(TOKEN_DELAY_S * number / HONEST)
    text = f"[echo token_delay_s={TOKEN_DELAY_S}]\n" + "word " * WORDS
    request = wire.GenerateRequest(task=wire.Task(text=text, data_classes=["patient"]))
    while time.monotonic() < ends_s:
        begun_s, last_s, ended = time.monotonic(), 0.0, ""
        try:
            async for event in stub.Generate(request):
                now_s = time.monotonic()
                if event.WhichOneof("event") == "outcome":
                    ended = STATUS_WORDS[event.outcome.status]
                elif event.WhichOneof("event") == "delta":
                    times = served.gap_ms if last_s else served.first_ms
                    times.append((now_s - (last_s or begun_s)) * 1000)
                    last_s = now_s
        except grpc.aio.AioRpcError as error:
            ended = f"{error.code().name}: {error.details()}"
        served.ended.append(ended)


def _sample(site: Site, samples: list[Sample], over: threading.Event) -> None:
    with DaemonClient(site.socket) as client:
        begun_s = time.monotonic()
        while not over.wait(SAMPLE_S):
            asked_s = time.monotonic()
            status = client.status()
            assert site.process is not None
            samples.append(
                Sample(
                    at_s=asked_s - begun_s,
                    daemon_mb=_rss_mb(site.process.pid),
                    workers_mb=sum(map(_rss_mb, worker_processes(site))),
                    descriptors=_descriptors(site.process.pid),
                    threads=_threads(site.process.pid),
                    streams=status.streams,
                    status_ms=(time.monotonic() - asked_s) * 1000,
                )
            )


def _idle(site: Site, client: DaemonClient) -> dict[str, int]:
    """Waits until nobody is answered, then counts."""
    assert site.process is not None
    deadline_s = time.monotonic() + IDLE_WITHIN_S
    while _is_busy(status := client.status()):
        assert time.monotonic() < deadline_s, f"streams or slots are not freed: {status}"
        time.sleep(0.1)
    time.sleep(1.0)  # connections of those who are gone are closed
    report = site.folder / "tasks"
    report.unlink(missing_ok=True)
    site.process.send_signal(signal.SIGUSR1)
    while not report.exists():
        time.sleep(0.02)
    pid = site.process.pid
    return {"descriptors": _descriptors(pid), "threads": _threads(pid), "tasks": int(report.read_text())}


def _is_busy(status: control_pb2.GetStatusResponse) -> bool:
    return bool(status.streams or any(worker.running or worker.queued for worker in status.workers))


def _rss_mb(pid: int) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return pages * resource.getpagesize() / MEGABYTE


def _descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 - names are enough


def _threads(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/task"))  # noqa: PTH208 - as above


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--kinds", nargs="*", choices=sorted(BAD), default=sorted(BAD))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hb") as name:
        kinds = {kind: BAD[kind] for kind in arguments.kinds}
        report = soak(Path(name), seconds=arguments.seconds, kinds=kinds)
    sys.stdout.write(report.table() + "\n")


if __name__ == "__main__":
    main()
