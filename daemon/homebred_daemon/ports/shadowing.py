"""Answering a device's own tasks a second time, by a newcomer beside what serves."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from homebred_daemon.core.compatibility import Refusal
from homebred_daemon.core.pairs import Pair
from homebred_daemon.core.shelf import StoredSpecialist


class AnsweredTwice(Protocol):
    """Tasks that both answer, as they come."""

    async def next(self) -> Pair:
        """The next one; it may be cancelled, and what was being answered then does not count.

        Raises:
            EngineUnavailableError: the newcomer's engine does not run, or has no room at present.
        """
        ...


class Shadow(Protocol):
    """Has newcomers answer. No caller waits for that, sees it or is told of it."""

    def obstacle(self, newcomer: StoredSpecialist, serving: StoredSpecialist) -> Refusal | None:
        """Why the two can never run here at once; None: they can."""
        ...

    def beside(
        self, newcomer: StoredSpecialist, serving: StoredSpecialist
    ) -> AbstractAsyncContextManager[AnsweredTwice]:
        """Has it answer for as long as the context lasts, one newcomer at a time; what it took is free after it."""
        ...

    def resting(self) -> AbstractAsyncContextManager[None]:
        """No newcomer answers or takes memory for as long as the context lasts."""
        ...
