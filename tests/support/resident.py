"""How much memory a process has at this moment."""

from __future__ import annotations

from pathlib import Path


def resident_mb(pid: int) -> float:
    """Mebibytes that are in the machine's memory."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024
