"""The machine's clock: the one place of the controller that asks it what time it is."""

from __future__ import annotations

import time


def unix_s() -> int:
    """Whole Unix seconds."""
    return time.time_ns() // 1_000_000_000
