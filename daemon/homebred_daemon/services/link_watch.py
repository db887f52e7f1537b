"""Watches the links to cloud endpoints: hears how calls end, and probes what is lost until it is back.

What the signs mean is `core.reachability`'s to say, and what makes a network metered is `core.metering`'s. A probe
holds no task content and no key, and none is made while an endpoint is up: then calls tell. It opens no socket itself,
and none is opened under the air gap.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager

from homebred_daemon.core.link import Link
from homebred_daemon.core.reachability import UNTRIED, Endpoint, Sign, after, projected
from homebred_daemon.ports.clock import Clock
from homebred_daemon.services.background import beside

Probe = Callable[[str], Awaitable[None]]
"""Tries an endpoint; what it saw comes in by `seen`."""


class LinkWatch:
    """How every endpoint stands, by alias."""

    def __init__(
        self,
        aliases: Iterable[str],
        clock: Clock,
        chance: Callable[[], float],
        *,
        changed: Callable[[str, Link], None],
    ) -> None:
        """`chance` gives numbers from 0 to 1; `changed` hears of each link that the router now sees otherwise."""
        self._endpoints: dict[str, Endpoint] = dict.fromkeys(aliases, UNTRIED)
        self._clock = clock
        self._chance = chance
        self._metered: dict[str, str] = {}
        """Why the way to an alias is metered; one that is not there is not."""
        self._changed = changed
        self._news = asyncio.Event()

    def link(self, alias: str) -> Link:
        """What the router sees; an alias without an endpoint is down."""
        endpoint = self._endpoints.get(alias)
        return Link.DOWN if endpoint is None else projected(endpoint, is_metered=alias in self._metered)

    def cause(self, alias: str) -> str:
        """Why `link` says so of an alias."""
        endpoint = self._endpoints.get(alias)
        if endpoint is None:
            return "no_endpoint"
        return self._metered[alias] if self.link(alias) is Link.METERED else endpoint.reach.value

    def seen(self, alias: str, sign: Sign) -> None:
        """Takes a sign of an endpoint in; one of an unknown alias says nothing."""
        if alias not in self._endpoints:
            return
        with self._told(alias):
            self._endpoints[alias] = after(self._endpoints[alias], sign, self._clock.monotonic_s(), self._chance())
            self._news.set()

    def meter(self, alias: str, cause: str) -> None:
        """From now on the way to an alias is metered, for that cause; empty: it is not."""
        with self._told(alias):
            if cause:
                self._metered[alias] = cause
            else:
                self._metered.pop(alias, None)

    @contextmanager
    def _told(self, alias: str) -> Iterator[None]:
        """Tells of the link if what happens meanwhile has changed it."""
        before = self.link(alias)
        yield
        if (now := self.link(alias)) is not before:
            self._changed(alias, now)

    @asynccontextmanager
    async def running(self, probe: Probe) -> AsyncIterator[None]:
        """Probes what is lost, for as long as the context lasts."""
        async with beside(self._run(probe)):
            yield

    async def _run(self, probe: Probe) -> None:
        while True:
            self._news.clear()
            due = self._due()
            for alias in due:
                await probe(alias)
                if alias in self._due():  # it saw nothing, which must not be asked for again at once
                    self.seen(alias, Sign.FAILURE)
            if not due:
                await self._rest()

    def _due(self) -> list[str]:
        now_s = self._clock.monotonic_s()
        return [alias for alias, endpoint in self._endpoints.items() if endpoint.probe_at_s <= now_s]

    async def _rest(self) -> None:
        """Until the next probe is due, or a sign says otherwise."""
        next_s = min((endpoint.probe_at_s for endpoint in self._endpoints.values()), default=float("inf"))
        wait_s = None if next_s == float("inf") else max(0.0, next_s - self._clock.monotonic_s())
        try:
            async with asyncio.timeout(wait_s):
                await self._news.wait()
        except TimeoutError:
            pass
