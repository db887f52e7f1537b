"""Counts refused attempts by where they come from, and says who must wait. Pure; its memory is bounded.

Each source has as many attempts as are allowed in a minute, and gets them back evenly over the next.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict

WINDOW_S = 60.0
MAX_SOURCES = 10_000
"""The one heard of longest ago is forgotten first."""


class Attempts:
    """Refusals of the last minute, by source."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._refused: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """How many count still, and when that was so."""

    def wait_s(self, address: str, now_s: float) -> int:
        """How long a source must wait before its next attempt is looked at; 0: not at all."""
        over = self._counting(source_of(address), now_s) + 1 - self._per_minute
        return 0 if over <= 0 else int(over * WINDOW_S / self._per_minute) + 1

    def refused(self, address: str, now_s: float) -> None:
        """An attempt was refused."""
        source = source_of(address)
        self._refused[source] = (self._counting(source, now_s) + 1, now_s)
        self._refused.move_to_end(source)
        while len(self._refused) > MAX_SOURCES:
            self._refused.popitem(last=False)

    def _counting(self, source: str, now_s: float) -> float:
        count, at_s = self._refused.get(source, (0.0, now_s))
        return max(0.0, count - (now_s - at_s) * self._per_minute / WINDOW_S)


def source_of(address: str) -> str:
    """Who counts as one: an IPv4 address, or an IPv6 network of 64 bits, which one host can fill by itself."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)
