"""How much memory this device has for models: its own, and a GPU's where that has some of its own.

It reads the kernel's figures and asks NVIDIA's `nvidia-smi`; it loads no driver and keeps nothing. On Jetson the GPU
has no memory of its own, and `nvidia-smi` names none.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from homebred_daemon.errors import StateError

_ASK_S = 10.0
_QUERY = ("--query-gpu=memory.free", "--format=csv,noheader,nounits", "--id=0")
_MEBIBYTE = 1024 * 1024


def available_ram_bytes(proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> int:
    """What could be had now without swapping, within what this service may take (cgroup v2, `memory.max`).

    Raises:
        StateError: the kernel does not say.
    """
    try:
        lines = (proc / "meminfo").read_text(encoding="ascii").splitlines()
        figures = {name: value for name, _, value in (line.partition(":") for line in lines)}
        available = int(figures["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError, IndexError) as error:
        raise StateError(
            f"{proc}/meminfo does not say how much memory is available: {error}",
            hint="set engine.memory_budget_mb",
        ) from None
    return min([available, *_cgroup_limits(proc, cgroups)])


def _cgroup_limits(proc: Path, cgroups: Path) -> list[int]:
    """Of this process's cgroup and those above it; none where there is no cgroup v2."""
    try:
        lines = (proc / "self" / "cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    own = next((line.partition("::")[2] for line in lines if line.startswith("0::")), "")
    limits = []
    for folder in [cgroups / own.strip("/"), *(cgroups / own.strip("/")).parents]:
        if not folder.is_relative_to(cgroups):
            break
        try:
            limits.append(int((folder / "memory.max").read_text(encoding="ascii")))
        except (OSError, ValueError):  # the root has none, and `max` is no number
            continue
    return limits


def free_gpu_bytes(command: str = "nvidia-smi") -> int | None:
    """Free memory of the first GPU; None: there is none, or it shares the processor's."""
    path = shutil.which(command)
    if path is None:
        return None
    try:
        asked = subprocess.run(  # noqa: S603  # the system's own tool, found on PATH as an operator would
            [path, *_QUERY], capture_output=True, text=True, timeout=_ASK_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return read_gpu_answer(asked.stdout) if asked.returncode == 0 else None


def read_gpu_answer(text: str) -> int | None:
    """Bytes in the tool's answer; None: it names no number, as on Jetson (`[N/A]`)."""
    words = text.split()
    return int(words[0]) * _MEBIBYTE if words and words[0].isdecimal() else None
