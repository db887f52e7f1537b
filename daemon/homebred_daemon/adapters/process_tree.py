"""A process and all that it has started, as the kernel tells: how much memory they take, and their end.

Linux. It starts nothing.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_RESIDENT_FIELD = 1
_PROC = Path("/proc")


def tree_of(pid: int) -> list[int]:
    """The process and those below it; those that have ended meanwhile may be among them."""
    found = [pid]
    for each in found:
        found += [child for child in _children(each) if child not in found]
    return found


def resident_bytes(pid: int) -> int:
    """Memory of the process and those below it; pages that they share count once for each."""
    return sum(_resident(each) for each in tree_of(pid))


def kill_tree(pid: int) -> None:
    """Ends the process and those below it by SIGKILL. The caller knows that `pid` is a child not waited for yet."""
    for each in reversed(tree_of(pid)):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(each, signal.SIGKILL)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        threads = list((_PROC / str(pid) / "task").iterdir())
    except OSError:
        return found
    for thread in threads:
        with suppress(OSError, ValueError):
            found += map(int, (thread / "children").read_text(encoding="ascii").split())
    return found


def _resident(pid: int) -> int:
    try:
        return int((_PROC / str(pid) / "statm").read_text(encoding="ascii").split()[_RESIDENT_FIELD]) * _PAGE_BYTES
    except (OSError, ValueError, IndexError):
        return 0
