"""Who started the daemon and looks after it: hears that it serves, how it stands, that it lives, that it stops."""

from __future__ import annotations

from typing import Protocol


class ServiceManager(Protocol):
    """The service manager; every line it is told is content-free. Where there is none, nobody hears."""

    @property
    def name(self) -> str:
        """How it is spoken to: `systemd-python`, `datagrams` or `none`."""
        ...

    @property
    def is_there(self) -> bool:
        """Whether anybody listens."""
        ...

    @property
    def watchdog_s(self) -> float | None:
        """Longest time between two beats before the daemon is ended as hung; None: nobody waits for beats."""
        ...

    def ready(self, status: str) -> None:
        """The daemon serves from now on.

        Raises:
            StateError: it could not be told.
        """
        ...

    def status(self, text: str) -> None:
        """How the daemon stands, in one line for people.

        Raises:
            StateError: it could not be told.
        """
        ...

    def beat(self) -> None:
        """The daemon lives.

        Raises:
            StateError: it could not be told.
        """
        ...

    def stopping(self, within_s: float) -> None:
        """The daemon is on its way out, and gone within so many seconds.

        Raises:
            StateError: it could not be told.
        """
        ...
