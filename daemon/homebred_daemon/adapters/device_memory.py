"""How much memory this device has for models: its own, and a GPU's where that has some of its own.

It reads the kernel's figures and asks NVIDIA's `nvidia-smi`; it loads no driver and keeps nothing. On Jetson the GPU
has no memory of its own, and `nvidia-smi` names none.
"""

from __future__ import annotations

from pathlib import Path

from homebred_daemon.errors import StateError
from homebred_engines.api import EngineFailedError
from homebred_engines.gpu import ask_nvidia_smi
from homebred_engines.machine_memory import available_bytes

_MEBIBYTE = 1024 * 1024


def available_ram_bytes(proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> int:
    """What could be had now without swapping, within what this service may take (cgroup v2, `memory.max`).

    Raises:
        StateError: the kernel does not say.
    """
    try:
        available = available_bytes(proc / "meminfo")
    except (OSError, EngineFailedError, ValueError, IndexError) as error:
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
    return read_gpu_answer(ask_nvidia_smi("memory.free", command=command))


def read_gpu_answer(text: str) -> int | None:
    """Bytes in the tool's answer; None: it names no number, as on Jetson (`[N/A]`)."""
    words = text.split()
    return int(words[0]) * _MEBIBYTE if words and words[0].isdecimal() else None
