"""What Linux says of this process: memory, processor time, file descriptors, start. It keeps nothing."""

from __future__ import annotations

import os
import resource
from pathlib import Path

from homebred_daemon.ports.measures import ProcessFigures

_SELF = Path("/proc/self")
_RESIDENT_PAGES = 1  # of statm, proc_pid_statm(5)
_STARTED_TICKS = 19  # of stat after the name, proc_pid_stat(5): field 22


def process_figures() -> ProcessFigures:
    """How this process stands now."""
    statm = (_SELF / "statm").read_text(encoding="ascii").split()
    times = os.times()
    return ProcessFigures(
        resident_bytes=int(statm[_RESIDENT_PAGES]) * os.sysconf("SC_PAGE_SIZE"),
        cpu_s=times.user + times.system,
        open_files=sum(1 for _ in (_SELF / "fd").iterdir()),
        most_files=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        started_at_s=_started_at_s(),
    )


def _started_at_s() -> float:
    after_name = (_SELF / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    machine = Path("/proc/stat").read_text(encoding="ascii").splitlines()
    booted_at_s = next(int(line.split()[1]) for line in machine if line.startswith("btime "))
    return booted_at_s + int(after_name[_STARTED_TICKS]) / os.sysconf("SC_CLK_TCK")
