"""Whose request is answered next: devices take turns, and none can fill the room that others need.

A device that asks for more than its share of what waits loses what it asks for beyond that; the share shrinks as more
devices wait, and is never less than one request. So what waits is bounded by `MOST` and one for each device.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

SHARE = 40
"""Requests of one device that may wait: as many as it has under way at once."""
MOST = 4096
"""Of all devices, as far as each has no more than its one."""
AT_ONCE = 2
"""Of one device's, being answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request."""

    device: str
    operation: str
    correlation: bytes
    body: bytes


@dataclass(slots=True)
class _Device:
    waiting: deque[Asked] = field(default_factory=deque)
    answered_now: int = 0
    has_turn: bool = False
    """It stands in the queue of turns."""


class Turns:
    """All requests that wait, and how many of each device are being answered."""

    def __init__(self) -> None:
        self._devices: dict[str, _Device] = {}
        """Those with anything waiting or being answered."""
        self._turns: deque[str] = deque()
        self._waiting = 0

    @property
    def waiting(self) -> int:
        """Requests that were offered and not taken yet."""
        return self._waiting

    def offer(self, asked: Asked) -> bool:
        """A request came; False: its device has its share waiting, and this one is dropped."""
        device = self._devices.setdefault(asked.device, _Device())
        if len(device.waiting) >= self._share():
            return False
        device.waiting.append(asked)
        self._waiting += 1
        self._line_up(asked.device, device)
        return True

    def take(self) -> Asked | None:
        """The next one to be answered, until `done`; None: none may be."""
        if not self._turns:
            return None
        name = self._turns.popleft()
        device = self._devices[name]
        device.has_turn = False
        asked = device.waiting.popleft()
        self._waiting -= 1
        device.answered_now += 1
        self._line_up(name, device)
        return asked

    def done(self, name: str) -> None:
        """A device's request was answered, or never will be."""
        device = self._devices[name]
        device.answered_now -= 1
        self._line_up(name, device)
        if not device.waiting and not device.answered_now:
            del self._devices[name]

    def forget(self) -> None:
        """Drops all that wait; what is being answered is still to be `done`."""
        self._turns.clear()
        self._waiting = 0
        for device in self._devices.values():
            device.waiting.clear()
            device.has_turn = False
        self._devices = {name: device for name, device in self._devices.items() if device.answered_now}

    def _share(self) -> int:
        return min(SHARE, max(1, MOST // len(self._devices)))

    def _line_up(self, name: str, device: _Device) -> None:
        if device.waiting and not device.has_turn and device.answered_now < AT_ONCE:
            device.has_turn = True
            self._turns.append(name)
