"""Counts attempts by where they come from, and says who must wait (a leaky bucket). Pure; its memory is bounded.

Each source has as many attempts as are allowed in a window of time, and gets them back evenly over the next.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict

MINUTE_S = 60.0
MAX_SOURCES = 10_000
"""The one heard of longest ago is forgotten first."""


class Attempts:
    """Those of the last window that count, by source."""

    def __init__(self, most: int, *, window_s: float = MINUTE_S) -> None:
        self._most = most
        self._window_s = window_s
        self._known: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """How many count still, and when that was so."""

    def wait_s(self, source: str, now_s: float) -> int:
        """How long a source must wait before its next attempt is looked at; 0: not at all."""
        over = self._counting(source_of(source), now_s) + 1 - self._most
        return 0 if over <= 0 else int(over * self._window_s / self._most) + 1

    def count(self, source: str, now_s: float) -> None:
        """An attempt was made that counts."""
        source = source_of(source)
        self._known[source] = (self._counting(source, now_s) + 1, now_s)
        self._known.move_to_end(source)
        while len(self._known) > MAX_SOURCES:
            self._known.popitem(last=False)

    def _counting(self, source: str, now_s: float) -> float:
        count, at_s = self._known.get(source, (0.0, now_s))
        return max(0.0, count - (now_s - at_s) * self._most / self._window_s)


def source_of(address: str) -> str:
    """Who counts as one: an IPv6 network of 64 bits, which one host can fill by itself; else the name or address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)
