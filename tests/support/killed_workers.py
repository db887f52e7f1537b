"""One daemon whose workers are killed in the middle of streams, again and again, while callers talk to it."""

from __future__ import annotations

import time
from collections.abc import Callable
from random import Random

import grpc
from tests.support.daemon_process import Site
from tests.support.killed_daemons import (
    FIRST_EVENT_WITHIN_S,
    Talk,
    Tally,
    kill,
    seconds_until_no_worker,
    started,
    worker_folders,
    worker_processes,
)
from tests.support.obligations import Heard, check_kept
from tests.support.wire_client import DaemonClient

from homebred_protocol.v1 import control_pb2, control_pb2_grpc
from homebred_protocol.v1 import inference_pb2 as wire

CALLERS = 3
SETTLED_WITHIN_S = 20.0


def kill_workers(
    site: Site, specialist: str, tasks: Callable[[Random], wire.Task], *, kills: int, seed: int, within_s: float
) -> tuple[Tally, list[Heard]]:
    """Kills the worker up to `within_s` after callers heard something of it.

    Raises:
        AssertionError: a caller was left without a clear end, the daemon stopped serving, or something is left over.
    """
    tally, random = Tally(), Random(seed)
    with started(site, tally):
        talk = Talk(site)
        talk.begin(tasks, callers=CALLERS, seed=seed, reconnects=False)
        while tally.kills < kills:
            talk.has_spoken.clear()
            assert talk.has_spoken.wait(FIRST_EVENT_WITHIN_S), site.log
            time.sleep(random.uniform(0, within_s))
            for worker in worker_processes(site):
                kill(worker)
                tally.kills += 1
            revive(site, specialist)
        talk.is_over.set()
        heard = talk.end()
        for each in heard:
            assert each.is_clear, each
        tally.tasks = len(heard)
        tally.cut_short = sum("error" in each.outcomes for each in heard)
        wait_until_settled(site)
        tally.unfinished = check_kept(site.state / "ledger.sqlite", heard)
        assert not tally.unfinished, "the daemon lived on, and knows what became of every task"
    tally.workers_gone_s = seconds_until_no_worker(site)
    return tally, heard


def revive(site: Site, specialist: str) -> None:
    """Gives a model another chance that was given up after so many deaths; a daemon that gives none up need not."""
    with grpc.insecure_channel(f"unix:{site.socket}") as channel:
        try:
            control_pb2_grpc.ControlStub(channel).LoadModel(control_pb2.LoadModelRequest(specialist_id=specialist))
        except grpc.RpcError as error:
            if error.code() not in {grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.UNAVAILABLE}:
                raise


def wait_until_settled(site: Site) -> None:
    """Until nobody is answered any more, and each folder is a living worker's."""
    deadline_s = time.monotonic() + SETTLED_WITHIN_S
    with DaemonClient(site.socket) as client:
        while True:
            status = client.status()
            is_settled = not status.streams and len(worker_folders(site)) == len(worker_processes(site)) <= 1
            if is_settled:
                return
            assert time.monotonic() < deadline_s, (status, worker_folders(site), worker_processes(site))
            time.sleep(0.05)
