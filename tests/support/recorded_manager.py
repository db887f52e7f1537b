"""A service manager that remembers what it was told, and does not hear where a test says so."""

from __future__ import annotations

from homebred_daemon.errors import StateError


class RecordedManager:
    """Fulfils `ports.service_manager.ServiceManager`."""

    name = "recorded"

    def __init__(self, *, watchdog_s: float | None = None, is_there: bool = True) -> None:
        self.watchdog_s = watchdog_s
        self.is_there = is_there
        self.hears = True
        self.told: list[str] = []

    def ready(self, status: str) -> None:
        self._tell(f"ready: {status}")

    def status(self, text: str) -> None:
        self._tell(text)

    def beat(self) -> None:
        self._tell("beat")

    def stopping(self, within_s: float) -> None:
        self._tell(f"stopping within {within_s:g} s")

    def _tell(self, what: str) -> None:
        if not self.hears:
            raise StateError("nobody listens")
        self.told.append(what)
