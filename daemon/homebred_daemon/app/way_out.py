"""Builds the cloud lane of a device that has endpoints, and watches the links to them; of all others, nothing."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace

from homebred_daemon import messages
from homebred_daemon.adapters import network_news
from homebred_daemon.core.endpoint_urls import leads_elsewhere
from homebred_daemon.core.link import Link, SeenLink
from homebred_daemon.core.metering import SILENCE, ManagerWord, Metering, metered_cause
from homebred_daemon.core.reachability import Sign
from homebred_daemon.ports.clock import Clock
from homebred_daemon.ports.cloud import LaneClosedError
from homebred_daemon.ports.journal import Journal
from homebred_daemon.ports.measures import Measures
from homebred_daemon.services.answering import Answering
from homebred_daemon.services.background import beside
from homebred_daemon.services.last_look import LastLook
from homebred_daemon.services.link_watch import LinkWatch
from homebred_daemon.services.way_out import WayOut
from homebred_daemon.settings import Settings
from homebred_protocol.documents.policy import Policy

MEASURED = "auto"
DAY_LOOK_S = 60.0
"""A spent budget is back at most so long after midnight."""


class Links:
    """The watch over this device's endpoints; tells the answering service of changes once it is there."""

    def __init__(self, settings: Settings, clock: Clock, journal: Journal, *, recognizes: bool) -> None:
        self.journal = journal
        self.answering: Answering | None = None
        self.watch = LinkWatch(settings.cloud.endpoints, clock, random.random, changed=self._changed)
        self._aliases = tuple(settings.cloud.endpoints)
        self._far = [alias for alias, one in settings.cloud.endpoints.items() if leads_elsewhere(one.base_url)]
        self.has_budget: Callable[[], bool] = lambda: True
        """Whether anything may still be spent today; the gate's word, once there is a gate."""
        self._state = settings.link.state
        self._recognizes = recognizes
        self._connectivity = SILENCE.connectivity
        self._meter(Metering(wanted=settings.link.metered, patterns=tuple(settings.link.metered_interfaces.split())))

    @property
    def heeds_manager(self) -> bool:
        """Whether it matters what NetworkManager says: an endpoint is beyond this device, and the site has not said."""
        return bool(self._far) and self._metering.wanted == MEASURED

    def of(self, policy: Policy) -> SeenLink:
        """What the router sees of the link to a policy's fallback model.

        Down where the policy wants a recognizer of names to look at what leaves and there is none, and where today's
        budget is spent.
        """
        if policy.require_recognizer and not self._recognizes:
            return SeenLink(Link.DOWN, "no_recognizer")
        if not self.has_budget():
            return SeenLink(Link.DOWN, "budget_spent")
        if self._state != MEASURED:
            return SeenLink(Link(self._state), "configured")
        return SeenLink(self.watch.link(policy.fallback_model), self.watch.cause(policy.fallback_model))

    def by_alias(self) -> dict[str, Link]:
        """How the way to each endpoint is seen, whatever policy and budget say."""
        fixed = None if self._state == MEASURED else Link(self._state)
        return {alias: fixed or self.watch.link(alias) for alias in self._aliases}

    def network_changed(self, network: network_news.Network) -> None:
        """Passes on what the system says of its network: it concerns the endpoints beyond this device."""
        for alias in self._far:
            self.watch.seen(alias, Sign.HINT if network.is_there else Sign.GONE)
        self._meter(replace(self._metering, interfaces=network.default_interfaces))

    def manager_said(self, word: ManagerWord) -> None:
        """Passes on what NetworkManager says; a page to sign in at that is gone is a reason to look, and no more."""
        if word.connectivity != self._connectivity:
            self._connectivity = word.connectivity
            for alias in self._far:
                self.watch.seen(alias, Sign.HINT)
        self._meter(replace(self._metering, manager=word.metered))

    def _meter(self, metering: Metering) -> None:
        self._metering = metering
        for alias in self._far:
            self.watch.meter(alias, metered_cause(metering))
        self.refresh()

    def _changed(self, alias: str, link: Link) -> None:
        self.journal.note(messages.LINK_CHANGED, alias=alias, link=link.value, link_cause=self.watch.cause(alias))
        self.refresh()

    async def refreshed(self) -> None:
        """Notices that a day, and with it a budget, has ended; until cancelled."""
        while True:
            self.refresh()
            await asyncio.sleep(DAY_LOOK_S)

    def refresh(self) -> None:
        """Has tasks from now on see the link as it is."""
        if self.answering is not None:
            standing = self.answering.standing
            self.answering.standing = replace(standing, link=self.of(standing.decider.policy))


@asynccontextmanager
async def _network_heard(links: Links) -> AsyncIterator[None]:
    """Listens to what the system says of its network, where this process may."""
    async with AsyncExitStack() as stack:
        if network_news.is_available():
            await stack.enter_async_context(beside(network_news.listen(links.network_changed)))
        else:
            links.journal.note(messages.NETWORK_UNHEARD)
        if links.heeds_manager:
            from homebred_daemon.adapters import network_manager  # noqa: PLC0415  # only where something may leave

            if (bus := network_manager.system_bus(os.environ)) is not None:
                await stack.enter_async_context(beside(network_manager.listen(links.manager_said, bus)))
        yield


@asynccontextmanager
async def opened(
    settings: Settings, answering: Answering, links: Links, clock: Clock, measures: Measures
) -> AsyncIterator[None]:
    """Gives the answering service its way out, for as long as the context lasts.

    Raises:
        ConfigurationError: an endpoint's key is not there, or others can read it.
    """
    links.answering = answering
    if not settings.cloud.endpoints:
        yield
        return
    from homebred_daemon.adapters.cloud.spending_file import SpendingFile  # noqa: PLC0415
    from homebred_daemon.adapters.egress import Egress  # noqa: PLC0415  # only where something may leave
    from homebred_daemon.app.cloud_endpoints import configured_budget, configured_endpoints  # noqa: PLC0415

    egress = Egress(
        configured_endpoints(settings.cloud, os.environ),
        air_gap=lambda: answering.standing.decider.policy.air_gap,
        forbids=LastLook(lambda: answering.standing.decider, links.journal).at,
        seen=links.watch.seen,
        clock=clock,
        chance=random.random,
        spent=SpendingFile(settings.paths.state_dir),
        budget=configured_budget(settings.cloud),
        budget_spent=links.refresh,
        measures=measures,
    )

    links.has_budget = lambda: egress.has_room
    if egress.is_uncounted:
        links.journal.note(messages.SPENDING_UNREADABLE)

    async def probe(alias: str) -> None:
        with suppress(LaneClosedError):
            await egress.probe(alias)

    async with AsyncExitStack() as stack:
        stack.push_async_callback(egress.aclose)
        await stack.enter_async_context(links.watch.running(probe))
        await stack.enter_async_context(beside(links.refreshed()))
        if settings.link.state == MEASURED and not answering.standing.decider.policy.air_gap:
            await stack.enter_async_context(_network_heard(links))
        answering.way_out = WayOut(lane=egress)
        yield
