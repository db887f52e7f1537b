"""Callers of a real daemon that do not read, stop, vanish or hang up halfway: the others never notice."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
from tests.support.daemon_process import Site
from tests.support.metrics_reader import exchanged, figure, figures, text_of
from tests.support.wire_client import DaemonClient

from homebred_protocol.v1 import inference_pb2 as wire
from homebred_protocol.v1 import inference_pb2_grpc

UNREAD_S = 1.5
LATEST_S = UNREAD_S + 4
"""The bound, the grace, the relay's next look, and a busy machine."""
MUCH = ("x" * 100 + " ") * 600
"""An answer that those clients have no room for before it is read."""
SMALL_WINDOW = (
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", 8192),
    ("grpc.use_local_subchannel_pool", 1),
)
"""Keeps the room that a client makes small, and gives each channel a connection of its own."""

VANISHING = """
import sys, time, grpc
from homebred_protocol.v1 import inference_pb2 as wire, inference_pb2_grpc
small_window = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 8192)]
channel = grpc.insecure_channel("unix:" + sys.argv[1], options=small_window)
stub = inference_pb2_grpc.InferenceStub(channel)
task = wire.Task(text=sys.stdin.read(), workflow="much", data_classes=["patient"])
streams = [stub.Generate(wire.GenerateRequest(task=task)) for _ in range(int(sys.argv[2]))]
for stream in streams:
    next(stream)
print("asked", flush=True)
time.sleep(600)
"""


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    site.add_echo("wordy", workflow="much")
    site.add_echo("slow", workflow="drip", script={"token_delay_s": 0.1})
    (tmp_path / "homebred.toml").write_text(
        f"[requests]\nunread_timeout_s = {UNREAD_S}\nmax_streams = 64\n[engine]\nslots = 64\n"
        f'[metrics]\nsocket = "{tmp_path / "metrics.sock"}"\n'
    )
    return site


@contextmanager
def running(site: Site) -> Iterator[DaemonClient]:
    with site.daemon("--config", str(site.folder / "homebred.toml")) as client:
        yield client


@contextmanager
def channel(site: Site) -> Iterator[inference_pb2_grpc.InferenceStub]:
    with grpc.insecure_channel(f"unix:{site.socket}", options=SMALL_WINDOW) as opened:
        yield inference_pb2_grpc.InferenceStub(opened)


def request(workflow: str, text: str) -> wire.GenerateRequest:
    return wire.GenerateRequest(task=wire.Task(text=text, workflow=workflow, data_classes=["patient"]))


def unread(stub: inference_pb2_grpc.InferenceStub, number: int = 1) -> list[Any]:
    """Streams of which only the first event is read."""
    streams = [stub.Generate(request("much", MUCH)) for _ in range(number)]
    for stream in streams:
        next(stream)
    return streams


def until(holds: Callable[[], bool], within_s: float = LATEST_S) -> float:
    """Waits for it; how long that took, seconds."""
    started_s = time.monotonic()
    while not holds():
        assert time.monotonic() - started_s < within_s, "it did not come to hold in time"
        time.sleep(0.02)
    return time.monotonic() - started_s


def idle(client: DaemonClient) -> bool:
    status = client.status()
    return not status.streams and not any(worker.running for worker in status.workers)


def outcomes(site: Site) -> list[str]:
    with sqlite3.connect(site.state / "ledger.sqlite") as ledger:
        return sorted(code or "answered" for (code,) in ledger.execute("SELECT error_code FROM outcomes"))


def words(text: str, stub: inference_pb2_grpc.InferenceStub) -> str:
    return "".join(event.delta for event in stub.Generate(request("drip", text)))


def test_who_does_not_read_is_dropped_and_the_same_connections_other_streams_go_on(site: Site) -> None:
    text = "word " * 80
    with running(site) as client, channel(site) as stub, ThreadPoolExecutor(1) as threads:
        dripping = threads.submit(words, text, stub)
        streams = unread(stub, 10)
        assert client.status().streams == 11
        until(lambda: client.status().streams == 1)
        assert sum(worker.running for worker in client.status().workers) == 1
        for stream in streams:
            with pytest.raises(grpc.RpcError) as ended:
                list(stream)
            assert ended.value.code() in (grpc.StatusCode.CANCELLED, grpc.StatusCode.ABORTED)
        assert dripping.result(30) == text
        assert client.status().version
        found = figures(text_of(exchanged(site.folder / "metrics.sock")))
    assert figure(found, "homebred_callers_unread_total") == 10
    assert figure(found, "homebred_tasks_total", status="error") == 10
    assert outcomes(site) == ["answered", *["unread"] * 10]
    assert "defect" not in site.log
    assert "Traceback" not in site.log


