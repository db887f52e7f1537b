"""What a command to a device may say: its operation, its few words, how long it may wait. It sends nothing."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

LEVELS: Final = ("debug", "info", "warning", "error")
PARAMETERS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = MappingProxyType(
    {"ping": {}, "diagnostics": {}, "log-level": {"level": LEVELS}, "drain": {}, "resume": {}}
)
"""By operation: each parameter with its words. There is none that runs a program or shows a task's content."""
MIN_WAIT_S: Final = 10
MAX_WAIT_S: Final = 30 * 86_400


def problems_of(op: str, parameters: Mapping[str, str], wait_s: int) -> list[str]:
    """What is wrong with an order; nothing: it can be given."""
    if op not in PARAMETERS:
        return [f"{op!r} is no command: there are {', '.join(PARAMETERS)}"]
    wanted = PARAMETERS[op]
    found = [f"{op} needs {name!r}: one of {', '.join(wanted[name])}" for name in wanted if name not in parameters]
    found += [f"{op} has no parameter {name!r}" for name in parameters if name not in wanted]
    found += [
        f"{name} is {value!r}: write one of {', '.join(wanted[name])}"
        for name, value in parameters.items()
        if name in wanted and value not in wanted[name]
    ]
    if not MIN_WAIT_S <= wait_s <= MAX_WAIT_S:
        found.append(f"it may wait from {MIN_WAIT_S} s to {MAX_WAIT_S // 86_400} days for the device, not {wait_s} s")
    return found
