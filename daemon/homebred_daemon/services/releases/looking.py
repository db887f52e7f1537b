"""One look at the fleet's repositories for all who ask for one at the same time: documents and releases, as a rule.

A look waits a moment before it begins, and whoever asks until then shares it; whoever asks later gets another. What is
carried here is looked at by itself (`trusting`), and what a look means for whom is theirs to say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from homebred_daemon.ports.trust import TrustSource
from homebred_daemon.services.releases.trusting import Looked, Trusting

GATHER_S = 0.1
"""One message of the fleet has documents and releases ask within milliseconds of each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What a look showed, and where the files of it come from."""

    looked: Looked
    source: TrustSource


class Looking:
    """The looks at a device's fleet. One event loop."""

    def __init__(
        self,
        trusting: Trusting,
        *,
        ready: Callable[[], Awaitable[bool]],
        source: Callable[[], TrustSource],
        gather_s: float = GATHER_S,
    ) -> None:
        """Takes what says whether roots are pinned by now (`pinning`), and where files come from now."""
        self.trusting = trusting
        self._ready = ready
        self._source = source
        self._gather_s = gather_s
        self._turn = asyncio.Lock()
        self.begun = 0
        """How many looks have begun."""
        self._last: Sight | None = None

    async def look(self, *, after: int | None = None) -> Sight | None:
        """A look that begins after so many had begun, by default by now; None: the fleet signs nothing yet.

        Raises:
            HomebredError: what is trusted cannot be read or kept, or nobody can say which roots to look from.
        """
        after = self.begun if after is None else after
        async with self._turn:
            if self.begun > after and self._last is not None:
                return self._last
            if not await self._ready():
                return None
            await asyncio.sleep(self._gather_s)
            self.begun, self._last = self.begun + 1, None  # of a look that breaks off there is nothing to share
            source = self._source()
            self._last = Sight(looked=await self.trusting.look(source), source=source)
            return self._last
