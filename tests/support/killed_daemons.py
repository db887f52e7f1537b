"""A daemon that is killed again and again while callers talk to it, started anew each time and held to what it said."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Protocol

from tests.support.daemon_process import Site
from tests.support.obligations import Heard, check_kept, listen
from tests.support.wire_client import DaemonClient

from homebred_daemon.errors import HomebredError
from homebred_protocol.v1 import inference_pb2 as wire

READY_WITHIN_S = 30.0
WORKERS_GONE_WITHIN_S = 10.0
"""A worker notices at once that its daemon is gone; one that hangs in native code ends itself 5 s later."""
FIRST_EVENT_WITHIN_S = 20.0
PAUSE_AFTER_ERROR_S = 0.02
_POLL_S = 0.01
EXPECTED = "recovered"
"""The one warning of a start after a kill: what was interrupted has its outcome."""


@dataclass(slots=True)
class Tally:
    """What the rounds went through."""

    kills: int = 0
    tasks: int = 0
    cut_short: int = 0
    """Tasks whose caller heard no outcome."""
    unfinished: int = 0
    """Decisions without an outcome in the ledger, at the end."""
    slowest_start_s: float = 0.0
    workers_gone_s: float = 0.0
    """Longest time until no worker of a killed daemon was left."""

    def __add__(self, other: Tally) -> Tally:
        """Of two sites."""
        return Tally(
            self.kills + other.kills,
            self.tasks + other.tasks,
            self.cut_short + other.cut_short,
            self.unfinished + other.unfinished,
            max(self.slowest_start_s, other.slowest_start_s),
            max(self.workers_gone_s, other.workers_gone_s),
        )


@dataclass(slots=True)
class Talk:
    """Callers who talk until the daemon is gone."""

    site: Site
    heard: list[Heard] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)
    has_begun: threading.Event = field(default_factory=threading.Event)
    """Set with the first event that any of them hears; whoever clears it hears of the next."""
    has_spoken: threading.Event = field(default_factory=threading.Event)
    """As `has_begun`, of words of an answer."""
    is_over: threading.Event = field(default_factory=threading.Event)
    """Set: they say no more."""
    _threads: list[threading.Thread] = field(default_factory=list)

    def begin(self, tasks: Callable[[Random], wire.Task], *, callers: int, seed: int, reconnects: bool) -> None:
        """Starts the callers; `reconnects`: each task comes over a connection of its own."""
        for number in range(callers):
            arguments = (tasks, Random(f"{seed}-{number}"), reconnects)
            self._threads.append(threading.Thread(target=self._run, args=arguments))
            self._threads[-1].start()

    def end(self) -> list[Heard]:
        """Waits until all have noticed; what they heard."""
        for thread in self._threads:
            thread.join(READY_WITHIN_S)
            assert not thread.is_alive(), "a caller still waits for a daemon that is gone"
        for failure in self.failures:
            raise failure
        return self.heard

    def _run(self, tasks: Callable[[Random], wire.Task], random: Random, reconnects: bool) -> None:  # noqa: FBT001 - a thread's arguments
        try:
            while self._session(tasks, random, once=reconnects):
                pass
        except BaseException as failure:  # noqa: BLE001  # raised again where the test looks
            self.failures.append(failure)

    def _notice(self, kind: str) -> None:
        self.has_begun.set()
        if kind == "delta":
            self.has_spoken.set()

    def _session(self, tasks: Callable[[Random], wire.Task], random: Random, *, once: bool) -> bool:
        """Talks over one connection; whether to go on with another one."""
        pause_s = 0.0
        with DaemonClient(self.site.socket) as client:
            while not self.is_over.wait(pause_s):
                heard = listen(client, tasks(random), on_event=self._notice)
                pause_s = PAUSE_AFTER_ERROR_S if heard.error else 0
                self.heard.append(heard)
                if heard.error == "daemon_unreachable":
                    return False
                if once:
                    return True
            return False


class Company(Protocol):
    """Others who use the daemon meanwhile."""

    def begin(self, site: Site) -> None:
        """They begin."""
        ...

    def end(self) -> None:
        """Waits until they have noticed that the daemon is gone."""
        ...

    def check(self, site: Site) -> None:
        """With the daemon up again: what they were told holds. AssertionError where it does not."""
        ...


def kill_and_restart(
    site: Site,
    tasks: Callable[[Random], wire.Task],
    *,
    kills: int,
    seed: int,
    callers: int,
    reconnects: bool,
    waits_for_event: bool,
    within_s: float,
    company: Company | None = None,
) -> Tally:
    """Kills the daemon at random moments, `within_s` after it is up or after the first event that a caller hears.

    Raises:
        AssertionError: a start was not clean, a worker was left, or something that a caller heard was not kept.
    """
    tally, random, heard = Tally(), Random(seed), list[Heard]()
    ledger = site.state / "ledger.sqlite"
    for number in range(kills):
        with started(site, tally):
            if ledger.exists():
                tally.unfinished = check_kept(ledger, heard)
            talk = Talk(site)
            if company is not None:
                company.check(site)
                company.begin(site)
            talk.begin(tasks, callers=callers, seed=random.getrandbits(32), reconnects=reconnects)
            if waits_for_event:
                assert talk.has_begun.wait(FIRST_EVENT_WITHIN_S), site.log
            time.sleep(random.uniform(0, within_s))
            assert site.process is not None
            site.process.kill()
            site.process.wait()
        heard = talk.end()
        if company is not None:
            company.end()
        tally.kills = number + 1
        tally.tasks += len(heard)
        tally.cut_short += sum(not each.outcomes and bool(each.routes) for each in heard)
        for each in heard:
            assert each.is_clear, each
        tally.workers_gone_s = max(tally.workers_gone_s, seconds_until_no_worker(site))
    with started(site, tally):
        tally.unfinished = check_kept(ledger, heard)
        if company is not None:
            company.check(site)
    return tally


@contextmanager
def started(site: Site, tally: Tally) -> Iterator[None]:
    """A daemon whose start was clean: it answers, complains of nothing, and nothing of an earlier one is left."""
    log = site.folder / "log"
    complained_before = log.stat().st_size if log.exists() else 0
    begun_s = time.monotonic()
    with log.open("ab") as output:
        site.process = subprocess.Popen(site.command(), stdout=output, stderr=output)
    try:
        wait_until_up(site)
        tally.slowest_start_s = max(tally.slowest_start_s, time.monotonic() - begun_s)
        written = log.read_bytes()[complained_before:].decode()
        assert not [line for line in written.splitlines() if is_complaint(line)], written
        assert worker_folders(site) == [], "the daemon before left folders behind"
        yield
    finally:
        site.process.kill()
        site.process.wait()


def is_complaint(line: str) -> bool:
    """Whether a line of the log says that something is wrong; one that is no entry always does."""
    try:
        entry = json.loads(line)
    except ValueError:
        return True
    return entry["level"] in {"warning", "error", "critical"} and entry["event"] != EXPECTED


def wait_until_up(site: Site) -> None:
    """Until the socket is served and answers; not through grpc, which waits between tries."""
    deadline_s = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline_s:
        assert site.process is not None
        assert site.process.poll() is None, site.log
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(site.socket)) == 0:
                with DaemonClient(site.socket) as client, suppress(HomebredError):
                    client.status()
                    return
        time.sleep(_POLL_S)
    raise AssertionError(f"the daemon did not answer: {site.log}")


def worker_folders(site: Site) -> list[Path]:
    """The private folders of workers."""
    return sorted((site.folder / "run").glob("engine-*"))


def worker_processes(site: Site) -> list[int]:
    """Living workers of this site's daemons, by what their command line names."""
    marker = os.fsencode(site.folder / "run" / "engine-")
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                if marker in (folder / "cmdline").read_bytes():
                    found.append(int(folder.name))
    return found


def seconds_until_no_worker(site: Site) -> float:
    """How long the workers of a daemon that is gone stay."""
    begun_s = time.monotonic()
    while left := worker_processes(site):
        waited_s = time.monotonic() - begun_s
        assert waited_s < WORKERS_GONE_WITHIN_S, f"workers {left} outlive their daemon"
        time.sleep(_POLL_S)
    return time.monotonic() - begun_s


def kill(pid: int) -> None:
    """As the kernel does when memory is short."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
