"""Checks of the machine that need no settings: interpreter, open files, clock, GPU. They change nothing."""

from __future__ import annotations

import platform
import resource
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from homebred_daemon.cli.finding import ERROR, OK, WARNING, Finding
from homebred_daemon.python_floor import FLOOR

LEAST_OPEN_FILES = 1024
FIRST_CREDIBLE_TIME = datetime(2026, 1, 1, tzinfo=UTC)  # before the first release: a clock that starts at its epoch
GPU_DEVICES = ("nvidia0", "nvhost-gpu", "nvgpu/igpu0")  # discrete; Jetson on L4T 35, on L4T 36


def python_finding(version: tuple[int, ...], text: str = platform.python_version()) -> Finding:
    """Whether the daemon's own interpreter is new enough."""
    needed = ".".join(map(str, FLOOR))
    if version[:2] >= FLOOR:
        return Finding(check="python", status=OK, what=f"Python {text}")
    return Finding(
        check="python",
        status=ERROR,
        what=f"Python {text} is too old",
        why=f"the daemon and this command line need {needed}; only the engine worker runs on 3.10",
        next=f"install homebred under Python {needed} or newer",
    )


def open_files_finding(limit: int) -> Finding:
    """Whether the process may open enough files and sockets."""
    if limit == resource.RLIM_INFINITY:
        return Finding(check="open_files", status=OK, what="any number of open files")
    if limit >= LEAST_OPEN_FILES:
        return Finding(check="open_files", status=OK, what=f"up to {limit} open files")
    return Finding(
        check="open_files",
        status=WARNING,
        what=f"only {limit} open files are allowed",
        why="each caller, stream and model file takes one; at the limit new callers are turned away",
        next=f"raise it to {LEAST_OPEN_FILES} or more: `ulimit -n`, or LimitNOFILE= in the unit",
    )


def clock_finding(now: datetime) -> Finding:
    """Whether the wall clock can be right."""
    shown = now.isoformat(timespec="seconds")
    if now >= FIRST_CREDIBLE_TIME:
        return Finding(check="clock", status=OK, what=f"the clock says {shown}")
    return Finding(
        check="clock",
        status=ERROR,
        what=f"the clock says {shown}, which is before homebred existed",
        why="decisions bear this time, and certificates are judged by it",
        next="set the clock: `timedatectl set-ntp true`, or by hand where there is no network",
    )


def gpu_finding(devices: Iterable[Path]) -> Finding:
    """Whether there is an NVIDIA GPU; nothing in this version needs one."""
    found = [str(device) for device in devices if device.exists()]
    if found:
        return Finding(check="gpu", status=OK, what=f"an NVIDIA GPU at {found[0]}")
    return Finding(
        check="gpu",
        status=OK,
        what="no NVIDIA GPU",
        why="models run on the processor; only TensorRT-LLM and TensorRT Edge-LLM, not in this version, need a GPU",
    )


def gpu_devices() -> tuple[Path, ...]:
    """Where the kernel shows an NVIDIA GPU."""
    return tuple(Path("/dev") / name for name in GPU_DEVICES)
