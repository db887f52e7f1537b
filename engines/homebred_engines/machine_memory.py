"""How much memory this machine has to give: the processor's, which on a Jetson is the GPU's too."""

from __future__ import annotations

from pathlib import Path

from homebred_engines.api import EngineFailedError

_MEMINFO = Path("/proc/meminfo")


def available_bytes(meminfo: Path = _MEMINFO) -> int:
    """What the kernel says could be had without swapping. Raises EngineFailedError."""
    for line in meminfo.read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return int(value.split()[0]) * 1024
    raise EngineFailedError(f"{meminfo} does not say how much memory is available.")
