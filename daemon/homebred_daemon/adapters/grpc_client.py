"""The client library for the daemon's own commands: its errors become HomebredErrors, in the daemon's words.

Nothing is tried again unless that is asked for: a person at a terminal hears at once how it stands.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from homebred_daemon.errors import DaemonUnreachableError, HomebredError
from homebred_protocol import client


class RemoteError(HomebredError):
    """The daemon refused or failed."""

    def __init__(self, error: client.CallError) -> None:
        super().__init__(error.message, hint=error.hint)
        self.code = error.code


@contextmanager
def calling(socket: Path, *, patience_s: float = 0) -> Iterator[client.Client]:
    """What applications can do, for as long as the connection is open; a restart of the daemon is waited for so long.

    Raises:
        HomebredError: whatever a call in it raised.
    """
    with in_our_words(), client.Client(socket, patience_s=patience_s) as daemon:
        yield daemon


@contextmanager
def controlling(socket: Path) -> Iterator[client.Control]:
    """What operators and reviewers can do, for as long as the connection is open.

    Raises:
        HomebredError: whatever a call in it raised.
    """
    with in_our_words(), client.Control(socket, patience_s=0) as daemon:
        yield daemon


@contextmanager
def in_our_words() -> Iterator[None]:
    """Calls of the client library, their errors ours.

    Raises:
        HomebredError: whatever a call in it raised.
    """
    try:
        yield
    except client.DaemonUnreachableError as error:
        raise DaemonUnreachableError(error.message) from None
    except client.CallError as error:
        raise RemoteError(error) from None
