"""The machine's clocks."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def second_of_local_day() -> float:
    """What a clock on the wall shows, by this machine's time zone, in seconds."""
    local = datetime.now(UTC).astimezone()
    return (local.hour * 60 + local.minute) * 60 + local.second + local.microsecond / 1e6


class SystemClock:
    """Wall and monotonic time of this machine."""

    def now(self) -> datetime:
        """Aware UTC time."""
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()
