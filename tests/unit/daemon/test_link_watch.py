"""The watch over links, on a clock that tests move."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Literal

import pytest
from tests.support.manual_clock import ManualClock, run_with
from tests.support.recorded_journal import RecordedJournal

from homebred_daemon.adapters.network_news import Network
from homebred_daemon.app.way_out import Links
from homebred_daemon.core.link import Link, SeenLink
from homebred_daemon.core.metering import SILENCE, ManagerWord, Saying
from homebred_daemon.core.reachability import Sign
from homebred_daemon.services.link_watch import LinkWatch
from homebred_daemon.settings import CloudEndpointSettings, CloudSettings, LinkSettings, Settings
from homebred_protocol.documents.policy import Policy

SETTLE_TURNS = 8
PORTAL = 2
"""Of NMConnectivityState."""


class Sky:
    """One endpoint that answers, or does not."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.answers = Sign.SUCCESS
        self.probes: list[float] = []
        self.changes: list[tuple[float, str]] = []
        self.watch = LinkWatch(["cloud"], self.clock, lambda: 1.0, changed=self.changed)

    def changed(self, alias: str, link: Link) -> None:
        assert alias == "cloud"
        self.changes.append((self.clock.elapsed_s, link.value))

    async def probe(self, alias: str) -> None:
        self.probes.append(self.clock.elapsed_s)
        self.watch.seen(alias, self.answers)

    async def pass_s(self, seconds: float) -> None:
        until_s = self.clock.elapsed_s + seconds
        while self.clock.elapsed_s < until_s:
            self.clock.pass_s(0.25)
            for _ in range(SETTLE_TURNS):
                await asyncio.sleep(0)

    def run(self, story: Callable[[], Coroutine[Any, Any, None]]) -> None:
        async def told() -> None:
            async with self.watch.running(self.probe):
                await story()

        run_with(self.clock, told())


def test_a_link_that_is_up_is_not_probed() -> None:
    sky = Sky()

    async def story() -> None:
        await sky.pass_s(60)

    sky.run(story)
    assert (sky.probes, sky.changes, sky.watch.link("cloud")) == ([], [], Link.UP)


def test_one_failed_call_closes_it_at_once_and_probes_open_it_again() -> None:
    sky = Sky()

    async def story() -> None:
        await sky.pass_s(1)
        sky.watch.seen("cloud", Sign.FAILURE)
        assert sky.watch.link("cloud") is Link.DOWN
        await sky.pass_s(30)

    sky.run(story)
    assert sky.changes[0] == (1.0, "down")
    assert sky.changes[1][1] == "up"
    assert len(sky.changes) == 2
    assert 10 < sky.changes[1][0] < 20


def test_a_link_that_stays_lost_is_probed_less_and_less_often() -> None:
    sky = Sky()
    sky.answers = Sign.FAILURE

    async def story() -> None:
        sky.watch.seen("cloud", Sign.FAILURE)
        await sky.pass_s(120)

    sky.run(story)
    assert 10 < len(sky.probes) < 20
    assert sky.changes == [(0.0, "down")]


def test_a_stranger_is_a_portal() -> None:
    sky = Sky()
    sky.watch.seen("cloud", Sign.STRANGER)
    assert sky.watch.link("cloud") is Link.PORTAL


def test_a_metered_link_says_so_and_why_until_it_is_metered_no_more() -> None:
    sky = Sky()
    sky.watch.meter("cloud", "metered_interface")
    assert seen_of(sky) == SeenLink(Link.METERED, "metered_interface")
    sky.watch.meter("cloud", "metered_network_manager")
    assert seen_of(sky) == SeenLink(Link.METERED, "metered_network_manager")
    sky.watch.meter("cloud", "")
    assert seen_of(sky) == SeenLink(Link.UP, "up")
    assert sky.changes == [(0.0, "metered"), (0.0, "up")], "another cause is no other link"


def test_a_lost_link_is_lost_for_its_own_cause_whatever_it_would_cost() -> None:
    sky = Sky()
    sky.watch.seen("cloud", Sign.FAILURE)
    sky.watch.meter("cloud", "metered_interface")
    assert seen_of(sky) == SeenLink(Link.DOWN, "suspect")

    async def story() -> None:
        await sky.pass_s(30)

    sky.run(story)
    assert [link for _, link in sky.changes] == ["down", "metered"]


def seen_of(sky: Sky) -> SeenLink:
    return SeenLink(sky.watch.link("cloud"), sky.watch.cause("cloud"))


def test_what_nobody_configured_is_down() -> None:
    sky = Sky()
    sky.watch.seen("other", Sign.SUCCESS)
    assert sky.watch.link("other") is Link.DOWN
    assert sky.changes == []