def test_who_reads_again_in_time_gets_the_whole_answer(site: Site) -> None:
    with running(site), channel(site) as stub:
        (stream,) = unread(stub)
        time.sleep(UNREAD_S / 2)
        text = "".join(event.delta for event in stream)
    assert text == MUCH
    assert outcomes(site) == ["answered"]


@pytest.mark.slow
@pytest.mark.thorough("it takes half a minute to show that nothing grows")
def test_any_number_of_callers_that_do_not_read_leave_nothing_behind(site: Site) -> None:
    with running(site) as client:
        resident = []
        for _ in range(8):
            with ExitStack() as stack:
                stubs = [stack.enter_context(channel(site)) for _ in range(4)]
                streams = [stream for stub in stubs for stream in unread(stub, 16)]
                until(lambda: idle(client), LATEST_S + 10)
                assert len(streams) == 64
            resident.append(client.status().resident_bytes)
        # One round says little: the allocator keeps up to 3 MB more after some. One leaked answer a stream is 15 MB.
        assert max(resident[5:]) - max(resident[1:4]) < 4 << 20, resident
    assert outcomes(site) == ["unread"] * 8 * 64


@contextmanager
def another_process(site: Site, streams: int) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", VANISHING, str(site.socket), str(streams)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(MUCH)
        process.stdin.close()
        assert process.stdout.readline() == "asked\n"
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def test_a_killed_caller_frees_its_slots_at_once(site: Site) -> None:
    with running(site) as client, another_process(site, 8) as process:
        assert client.status().streams == 8
        process.kill()
        assert until(lambda: idle(client)) < UNREAD_S
    assert outcomes(site) == ["cancelled"] * 8


def test_a_stopped_caller_is_dropped(site: Site) -> None:
    with running(site) as client, channel(site) as stub:
        words("one", stub)
        list(*unread(stub))  # both workers are up
        before = descriptors(site)
        with another_process(site, 8) as process:
            os.kill(process.pid, signal.SIGSTOP)
            until(lambda: idle(client))
        until(lambda: descriptors(site) <= before)
    assert outcomes(site) == ["answered", "answered", *["unread"] * 8]


def descriptors(site: Site) -> int:
    assert site.process is not None
    return len(list(Path(f"/proc/{site.process.pid}/fd").iterdir()))


@contextmanager
def passed_on(site: Site) -> Iterator[tuple[Path, list[socket.socket]]]:
    """A path whose one connection is passed on to the daemon; with it, the end that the daemon sees."""
    path, ends = site.folder / "middle", list[socket.socket]()
    with socket.socket(socket.AF_UNIX) as listener, ThreadPoolExecutor(3) as threads:
        listener.bind(str(path))
        listener.listen()

        def accept() -> None:
            client, _ = listener.accept()
            daemon = socket.socket(socket.AF_UNIX)
            daemon.connect(str(site.socket))
            ends.extend((daemon, client))
            threads.submit(pump, client, daemon)
            threads.submit(pump, daemon, client)

        threads.submit(accept)
        yield path, ends
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


def pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)


def test_a_caller_that_hangs_up_halfway_has_left(site: Site) -> None:
    with (
        running(site) as client,
        passed_on(site) as (path, ends),
        grpc.insecure_channel(f"unix:{path}", options=SMALL_WINDOW) as opened,
    ):
        stream = inference_pb2_grpc.InferenceStub(opened).Generate(request("drip", "word " * 400))
        next(stream)
        ends[0].shutdown(socket.SHUT_WR)
        assert until(lambda: idle(client)) < UNREAD_S
        with pytest.raises(grpc.RpcError):
            list(stream)
    assert outcomes(site) == ["cancelled"]
