"""What devices ask for over the broker, in memory: answers that a test puts in, errors, and answers that wait."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class MemoryLibrary:
    """Fulfils `homebred_fleet.ports.library.Library`."""

    bodies: dict[tuple[str, bytes], bytes] = field(default_factory=dict)
    """By operation and what it asks; what is not here is refused."""
    failures: list[Exception] = field(default_factory=list)
    """Raised by what comes next."""
    asked: list[tuple[str, str, bytes]] = field(default_factory=list)
    before: Callable[[], None] = lambda: None
    """Called on the thread before each answer."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, device: str, operation: str, body: bytes) -> bytes | None:
        with self._lock:
            self.asked.append((device, operation, body))
            failure = self.failures.pop(0) if self.failures else None
        self.before()
        if failure is not None:
            raise failure
        return self.bodies.get((operation, body))
