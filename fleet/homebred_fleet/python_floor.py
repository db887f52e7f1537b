"""Says clearly that the controller needs a newer Python; valid syntax on older ones, so that it can.

The package installs on 3.10 for the engine worker's sake. It imports nothing of ours.
"""

from __future__ import annotations

import sys

FLOOR = (3, 11)
EXIT_CODE = 2


def require_python(program: str, version: tuple[int, ...] = sys.version_info[:3]) -> None:
    """Ends the process with a message where this interpreter is older than `FLOOR`."""
    if version[:2] >= FLOOR:
        return
    running, needed = ".".join(map(str, version)), ".".join(map(str, FLOOR))
    sys.stderr.write(
        f"error: {program} needs Python {needed} or newer; {sys.executable} is Python {running}\n"
        f"next:  install it under Python {needed} or newer (only the engine worker runs on 3.10)\n"
    )
    sys.exit(EXIT_CODE)
