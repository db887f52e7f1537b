"""How fast a transfer may be and when: a bucket of bytes that fills at a rate, and windows of the local day.

It waits for nothing and reads no clock: it says how long to wait.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

DAY_S = 24 * 3600
SLICE_BYTES = 1024 * 1024
"""Read at once where nothing bounds the rate."""
SMALLEST_SLICE_BYTES = 16 * 1024
_SLICES_A_SECOND = 8
"""Under a cap: what comes is that even."""
_WINDOW = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])")


class TokenBucket:
    """Bytes that may still be read. What was read too much is waited for afterwards."""

    def __init__(self, bytes_per_s: int, now_s: float) -> None:
        """`bytes_per_s` 0: as fast as they come. It begins empty: many short transfers are no way around the rate."""
        self._bytes_per_s = bytes_per_s
        self._level = 0.0
        self._seen_s = now_s

    @property
    def slice_bytes(self) -> int:
        """How much to read at once."""
        if not self._bytes_per_s:
            return SLICE_BYTES
        return max(SMALLEST_SLICE_BYTES, min(SLICE_BYTES, self._bytes_per_s // _SLICES_A_SECOND))

    def wait_s(self, read_bytes: int, now_s: float) -> float:
        """How long to wait after bytes were read, before the next are."""
        if not self._bytes_per_s:
            return 0.0
        gained = max(0.0, now_s - self._seen_s) * self._bytes_per_s
        self._seen_s = now_s
        self._level = min(float(self.slice_bytes), self._level + gained) - read_bytes
        return max(0.0, -self._level / self._bytes_per_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A part of each local day. Where the two are equal it is all of it."""

    begins_s: int
    """Seconds after local midnight."""
    ends_s: int
    """The same; before the beginning: on the next day."""

    def opens_in_s(self, second_of_day: float) -> float:
        """How long until it is open; 0: it is."""
        length_s = (self.ends_s - self.begins_s) % DAY_S or DAY_S
        since_s = (second_of_day - self.begins_s) % DAY_S
        return 0.0 if since_s < length_s else DAY_S - since_s


def read_windows(text: str) -> tuple[Window, ...]:
    """Windows as people write them: `22:00-05:00, 12:00-13:30`; an empty text has none: any time will do.

    Raises:
        ValueError: it is no such text; the message says which part of it.
    """
    return tuple(_window(part.strip()) for part in text.split(",")) if text.strip() else ()


def opens_in_s(windows: tuple[Window, ...], second_of_day: float) -> float:
    """How long until one of some windows is open; 0: one is, or there are none."""
    return min((window.opens_in_s(second_of_day) for window in windows), default=0.0)


def _window(text: str) -> Window:
    found = _WINDOW.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no window of a day: write 22:00-05:00")
    begin_hour, begin_minute, end_hour, end_minute = map(int, found.groups())
    return Window(begins_s=(begin_hour * 60 + begin_minute) * 60, ends_s=(end_hour * 60 + end_minute) * 60)
