"""Reads processor time from /proc: of processes and their threads, and what others used of the machine. Linux."""

from __future__ import annotations

import os
import time
from pathlib import Path

_BUSY = ("user", "nice", "system", "irq", "softirq", "steal")
_FIELDS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class ForeignLoad:
    """What everybody but this process and its ended children used of the processor since construction."""

    def __init__(self) -> None:
        self._started_s = time.monotonic()
        self._foreign_s = _foreign_s()

    def sentence(self) -> str:
        """How many cores others kept busy on the mean: what makes figures of a shared machine doubtful."""
        elapsed_s = time.monotonic() - self._started_s
        cores = max(0.0, _foreign_s() - self._foreign_s) / elapsed_s if elapsed_s else 0.0
        return f"others kept {cores:.1f} cores busy"


def thread_seconds(pid: int) -> dict[str, float]:
    """Processor seconds of a process's main thread and its other living threads, these added up by name."""
    seconds: dict[str, float] = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        name = "main thread" if task.name == str(pid) else (task / "comm").read_text().strip()
        run_ns = int((task / "schedstat").read_text().split()[0])
        seconds[name] = seconds.get(name, 0.0) + run_ns / 1e9
    return seconds


def _foreign_s() -> float:
    with Path("/proc/stat").open(encoding="ascii") as stat:
        ticks = dict(zip(_FIELDS, map(int, stat.readline().split()[1:]), strict=False))
    own = os.times()
    own_s = own.user + own.system + own.children_user + own.children_system
    return sum(ticks[name] for name in _BUSY) / _TICKS_PER_S - own_s
