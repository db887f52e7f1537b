"""Measures starts and idleness: the daemon's memory and its way to READY, and the command line's start."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from tests.bench.daemons import COMMANDS, product_environment, running_daemon, temporary_home
from tests.bench.figures import Aim, Bench, Conditions, Found

IDLE_S = 2.0
MIB = 1 << 20
BARE = (sys.executable, "-c", "pass")
SERVER_LIBRARY = "import grpc.aio, time; print(flush=True); time.sleep(60)"


def _idle_memory(conditions: Conditions) -> Mapping[str, Found]:
    with temporary_home() as home, running_daemon(home) as daemon:
        time.sleep(IDLE_S)
        resident = _megabytes(daemon.pid, "status", "VmRSS")
        parts = _parts(daemon.pid)
    note = (
        f"VmRSS of a fresh homebredd without a model, {IDLE_S:g} s after READY, in 10^6 bytes"
        f" ({resident * 1e6 / MIB:.1f} MiB); {parts}; reference: Python that has imported grpc.aio, nothing else"
    )
    return {"daemon.idle_rss_mb": Found(value=resident, reference=_library_memory(), note=note)}


def _library_memory() -> float:
    process = subprocess.Popen([sys.executable, "-c", SERVER_LIBRARY], stdout=subprocess.PIPE)
    try:
        if process.stdout is not None:
            process.stdout.readline()
        return _megabytes(process.pid, "status", "VmRSS")
    finally:
        process.kill()
        process.communicate()


def _parts(pid: int) -> str:
    """What of it is the process's own, where the kernel lets this user see that."""
    try:
        private = sum(_megabytes(pid, "smaps_rollup", name) for name in ("Private_Clean", "Private_Dirty"))
        return f"USS {private:.1f} MB, PSS {_megabytes(pid, 'smaps_rollup', 'Pss'):.1f} MB"
    except OSError as error:
        return f"USS and PSS cannot be read: {error.strerror}"


def _megabytes(pid: int, file: str, name: str) -> float:
    """A figure of proc_pid_status(5) or proc_pid_smaps(5), in 10^6 bytes."""
    for line in Path(f"/proc/{pid}/{file}").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError(f"/proc/{pid}/{file} has no {name}")


def _ready(conditions: Conditions) -> Mapping[str, Found]:
    rounds = conditions.rounds(10, 3)
    _seconds((sys.executable, "-c", "import grpc.aio"))  # the page cache is warm for both
    with temporary_home() as home, running_daemon(home):
        pass
    ready_s, library_s = [], []
    for _ in range(rounds):
        library_s.append(_seconds((sys.executable, "-c", "import grpc.aio")))
        with temporary_home() as home, running_daemon(home) as daemon:
            ready_s.append(daemon.ready_s)
    note = (
        f"from exec to the first answered health check; median of {rounds} processes, page cache warm, new state folder"
        " each, no model; reference: Python that imports grpc.aio and ends"
    )
    return {"daemon.ready_s": Found(value=median(ready_s), reference=median(library_s), note=note)}


def _cli_start(conditions: Conditions) -> Mapping[str, Found]:
    rounds = conditions.rounds(10, 3)
    commands: Mapping[str, Sequence[str]] = {
        "cli.start_version_s": (str(COMMANDS / "homebred"), "--version"),
        "cli.start_help_s": (str(COMMANDS / "homebred"), "--help"),
    }
    taken_s: dict[str, list[float]] = {"bare": [], **{name: [] for name in commands}}
    for command in commands.values():
        _seconds(command)
    for _ in range(rounds):
        taken_s["bare"].append(_seconds(BARE))
        for name, command in commands.items():
            taken_s[name].append(_seconds(command))
    note = f"wall time of the whole process; median of {rounds}; reference: a bare Python"
    return {name: Found(value=median(taken_s[name]), reference=median(taken_s["bare"]), note=note) for name in commands}


def _seconds(command: Sequence[str]) -> float:
    started_s = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=product_environment())
    return time.perf_counter() - started_s


IDLE_MEMORY = Bench(
    name="daemon.idle_rss",
    aims=(Aim(name="daemon.idle_rss_mb", unit="MB", target=64),),
    run=_idle_memory,
)
READY = Bench(name="daemon.ready", aims=(Aim(name="daemon.ready_s", unit="s", target=0.6),), run=_ready)
CLI_START = Bench(
    name="cli.start",
    aims=tuple(Aim(name=name, unit="s", target=0.25) for name in ("cli.start_version_s", "cli.start_help_s")),
    run=_cli_start,
)