def test_a_probe_that_sees_nothing_is_not_made_again_at_once() -> None:
    sky = Sky()

    async def blind(alias: str) -> None:
        sky.probes.append(sky.clock.elapsed_s)

    async def told() -> None:
        async with sky.watch.running(blind):
            sky.watch.seen("cloud", Sign.FAILURE)
            await sky.pass_s(30)

    run_with(sky.clock, told())
    assert 3 <= len(sky.probes) < 10


@pytest.mark.parametrize(
    ("required", "recognizes", "link"),
    [(True, False, Link.DOWN), (True, True, Link.UP), (False, False, Link.UP), (False, True, Link.UP)],
)
def test_a_policy_that_wants_a_recognizer_of_names_sees_no_link_without_one(
    *, required: bool, recognizes: bool, link: Link
) -> None:
    settings = Settings(link=LinkSettings(state="up"))
    links = Links(settings, ManualClock(), RecordedJournal(), recognizes=recognizes)
    assert links.of(Policy(require_recognizer=required)).link is link


def test_a_spent_budget_is_a_link_that_is_down_until_the_day_is_over() -> None:
    budget = {"has_room": True}
    links = Links(Settings(link=LinkSettings(state="up")), ManualClock(), RecordedJournal(), recognizes=False)
    links.has_budget = lambda: budget["has_room"]
    assert links.of(Policy()) == SeenLink(Link.UP, "configured")
    budget["has_room"] = False
    assert links.of(Policy()) == SeenLink(Link.DOWN, "budget_spent")
    budget["has_room"] = True
    assert links.of(Policy()) == SeenLink(Link.UP, "configured")


def links_to(url: str, link: LinkSettings) -> Links:
    endpoint = CloudEndpointSettings(base_url=url, wire_format="openai_chat", model="m")
    settings = Settings(link=link, cloud=CloudSettings(endpoints={"cloud/default": endpoint}))
    return Links(settings, ManualClock(), RecordedJournal(), recognizes=False)


OVER_A_MODEM = Network(is_there=True, default_interfaces=frozenset({"wwan0"}))
OVER_A_CABLE = Network(is_there=True, default_interfaces=frozenset({"eth0"}))
METERED_WORD = ManagerWord(metered=Saying.YES)


def test_the_way_beyond_this_device_is_metered_as_the_network_is() -> None:
    links = links_to("https://192.0.2.1/v1", LinkSettings())
    assert links.of(Policy()) == SeenLink(Link.UP, "up")
    links.network_changed(OVER_A_MODEM)
    assert links.of(Policy()) == SeenLink(Link.METERED, "metered_interface")
    links.network_changed(OVER_A_CABLE)
    assert links.of(Policy()) == SeenLink(Link.UP, "up")
    links.manager_said(METERED_WORD)
    assert links.of(Policy()) == SeenLink(Link.METERED, "metered_network_manager")
    links.manager_said(SILENCE)
    assert links.of(Policy()) == SeenLink(Link.UP, "up")


@pytest.mark.parametrize("metered", ["auto", "yes"])
def test_a_server_on_this_device_is_never_metered(metered: Literal["auto", "yes"]) -> None:
    links = links_to("http://127.0.0.1:9/v1", LinkSettings(metered=metered))
    links.network_changed(OVER_A_MODEM)
    links.manager_said(METERED_WORD)
    assert (links.of(Policy()), links.heeds_manager) == (SeenLink(Link.UP, "up"), False)


def test_the_sites_word_about_metering_holds_from_the_start() -> None:
    links = links_to("https://192.0.2.1/v1", LinkSettings(metered="yes"))
    assert (links.of(Policy()), links.heeds_manager) == (SeenLink(Link.METERED, "metered_configured"), False)


def test_a_change_of_connectivity_takes_no_link_down_and_brings_a_probe_forward() -> None:
    links = links_to("https://192.0.2.1/v1", LinkSettings())
    probes: list[str] = []

    async def probe(alias: str) -> None:
        probes.append(alias)
        links.watch.seen(alias, Sign.GONE)

    async def story() -> None:
        async with links.watch.running(probe):
            links.manager_said(ManagerWord(connectivity=PORTAL))
            assert links.of(Policy()).link is Link.UP
            links.watch.seen("cloud/default", Sign.GONE)
            for word in (ManagerWord(connectivity=PORTAL), SILENCE):
                links.manager_said(word)
                for _ in range(SETTLE_TURNS):
                    await asyncio.sleep(0)

    run_with(ManualClock(), story())
    assert probes == ["cloud/default"], "the same word again is no change"
